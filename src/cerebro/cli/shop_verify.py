"""`cerebro shop verify`: the table of what each kind of fault truly does to the real shop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cerebro.cli.out import complain, say
from cerebro.cli.stopping import orderly
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.settings import Settings
from cerebro.proving import report
from cerebro.proving.faults import fault_of
from cerebro.proving.model import CONTROL
from cerebro.proving.shop.control import Wanted
from cerebro.proving.shop.ground import Shop
from cerebro.proving.shop.verify import Verdict, verify

SECTION = "verify"
COLUMNS = ("kind", "target", "effect seen after", "how it shows", "helped by", "passed after its end", "holds")
LEASE_MORE_S = 90.0  # beyond the injection itself: to be helped, and to be ended by hand


async def run(settings: Settings, named: Sequence[str], during_s: float, again: int, *, write: bool) -> int:
    """Play every kind, those that did not hold again; 0 when all hold in the end.

    Raises:
        Invalid: A kind is unknown.
        Unavailable: The shop does not come up.
    """
    shop = Shop(settings, lease_s=during_s + LEASE_MORE_S)
    known = [fault.kind for fault in shop.faults()]
    left = [fault_of(kind).kind for kind in named] or known
    found: dict[str, Verdict] = {}
    try:
        with orderly():
            async with _opened(shop):
                for _ in range(again + 1):
                    await _play(shop, left, during_s, found)
                    left = [kind for kind, verdict in found.items() if not verdict.holds]
                    if not left:
                        break
    except asyncio.CancelledError:
        complain("Stopped; the fault is ended.")
        return 130
    say(f"{sum(it.holds for it in found.values())} of {len(found)} hold.")
    if write:
        _write(found, known)
    return 1 if left else 0


@asynccontextmanager
async def _opened(shop: Shop) -> AsyncIterator[None]:
    """The shop that is up, or one for now that tells nobody."""
    ours = not shop.is_up
    try:
        if ours:
            complain("Opening a shop …")
            await shop.up(Wanted(), with_us=True)
        yield
    finally:
        if ours:
            await shop.down()


async def _play(shop: Shop, kinds: Sequence[str], during_s: float, found: dict[str, Verdict]) -> None:
    async for verdict in verify(shop, kinds, SystemClock(), during_s=during_s):
        found[verdict.fault.kind] = verdict
        say(report.line(cells(verdict)))


def cells(verdict: Verdict) -> tuple[str, ...]:
    """A row of the table, in the order of `COLUMNS`."""
    return (
        verdict.fault.kind,
        "host" if verdict.target.startswith("host/") else verdict.target,
        "-" if verdict.effect_s < 0 else f"{verdict.effect_s:.0f} s",
        verdict.shows,
        _help(verdict),
        "never" if verdict.recovery_s < 0 else f"{verdict.recovery_s:.0f} s",
        "yes" if verdict.holds else "NO",
    )


def _help(verdict: Verdict) -> str:
    if not verdict.remedy:
        return "-" if verdict.fault.cause_kind == CONTROL else "not tried"
    return f"{verdict.remedy}: " + ("not in time" if verdict.helped_s < 0 else f"{verdict.helped_s:.0f} s")


def _write(found: dict[str, Verdict], known: Sequence[str]) -> None:
    """Renew the rows that were played; the page keeps the others."""
    rows = report.rows_in(SECTION) | {kind: report.line(cells(verdict)) for kind, verdict in found.items()}
    ordered = [rows[kind] for kind in known if kind in rows]
    holding = sum(line.endswith("| yes |") for line in ordered)
    words = f"{holding} of {len(ordered)} hold. Effects are the worst stretch of 4 s; the load is 50 arrivals a second."
    report.renew(SECTION, "\n".join((words, "", *report.heading(COLUMNS), *ordered)))
