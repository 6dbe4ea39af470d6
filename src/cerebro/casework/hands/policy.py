"""What may be done now: pure answers from what is known. Each bound is a row of a table in the tests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from cerebro.casework.hands.store import Policy
from cerebro.casework.life import CEREBRO
from cerebro.kernel.settings import HandsSettings
from cerebro.spine.actions import Action, ActionState, Level, Risk
from cerebro.spine.entities import EntityKey

HOUR_MS = 3_600_000
ASKED = frozenset({Level.SUGGEST, Level.ASK})  # levels at which a person's word is waited for
ORDER = (Level.SUGGEST, Level.ASK, Level.ACT, Level.SILENT)
BY_RISK = {Risk.READ: Level.ACT, Risk.SAFE: Level.ACT, Risk.GUARDED: Level.ASK, Risk.DANGEROUS: Level.SUGGEST}
NEEDED = {"responder": "respond", "operator": "operate", "admin": "admin"}  # the permission of a sign-off role
STARTED = frozenset(ActionState) - {
    ActionState.PROPOSED, ActionState.AWAITING, ActionState.APPROVED, ActionState.REFUSED, ActionState.EXPIRED,
}  # fmt: skip


class Bar(StrEnum):
    """Why something is not begun now, in the words that people read."""

    STOPPED = "Everything is stopped: the global stop is set."
    FROZEN = "Cerebro does nothing by itself now: actions are frozen."
    BUSY = "Another action works on this entity; there is one at a time."
    COOLING = "The same playbook was used here a short time ago, and it cools down."
    ENTITY_BUDGET = "As many actions as an hour allows have been tried on this entity."
    TENANT_BUDGET = "As many actions as an hour allows have been tried by this tenant."
    TOO_MANY = "As many actions as may be are under way."
    CALLED = "A person was called to the case: nothing more is done for it unasked."
    TRIED = "As many actions as one case may have were tried for it."
    CALM = "Users are served as usual: there is nothing to mend."
    UNSURE = "The cause is not sure enough for this risk."
    UNLIKE = "What its playbook goes by is no longer so."
    UNANSWERED = "Who would do it does not answer, so nobody knows what it would change now."
    CHANGED = "What it would change is no longer what was shown."


@dataclass(frozen=True, slots=True)
class Recent:
    """An action that was begun before, as far as bounds ask for it."""

    playbook: str
    target: EntityKey
    started_ms: int
    under_way: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits that hold for everything."""

    entity_per_hour_max: int
    tenant_per_hour_max: int
    under_way_max: int
    share_max: float  # of a target's capacity that may be away at one time without a person's word
    share_min: dict[Risk, float]  # of a cause, before something of this risk is done by itself

    @classmethod
    def of(cls, settings: HandsSettings) -> "Bounds":
        """The limits that the settings ask for."""
        needed = {
            Risk.READ: 0.0,
            Risk.SAFE: settings.share_min_safe,
            Risk.GUARDED: settings.share_min_guarded,
            Risk.DANGEROUS: settings.share_min_dangerous,
        }
        return cls(
            settings.entity_per_hour_max,
            settings.tenant_per_hour_max,
            settings.under_way_max,
            settings.share_max,
            needed,
        )


def tries_of(own: Iterable[Action]) -> int:
    """How many of a case's actions count as tried."""
    return sum(each.state in STARTED for each in own)


def recent_of(actions: Iterable[Action]) -> list[Recent]:
    """Those of the actions that were begun."""
    return [
        Recent(each.playbook, each.target, each.started_ms, each.ended_ms == 0)
        for each in actions
        if each.state in STARTED and each.started_ms
    ]


