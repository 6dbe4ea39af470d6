"""How strange the sequence of templates of one session is: a request, a job, a container.

What has been seen of events, of pairs that follow each other and of counts of an event is kept as counts; a session is
as strange as the sum of what it holds that was never, or hardly ever, seen, and of what it lacks that most others held:
that an event does not come is a count of 0. Nothing is trained: sessions are learned as they come, and a session is
scored before it is learned.

Sources: S. Forrest et al., A Sense of Self for Unix Processes, IEEE S&P 1996 (unseen short sequences); I. Witten and T.
Bell, The Zero-Frequency Problem, IEEE Trans. Inf. Theory 37 (1991), 1085-1094 (the surprise of what was never seen); M.
Landauer et al., A Critical Review of Common Log Data Sets Used for Evaluation of Sequence-Based Anomaly Detection
Techniques, FSE 2024 (that this simple kind suffices, and the sets).
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log

GRAMS_MAX = 200_000
NEW_EVENT, NEW_PAIR, NEW_COUNT = 8.0, 3.0, 1.5  # the worth of each kind of novelty, in nats at full surprise
START, END = "\x02", "\x03"


@dataclass(slots=True)
class Sequences:
    """What sessions have held so far. `learn` changes it; beyond `GRAMS_MAX` nothing new is kept."""

    session_count: int = 0
    seen: Counter[Hashable] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)  # distinct facts of each kind
    held: Counter[Hashable] = field(default_factory=Counter)  # sessions that hold an event


def strangeness(known: Sequences, events: Sequence[Hashable]) -> float:
    """How much of the session is new, in nats; next to 0 when all of it has been seen often.

    >>> known = Sequences()
    >>> for _ in range(50):
    ...     learn(known, "open read close".split())
    >>> [round(strangeness(known, each.split()), 1) for each in ("open read close", "open read", "open write close")]
    [0.2, 4.6, 17.1]
    """
    lacking = known.held.keys() - set(events)
    lost = sum(_rarity(known, known.session_count - known.held[event]) for event in lacking if _is_usual(known, event))
    return lost * NEW_COUNT + sum(
        _rarity(known, known.seen.get((kind, fact), 0)) * worth for kind, fact, worth in _facts(events)
    )


def learn(known: Sequences, events: Sequence[Hashable]) -> None:
    """Take an ordinary session in."""
    known.session_count += 1
    known.held.update({event for event in events if event in known.held or len(known.held) < GRAMS_MAX})
    for kind, fact, _ in _facts(events):
        key = (kind, fact)
        if key not in known.seen:
            if len(known.seen) >= GRAMS_MAX:
                continue
            known.types[kind] += 1
        known.seen[key] += 1


def _is_usual(known: Sequences, event: Hashable) -> bool:
    """Whether most sessions hold it, so that its absence says something."""
    return 2 * known.held[event] > known.session_count


def _rarity(known: Sequences, seen_count: int) -> float:
    """0 … 1: how far from usual is what so many sessions showed, as the share of its rarity in the greatest."""
    most = log(known.session_count + 2.0)
    return (most - log(seen_count + 1.0)) / most


def _facts(events: Sequence[Hashable]) -> list[tuple[str, Hashable, float]]:
    counts = Counter(events)
    framed = [START, *events, END]
    facts: list[tuple[str, Hashable, float]] = [("event", event, NEW_EVENT) for event in counts]
    facts += [("pair", pair, NEW_PAIR) for pair in set(pairwise(framed))]
    facts += [("count", (event, _level(count)), NEW_COUNT) for event, count in counts.items()]
    return facts


def _level(count: int) -> int:
    """Counts as they are up to 4, then by doubling."""
    return count if count <= 4 else 3 + count.bit_length()
