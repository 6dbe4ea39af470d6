"""Start, stop, run one role, see how it is."""

import sys
from typing import Annotated, Any

import typer

from cerebro.cli.out import as_json, complain, duration, failures, say, table
from cerebro.kernel.settings import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command("run")(run_role)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is ready.")] = False,
) -> None:
    """Start everything on this machine."""
    from cerebro.kernel import supervise

    with failures():
        settings = load_settings()
        supervise.up(settings, detach=detach, progress=_progress)
        if detach:
            _welcome(settings)


def down() -> None:
    """Stop what `up` started, in reverse order."""
    from cerebro.kernel import supervise

    with failures():
        stopped = supervise.down(load_settings())
        say("Cerebro has stopped." if stopped else "Cerebro was not running.")


def status(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What runs, how it is, and where; exit code 3 when not all is ready."""
    from cerebro.kernel import supervise

    with failures():
        children: list[dict[str, Any]] = supervise.status(load_settings())
        if json:
            as_json(children)
        else:
            rows = [[c["name"], c["state"], c["pid"], duration(c["age_s"]), c["restarts"]] for c in children]
            table(["process", "state", "pid", "for", "restarts"], rows, "Cerebro is not running. Start it: make up.")
            if children:
                _where(load_settings())
    raise SystemExit(0 if children and all(c["state"] == "ready" for c in children) else 3)


def _where(settings: Settings) -> None:
    """Where it is found: by people, and on the disk."""
    from cerebro.cli.client import door

    say(f"console {door(settings)}   data {settings.data_dir}   logs {settings.data_dir / 'logs'}")


def run_role(
    roles: Annotated[
        str, typer.Argument(help="One role or several with commas: store, collector, console, recorder, …")
    ],
) -> None:
    """Run one role in this process; the engines must be there."""
    from cerebro.app import roles as app

    with failures():
        raise SystemExit(app.run(load_settings(), tuple(roles.split(","))))


def _progress(line: str) -> None:
    complain(line) if sys.stderr.isatty() else say(line)


def _welcome(settings: Settings) -> None:
    say("")
    for line in greeting(settings):
        say(line)
    say("Stop it: make down.   How it is: cerebro status, cerebro doctor.")


def greeting(settings: Settings) -> list[str]:
    """Where the console is and, once, the first login."""
    from cerebro.cli.client import door

    lines = [f"Cerebro is up: {door(settings)}"]
    first = settings.data_dir / "first-login"
    if first.exists():
        login, password = first.read_text().splitlines()[:2]
        lines.append(f"First login: {login}   password: {password}   (shown once: change it in the console, user menu)")
        first.unlink()
    return lines