def bars(
    *,
    playbook: str,
    cool_down_s: float,
    target: EntityKey,
    policy: Policy,
    recent: Sequence[Recent],
    bounds: Bounds,
    now_ms: int,
    by_person: bool,
) -> tuple[Bar, ...]:
    """Everything that keeps this from being begun now; none when it may be."""
    last_hour = [each for each in recent if now_ms - each.started_ms < HOUR_MS]
    here = [each for each in last_hour if each.target == target]
    same = [each for each in recent if each.target == target and each.playbook == playbook]
    cooling = any(now_ms - each.started_ms < cool_down_s * 1000 for each in same)
    checks = (
        (Bar.STOPPED, policy.stopped),
        (Bar.FROZEN, policy.frozen and not by_person),
        (Bar.BUSY, any(each.under_way for each in recent if each.target == target)),
        (Bar.COOLING, cooling and not by_person),
        (Bar.ENTITY_BUDGET, len(here) >= bounds.entity_per_hour_max),
        (Bar.TENANT_BUDGET, len(last_hour) >= bounds.tenant_per_hour_max),
        (Bar.TOO_MANY, sum(each.under_way for each in recent) >= bounds.under_way_max),
    )
    return tuple(bar for bar, holds in checks if holds)


def level_of(
    *,
    playbook: str,
    risk: Risk,
    level_max: Level,
    target: EntityKey,
    policy: Policy,
    door: Level | None,
    share: float,
    bounds: Bounds,
    now_ms: int,
) -> tuple[Level, str]:
    """What Cerebro may do by itself with a playbook on a target now, and why.

    Someone's own setting wins over the control door's, which wins over the default of the risk; rules and the blast
    radius only ever lower it.
    """
    level, why = own_level(playbook=playbook, risk=risk, level_max=level_max, policy=policy, door=door)
    for rule in policy.rules:
        fits = fnmatchcase(playbook, rule.playbook) and fnmatchcase(target.text, rule.target)
        if fits and _is_now(rule.weekdays, rule.from_hour, rule.to_hour, now_ms):
            level, why = lower(level, rule.level_max, why, rule.why or "a rule of the policy")
    if share > bounds.share_max and door is None:
        level, why = lower(level, Level.ASK, why, f"{share:.0%} of the target would be away at once")
    return level, why


def own_level(*, playbook: str, risk: Risk, level_max: Level, policy: Policy, door: Level | None) -> tuple[Level, str]:
    """What a playbook may do wherever no rule and no blast radius lowers it, and why: its record moves this one."""
    level, why = BY_RISK[risk], f"the default of a {risk} action"
    if door is not None:
        level, why = door, "the control door's own level"
    if playbook in policy.levels:
        moved = policy.moves.get(playbook)
        earned = moved is not None and moved.by == CEREBRO
        level, why = policy.levels[playbook], "earned by its record" if earned else "the level set for this playbook"
    return lower(level, level_max, why, "the most that the playbook asks for")


def bound_now(policy: Policy, playbook: str, level: Level, now_ms: int) -> str:
    """What the lowest rule keeps a playbook from, somewhere, right now; empty where none lowers its level."""
    lowering = [
        rule
        for rule in policy.rules
        if fnmatchcase(playbook, rule.playbook)
        and _is_now(rule.weekdays, rule.from_hour, rule.to_hour, now_ms)
        and ORDER.index(rule.level_max) < ORDER.index(level)
    ]
    if not lowering:
        return ""
    lowest = min(lowering, key=lambda rule: ORDER.index(rule.level_max))
    why = f" ({lowest.why})" if lowest.why else ""
    return f"{lowest.target}: {lowest.level_max}{why}"


def lower(level: Level, most: Level, why: str, because: str) -> tuple[Level, str]:
    """The lower one of two levels, with its reason."""
    return (most, because) if ORDER.index(most) < ORDER.index(level) else (level, why)


def _is_now(weekdays: Sequence[int], from_hour: int, to_hour: int, now_ms: int) -> bool:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if weekdays and now.weekday() not in weekdays:
        return False
    if from_hour == to_hour:
        return True
    if from_hour < to_hour:
        return from_hour <= now.hour < to_hour
    return now.hour >= from_hour or now.hour < to_hour
