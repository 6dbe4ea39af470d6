"""What is done about a case: shown first, then approved, done, verified, and undone when it does not help."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import ActionId, CaseId, TenantId


class Risk(StrEnum):
    """What an action can cost when it is wrong."""

    READ = "read"  # changes nothing
    SAFE = "safe"  # users do not notice it, and it can be taken back
    GUARDED = "guarded"  # users may notice it for a moment
    DANGEROUS = "dangerous"  # users do notice it, or it cannot be taken back


class Level(StrEnum):
    """What Cerebro may do with a playbook by itself."""

    SUGGEST = "suggest"  # show it, and let people do it
    ASK = "ask"  # do it once someone has approved it
    ACT = "act"  # do it, and say so
    SILENT = "silent"  # do it; only the case and the audit log tell


class ActionState(StrEnum):
    """Where an action stands."""

    PROPOSED = "proposed"
    AWAITING = "awaiting_approval"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"  # it was not approved or not begun in time, its case ended before, or it was needed no more
    EXECUTING = "executing"
    VERIFYING = "verifying"
    HELPED = "helped"
    UNVERIFIED = "unverified"  # whether it helped could not be told: its case was closed, or nothing could be read
    UNDOING = "undoing"
    UNDONE = "undone"  # it did not help, and what it did is taken back
    FAILED = "failed"  # it could not be done
    ESCALATED = "escalated"  # it stands half done, and a person must look


S = ActionState
MOVES: Mapping[ActionState, frozenset[ActionState]] = {
    S.PROPOSED: frozenset({S.APPROVED, S.REFUSED, S.EXPIRED}),
    S.AWAITING: frozenset({S.APPROVED, S.REFUSED, S.EXPIRED}),
    S.APPROVED: frozenset({S.AWAITING, S.EXECUTING, S.REFUSED, S.EXPIRED, S.FAILED}),
    S.EXECUTING: frozenset({S.VERIFYING, S.UNDOING, S.FAILED, S.ESCALATED}),
    S.VERIFYING: frozenset({S.HELPED, S.UNVERIFIED, S.UNDOING, S.ESCALATED}),
    S.HELPED: frozenset({S.UNDOING}),
    S.UNVERIFIED: frozenset({S.UNDOING}),
    S.UNDOING: frozenset({S.UNDONE, S.FAILED, S.ESCALATED}),
    S.REFUSED: frozenset(),
    S.EXPIRED: frozenset(),
    S.UNDONE: frozenset(),
    S.FAILED: frozenset(),
    S.ESCALATED: frozenset({S.UNDOING}),
}
WAITING = frozenset({S.PROPOSED, S.AWAITING})
UNDER_WAY = frozenset({S.APPROVED, S.EXECUTING, S.VERIFYING, S.UNDOING})
OPEN = WAITING | UNDER_WAY


@dataclass(frozen=True, slots=True)
class Call:
    """One thing asked of an executor: data, never a line of shell."""

    executor: str
    operation: str
    target: EntityKey
    arguments: Mapping[str, str] = field(default_factory=dict)
    door: str = ""  # of several executors of this name, the one that showed it: nobody else is asked to make it


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a dry run: what would be other than it is."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    """One call of an action, with what it would change and how it is taken back."""

    call: Call
    changes: tuple[Difference, ...]
    key: str  # the same call with the same key happens once
    undo: tuple[Call, ...] = ()  # in this order; none when there is nothing to take back, or nothing can be
    state: str = "planned"  # planned | begun | done | undo_begun | undone
    begun_ms: int = 0
    done_ms: int = 0
    undo_ms: int = 0  # when it was begun to be taken back
    undone_ms: int = 0
    said: str = ""  # by the executor
    undos: int = 0  # how often it was called to take it back
    left: Mapping[str, str] = field(default_factory=dict)  # of the target's state, until it is first called for that


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be true afterwards for the action to have helped."""

    of: str = "users"  # users: rate, errors and duration as before; signals: the case's findings there are over
    within_s: float = 120.0
    hold_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that spoke for or against it, with its weight: the answer to “why did you do that”."""

    what: str  # fit | share | record | draw | policy | users | …
    text: str
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One line of an action's own story. Only ever added."""

    at_ms: int
    actor: str
    state: ActionState
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """One run of a playbook on one target, for one case."""

    id: ActionId
    tenant: TenantId
    case: CaseId
    playbook: str
    playbook_version: int
    title: str
    target: EntityKey
    cause_kind: str
    risk: Risk
    level: Level
    state: ActionState
    parameters: Mapping[str, str]
    steps: tuple[Step, ...]
    predicted: str
    expect: Expectation
    digest: str  # of all that is shown; what is executed has this digest, or is not executed
    made_ms: int
    updated_ms: int
    due_ms: int  # when someone looks at it again
    expires_ms: int = 0  # what has not begun by then never will
    door_level: Level | None = None  # the most that its executor is given, whatever was decided for this one
    needs: str = ""  # the permission that a word on it takes
    held: str = ""  # why it has not begun, though it was approved
    approved_by: str = ""
    approved_digest: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    healthy_ms: int = 0  # since when users are served as before; 0 while they are not
    outcome: str = ""  # one sentence, once it has ended
    lapsed: bool = False  # it has expired though nobody left it unanswered: the same may be thought of again
    harmful: bool = False  # users were worse off after it
    learned: str = ""  # what its playbook has learned from it: helped | not_helped; an action teaches once
    verdict: str = ""  # a person's: good | bad
    verdict_by: str = ""
    owner: str = ""  # who works it now, until the lease is over
    lease_ms: int = 0
    before: Mapping[str, float] = field(default_factory=dict)  # what users felt just before it
    reasons: tuple[Reason, ...] = ()
    story: tuple[Turn, ...] = ()


def digest_of(action: Action) -> str:
    """What an approval is of: SHA-256 of everything that was shown, in canonical JSON."""
    shown = {
        "playbook": [action.playbook, action.playbook_version],
        "target": action.target.text,
        "risk": action.risk,
        "parameters": dict(action.parameters),
        "predicted": action.predicted,
        "expect": asdict(action.expect),
        "steps": [[_shown(step.call), [asdict(c) for c in step.changes], [_shown(call) for call in step.undo]]
                  for step in action.steps],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _shown(call: Call) -> dict[str, object]:
    """The call as it is shown: a door is named where there can be more than one."""
    return {name: value for name, value in asdict(call).items() if name != "door" or value}
