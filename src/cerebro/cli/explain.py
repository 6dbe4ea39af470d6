"""`cerebro explain`: the story of a case, sentence by sentence, each with its proofs."""

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

import typer

from cerebro.cli.ask import Json, Key, Url, client
from cerebro.cli.out import as_json, clean, failures, say
from cerebro.kernel.clock import SystemClock

HEADS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "hurts": "What hurts",
        "since": "Since when",
        "owner": "Who has it",
        "cause": "Likely cause",
        "changed": "What changed",
        "tried": "What was tried",
        "unknown": "What is not known",
    },
    "ru": {
        "hurts": "Что болит",
        "since": "С каких пор",
        "owner": "Кто занимается",
        "cause": "Вероятная причина",
        "changed": "Что менялось",
        "tried": "Что пробовали",
        "unknown": "Чего мы не знаем",
    },
}
VERDICTS = {
    "same": "the same result",
    "changed": "the data has changed",
    "expired": "the data has expired",
    "drawn": "answered; the digest is that of the drawn points",
    "unanswered": "no answer",
    "": "not asked",
}


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(explain)


def explain(
    case_id: Annotated[str, typer.Argument(help="The case's id, as `cerebro cases` prints it.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Ask every proof again, and compare.")] = False,
    language: Annotated[str, typer.Option(help="en or ru.")] = "en",
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """The story of a case, each sentence with its proofs; the exit code is 1 when a checked proof does not hold."""
    with failures():
        parameters = {"language": language, "offset_min": _offset_min(), "check": "true" if check else ""}
        story = client(url, key).get(f"/api/v1/cases/{case_id}/story", **parameters)
        if json:
            as_json(story)
        else:
            _tell(story, checked=check)
        if check and any(proof["verdict"] in ("changed", "unanswered") for proof in story["proofs"]):
            raise SystemExit(1)


def _tell(story: Mapping[str, Any], *, checked: bool) -> None:
    say(clean(story["title"]))
    for part, sentences in groupby(story["sentences"], key=lambda sentence: sentence["part"]):
        say(f"\n{HEADS[story['language']].get(part, part)}")
        for sentence in sentences:
            numbers = "".join(f"[{number}]" for number in sentence["proofs"])
            say(f"  {clean(sentence['text'])} {numbers}")
    say("\nProofs" if story["language"] == "en" else "\nДоказательства")
    for proof in story["proofs"]:
        verdict = ""
        if checked:
            verdict = f"  {VERDICTS.get(proof['verdict'], proof['verdict'])} ({proof['row_count']} rows)"
            verdict += f": {clean(proof['detail'])}" if proof["detail"] else ""
        say(f"  [{proof['number']}] {proof['engine']}  sha256 {proof['digest'][:16]}…{verdict}")
        say(f"      {clean(proof['query'])}")


def _offset_min() -> int:
    """How far this machine's clock is from UTC, minutes."""
    offset = datetime.fromtimestamp(SystemClock().now_ms() / 1000).astimezone().utcoffset()
    return round(offset.total_seconds() / 60) if offset else 0
