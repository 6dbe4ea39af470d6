"""Which case a finding belongs to, and why.

Two troubles are one story when they are told of one *scene*, an entity and what runs on it, and
their stretches of time lie no further apart than `join_ms`; or when they are the same trouble,
by dedup key. Stories that a late finding shows to be one are merged. This is single linkage, and
so the same findings in any order give the same cases.

Source: R. Sibson, SLINK, The Computer Journal 16 (1973), 30-34, for single linkage and its
independence of order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cerebro.kernel.settings import CaseworkSettings
from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding

ON_A_HOST = frozenset({"host", "process", "disk", "interface", "container"})  # named `host` or `host:what`


@dataclass(frozen=True, slots=True)
class Limits:
    """The stretches of time that decide, milliseconds."""

    join_ms: int
    hold_ms: int
    reopen_ms: int

    @classmethod
    def of(cls, settings: CaseworkSettings) -> "Limits":
        """The limits that the settings ask for."""
        return cls(*(round(s * 1000) for s in (settings.join_s, settings.hold_s, settings.reopen_s)))


@dataclass(frozen=True, slots=True)
class Joining:
    """The cases that the finding shows to be one story, the oldest first; none when it opens its own."""

    cases: tuple[Case, ...]
    reason: str


def scene(entity: EntityKey) -> str:
    """Where the trouble of an entity shows: the host of what runs on one, or the entity itself.

    >>> [scene(EntityKey(*key)) for key in (("process", "web-7:nginx"), ("host", "web-7"), ("service", "shop"))]
    ['host/web-7', 'host/web-7', 'service/shop']
    """
    if entity.kind not in ON_A_HOST:
        return entity.text
    host, colon, _ = entity.name.rpartition(":") if entity.kind != "host" else (entity.name, "", "")
    return f"host/{host}" if host and (colon or entity.kind == "host") else entity.text


def correlate(finding: Finding, cases: Iterable[Case], limits: Limits) -> Joining:
    """The cases that the finding belongs to: of its scene, and near in time.

    Live cases win over resolved ones; of these the one that resolved last is reopened.
    """
    here = scene(finding.entity)
    cases = tuple(case for case in cases if scene(case.entities[0]) == here)  # all entities of a case share its scene
    live = [case for case in cases if case.state in LIVE]
    if joined := _linked(finding, live, limits.join_ms):
        return Joining(tuple(joined), _reason(finding, joined[0]))
    resolved = [case for case in cases if case.state is CaseState.RESOLVED and _may_reopen(finding, case, limits)]
    if resolved:
        last = max(resolved, key=lambda case: (case.resolved_ms, case.id))
        return Joining(
            (last,), f"{_where(finding, last)}, and that case resolved {_span(finding.seen_ms - last.resolved_ms)}."
        )
    return Joining((), "No live case of this entity is near in time.")


def _linked(finding: Finding, live: Sequence[Case], join_ms: int) -> list[Case]:
    """Every live case that the finding touches, and every one these then touch, the oldest first."""
    joined = [case for case in live if finding.dedup_key in {signal.key for signal in case.signals}]
    start_ms, end_ms = finding.at_ms, finding.seen_ms
    grew = True
    while grew:
        start_ms = min([start_ms, *(case.began_ms for case in joined)])
        end_ms = max([end_ms, *(case.last_ms for case in joined)])
        near = [
            case
            for case in live
            if case not in joined and case.began_ms - join_ms <= end_ms and start_ms <= case.last_ms + join_ms
        ]
        joined += near
        grew = bool(near)
    return sorted(joined, key=lambda case: (case.opened_ms, case.id))


def _may_reopen(finding: Finding, case: Case, limits: Limits) -> bool:
    after_ms = finding.seen_ms - case.resolved_ms
    return after_ms < limits.reopen_ms and finding.seen_ms >= case.began_ms - limits.join_ms


def _reason(finding: Finding, case: Case) -> str:
    if finding.dedup_key in {signal.key for signal in case.signals}:
        return "It is a trouble this case already holds."
    where = _where(finding, case)
    if finding.at_ms > case.last_ms:
        return f"{where}, {_span(finding.at_ms - case.last_ms)} the last sign of this case."
    if finding.seen_ms < case.began_ms:
        return f"{where}, {_seconds(case.began_ms - finding.seen_ms)} before the first sign of this case."
    return f"{where}, at the same time."


def _where(finding: Finding, case: Case) -> str:
    if finding.entity in case.entities:
        return f"It is about the same {finding.entity.kind}"
    return f"It is about {finding.entity.text}, which shares {scene(finding.entity)} with this case"


def _span(apart_ms: int) -> str:
    return f"{_seconds(apart_ms)} after" if apart_ms >= 0 else f"{_seconds(-apart_ms)} before"


def _seconds(stretch_ms: int) -> str:
    if stretch_ms < 120_000:
        return f"{stretch_ms / 1000:.0f} s"
    return f"{stretch_ms / 60_000:.0f} min"
