"""Findings of things together: an entity that behaves unlike itself, and the odd one among its peers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from cerebro.agents.support.band import Band
from cerebro.agents.support.describe import AGENT, Episode, chance_a_day, dedup_key, digest, drawing_of, samples_sql
from cerebro.agents.support.model import SeriesName, Turn
from cerebro.agents.support.together import Strange
from cerebro.agents.support.words import first_up, lasting, rarity, subject_of, thing_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import FindingId, TenantId, new_id

MOVERS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Mover:
    """A series that took part: how far it lies from what was expected, in half-widths of its band."""

    row: int
    name: SeriesName
    away: float


def joint_finding(  # noqa: PLR0917
    tenant: TenantId, entity: tuple[str, str], strange: Strange, movers: Sequence[Mover], points: Band,
    allowed: float, episode: Episode | None,
) -> Finding:  # fmt: skip
    """An entity whose series no longer move together as they do; with the `episode`, its end.

    Args:
        tenant: Whose it is.
        entity: Kind and name.
        strange: The turn.
        movers: What is furthest out, the furthest first.
        points: Of the first of these.
        allowed: Expected count a week that the budget allowed.
        episode: The one that ends.
    """
    whose = thing_of(*entity)
    named = ", ".join(subject_of(mover.name) for mover in movers[:MOVERS_NAMED])
    if episode is None:
        title = f"{first_up(whose)} behaves unlike itself: {named}"
        sentence = (
            f"Its series together lie {strange.effect:.1f} times as far from what is usual for them as they rarely do; "
            f"something as strange is expected {rarity(strange.weekly)}, and the noise budget allows {rarity(allowed)}."
            f" Furthest out: {named}."
        )
    else:
        title = f"{first_up(whose)} behaves as usual again"
        sentence = f"Its series have moved together as they do again, {_after(strange, episode)} after they ceased to."
    return _finding(
        tenant, entity, "joint", "joint behaviour", strange, movers, points, title, sentence, allowed, episode
    )


def concert_finding(  # noqa: PLR0917
    tenant: TenantId, entity: tuple[str, str], strange: Strange, movers: Sequence[Mover], points: Band,
    allowed: float, episode: Episode | None,
) -> Finding:  # fmt: skip
    """An entity of which several measures left their bands at once; arguments as of `joint_finding`."""
    whose = thing_of(*entity)
    named = ", ".join(subject_of(mover.name) for mover in movers[:MOVERS_NAMED])
    if episode is None:
        title = f"Several measures of {whose} moved at once: {named}"
        sentence = (
            f"They left their bands in the same moment, each by what matters; as many, as far at once is expected "
            f"{rarity(strange.weekly)}, and the noise budget allows {rarity(allowed)}. Furthest out: {named}."
        )
    else:
        title = f"The measures of {whose} are in their bands again"
        sentence = f"They have come back {_after(strange, episode)} after they left their bands together."
    return _finding(tenant, entity, "joint", "concert", strange, movers, points, title, sentence, allowed, episode)


def peer_finding(  # noqa: PLR0917
    tenant: TenantId, row: int, name: SeriesName, peer_count: int, strange: Strange, away: float, points: Band,
    allowed: float, episode: Episode | None,
) -> Finding:  # fmt: skip
    """A series that does what its peers do not; with the `episode`, its end."""
    entity = (name.entity_kind, name.entity_name)
    whose, subject = thing_of(name.entity_kind, name.entity_name), subject_of(name)
    if episode is None:
        title = f"{first_up(subject)} of {whose} stands out among its {peer_count} peers"
        sentence = (
            f"It lies {strange.effect:.1f} times as far from the median of its peers as it rarely does, who are "
            f"{peer_count} series that differ only in instance, zone or version; something as strange is expected "
            f"{rarity(strange.weekly)}, and the noise budget allows {rarity(allowed)}."
        )
    else:
        title = f"{first_up(subject)} of {whose} is like its peers again"
        sentence = f"It does what its peers do again, {_after(strange, episode)} after it ceased to."
    movers = (Mover(row, name, away),)
    return _finding(tenant, entity, "peer", name.metric, strange, movers, points, title, sentence, allowed, episode)


def _after(strange: Strange, episode: Episode) -> str:
    return lasting((strange.at_ms - episode.onset_ms) / 1000.0)


def _finding(  # noqa: PLR0917
    tenant: TenantId, entity: tuple[str, str], kind: str, signal: str, strange: Strange, movers: Sequence[Mover],
    points: Band, title: str, sentence: str, allowed: float, episode: Episode | None,
) -> Finding:  # fmt: skip
    over = strange.turn is not Turn.OPENED
    hi, lo = _number(entity, signal, movers[0].name if kind == "peer" and movers else None)
    key = episode.dedup_key if episode else dedup_key(tenant, hi, lo, kind, strange.onset_ms)
    sample = drawing_of(points) | {
        "onset_ms": strange.onset_ms,
        "weekly": strange.weekly,
        "allowed_weekly": allowed,
        "movers": [
            {"series": f"{m.name.hi}-{m.name.lo}", "said": subject_of(m.name), "away": round(m.away, 2)} for m in movers
        ],
    }
    if movers:
        first = movers[0].name
        sample |= {"series": f"{first.hi}-{first.lo}", "metric": first.metric, "labels": dict(first.labels)}
        hi, lo = first.hi, first.lo
    start_ms = int(points.at_ms[0]) if len(points.at_ms) else strange.onset_ms
    end_ms = max(int(points.at_ms[-1]) if len(points.at_ms) else 0, strange.at_ms) + 1
    query = samples_sql(tenant, hi, lo, start_ms, end_ms)
    return Finding(
        id=FindingId(new_id(max(strange.at_ms, 0), Random(f"{key}|{over}"))),  # noqa: S311  an id, no secret
        tenant=tenant,
        agent=AGENT,
        kind=kind,
        entity=EntityKey(*entity),
        at_ms=strange.at_ms if over else strange.onset_ms,
        seen_ms=strange.at_ms,
        severity=Severity.NOTICE,
        p_value=episode.p_value if episode else chance_a_day(strange.weekly),
        effect=episode.effect if episode else round(strange.effect, 2),
        signal=signal,
        title=title,
        evidence=(Evidence(sentence, "clickhouse", query, start_ms, end_ms, digest(sample), sample),),
        dedup_key=key,
        cleared=over,
    )


def _number(entity: tuple[str, str], kind: str, name: SeriesName | None) -> tuple[int, int]:
    if name is not None:
        return name.hi, name.lo
    said = hashlib.blake2b(f"{kind}/{'/'.join(entity)}".encode(), digest_size=16).digest()
    return int.from_bytes(said[:8], "big"), int.from_bytes(said[8:], "big")
