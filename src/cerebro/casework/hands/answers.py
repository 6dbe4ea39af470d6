"""What the API of the hands answers and asks, as its OpenAPI description shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cerebro.casework.deeds import KeptAction
from cerebro.casework.hands.backtest import DAYS, DAYS_MAX, Backtest
from cerebro.casework.hands.store import Policy, Rule
from cerebro.spine.actions import Level, Risk


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Actions, the newest first, each whole."""

    items: Sequence[KeptAction]
    cursor: str


@dataclass(frozen=True, slots=True)
class RecordLine:
    """What became of a playbook, over every kind of cause."""

    helped: int
    not_helped: int
    harmful: int
    good: int
    bad: int
    rate: float  # of success, the middle of what is known
    low: float  # that it is not below, with 90 % certainty


@dataclass(frozen=True, slots=True)
class PlaybookLine:
    """A playbook with the level it has and the record it has earned."""

    name: str
    version: int
    title: str
    risk: Risk
    level: Level
    level_max: Level
    own: bool  # the tenant's, not one that comes with Cerebro
    undoable: bool
    sign_off: str
    predicted: str
    runbook: str
    cool_down_s: float
    trigger: dict[str, object]
    steps: list[dict[str, object]]
    parameters: list[dict[str, object]]
    expect: dict[str, object]
    record: RecordLine


@dataclass(frozen=True, slots=True)
class PlaybookPage:
    """Every playbook, by name."""

    items: Sequence[PlaybookLine]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class PlaybookText:
    """A playbook as it was written, to begin another version from."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class FaultLine:
    """What is wrong in a playbook's text."""

    line: int
    text: str
    mend: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of reading a playbook's text; without faults, also what it would have done on past cases.

    Args:
        warnings: Of operations that nothing here knows now; such a playbook may be signed off all the same.
    """

    faults: Sequence[FaultLine]
    name: str = ""
    backtest: Backtest | None = None
    warnings: Sequence[FaultLine] = ()


@dataclass(frozen=True, slots=True)
class LevelLine:
    """One row of the matrix of autonomy."""

    playbook: str
    title: str
    risk: Risk
    level: Level
    why: str
    level_max: Level
    record: RecordLine
    by: str  # who gave it its level; cerebro, where its record did; empty for nobody
    moved_ms: int
    bound: str  # what a rule keeps it from now; empty for nothing


@dataclass(frozen=True, slots=True)
class Autonomy:
    """What Cerebro may do by itself."""

    policy: Policy
    items: Sequence[LevelLine]


@dataclass(frozen=True, slots=True)
class DoorLine:
    """A control door, without its key; or an executor that the settings name, which has no address here.

    Args:
        level: That it brings with it; none where the playbook's own counts.
        by: Who registered it; `data directory` for a program of this machine, `settings`.
        answers: Whether it did when it was asked last, which is about once a minute.
    """

    name: str
    kind: str
    url: str
    scope: tuple[str, ...]
    level: Level | None
    by: str
    made_ms: int
    answers: bool


@dataclass(frozen=True, slots=True)
class DoorPage:
    """Every control door of the tenant."""

    items: Sequence[DoorLine]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class LinkLine:
    """A signed link, to be posted back."""

    token: str
    until_ms: int


class Strict(BaseModel):
    """A body whose unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class Approval(Strict):
    """A yes to exactly what was shown."""

    digest: str = Field(min_length=64, max_length=64, description="The `digest` of the action as you see it.")


class Words(Strict):
    """A reason."""

    reason: str = Field("", max_length=1000)


class Verdict(Strict):
    """What a person thinks of an action afterwards; its playbook learns from it."""

    verdict: str = Field(pattern="^(good|bad)$")


class Wish(Strict):
    """An action that a person wants to be shown."""

    case: str = Field(max_length=64)
    playbook: str = Field(max_length=64)
    target: str = Field(max_length=300, description="`kind/name`.")
    parameters: dict[str, str] = Field(default_factory=dict, max_length=20)


class Answer(Strict):
    """What a signed link is answered with."""

    token: str = Field(max_length=2000)
    verdict: str = Field(pattern="^(approve|refuse)$")


class Text(Strict):
    """A playbook as YAML."""

    text: str = Field(max_length=65_536)


class SignOff(Text):
    """A playbook that someone puts their name to."""

    replaces: str | None = Field(
        None, max_length=65_536, description="The text that it was begun from: refused when another is there by now."
    )


class Draft(Text):
    """A playbook that is still being written."""

    backtest: bool = Field(True, description="Also try it on past cases, which takes seconds where there are many.")
    days: int = Field(DAYS, ge=1, le=DAYS_MAX, description="Of past cases.")


class RuleBody(Strict):
    """A bound on what is done by itself."""

    playbook: str = Field("*", max_length=64)
    target: str = Field("*", max_length=300)
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(
        (), max_length=7, description="0 for Monday to 6 for Sunday; none for every day."
    )
    from_hour: int = Field(0, ge=0, le=23, description="UTC.")
    to_hour: int = Field(0, ge=0, le=24)
    level_max: Level = Level.ASK
    why: str = Field("", max_length=300)

    def rule(self) -> Rule:
        """As it is kept."""
        return Rule(**self.model_dump())


class Turn(Strict):
    """A change of what is allowed; what is left out stays."""

    stopped: bool | None = Field(
        None, description="The global stop: no call is made at all, next steps and undos included."
    )
    frozen: bool | None = Field(None, description="Nothing is done by itself; approvals still work.")
    reason: str = Field("", max_length=300)
    levels: dict[str, Level] | None = Field(None, max_length=500)
    rules: tuple[RuleBody, ...] | None = Field(None, max_length=200)


class Door(Strict):
    """A control door to register."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    url: str = Field(max_length=300, description="https, or http to this machine.")
    key: str = Field(
        min_length=8, max_length=500, pattern=r"^[!-~]+$", description="Bearer token; it is never shown again."
    )
    scope: tuple[str, ...] = Field(min_length=1, max_length=200, description="Patterns of `kind/name`.")
    level: Level = Field(Level.ASK, description="The most that Cerebro may do through it by itself.")
