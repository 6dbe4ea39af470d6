"""Silences: for a stated time, findings of an entity or a signal open no case and wake nobody."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cerebro.casework.correlate import ON_A_HOST, scene
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId

REASON_CHARS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Silence:
    """Who wants what to be quiet, until when, and why."""

    id: str
    tenant: TenantId
    entity: str  # `host/web-7`, with everything that runs on it; empty for every entity
    signal: str  # empty for every signal
    starts_ms: int
    ends_ms: int
    by: str
    reason: str
    live: bool = True  # until its end has been acted on


def asked(silence: Silence, length_s_max: float) -> Silence:
    """The silence as it is kept.

    Raises:
        Invalid: It names nothing, has no end, or a later one than anyone may ask for.
    """
    if not silence.entity and not silence.signal:
        raise Invalid("A silence names an entity or a signal; this one would cover everything.", "Name one of them.")
    if silence.entity and not all(EntityKey.parse(silence.entity).text.partition("/")[::2]):
        raise Invalid(f"{silence.entity!r} is not an entity.", "Write kind/name, such as host/web-7.")
    length_s = (silence.ends_ms - silence.starts_ms) / 1000
    if not 0 < length_s <= length_s_max:
        raise Invalid(
            f"A silence lasts more than 0 and at most {length_s_max:.0f} s; this one would last {length_s:.0f} s.",
            "Ask for a shorter one, and again when it ends.",
        )
    return replace(silence, reason=" ".join(silence.reason.split())[:REASON_CHARS_MAX])


def covering(silences: Iterable[Silence], finding: Finding, now_ms: int) -> Silence | None:
    """The silence that covers the finding, the one that ends last; none when the finding is to be heard."""
    covers = [
        silence
        for silence in silences
        if silence.live
        and now_ms < silence.ends_ms
        and silence.starts_ms <= finding.seen_ms < silence.ends_ms
        and (not silence.signal or silence.signal == finding.signal)
        and (not silence.entity or about(silence, finding.entity))
    ]
    return max(covers, key=lambda silence: (silence.ends_ms, silence.id), default=None)


def hushed(silences: Iterable[Silence], entities: Iterable[EntityKey], now_ms: int) -> bool:
    """Whether each of the entities is silent as a whole, so that nobody is to be woken for them."""
    running = [s for s in silences if s.live and s.starts_ms <= now_ms < s.ends_ms and s.entity and not s.signal]
    return all(any(about(silence, entity) for silence in running) for entity in entities)


def about(silence: Silence, entity: EntityKey) -> bool:
    """Whether the silence's entity is this one, or the host it runs on.

    >>> one = Silence("s", TenantId("t"), "host/web-7", "", 0, 1, "anna", "")
    >>> [about(one, EntityKey("process", name)) for name in ("web-7:nginx", "web-8:nginx")]
    [True, False]
    """
    named = EntityKey.parse(silence.entity)
    return entity == named or (named.kind == "host" and entity.kind in ON_A_HOST and scene(entity) == named.text)
