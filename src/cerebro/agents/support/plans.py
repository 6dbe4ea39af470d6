"""What was changed or is planned, as a prior: what a shift near it costs. Nothing is muted.

| event | for how long | its entity's part of the budget |
|---|---|---|
| deploy, config, flag, migration, restart, boot | 15 minutes | four times: a shift is likelier to be real |
| schedule, scale, maintenance, backup, job | as its body says (`duration_s`, `until_ms`), or an hour | a quarter |

What replaces the processes of a thing on purpose (a restart, another replica, a failover) makes those who ask it say
for a moment what they never said: that a connection was refused. That moment is no news, what is said after it is
(`settled_ms`). A thing that is replaced again and again has one such moment in ten minutes.
"""

import json
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from cerebro.agents.support.admit import Change

NEWS = frozenset({"deploy", "config", "flag", "migration", "restart", "boot", "rollback"})
PLANS = frozenset({"schedule", "scale", "maintenance", "backup", "job", "cron", "silence"})
NEWS_MS, PLAN_MS, PLAN_MS_MAX = 15 * 60_000, 3_600_000, 86_400_000
NEWS_FACTOR, PLAN_FACTOR = 4.0, 0.25
RENEWALS = frozenset({"restart", "scale", "failover"})
RENEWED_MS = 120_000  # within which those who ask are served again
RENEWAL_MS = 600_000


def changes_of(events: pa.Table, now_ms: int) -> Iterator[Change]:
    """The changes among events of `EVENT_SCHEMA` that still matter at `now_ms`."""
    for event in events.to_pylist():
        start_ms, kind = event["at_ns"] // 1_000_000, event["kind"]
        if kind in NEWS:
            length_ms, factor = NEWS_MS, NEWS_FACTOR
        elif kind in PLANS:
            length_ms, factor = _planned_ms(event["body"], start_ms), PLAN_FACTOR
        else:
            continue
        if start_ms + length_ms > now_ms:
            yield Change((event["entity_kind"], event["entity_name"]), kind, start_ms, start_ms + length_ms, factor)


def renewals_of(events: pa.Table, now_ms: int) -> Iterator[Change]:
    """The changes that replace processes, for those who need no more of them: they move no price."""
    for event in events.to_pylist():
        start_ms = event["at_ns"] // 1_000_000
        if event["kind"] in RENEWALS and start_ms + RENEWAL_MS > now_ms:
            entity = event["entity_kind"], event["entity_name"]
            yield Change(entity, event["kind"], start_ms, start_ms + RENEWAL_MS, 1.0)


def settled_ms(changes: Sequence[Change], entity: tuple[str, str], text: str, at_ms: int) -> int:
    """When what an entity says for the first time is news: now, or once what it speaks of has been replaced.

    Args:
        changes: Of `renewals_of`.
        entity: Who says it.
        text: What it says; it may name what was replaced.
        at_ms: When it was first said.
    """
    settled, seen = at_ms, set()
    for change in sorted(changes, key=lambda each: each.start_ms):
        if change.entity in seen or not change.start_ms <= at_ms < change.start_ms + RENEWED_MS:
            seen.add(change.entity)
            continue
        seen.add(change.entity)
        if change.entity == entity or _names(text, change.entity[1]):
            settled = max(settled, change.start_ms + RENEWED_MS)
    return settled


def _names(text: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _planned_ms(body: str, start_ms: int) -> int:
    """How long the body says that it takes; an hour where it says nothing that makes sense."""
    try:
        said = json.loads(body)
    except ValueError:
        return PLAN_MS
    if not isinstance(said, dict):
        return PLAN_MS
    duration_s, until_ms = said.get("duration_s"), said.get("until_ms")
    if isinstance(duration_s, int | float) and not isinstance(duration_s, bool) and duration_s > 0:
        return int(min(duration_s * 1000.0, PLAN_MS_MAX))
    if isinstance(until_ms, int) and until_ms > start_ms:
        return min(until_ms - start_ms, PLAN_MS_MAX)
    return PLAN_MS
