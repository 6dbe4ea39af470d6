"""What a thing measures of itself or of its ways, and from where on that is a mark."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cerebro.casework.cause.answers import COLD, SILENT, STUCK, TURNED_AWAY, UNEVEN
from cerebro.casework.cause.assemble import CLOCK_AHEAD, CLOCK_S_MIN
from cerebro.casework.cause.grid import METRICS_KEPT
from cerebro.casework.cause.queues import DEEP
from cerebro.spine.quote import is_word


@dataclass(frozen=True, slots=True)
class Gauge:
    """A mark that a series of the thing itself gives.

    Args:
        level: That the values during the trouble reach; of a counter by the second.
        times: As many times what was usual.
        step: More than usual by so much.
        within_s: Whether once in so many seconds of late is enough, since it comes in jumps; `EVER` for all of the
            trouble.
        of_work: Whether twice the requests bring twice of it: then it is compared for each request.
        known: Whether what is usual must be known, of it and of the requests.
        lulls: Whether one lull among its newest values says nothing, as one peak does not: who is started again and
            again tells something in between; a disk that takes seconds for each operation tells of none in some steps.
    """

    mark: str
    metric: re.Pattern[str]
    level: float = 0.0
    times: float = 1.0
    step: float = 0.0
    within_s: float = 0.0
    of_work: bool = False
    known: bool = False
    lulls: bool = False


def _gauge(
    mark: str, metric: str, *, level: float = 0.0, times: float = 1.0, step: float = 0.0, within_s: float = 0.0,
    of_work: bool = False, known: bool = False, lulls: bool = False,
) -> Gauge:  # fmt: skip
    return Gauge(mark, re.compile(metric), level, times, step, within_s, of_work, known, lulls)


EVER = float("inf")
OWN_CPU = re.compile(r"process.{0,3}cpu.{0,3}utili[sz]ation")
CPU = re.compile(r"cpu.{0,3}(utili[sz]ation|usage_ratio|percent)")
# Bounds are those that operators' handbooks give for an alert, or plainly more than a usual day's swing.
GAUGES: Sequence[Gauge] = (
    _gauge("busy_cpu", r"cpu.{0,3}(utili[sz]ation|usage_ratio|percent)", level=0.7, times=1.4),
    _gauge("busy_cpu", OWN_CPU.pattern, level=0.2, times=5.0, of_work=True, known=True),
    _gauge("growing", r"memory.{0,3}(usage|used|bytes)|rss|heap.{0,6}used|working_set", times=1.35, within_s=EVER),
    _gauge("full_memory", r"memory.{0,3}(utili[sz]ation|percent)", level=0.9, times=1.2),
    _gauge("collecting", r"(^|[._])gc[._]", level=0.05, times=3.0, of_work=True),
    _gauge("clock", r"clock[._]offset|timex[._]offset", level=CLOCK_S_MIN),
    _gauge("many_files", r"(file_?desc|open_fds)(?!.*(limit|max))", times=2.0, step=200.0, of_work=True),
    _gauge("many_files", r"(file_?desc|fds).*:limit_ratio", level=0.9, times=1.05),
    _gauge("waiting_pool", r"(pool|connection).{0,12}(pending|waiting)", level=3.0, times=3.0, of_work=True),
    _gauge("held_pool", r"(client\.connection|pool).{0,8}(count|used|active)", times=1.6, step=5.0, of_work=True),
    _gauge("held_pool", r"(client\.connection|pool).{0,8}(count|used|active):limit_ratio", level=0.95, times=1.5),
    _gauge("full_disk", r"(filesystem|disk).{0,4}(utili[sz]ation|used_ratio|percent)", level=0.92),
    _gauge("slow_disk", r"disk.{0,12}(time|await|latency)", times=4.0, of_work=True, lulls=True),
    _gauge("lagging", r"(wal|replication|replica)[._]?(lag|delay)", level=10.0, times=4.0),
    _gauge(
        "locked",
        r"(^|[._])locks?$|blocked|(sessions|backends)[._]waiting|waiting[._](sessions|backends)",
        level=4.0,
        times=4.0,
    ),
    _gauge("scanning", r"seq(uential)?_(scan|rows|tup)|full_scan|select_scan", times=6.0, step=0.2, of_work=True),
    _gauge(
        "long_session",
        r"max_tx_duration|(oldest|longest).{0,6}(transaction|query)|transaction.{0,4}(oldest|longest)|long_running",
        level=15.0,
        times=5.0,
    ),
    _gauge("deadlock", r"deadlock", times=5.0, step=0.02, within_s=EVER),
    _gauge("overlap", r"active_jobs|jobs?[._](active|running)", level=1.2, times=1.5),
    _gauge("crashed", r"restarts?([._]count)?(_total)?$", step=0.005, times=3.0, within_s=EVER),
    _gauge("piling_up", DEEP.pattern, level=20.0, times=3.0),
    _gauge("poison", r"redeliver", times=4.0, step=0.1, within_s=45.0),
    _gauge("foreign", r"namedprocess.*cpu", level=0.8, times=3.0),
    _gauge("silent", SILENT.replace(".", r"\."), level=1.0, step=0.9, lulls=True),
    _gauge("uneven", UNEVEN.replace(".", r"\."), level=0.86, times=1.2),
    _gauge("stuck", STUCK.replace(".", r"\."), level=0.1, times=3.0),
    _gauge("cold", COLD.replace(".", r"\."), step=20.0, times=1.5),
    _gauge("limited", TURNED_AWAY.replace(".", r"\."), step=5.0, times=3.0),
    _gauge("clock", CLOCK_AHEAD.replace(".", r"\."), step=20.0),
)
PATHS: Sequence[Gauge] = (  # of the way to a peer
    _gauge("losing", r"retrans", times=6.0, step=0.1),
    _gauge("far", r"(latency|rtt|round_trip)", times=5.0, step=0.01),
)
# What can be used up, in parts of its limit: by the program itself, or by what it wrote.
LIMITED: Sequence[tuple[str, re.Pattern[str]]] = (
    ("filling_disk", re.compile(r"(filesystem|disk).{0,4}(utili[sz]ation|used_ratio)")),
    ("filling", re.compile(r"(memory|file_?desc|fds|heap).*(:limit_ratio|limit_utili[sz]ation)$")),
)
RUNS_SHORT = dict(LIMITED)["filling"]
FARTHER = _gauge("far", r"^wire\.mean$", times=5.0, step=0.05)  # of a call, what its two ends do not share
FAILS = _gauge("failing", "", step=20.0, times=2.0)  # percent of its calls


@lru_cache(METRICS_KEPT)
def gauges_of(signal: str) -> tuple[Gauge, ...]:
    """Those that a metric of this name answers to; in lower case. A sentence is none, whatever words are in it."""
    return tuple(gauge for gauge in GAUGES if gauge.metric.search(signal)) if is_word(signal) else ()


def is_beyond(gauge: Gauge, then: float, now: float, work: float = 1.0) -> bool:
    """Whether it is beyond the gauge's bounds, where so many times the usual work is done."""
    then = then if np.isfinite(then) else 0.0
    return now >= max(gauge.level, work * gauge.times * then, work * (then + gauge.step))
