"""What the users of an entity feel: how many requests, how many of them failed, how long they took.

Read from the duration histograms of OpenTelemetry's conventions and from their Prometheus spellings: of the entity
itself where it serves, and of its callers where they name it in `server.address`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cerebro.casework.cause.answers import DERIVED, INSTANCES
from cerebro.casework.cause.queues import PILED
from cerebro.spine.entities import EntityKey
from cerebro.spine.telemetry import INCREASES, REFUSED_CODES

SERVED = ("http.server.request.duration", "rpc.server.duration", "messaging.process.duration",
          "db.server.operation.duration", "http_server_request_duration_seconds",
          "http_request_duration_seconds")  # fmt: skip
CALLED = ("http.client.request.duration", "http_client_request_duration_seconds")
FAILED = "http.client.request.failed"  # a counter of its own where a client's histogram does not tell failures apart
METRICS = (*(f"{name}_{part}" for name in (*SERVED, *CALLED) for part in ("sum", "count")), FAILED)
ADDRESS = ("server.address", "server_address")
CODES = ("http.response.status_code", "http_response_status_code", "status", "code")
FAULTS = ("error.type", "error_type")
NO_OPERATION = frozenset((*CODES, *FAULTS, *INSTANCES))
LOOK_BACK_MS = 150_000  # how far before a stretch its first sample's forerunner may lie

ERROR_SHARE_MIN = 0.02  # fewer errors than these nobody feels
SLOWER_MIN, SLOWER_S_MIN = 1.5, 0.02
REQUESTS_MIN = 5  # fewer tell nothing
FAILURES_MIN = 2
LOST_SHARE = 0.85
WORSE_SHARE, WORSE_TIMES = 0.1, 1.5  # so much worse than just before is harm


@dataclass(frozen=True, slots=True)
class Samples:
    """Of several measures, one measure after the other, each in the order of time; columns of length `n`.

    Args:
        of: Which measure, by its place among them; int64.
        at_ms: int64.
        value: As received; float64.
    """

    of: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]


NO_SAMPLES = Samples(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class Measure:
    """A series that tells of requests."""

    hi: int
    lo: int
    metric: str
    labels: Mapping[str, str]
    entity: EntityKey
    type: str = ""


@dataclass(frozen=True, slots=True)
class Felt:
    """Requests of one entity over a stretch of time."""

    count: float = 0.0
    failed: float = 0.0
    spent_s: float = 0.0

    @property
    def error_share(self) -> float:
        """0 … 1."""
        return min(1.0, self.failed / self.count) if self.count else 0.0

    @property
    def mean_s(self) -> float:
        """Of a request."""
        return self.spent_s / self.count if self.count else 0.0


def felt_of(
    measures: Sequence[Measure], samples: Samples, start_ms: int, end_ms: int, *, by_operation: bool = False
) -> Mapping[str, Felt]:
    """What was felt of each entity between two moments, by `kind/name`; where it is called, `kind/name<`.

    Args:
        by_operation: Each kind of its requests for itself, by `kind/name` and what tells them apart.
    """
    sums: dict[str, list[float]] = {}
    is_delta = np.array([each.type in INCREASES for each in measures], np.bool_)
    for each, grown in zip(measures, _grown(samples, is_delta, start_ms, end_ms).tolist(), strict=True):
        if grown:
            for owner in _owners(each):
                name = f"{owner} {_operation(each)}" if by_operation else owner
                row = sums.setdefault(name, [0.0, 0.0, 0.0])
                if each.metric == FAILED:
                    row[1] += grown
                elif each.metric.endswith("_sum"):
                    row[2] += grown
                else:
                    row[0] += grown
                    row[1] += grown * is_failed(each.labels, asked=each.metric.startswith(CALLED))
    return {name: Felt(*row) for name, row in sums.items()}


def replica_measures(measures: Iterable[Measure], entity: EntityKey, replica: str) -> list[Measure]:
    """Those in which one replica of an entity tells of the requests that it served.

    Args:
        replica: As its executor calls it: the instance's own name, or its number, as in `cart-0`.
    """
    names = {replica, f"{entity.name}-{replica}"}
    return [
        each
        for each in measures
        if each.entity == entity
        and each.metric.startswith(SERVED)
        and any(each.labels.get(label) in names for label in INSTANCES)
    ]


def is_of_users(signal: str) -> bool:
    """Whether a finding's signal is how requests are answered, how long or how many of them fail; or how many wait.

    >>> is_of_users("http.server.request.duration:shift_ratio"), is_of_users("http.server.request.duration_count")
    (True, False)
    >>> is_of_users("messaging.consumer.lag")
    True
    """
    answered = signal.startswith((*SERVED, *CALLED)) and signal.endswith(DERIVED)
    return answered or is_piled(signal)


def is_piled(signal: str) -> bool:
    """Whether a finding's signal is how many wait."""
    return PILED.search(signal.lower()) is not None


