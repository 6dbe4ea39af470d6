"""`cerebro`: the command line. Each command imports what it needs when it runs, so that help is instant."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cerebro.cli import ask, detect, explain, hands, people, postmortem, serve, shop, simulate
from cerebro.cli.drill import drill
from cerebro.cli.out import failures, say

# In the order in which someone meets them; a command that stands nowhere is listed last.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Run it": ("up", "down", "status", "doctor"),
    "What is wrong": ("cases", "case", "explain", "findings", "feedback", "post-mortem"),
    "What is done about it": ("actions", "playbooks", "autonomy"),
    "Ask the data": ("query", "detect"),
    "People and keys": ("user", "key", "audit"),
    "Break something on purpose": ("drill", "shop", "simulate"),
    "Measure, build, scale out": ("bench", "run", "new-agent", "version"),
}
EPILOG = "Begin with: cerebro up, then cerebro drill. When something is wrong with Cerebro itself: cerebro doctor."


class Sectioned(TyperGroup):
    """The commands under headings, for there are too many for one list."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # typer hides the types of its click
        """A list for each heading."""
        listed = {name for names in SECTIONS.values() for name in names}
        rest = tuple(name for name in self.commands if name not in listed)
        room = formatter.width - 6 - max(map(len, self.commands))
        for title, names in (*SECTIONS.items(), ("More", rest)):
            rows = [(name, self.commands[name].get_short_help_str(room)) for name in names if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _tell_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


app = typer.Typer(
    name="cerebro",
    cls=Sectioned,
    help="One brain for the operation of a high-load business.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def cerebro(
    asked: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """One brain for the operation of a high-load business."""


app.add_typer(people.users, name="user")
app.add_typer(people.keys, name="key")
app.add_typer(people.audit, name="audit")
app.add_typer(drill, name="drill")
app.add_typer(hands.actions, name="actions")
app.add_typer(hands.playbooks, name="playbooks")
app.add_typer(hands.autonomy, name="autonomy")
app.add_typer(shop.shop, name="shop")
app.add_typer(simulate.app, name="simulate")
app.add_typer(detect.app, name="detect")
serve.register(app)
ask.register(app)
explain.register(app)
postmortem.register(app)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which; `all` for every one.")] = "all",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a figure, a line each.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Put the figures into docs/reference/performance.md.")] = False,
) -> None:
    """Measure the figures that the product answers to, on this machine."""
    from cerebro.cli import benchmark

    with failures():
        raise SystemExit(benchmark.run(name, as_lines=json, write=write))


@app.command()
def doctor() -> None:
    """Look at everything that can be wrong, and say how to mend each."""
    from cerebro.cli import doctor as examination

    with failures():
        raise SystemExit(examination.run())


@app.command("new-agent")
def new_agent(name: Annotated[str, typer.Argument(help="One word, lower case.")]) -> None:
    """Write the rooms of a new agent."""
    from cerebro.cli import rooms

    with failures():
        rooms.write(name)


@app.command()
def version() -> None:
    """The version of Cerebro."""
    from cerebro import __version__

    say(__version__)


def main() -> None:
    """The entry point of the `cerebro` command."""
    app()


if __name__ == "__main__":
    main()
