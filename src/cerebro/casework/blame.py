"""Since when a case blames whom, and as of when: what is done about it must not go by an older trouble's causes."""

from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey


def returned_ms(case: Case) -> int:
    """When the case was reopened last; 0 for never. What was blamed before that was another trouble's."""
    return max((entry.at_ms for entry in case.timeline if entry.kind == "reopened"), default=0)


def blamed_since_ms(case: Case, entity: EntityKey | None = None) -> int:
    """Since when the likeliest cause is on that thing, whatever kind it is held for; 0 where nobody is blamed.

    Args:
        case: The case.
        entity: Another of its causes, that is not the likeliest: since when it is one at all.
    """
    named = [entry for entry in case.timeline if entry.kind == "cause_named"]
    first = named[-1].reference if named else ""
    if entity and entity.text != first:
        since_ms = next((cause.since_ms for cause in case.causes if cause.entity == entity), 0)
    else:
        since_ms = 0
        for entry in reversed(named):
            if entry.reference != first:
                break
            since_ms = entry.at_ms
    return max(since_ms, returned_ms(case)) if since_ms else 0
