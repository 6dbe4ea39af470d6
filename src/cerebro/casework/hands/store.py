"""What the hands keep in the store of record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from cerebro.casework.deeds import KeptAction
from cerebro.casework.playbooks.model import Playbook
from cerebro.kernel.records.port import Collection
from cerebro.spine.actions import OPEN, UNDER_WAY, Action, Level
from cerebro.spine.identity import ActionId


@dataclass(frozen=True, slots=True)
class Lock:
    """Who works on an entity. There is one at most, for its key is the entity."""

    action: ActionId
    taken_ms: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A bound on what Cerebro does by itself: who, what, where, when.

    Args:
        playbook: A pattern such as `restart-*`; `*` for every one.
        target: A pattern of `kind/name`.
        weekdays: 0 for Monday … 6; none for every day.
        from_hour: In UTC, and to the hour `to_hour`, round midnight too; the same hour twice for all day.
        level_max: The most that is done by itself then and there.
    """

    playbook: str = "*"
    target: str = "*"
    weekdays: tuple[int, ...] = ()
    from_hour: int = 0
    to_hour: int = 0
    level_max: Level = Level.ASK
    why: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Who gave a playbook its level, and when; its record, where that is Cerebro."""

    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant allows.

    Args:
        stopped: No call is made, approved or not; what is under way waits, its next step and its undo.
        frozen: Nothing is done by itself; people may still approve.
        levels: Of playbooks that someone or their record has set, over the default of their risk.
        moves: Who set each of these, and when.
    """

    stopped: bool = False
    stopped_by: str = ""
    stopped_reason: str = ""
    stopped_ms: int = 0
    frozen: bool = False
    frozen_by: str = ""
    frozen_reason: str = ""
    frozen_ms: int = 0
    levels: Mapping[str, Level] = field(default_factory=dict)
    moves: Mapping[str, Moved] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What became of a playbook against one kind of cause."""

    playbook: str
    cause_kind: str
    helped: int = 0
    not_helped: int = 0
    harmful: int = 0
    good: int = 0  # verdicts of people
    bad: int = 0
    since_moved: int = 0  # outcomes since its level was last changed by its record
    judged_helped: int = 0  # of the outcomes, those in whose place a person's verdict stands
    judged_not: int = 0

    @property
    def count(self) -> int:
        """How often it was done to an end."""
        return self.helped + self.not_helped

    def labels(self, verdict_weight: float = 1.0) -> tuple[float, float]:
        """How many outcomes speak for it, and against it: a person's verdict stands in the place of what was seen."""
        return (
            max(0, self.helped - self.judged_helped) + verdict_weight * self.good,
            max(0, self.not_helped - self.judged_not) + verdict_weight * self.bad,
        )


@dataclass(frozen=True, slots=True)
class DoorEntry:
    """A control door that someone registered: where calls of an executor go.

    Args:
        name: Its own in the tenant.
        kind: process: the only one so far that is registered by REST; the others are settings.
        scope: Patterns of `kind/name` that it controls.
        level: The most that Cerebro may do through it by itself.
    """

    name: str
    kind: str
    url: str
    key: str
    scope: tuple[str, ...]
    level: Level
    by: str
    made_ms: int


@dataclass(frozen=True, slots=True)
class KeptPlaybook:
    """A playbook of the tenant's own, as text and read."""

    name: str
    text: str
    playbook: Playbook
    by: str
    made_ms: int


@dataclass(frozen=True, slots=True)
class Telling:
    """What a chat was told of an action, under the action's id; forgotten a while after its end.

    Args:
        digest: Of the action as it was last told; empty while that has not arrived.
        tried_ms: When someone last began to tell something; 0 once it has arrived.
        tries: How often, since something last arrived.
        over_ms: When the action ended, once that was told; it may be undone after, and end anew.
    """

    digest: str = ""
    tried_ms: int = 0
    tries: int = 0
    over_ms: int = 0


LOCKS = Collection("action_locks", Lock)
TELLINGS = Collection("action_tellings", Telling)
POLICIES = Collection("action_policies", Policy)
PASTS = Collection("action_pasts", Past, ("playbook",))
DOORS = Collection("action_doors", DoorEntry)
PLAYBOOKS = Collection("playbooks", KeptPlaybook)
POLICY = "policy"


def keep_action(action: Action) -> KeptAction:
    """The action as it is kept."""
    values = {each.name: getattr(action, each.name) for each in fields(Action)}
    return KeptAction(**values, open=action.state in OPEN, under_way=action.state in UNDER_WAY)


def past_key(playbook: str, cause_kind: str) -> str:
    """Of a `Past`."""
    return f"{playbook}|{cause_kind}"
