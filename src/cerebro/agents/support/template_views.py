"""The templates of a tenant as the REST answers them."""

import msgspec

from cerebro.agents.support.lines import Lines

SHOWN_MAX = 5000


class TemplateView(msgspec.Struct, frozen=True):
    """One template of one entity."""

    id: str
    text: str
    entity_kind: str
    entity_name: str
    count: int
    first_ms: int
    last_ms: int
    rate_per_minute: float
    level: int
    grave: bool
    samples: tuple[str, ...]


def template_views(lines: Lines) -> list[TemplateView]:
    """The templates that were seen most, with the most recent sample lines."""
    pairs = [lines.pairs[at] for members in lines.pairs_of.values() for at in members]
    pairs.sort(key=lambda pair: (-pair.count, pair.template))
    return [
        TemplateView(
            id=f"{pair.template:016x}",
            text=lines.miner.templates[lines.miner.row_of[pair.template]].text
            if pair.template in lines.miner.row_of
            else "",
            entity_kind=pair.entity[0],
            entity_name=pair.entity[1],
            count=pair.count,
            first_ms=pair.first_ms,
            last_ms=pair.last_ms,
            rate_per_minute=round(pair.count / max(1.0, (lines.newest_ms - pair.first_ms) / 60_000), 3),
            level=pair.level,
            grave=pair.grave,
            samples=tuple(pair.samples),
        )
        for pair in pairs[:SHOWN_MAX]
    ]
