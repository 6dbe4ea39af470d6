"""`cerebro simulate`: a labelled data set from a simulated estate, and how real it looks."""

import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from cerebro.cli.out import complain, failures, say

app = typer.Typer(
    help="A simulated estate: labelled data sets from a seed, and how real they look.", invoke_without_command=True
)
PAGE = Path("docs/reference/simulator.md")
MARK = "<!-- what follows is written by `cerebro simulate realism --write` -->"
_SHOWN_S = 2.0  # between two lines of progress where nobody watches a terminal


@app.callback()
def simulate(  # noqa: PLR0917  options
    context: typer.Context,
    services: Annotated[int, typer.Option(help="How many services, 5 to 500; stores and hosts come on top.")] = 50,
    days: Annotated[float, typer.Option(help="How long; parts of a day are allowed.")] = 7.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    out: Annotated[Path | None, typer.Option(help="A new or empty directory to write to.")] = None,
    faults: Annotated[int, typer.Option(help="How many faults over the time; some are controls.")] = 20,
    interval: Annotated[float, typer.Option(help="Seconds between two samples of a series, 1 to 60.")] = 15.0,
    traces: Annotated[float, typer.Option(help="Sampled traces a second.")] = 0.2,
) -> None:
    """Write a labelled data set: Parquet, and a slice as OpenMetrics and OTLP."""
    if context.invoked_subcommand is not None:
        return
    from cerebro.proving.estate.dataset import Order, write_dataset
    from cerebro.spine.errors import Invalid

    with failures():
        if out is None:
            raise Invalid("There is no directory to write to.", "Write --out DIR.")
        begun = perf_counter()
        order = Order(services, days, seed, out, faults, interval, traces)
        counts = write_dataset(order, _Progress())
        took_s = perf_counter() - begun
        if sys.stderr.isatty():
            complain("")
        rows = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        say(f"{out}: {rows}; {days * 86_400 / took_s:,.0f} times faster than life, files included.")


@app.command()
def realism(
    datasets: Annotated[
        Path | None, typer.Option(envvar="CEREBRO_DATASETS", help="Folder of public sets: nab, smd, petshop …")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Renew the tables of docs/reference/simulator.md.")] = False,
) -> None:
    """Compare simulated series with real ones: tails, bursts, memory, seasons, togetherness."""
    from cerebro.proving.estate.realism import compare
    from cerebro.spine.errors import Invalid

    with failures():
        if datasets is None:
            raise Invalid("There is nothing to compare with.", "Write --datasets DIR, or set CEREBRO_DATASETS.")
        tables = compare(datasets, complain)
        if write:
            head, mark, _ = PAGE.read_text().partition(MARK)
            PAGE.write_text(f"{head}{mark or MARK}\n\n{tables}")
        else:
            say(tables)


@app.command()
def beside(
    write: Annotated[bool, typer.Option("--write", help="Renew the table of docs/reference/simulator.md.")] = False,
) -> None:
    """Compare each fault on estates with the same fault on the real shop, as `cerebro shop verify --write` found it."""
    from cerebro.proving import report
    from cerebro.proving.estate.beside import SEEDS, pairs
    from cerebro.spine.errors import Invalid

    with failures():
        rows = report.rows_in("verify")
        if not rows:
            raise Invalid(f"{report.PAGE} holds no table of the real shop.", "Write: cerebro shop verify --write")
        found = pairs(rows)
        columns = ("kind", "shop fails", "shop p95", "estates that feel it", "estate fails", "estate p95", "alike")
        lines = [
            report.line(
                (each.kind, f"{each.real.error_share:.0%}", f"x {each.real.slower_by:.1f}",
                 f"{each.felt_count}/{len(SEEDS)}", f"{max(0.0, each.simulated.error_share):.0%}",
                 f"x {each.simulated.slower_by:.1f}", "yes" if each.alike else "no")
            )
            for each in found
        ]  # fmt: skip
        words = f"{sum(each.alike for each in found)} of {len(found)} kinds show in the same way on both grounds."
        text = "\n".join((words, "", *report.heading(columns), *lines))
        if write:
            report.renew("beside", text, PAGE)
        else:
            say(text)


class _Progress:
    """One line that renews itself in a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._shown_s = perf_counter()

    def __call__(self, share: float, words: str) -> None:
        if perf_counter() - self._shown_s < (0.2 if sys.stderr.isatty() else _SHOWN_S) and share < 1.0:
            return
        self._shown_s = perf_counter()
        line = f"simulating {words}, {share:.0%}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}   ")
            sys.stderr.flush()
        else:
            complain(line)
