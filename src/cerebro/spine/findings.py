"""What an agent noticed, and how anyone can check it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import FindingId, TenantId

ALERT = "alert"  # the kind of one that somebody else's rule told; its signal is that rule's name


class Severity(IntEnum):
    """How much it hurts now. Ordered, so `max` of findings is the severity of a case."""

    NOTICE, MINOR, MAJOR, CRITICAL = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """One question that was asked, what came back, and the sentence that it proves."""

    sentence: str
    engine: str  # clickhouse | records | postgres | host
    query: str  # runnable as it stands, with its window written in
    start_ms: int
    end_ms: int
    digest: str  # SHA-256 of the result's canonical JSON
    sample: Mapping[str, object] = field(default_factory=dict)  # a small part of the result, for drawing


@dataclass(frozen=True, slots=True)
class Finding:
    """What one agent noticed about one entity, with its reasons. Never changed once published.

    A signal that goes back to its usual self is told by a second finding with the same
    `dedup_key` and `cleared=True`.
    """

    id: FindingId
    tenant: TenantId
    agent: str
    kind: str  # level_shift | silence | …
    entity: EntityKey
    at_ms: int  # when it began, as far as the data tells
    seen_ms: int  # when the agent was sure
    severity: Severity
    p_value: float  # calibrated: the chance of something as strange on an ordinary day
    effect: float  # how far it left the expected band, in widths of the band
    signal: str  # what moved, in the reader's words: "system.cpu.utilization"
    title: str  # one line: "CPU utilisation of host web-7 rose from 4 % to 97 %"
    evidence: tuple[Evidence, ...]
    dedup_key: str  # the same trouble has the same key, so a replay publishes nothing new
    cleared: bool = False