def _owners(measure: Measure) -> tuple[str, ...]:
    """Whose users a series tells of."""
    if measure.metric.startswith((*CALLED, FAILED)):
        address = next((measure.labels[name] for name in ADDRESS if name in measure.labels), "")
        return (f"{measure.entity.kind}/{address.partition(':')[0]}<",) if address else ()
    return (measure.entity.text,)


def _operation(measure: Measure) -> str:
    """What tells requests of one kind from others: neither what came of them, nor which replica answered."""
    return " ".join(f"{name}={value}" for name, value in sorted(measure.labels.items()) if name not in NO_OPERATION)


def is_failed(labels: Mapping[str, str], *, asked: bool = False) -> bool:
    """Whether the requests of a series failed by their server's fault.

    Args:
        asked: Whether a caller counts them: that it was turned away is no fault of its own.
    """
    code = next((labels[name] for name in CODES if labels.get(name)), "")
    if asked and code in REFUSED_CODES:
        return True
    if any(labels.get(name) for name in FAULTS):
        return not code.startswith("4")
    return any(labels.get(name, "").startswith("5") for name in CODES)


def _grown(samples: Samples, is_delta: NDArray[np.bool_], start_ms: int, end_ms: int) -> NDArray[np.float64]:
    """By how much each counter grew inside the stretch; a fall is a reset."""
    of, value = samples.of, samples.value
    steps = np.diff(value, prepend=value[:1])
    steps = np.where(steps < 0, value, steps)
    steps[np.flatnonzero(np.diff(of, prepend=-1))] = 0.0  # what came before a counter's first sample nobody knows
    steps = np.where(is_delta[of], value, steps)
    inside = (samples.at_ms >= start_ms) & (samples.at_ms < end_ms)
    return np.bincount(of[inside], steps[inside], minlength=len(is_delta)).astype(np.float64, copy=False)


def feels_bad(usual: Felt, now: Felt) -> bool:
    """Whether users notice: more errors than a few, or answers well slower than they are used to."""
    if now.count < REQUESTS_MIN:
        return usual.count >= 10 * REQUESTS_MIN and now.count == 0
    slow_s = max(usual.mean_s * SLOWER_MIN, usual.mean_s + SLOWER_S_MIN)
    is_slow = usual.count >= REQUESTS_MIN and now.mean_s >= slow_s
    return is_slow or _fails(usual, now)


def _fails(usual: Felt, now: Felt) -> bool:
    """Whether more fails than a few; one request alone that failed, of however few, may be chance."""
    return now.failed >= FAILURES_MIN and now.error_share >= max(ERROR_SHARE_MIN, 3 * usual.error_share)


def shape_of(target: EntityKey, usual: Mapping[str, Felt], now: Mapping[str, Felt]) -> str:
    """What those who use the target feel: slow, slow_errors, fast_errors, lost, calm; empty when nobody tells."""
    names = [name for name in (target.text, f"{target.text}<", f"service/{target.name}<") if name in now]
    if not names:
        return ""
    before = _summed(usual[name] for name in names if name in usual)
    after = _summed(now[name] for name in names)
    slow = after.mean_s >= max(before.mean_s * SLOWER_MIN, before.mean_s + SLOWER_S_MIN)
    failing = _fails(before, after)
    if failing and slow:
        return "lost" if after.error_share >= LOST_SHARE else "slow_errors"
    return "fast_errors" if failing else "slow" if slow else "calm"


def _summed(felt: Iterable[Felt]) -> Felt:
    rows = list(felt)
    return Felt(sum(e.count for e in rows), sum(e.failed for e in rows), sum(e.spent_s for e in rows))


def is_worse(before: Felt, now: Felt) -> bool:
    """Whether users are clearly worse off than just before."""
    if now.count < REQUESTS_MIN:
        return before.count >= 10 * REQUESTS_MIN and now.count == 0
    slower = before.count >= REQUESTS_MIN and now.mean_s >= before.mean_s * WORSE_TIMES + SLOWER_S_MIN
    return slower or (now.failed >= FAILURES_MIN and now.error_share >= before.error_share + WORSE_SHARE)


def told(name: str, usual: Felt, now: Felt) -> str:
    """One sentence of an entity's users."""
    whose = EntityKey.parse(name.removesuffix("<")).said
    who = f"Calls to {whose}" if name.endswith("<") else f"Requests to {whose}"
    return (
        f"{who}: {now.error_share:.1%} fail (usually {usual.error_share:.1%}),"
        f" {now.mean_s * 1000:.0f} ms each (usually {usual.mean_s * 1000:.0f} ms)"
    )
