"""`cerebro post-mortem`: what is to be learned from a case, as Markdown or PDF."""

from pathlib import Path
from typing import Annotated

import typer

from cerebro.cli.ask import Key, Url, client
from cerebro.cli.out import failures, say
from cerebro.spine.errors import Invalid

SUFFIXES = (".md", ".pdf")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("post-mortem")(post_mortem)


def post_mortem(
    case_id: Annotated[str, typer.Argument(help="The case's id, as `cerebro cases` prints it.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="A file ending in .md or .pdf; without it, Markdown is printed.")
    ] = None,
    language: Annotated[str, typer.Option(help="en or ru, of a draft.")] = "en",
    url: Url = "",
    key: Key = "",
) -> None:
    """The post-mortem of a case: as people left it, or else drafted from the record of the case."""
    with failures():
        suffix = out.suffix if out else ".md"
        if suffix not in SUFFIXES:
            raise Invalid(f"{out} ends in neither .md nor .pdf.", "Name the file after what it shall be.")
        body = client(url, key).download(f"/api/v1/cases/{case_id}/post-mortem{suffix}", language=language)
        if out is None:
            say(body.decode())
            return
        try:
            out.write_bytes(body)
        except OSError as error:
            raise Invalid(f"{out} cannot be written: {error.strerror}.", "Name another file.") from error
        say(f"Written to {out}.")
