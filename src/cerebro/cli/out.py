"""How the command line speaks: one line for a failure, tables for lists, JSON when asked."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from cerebro.spine.errors import CerebroError


def say(text: str) -> None:
    """One line to the reader."""
    print(text, flush=True)


def complain(text: str) -> None:
    """One line to standard error."""
    print(text, file=sys.stderr, flush=True)


def fail(error: CerebroError) -> int:
    """Say what happened and what to do; the exit code, 75 (try again) where a retry may help."""
    complain(clean(f"cerebro: {error.detail}" + (f" {error.mend}" if error.mend else "")))
    return 75 if error.retry else 1


@contextmanager
def failures() -> Iterator[None]:
    """Turn a `CerebroError` into one line and an exit code, never a traceback."""
    try:
        yield
    except CerebroError as error:
        raise SystemExit(fail(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


def as_json(value: object) -> None:
    """The value as JSON, for other programs."""
    say(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table in the terminal's width, or what to do when there is nothing.

    Cells are shown as text: markup and control characters in telemetry have no effect.
    """
    if not rows:
        say(empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        grid.add_row(*(Text(clean(cell)) for cell in row))
    Console().print(grid)


def clean(cell: object) -> str:
    """The cell's text without control characters, which could drive the reader's terminal."""
    text = "" if cell is None else str(cell)
    return "".join(mark if mark.isprintable() else " " for mark in text)


def duration(seconds: float) -> str:
    """A span of time as people say it.

    >>> [duration(s) for s in (0.4, 75, 7300, 200000)]
    ['0 s', '1 min 15 s', '2 h 1 min', '2 d 7 h']
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def row_of(item: Mapping[str, object], *names: str) -> list[object]:
    """The named fields of one item, missing ones empty."""
    return [item.get(name, "") for name in names]
