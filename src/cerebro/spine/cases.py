"""Findings that are one story, and what people and Cerebro do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Severity
from cerebro.spine.identity import ActionId, CaseId, FindingId, TenantId


class CaseState(StrEnum):
    """Where a case stands. Reopening is a move to `INVESTIGATING`, not a state."""

    OPEN = "open"
    INVESTIGATING = "investigating"
    ACTING = "acting"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    CLOSED = "closed"


S = CaseState
MOVES: Mapping[CaseState, frozenset[CaseState]] = {
    S.OPEN: frozenset({S.INVESTIGATING, S.ACTING, S.RESOLVED, S.ESCALATED, S.CLOSED}),
    S.INVESTIGATING: frozenset({S.ACTING, S.RESOLVED, S.ESCALATED, S.CLOSED}),
    S.ACTING: frozenset({S.VERIFYING, S.INVESTIGATING, S.ESCALATED, S.RESOLVED, S.CLOSED}),
    S.VERIFYING: frozenset({S.RESOLVED, S.INVESTIGATING, S.ESCALATED, S.CLOSED}),
    S.RESOLVED: frozenset({S.INVESTIGATING, S.CLOSED}),
    S.ESCALATED: frozenset({S.INVESTIGATING, S.ACTING, S.RESOLVED, S.CLOSED}),
    S.CLOSED: frozenset(),
}
LIVE = frozenset(CaseState) - {CaseState.RESOLVED, CaseState.CLOSED}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the evidence says of the kind of a thing's trouble: a word of a closed set, and how loudly in nats.

    Args:
        claimed: Whether only lines say so, and nothing that is measured bears it out.
    """

    word: str
    nats: float
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation and its share of the blame; the shares of a case sum to at most 1."""

    entity: EntityKey
    kind: str  # resource dependency deploy config data capacity network code external unknown
    share: float  # 0 … 1
    rank: int  # 1 is the likeliest
    explanation: str
    evidence: tuple[Evidence, ...] = ()
    marks: tuple[Mark, ...] = ()  # the loudest first
    since_ms: int = 0  # when this entity came among the causes of the case, and stayed


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case's timeline: who did what, when. Only ever added."""

    at_ms: int
    actor: str  # "cerebro" or a user's login
    kind: str  # opened finding_joined cleared acknowledged assigned commented silenced resolved reopened closed …
    text: str
    reference: str = ""  # the finding or action concerned


@dataclass(frozen=True, slots=True)
class Signal:
    """What a case last heard of one trouble: the findings that share a dedup key."""

    key: str
    finding: FindingId  # that raised it last; severity and title are that one's
    entity: EntityKey
    severity: Severity
    title: str
    at_ms: int  # its earliest onset
    raised_ms: int  # when it was last seen
    cleared_ms: int = 0  # when it was last seen to be over; 0 for never
    cleared: bool = False  # over, and not raised since


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the trouble of a case showed, and when: from its first onset to its last, and to its last sign."""

    entity: EntityKey
    at_ms: int
    onset_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Case:
    """Findings that are one story, and what is being done about it."""

    id: CaseId
    tenant: TenantId
    state: CaseState
    severity: Severity
    title: str
    opened_ms: int
    updated_ms: int
    entities: tuple[EntityKey, ...]
    findings: tuple[FindingId, ...]
    active_keys: tuple[str, ...] = ()  # dedup keys of findings that have not cleared
    timeline: tuple[Entry, ...] = ()
    causes: tuple[Cause, ...] = ()
    actions: tuple[ActionId, ...] = ()
    impact: str = ""
    objective: str = ""
    assignee: str = ""
    acknowledged_by: str = ""
    cleared_ms: int = 0  # when the last active finding cleared; 0 while one is active
    resolved_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()  # by key; `active_keys` are those of them that have not cleared
    began_ms: int = 0  # the earliest onset of its findings
    last_ms: int = 0  # when the latest trouble of it was seen
    finding_count: int = 0  # `findings` names the first ones only
    spots: tuple[Spot, ...] = ()  # by entity; what later findings are held against
    looked_ms: int = 0  # as of when its causes are: when the last look that bore them out was begun
