"""Which few names are told apart, chosen so that the choice does not flicker.

A series that comes and goes looks like trouble to whoever watches it. So a name that is told apart
stays so while it lives, unless one clearly busier needs its place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cerebro.intake.proc.processes import Group
from cerebro.intake.proc.reading import Reading, share

SCORE_MIN = 0.002  # a fifth of a percent of the machine: less is not worth a series
SCORE_KEPT = 0.95  # of the last score, at each look: at 5 s a look a burst is forgotten by half in about a minute
CHALLENGE = 2.0  # how many times busier a newcomer must be than the least busy name that is told apart
IO_FULL_BYTES_PER_S = 50_000_000.0  # what counts as all of a disk; a modest one


@dataclass(frozen=True, slots=True)
class Machine:
    """What shares are shares of."""

    core_count: int
    memory_bytes: int
    ticks_per_s: int = 100


@dataclass(slots=True)
class Busiest:
    """Scores every name, tells at most `names_max` apart, and reads them out.

    The score of a name is the largest of its shares of the machine's processors, memory and disk
    bandwidth; it falls slowly, so that a pause is not a departure.
    """

    names_max: int
    _scores: dict[str, float] = field(default_factory=dict)
    _chosen: set[str] = field(default_factory=set)
    _before: Mapping[str, Group] = field(default_factory=dict)

    @property
    def chosen(self) -> frozenset[str]:
        """The names now told apart."""
        return frozenset(self._chosen)

    def readings(self, groups: Mapping[str, Group], machine: Machine, elapsed_s: float) -> Iterator[Reading]:
        """The readings of the names told apart, after choosing them anew."""
        busy = {name: self._cpu(name, group, machine, elapsed_s) for name, group in groups.items()}
        self._choose({name: self._score(name, group, busy[name], machine, elapsed_s) for name, group in groups.items()})
        known_before, self._before = self._before, groups
        for name in sorted(self._chosen):
            group, label = groups[name], ("process.executable.name", name)
            if known_before and elapsed_s > 0:
                yield Reading("process.cpu.utilization", busy[name], (label,))
            yield Reading("process.memory.usage", group.resident_bytes, (label,))
            yield Reading("process.count", group.count, (label,))
            yield Reading("process.thread.count", group.thread_count, (label,))
            yield Reading("process.disk.io", group.read_bytes, (("disk.io.direction", "read"), label))
            yield Reading("process.disk.io", group.written_bytes, (("disk.io.direction", "write"), label))

    def _cpu(self, name: str, group: Group, machine: Machine, elapsed_s: float) -> float:
        earlier = self._before.get(name)
        ticks = group.ticks - (earlier.ticks if earlier else 0)
        return share(ticks, elapsed_s * machine.core_count * machine.ticks_per_s)

    def _score(self, name: str, group: Group, busy: float, machine: Machine, elapsed_s: float) -> float:
        earlier = self._before.get(name)
        moved = group.read_bytes + group.written_bytes
        moved -= earlier.read_bytes + earlier.written_bytes if earlier else 0
        now = max(
            busy, share(group.resident_bytes, machine.memory_bytes), share(moved, elapsed_s * IO_FULL_BYTES_PER_S)
        )
        return max(now, SCORE_KEPT * self._scores.get(name, 0.0))

    def _choose(self, scores: dict[str, float]) -> None:
        """Keep who is there, fill free places from the top, then let the clearly busier take a place."""
        self._scores = scores
        self._chosen &= scores.keys()
        waiting = sorted(
            (n for n, s in scores.items() if n not in self._chosen and s >= SCORE_MIN), key=scores.__getitem__
        )
        while waiting and len(self._chosen) < self.names_max:
            self._chosen.add(waiting.pop())
        while waiting and self._chosen:
            weakest = min(self._chosen, key=scores.__getitem__)
            if scores[waiting[-1]] < CHALLENGE * scores[weakest]:
                return
            self._chosen.remove(weakest)
            self._chosen.add(waiting.pop())
