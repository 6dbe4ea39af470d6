"""`cerebro detect backtest`: any stored series through the detector again, and what would have fired."""

from typing import Annotated

import typer

from cerebro.cli.ask import Json, Key, Url
from cerebro.cli.out import failures

app = typer.Typer(help="The detector, asked by hand.", no_args_is_help=True)


@app.callback()
def callback() -> None:
    """The detector, asked by hand."""


@app.command("backtest")
def run_backtest(
    query: Annotated[str, typer.Argument(help='metric{label="value"}, or SQL that returns a time and a value.')],
    *,
    start: Annotated[str, typer.Option("--from", help="ISO time, or how long ago: 90m, 24h, 7d.")] = "24h",
    end: Annotated[str, typer.Option("--to", help="The same; now when empty.")] = "",
    budget: Annotated[float, typer.Option(help="Findings a week this series may cause; 0 takes its real part.")] = 0.0,
    plot: Annotated[bool, typer.Option(help="Draw it.")] = True,
    url: Url = "",
    key: Key = "",
    json: Json = False,
) -> None:
    """Replay stored series through the detector and show what would have fired."""
    from cerebro.cli import backtest

    with failures():
        backtest.run(query, start, end, budget, plot=plot, url=url, key=key, json=json)
