"""How much a tenant sends through the doors of this process, and what came last."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RATE_S = 10  # a rate is taken over so many full seconds


@dataclass(slots=True)
class Ring:
    """Counts by stretch of time; a stretch that is over a full turn ago counts as zero.

    >>> ring = Ring(stretch_s=1, length=3)
    >>> ring.add(5, at_s=10); ring.add(1, at_s=11)
    >>> ring.counts(at_s=11), ring.counts(at_s=20)
    ([0, 5, 1], [0, 0, 0])
    """

    stretch_s: int
    length: int
    _counts: list[int] = field(init=False)
    _turns: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._counts, self._turns = [0] * self.length, [-1] * self.length

    def add(self, count: int, at_s: float) -> None:
        """Count something at a time."""
        turn = int(at_s // self.stretch_s)
        place = turn % self.length
        if self._turns[place] != turn:
            self._turns[place], self._counts[place] = turn, 0
        self._counts[place] += count

    def counts(self, at_s: float) -> list[int]:
        """The counts of the last `length` stretches, the one of `at_s` last."""
        now = int(at_s // self.stretch_s)
        turns = range(now - self.length + 1, now + 1)
        return [self._counts[t % self.length] if self._turns[t % self.length] == t else 0 for t in turns]


@dataclass(frozen=True, slots=True)
class LastBody:
    """What came last through one door."""

    at_ms: int
    byte_count: int
    taken: int
    refused: int
    sender: str


@dataclass(slots=True)
class Activity:
    """Of one tenant."""

    last: dict[str, LastBody] = field(default_factory=dict)  # by path
    _seconds: dict[str, Ring] = field(default_factory=dict)  # by signal

    def count(self, signal: str, path: str, body: LastBody) -> None:
        """A body was stored."""
        at_s = body.at_ms / 1000
        self.last[path] = body
        self._seconds.setdefault(signal, Ring(1, RATE_S + 1)).add(body.taken, at_s)

    def per_s(self, at_ms: int) -> Mapping[str, float]:
        """Rows a second of each signal, over the last full `RATE_S` seconds."""
        return {name: sum(ring.counts(at_ms / 1000)[:-1]) / RATE_S for name, ring in self._seconds.items()}
