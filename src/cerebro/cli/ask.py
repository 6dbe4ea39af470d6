"""Questions to a running Cerebro: cases, findings, SQL."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cerebro.cli.out import as_json, failures, row_of, say, table
from cerebro.kernel.settings import load_settings
from cerebro.spine.errors import NotFound

Url = Annotated[str, typer.Option("--url", envvar="CEREBRO_URL", help="Another Cerebro's address.")]
Key = Annotated[str, typer.Option("--key", envvar="CEREBRO_KEY", help="API key; this machine's own when empty.")]
Json = Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")]
SEVERITIES = {1: "notice", 2: "minor", 3: "major", 4: "critical"}


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(query)
    app.command()(cases)
    app.command()(case)
    app.command()(findings)
    app.command()(feedback)


def query(
    sql: Annotated[str, typer.Argument(help="A SELECT in ClickHouse's SQL, over your tenant's telemetry.")],
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """Ask the telemetry store: cerebro query "SELECT metric, count() FROM series GROUP BY metric"."""
    with failures():
        answer = client(url, key).post("/api/v1/sql", {"query": sql})
        if json:
            as_json(answer)
        else:
            table([str(column) for column in answer["columns"]], answer["rows"], "No rows.")
            if answer.get("truncated"):
                say(f"Only the first {len(answer['rows'])} rows are shown: add a LIMIT, or narrow the question.")


def cases(
    everything: Annotated[bool, typer.Option("--all", help="Resolved and closed ones too.")] = False,
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """The open cases, the worst first."""
    with failures():
        answer = client(url, key).get("/api/v1/cases", live=None if everything else "true", limit=100)
        if json:
            as_json(answer)
            return
        rows = [
            [item["id"], SEVERITIES[item["severity"]], item["state"], moment(item["opened_ms"]), item["title"]]
            for item in sorted(answer["items"], key=lambda item: (-item["severity"], -item["opened_ms"]))
        ]
        table(
            ["case", "severity", "state", "since", "what"], rows, "No open case. `cerebro cases --all` shows past ones."
        )


def case(
    case_id: Annotated[str, typer.Argument(help="The case's id, as `cerebro cases` prints it.")],
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """One case: what, since when, who has it, its timeline."""
    with failures():
        answer = client(url, key).get(f"/api/v1/cases/{case_id}")
        if json:
            as_json(answer)
            return
        found = answer.get("case", answer)
        say(f"{found['title']}\n{SEVERITIES[found['severity']]}, {found['state']}, since {moment(found['opened_ms'])}")
        say(f"assigned to {found['assignee'] or 'nobody'}; acknowledged by {found['acknowledged_by'] or 'nobody'}")
        table(
            ["when", "who", "what"],
            [[moment(entry["at_ms"]), entry["actor"], entry["text"]] for entry in found["timeline"]],
            "Nothing has happened yet.",
        )


def findings(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=500)] = 30,
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """The newest findings of every agent."""
    with failures():
        answer = client(url, key).get("/api/v1/findings", limit=limit)
        if json:
            as_json(answer)
            return
        rows = [
            [moment(i["seen_ms"]), *row_of(i, "agent", "kind"), f"{i['p_value']:.1e}", i["title"]]
            for i in answer["items"]
        ]
        table(
            ["seen", "agent", "kind", "p", "what"],
            rows,
            "No findings yet: a series is judged once it has shown itself.",
        )


def client(url: str, key: str) -> Any:
    """A client of the named Cerebro, or of this machine's."""
    from cerebro.cli.client import Client

    return Client(load_settings(), url, key)


def moment(at_ms: int) -> str:
    """Local time, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def feedback(
    number: Annotated[
        str, typer.Argument(help="Of a finding or a case, as `cerebro findings` and `cerebro cases` say.")
    ],
    verdict: Annotated[str, typer.Argument(help="`useful` or `noise`.")],
    note: Annotated[str, typer.Option(help="For whoever reads the audit log.")] = "",
    url: Url = "",
    key: Key = "",
) -> None:
    """Say what a finding, or every finding of a case, was worth: the price of its like moves, within bounds."""
    with failures():
        asked, body = client(url, key), {"verdict": verdict, "note": note}
        try:
            answer = asked.post(f"/api/v1/findings/{number}/feedback", body)
        except NotFound:
            answer = asked.post(f"/api/v1/cases/{number}/feedback", body)
        said = "one finding" if answer["findings"] == 1 else f"{answer['findings']} findings"
        say(f"Noted: {said} {verdict if verdict == 'noise' else 'of use'}.")
