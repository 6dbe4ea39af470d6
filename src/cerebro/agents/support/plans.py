"""What was changed or is planned, as a prior: what a shift near it costs. Nothing is muted.

| event | for how long | its entity's part of the budget |
|---|---|---|
| deploy, config, flag, migration, restart, boot | 15 minutes | four times: a shift is likelier to be real |
| schedule, scale, maintenance, backup, job | as its body says (`duration_s`, `until_ms`), or an hour | a quarter |
"""

import json
from collections.abc import Iterator

import pyarrow as pa

from cerebro.agents.support.admit import Change

NEWS = frozenset({"deploy", "config", "flag", "migration", "restart", "boot", "rollback"})
PLANS = frozenset({"schedule", "scale", "maintenance", "backup", "job", "cron", "silence"})
NEWS_MS, PLAN_MS, PLAN_MS_MAX = 15 * 60_000, 3_600_000, 86_400_000
NEWS_FACTOR, PLAN_FACTOR = 4.0, 0.25


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
