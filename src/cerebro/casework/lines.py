"""Cases and findings as one line of a list: what a page of many needs, without what only one's own page shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.spine.cases import LIVE, Case, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity
from cerebro.spine.identity import CaseId, FindingId, TenantId


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case without timeline, signals, causes and findings."""

    id: CaseId
    tenant: TenantId
    state: CaseState
    severity: Severity
    title: str
    opened_ms: int
    updated_ms: int
    began_ms: int
    last_ms: int
    cleared_ms: int
    resolved_ms: int
    entities: tuple[EntityKey, ...]
    finding_count: int
    active_count: int
    assignee: str
    acknowledged_by: str
    impact: str
    objective: str
    live: bool
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding without its evidence."""

    id: FindingId
    tenant: TenantId
    agent: str
    kind: str
    entity: EntityKey
    at_ms: int
    seen_ms: int
    severity: Severity
    p_value: float
    effect: float
    signal: str
    title: str
    dedup_key: str
    cleared: bool
    case: CaseId
    silence: str


def case_line(case: Case) -> CaseLine:
    """The case as one line."""
    return CaseLine(
        id=case.id,
        tenant=case.tenant,
        state=case.state,
        severity=case.severity,
        title=case.title,
        opened_ms=case.opened_ms,
        updated_ms=case.updated_ms,
        began_ms=case.began_ms,
        last_ms=case.last_ms,
        cleared_ms=case.cleared_ms,
        resolved_ms=case.resolved_ms,
        entities=case.entities,
        finding_count=case.finding_count,
        active_count=len(case.active_keys),
        assignee=case.assignee,
        acknowledged_by=case.acknowledged_by,
        impact=case.impact,
        objective=case.objective,
        live=case.state in LIVE,
        labels=case.labels,
    )


def finding_line(finding: Finding, case: CaseId, silence: str) -> FindingLine:
    """The finding as one line, with the case it went to and the silence that kept it from one."""
    return FindingLine(
        id=finding.id,
        tenant=finding.tenant,
        agent=finding.agent,
        kind=finding.kind,
        entity=finding.entity,
        at_ms=finding.at_ms,
        seen_ms=finding.seen_ms,
        severity=finding.severity,
        p_value=finding.p_value,
        effect=finding.effect,
        signal=finding.signal,
        title=finding.title,
        dedup_key=finding.dedup_key,
        cleared=finding.cleared,
        case=case,
        silence=silence,
    )
