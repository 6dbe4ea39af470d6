"""The same kind of fault on the simulated estate and on the real shop: does it show to users in the same way?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.count import SLOWER_MIN, SLOWER_MS_MIN
from cerebro.proving.estate.effects import EFFECTS
from cerebro.proving.estate.estate import Estate
from cerebro.proving.model import Health

SERVICES, SEEDS = 12, range(1, 9)
QUIET_TICKS, FAULT_TICKS, WINDOW_TICKS = 80, 40, 4
ERRORS_MORE = 0.02
FAILS = re.compile(r"(\d+)% of requests fail")
SLOWS = re.compile(r"p95 (\d+) → (\d+) ms")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a kind shows to users: the share that fails on top, and by how much the p95 grows."""

    error_share: float
    slower_by: float

    @property
    def words(self) -> str:
        """Of what sort: errors, slowness, both, or nothing."""
        failing, slow = self.error_share > ERRORS_MORE, self.slower_by >= SLOWER_MIN
        return {(True, True): "both", (True, False): "errors", (False, True): "slow", (False, False): "nothing"}[
            failing, slow
        ]


@dataclass(frozen=True, slots=True)
class Pair:
    """One kind on both grounds.

    Args:
        felt_count: Estates, of `len(SEEDS)`, whose users felt it.
        simulated: The median of those.
    """

    kind: str
    real: Shown
    felt_count: int
    simulated: Shown

    @property
    def alike(self) -> bool:
        """Whether what shows on the one ground shows on the other too: errors or slowness in common, or neither."""
        ours, theirs = self.real.words, self.simulated.words
        return ours == theirs or ("both" in (ours, theirs) and "nothing" not in (ours, theirs))


def pairs(rows: Mapping[str, str]) -> list[Pair]:
    """Every kind that both grounds have.

    Args:
        rows: Of the table of `cerebro shop verify`, by kind.
    """
    return [_pair(kind, of_row(row)) for kind, row in rows.items() if kind in EFFECTS]


def of_row(row: str) -> Shown:
    """What the real shop showed, read from the table's own words.

    >>> of_row("| hang | service/cart | 1 s | 5% of requests fail, p95 100 → 300 ms | restart: 6 s | 2 s | yes |")
    Shown(error_share=0.05, slower_by=3.0)
    """
    fails, slows = FAILS.search(row), SLOWS.search(row)
    slower_by = int(slows[2]) / max(1, int(slows[1])) if slows else 1.0
    return Shown(int(fails[1]) / 100 if fails else 0.0, slower_by)


def _pair(kind: str, real: Shown) -> Pair:
    shown = [simulated(kind, seed) for seed in SEEDS]
    felt = [each for each in shown if each.words != "nothing"]
    return Pair(kind, real, len(felt), _middle(felt or shown))


def simulated(kind: str, seed: int) -> Shown:
    """What users of one estate feel of it at its worst."""
    estate = Estate(SERVICES, seed, VirtualClock(seed=seed))
    estate.measure(QUIET_TICKS)
    before = _felt(estate, QUIET_TICKS // 2)
    estate.begin(kind, seed=seed)
    worst = Shown(0.0, 1.0)
    for _ in range(FAULT_TICKS // WINDOW_TICKS):
        estate.measure(WINDOW_TICKS)
        now = _felt(estate, WINDOW_TICKS)
        grown = now.p95_ms / max(before.p95_ms, 1e-9) if now.p95_ms > before.p95_ms + SLOWER_MS_MIN else 1.0
        worst = Shown(max(worst.error_share, now.error_share - before.error_share), max(worst.slower_by, grown))
    return worst


def _felt(estate: Estate, ticks: int) -> Health:
    now_ms = estate.motion.now_ms
    return estate.users.health(now_ms - round(ticks * estate.motion.interval_s * 1000), now_ms)


def _middle(shown: Sequence[Shown]) -> Shown:
    return Shown(median(each.error_share for each in shown), median(each.slower_by for each in shown))
