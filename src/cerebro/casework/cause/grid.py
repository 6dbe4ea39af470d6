"""Rows of samples into the columns of a picture."""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.casework.cause.picture import Role

# What a metric is about, by the words of its name; the first that fits. OpenTelemetry, Prometheus and the names
# that people give: the same rule for everyone. A share of failures is one whatever histogram it was made of.
ROLES = (
    (Role.ERRORS, re.compile(r":error_ratio$")),
    (
        Role.WAITING,
        re.compile(
            r"thread|file_?desc|(^|[_.])fds|pool|pending|active_?req|in_?flight|waiting|connection|backends|sessions"
            r"|queue|backlog|(^|[_.])lag([_.]|$)|retr|timeouts"
        ),
    ),
    (Role.LATENCY, re.compile(r"laten|duration|response_?time|elapsed|(^|[_.])lat([_.]|$)|(^|[_.])p(50|9\d)([_.]|$)")),
    (Role.ERRORS, re.compile(r"error|fail|5xx|availab|success|exception|reject|refus|timeout|dropped|abort")),
    (
        Role.RESOURCE,
        re.compile(
            r"cpu|mem|heap|disk|filesystem|(^|[_.])gc([_.]|$)|saturat|lock|(^|[_.])io([_.]|$)|net|load_?av|restart|evict"
            r"|redeliver|misses"
        ),
    ),
    (Role.TRAFFIC, re.compile(r"request|workload|ops|rate|rps|qps|traffic|throughput|calls|(^|[_.])lod([_.]|$)|count")),
)
METRICS_KEPT = 1024  # a name may be as long as a sender likes
FALLING = re.compile(r"availab|success|hit|ready|uptime|replicas|(^|[_.])up$")  # trouble when it falls


@lru_cache(METRICS_KEPT)
def role_of(metric: str) -> Role:
    """What a metric says of its entity, from its name alone.

    >>> role_of("http.server.request.duration").name, role_of("system.cpu.utilization").name
    ('LATENCY', 'RESOURCE')
    >>> role_of("http.server.request.duration:error_ratio").name
    'ERRORS'
    """
    name = metric.lower()
    return next((role for role, words in ROLES if words.search(name)), Role.OTHER)


def falls(metric: str) -> bool:
    """Whether less of it is worse."""
    return bool(FALLING.search(metric.lower()))


def coded(words: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """The different words, sorted, and which of them each is.

    Numpy's own texts are all as wide as the widest: a hundred thousand log lines would fill the memory.
    """
    column = pa.array(words.tolist(), pa.string()).dictionary_encode()
    found = [word or "" for word in column.dictionary.to_pylist()]
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(found), np.int64)
    rank[order] = np.arange(len(found))
    code = column.indices.to_numpy(zero_copy_only=False)
    return [found[k] for k in order], rank[code] if found else np.zeros(0, np.int64)


def on_grid(
    row: NDArray[np.int64], at_ms: NDArray[np.int64], value: NDArray[np.float64], rows: int, times_ms: Sequence[int]
) -> NDArray[np.float64]:
    """The mean of what each row has in each step, float64 (row, step); NaN where it has nothing.

    Args:
        times_ms: When the steps begin, evenly apart and in order; the last is as long as the others.
    """
    times = np.asarray(times_ms, np.int64)
    if not len(times) or not rows:
        return np.full((rows, len(times)), np.nan)
    step = int(times[1] - times[0]) if len(times) > 1 else 60_000
    cell = (at_ms - times[0]) // step
    kept = (cell >= 0) & (cell < len(times)) & np.isfinite(value)
    flat = row[kept] * len(times) + cell[kept]
    size = rows * len(times)
    count = np.bincount(flat, minlength=size).astype(np.float64)
    total = np.bincount(flat, weights=value[kept], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total / count).reshape(rows, len(times))
