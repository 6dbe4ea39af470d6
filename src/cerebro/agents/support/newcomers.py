"""What spans show for the first time: a path along which errors run, an operation of a service that is well known.

A path leads from the root of a trace, or from where it is first seen, to the operation in which a failure began: a
failed span none of whose children failed. Paths and operations have no past to be calibrated on; when one may be told
is said by `novelty`, as for log templates. Paths are counted by the minute as well, so that one that explodes is told
by the detector that judges counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from cerebro.agents.support.novelty import (
    LINES_MIN,
    WINDOW_MS,
    Novelty,
    admits,
    begun_ms,
    came,
    is_rare,
    told,
    weekly_of,
)

Entity = tuple[str, str]
WAYS_MAX = 20_000  # spans by which a child that comes later finds its way to the root
STEPS_MAX = 12
PATH_CHARS_MAX, OPERATION_CHARS_MAX = 200, 80
KNOWN_MAX = 10_000  # operations and paths; beyond it new ones are not judged
ORIGINS_MAX = 500  # failures of a batch whose paths are followed
READY_MS = 3_600_000  # a service shows first what it usually does
GONE_MS = 300_000
ARROW, CUT = " → ", "… "


@dataclass(frozen=True, slots=True)
class Way:
    """What a span says of the way to it."""

    entity: Entity
    operation: str
    parent: str


@dataclass(slots=True)
class Newcomer:
    """An operation or a path, as far as it is known. `sample` is the trace that showed it last."""

    entity: Entity
    first_ms: int
    last_ms: int = 0
    born_ms: int = 0
    born_count: int = 0
    begun_ms: int = 0  # when it began to come as it does now
    sample: str = ""


@dataclass(slots=True)
class Newcomers:
    """All that is known of what may be new. `note` and `note_ways` change it."""

    known: dict[str, Newcomer] = field(default_factory=dict)  # by kind and text
    ways: dict[str, Way] = field(default_factory=dict)  # by span id, oldest first
    entities: dict[str, int] = field(default_factory=dict)  # when first seen
    novelty: Novelty = field(default_factory=Novelty)


@dataclass(frozen=True, slots=True)
class News:
    """Something that is new, and how often as much is expected by chance in a week."""

    kind: str
    entity: Entity
    text: str
    at_ms: int
    count: int
    weekly: float
    sample: str


def note_ways(news: Newcomers, ids: Sequence[str], ways: Sequence[Way], at_ms: int) -> None:
    """Remember how the spans of a batch hang together, and their entities."""
    if not news.novelty.since_ms:
        news.novelty = replace(news.novelty, since_ms=at_ms)
    news.ways.update(zip(ids, ways, strict=True))
    for old in list(islice(news.ways, max(0, len(news.ways) - WAYS_MAX))):
        del news.ways[old]
    for way in ways:
        news.entities.setdefault("/".join(way.entity), at_ms)


def origins(ids: Sequence[str], ways: Sequence[Way], failed: Sequence[int]) -> list[int]:
    """The rows in which a failure began, of the rows that failed: those none of whose children failed."""
    above = {ways[k].parent for k in failed}
    return [k for k in failed if ids[k] not in above][:ORIGINS_MAX]


def path_to(news: Newcomers, way: Way) -> str:
    """The path to a span in words; it begins with `… ` where what is above is not known, or the path is too long.

    >>> news = Newcomers(ways={"1": Way(("service", "shop"), "GET /cart", "")})
    >>> path_to(news, Way(("service", "stock"), "reserve", "1"))
    'service/shop GET /cart → service/stock reserve'
    """
    steps = [_step(way)]
    while way.parent and len(steps) < STEPS_MAX and (above := news.ways.get(way.parent)) is not None:
        way = above
        steps.append(_step(way))
    text = (CUT if way.parent else "") + ARROW.join(reversed(steps))
    return text if len(text) <= PATH_CHARS_MAX else CUT + text[len(CUT) - PATH_CHARS_MAX :]


def note(news: Newcomers, what: tuple[str, str], seen: Newcomer, count: int, unit: float) -> News | None:
    """Take in that something came `count` times at `seen.first_ms`; what it is told as, if it is new and may be told.

    Args:
        what: Its kind and its text.
        unit: Findings a week that one novelty may be expected to cost.
    """
    (kind, text), at_ms = what, seen.first_ms
    key = f"{kind} {'/'.join(seen.entity)} {text}"
    since_ms = news.entities.get("/".join(seen.entity), at_ms)
    known = news.known.get(key)
    if known is None:
        if len(news.known) >= KNOWN_MAX:
            return None
        known = news.known[key] = seen
    before_ms, known.last_ms, known.sample = known.last_ms, max(known.last_ms, at_ms), seen.sample or known.sample
    known.begun_ms = begun_ms(known.begun_ms, before_ms, at_ms)
    if is_rare(before_ms, at_ms) and (kind == "error_path" or before_ms == 0):
        known.born_ms, known.born_count = at_ms, 0
        news.novelty = came(news.novelty) if at_ms - since_ms >= READY_MS else news.novelty
    if known.born_ms == 0 or at_ms - known.born_ms > WINDOW_MS:
        return None
    known.born_count += count
    if known.born_count < LINES_MIN or at_ms - since_ms < READY_MS or not admits(news.novelty, seen.entity, 0, at_ms):
        return None
    weekly = weekly_of(news.novelty, known.born_count, known.born_ms - since_ms, at_ms)
    if weekly > unit:
        return None
    news.novelty = told(news.novelty, seen.entity, at_ms)
    told_ms, known.born_ms = max(known.born_ms, known.begun_ms), 0
    return News(kind, seen.entity, text, told_ms, known.born_count, weekly, known.sample)


def sample_of(news: Newcomers, entity: Entity, text: str) -> str:
    """The trace that showed an error path last; empty when there is none."""
    known = news.known.get(f"error_path {'/'.join(entity)} {text}")
    return known.sample if known else ""


def last_ms_of(news: Newcomers, entity: Entity, text: str) -> int:
    """When an error path was last seen."""
    known = news.known.get(f"error_path {'/'.join(entity)} {text}")
    return known.last_ms if known else 0


@dataclass(frozen=True, slots=True)
class KeptNewcomers:
    """The state as plain values: what a snapshot holds."""

    known: dict[str, Newcomer] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    entities: dict[str, int] = field(default_factory=dict)
    since_ms: int = 0
    count: float = 0.0
    told_ms: list[tuple[Entity, int]] = field(default_factory=list)


def keep_newcomers(news: Newcomers) -> KeptNewcomers:
    """What `again_newcomers` makes the same state of."""
    known = {key: replace(each) for key, each in news.known.items()}
    novelty = news.novelty
    told_ms = list(novelty.told_ms.items())
    return KeptNewcomers(
        known, dict(news.ways), dict(news.entities), novelty.since_ms, novelty.count, told_ms
    )  # fmt: skip


def again_newcomers(kept: KeptNewcomers) -> Newcomers:
    """The state that `keep_newcomers` was given."""
    known = {key: replace(each) for key, each in kept.known.items()}
    novelty = Novelty(kept.since_ms, kept.count, dict(kept.told_ms))
    return Newcomers(known, dict(kept.ways), dict(kept.entities), novelty)


def _step(way: Way) -> str:
    return f"{'/'.join(way.entity)} {way.operation[:OPERATION_CHARS_MAX]}"
