"""Write docs/reference from the code, so that it cannot lag behind: settings, commands, metrics, playbooks, …"""

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from cerebro.casework.playbooks.page import page
from cerebro.casework.playbooks.read import shipped
from cerebro.kernel.settings import Settings

REFERENCE = Path("docs/reference")
HEAD = "<!-- Written by `make reference`; do not edit. -->\n"


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


def pages() -> dict[str, str]:
    """Each page by file name, as it should stand."""
    return {
        "settings.md": _settings(),
        "cli.md": _cli(),
        "metrics.md": _metrics(),
        "licences.md": _licences(),
        "playbooks.md": HEAD + page(shipped().values()),
    }


def _settings() -> str:
    lines = [HEAD, "# Settings\n", "In `cerebro.toml` as `[branch] name = …`, or in the environment.\n"]
    lines += ["| setting | environment | default | what |", "|---|---|---|---|"]
    lines += [
        f"| `{path}` | `CEREBRO_{path.upper().replace('.', '__')}` | {default} | {what} |"
        for path, default, what in _fields(Settings)
    ]
    return "\n".join(lines) + "\n"


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
            continue
        default = (
            "by user"
            if field.default is PydanticUndefined
            else f"`{field.default!r}`"
            if field.default not in ("", None)
            else ""
        )
        yield f"{prefix}{name}", default, field.description or ""


def _cli() -> str:
    from cerebro.cli.main import app

    command = typer.main.get_command(app)
    lines = [HEAD, "# Command line\n"]
    for words, each in _commands(command, ("cerebro",)):
        text = each.get_help(typer.Context(each, info_name=" ".join(words)))
        lines += [f"## {' '.join(words)}\n", "```", text.strip(), "```\n"]
    return "\n".join(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield from _commands(each, (*words, name))


METRIC = re.compile(r"\b(Counter|Gauge|Histogram|Summary|Info)\(\s*\"(cerebro_[a-z0-9_]+)\",\s*((?:\"[^\"]*\"\s*)+)")


def _metrics() -> str:
    lines = [
        HEAD,
        "# Metrics of Cerebro itself\n",
        "On `/metrics`, OpenMetrics: those of the process that answers. Where the roles share this machine that is the"
        " collector and console; the others' go to the tenant `_cerebro`, which cannot be queried yet.\n",
        "| metric | type | what |",
        "|---|---|---|",
    ]
    rows = [
        (name, kind.lower(), "".join(re.findall(r"\"([^\"]*)\"", text)))
        for path in Path("src").rglob("*.py")
        for kind, name, text in METRIC.findall(path.read_text())
    ]
    return "\n".join(lines + [f"| `{name}` | {kind} | {what} |" for name, kind, what in sorted(rows)]) + "\n"


def _licences() -> str:
    names = re.findall(r"^([a-z0-9_.-]+)==", Path("requirements.lock").read_text(), re.MULTILINE)
    lines = [HEAD, "# Licences of what Cerebro runs on\n", "| package | licence |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {licence(name)} |" for name in sorted(set(names)) if licence(name)]) + "\n"


def licence(name: str) -> str:
    """The licence that an installed package states, in short; empty when it is not installed here."""
    try:
        meta: Any = distribution(name).metadata
    except ModuleNotFoundError:
        return ""
    if stated := meta.get("License-Expression"):
        return str(stated)
    classified = [
        value.split("::")[-1].strip() for value in meta.get_all("Classifier") or [] if value.startswith("License ::")
    ]
    return ", ".join(classified) or str(meta.get("License") or "not stated").splitlines()[0]


if __name__ == "__main__":
    main()
