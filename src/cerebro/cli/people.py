"""Users, API keys and the audit log, through the API and its permissions."""

from typing import Annotated

import typer

from cerebro.cli.ask import Json, Key, Url, client, moment
from cerebro.cli.out import as_json, failures, row_of, say, table

users = typer.Typer(help="People who may log in.", no_args_is_help=True)
keys = typer.Typer(help="API keys for machines.", no_args_is_help=True)
audit = typer.Typer(help="The hash-chained record of every change.", no_args_is_help=True)


@users.command("list")
def list_users(url: Url = "", key: Key = "", json: Json = False) -> None:
    """Who may log in."""
    with failures():
        answer = client(url, key).get("/api/v1/users")
        if json:
            as_json(answer)
        else:
            rows = [row_of(item, "login", "role", "disabled") for item in answer["items"]]
            table(["login", "role", "disabled"], rows, "Nobody.")


@users.command("add")
def add_user(
    login: Annotated[str, typer.Argument(help="The name to log in with.")],
    role: Annotated[str, typer.Option(help="viewer, responder, operator or admin.")] = "responder",
    password: Annotated[
        str,
        typer.Option(
            prompt=True, hide_input=True, confirmation_prompt=True, help="At least 12 characters; asked when left out."
        ),
    ] = "",
    url: Url = "",
    key: Key = "",
) -> None:
    """Let someone in."""
    with failures():
        client(url, key).post("/api/v1/users", {"login": login, "role": role, "password": password})
        say(f"{login} may log in as {role}.")


@users.command("remove")
def remove_user(login: Annotated[str, typer.Argument(help="Whose.")], url: Url = "", key: Key = "") -> None:
    """Let someone in no more; their tokens end at once."""
    with failures():
        client(url, key).delete(f"/api/v1/users/{login}")
        say(f"{login} may no longer log in.")


@keys.command("list")
def list_keys(url: Url = "", key: Key = "", json: Json = False) -> None:
    """Every key, without its secret."""
    with failures():
        answer = client(url, key).get("/api/v1/keys")
        if json:
            as_json(answer)
        else:
            rows = [[item["name"], item["prefix"], ", ".join(item["scopes"])] for item in answer["items"]]
            table(["name", "prefix", "scopes"], rows, "No keys. `cerebro key add NAME` makes one.")


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="What it is for, such as prometheus.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="ingest (when none is named), read, respond, operate or admin; repeatable.")
    ] = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Make a key; its secret is printed once."""
    with failures():
        answer = client(url, key).post("/api/v1/keys", {"name": name, "scopes": scope or ["ingest"]})
        say(str(answer["key"]))


@keys.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="As `cerebro key list` prints it.")], url: Url = "", key: Key = ""
) -> None:
    """End a key; it is refused within seconds."""
    with failures():
        client(url, key).delete(f"/api/v1/keys/{prefix}")
        say(f"{prefix} is refused from now on.")


@audit.command("verify")
def verify_audit(url: Url = "", key: Key = "") -> None:
    """Walk the chain and say whether every entry still stands as it was written."""
    with failures():
        answer = client(url, key).get("/api/v1/audit/verify")
        if not answer["intact"]:
            say(f"The audit log is broken at entry {answer['broken_at']}: {answer['reason']}")
            raise SystemExit(1)
        say(f"The audit log is intact: {answer['count']} entries.")


@audit.command("list")
def list_audit(
    limit: Annotated[int, typer.Option(help="How many.")] = 50, url: Url = "", key: Key = "", json: Json = False
) -> None:
    """The newest changes."""
    with failures():
        answer = client(url, key).get("/api/v1/audit", limit=limit)
        if json:
            as_json(answer)
        else:
            rows = [[moment(i["at_ms"]), *row_of(i, "actor", "action", "object")] for i in answer["items"]]
            table(["when", "who", "did", "to"], rows, "Nothing has been changed yet.")
