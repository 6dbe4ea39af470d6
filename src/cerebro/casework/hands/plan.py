"""From a chosen playbook to an action as it is shown: every call dry-run, every replica named, every undo ready."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from cerebro.casework.executors.port import LOOK_S, Executor, Preview, in_time
from cerebro.casework.playbooks.fill import filled, parameters_of
from cerebro.casework.playbooks.model import Playbook, StepPlan
from cerebro.spine.actions import Call, Step
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

BARE_MAX = 2  # letters of a name that is too short to be told from anything else


@dataclass(frozen=True, slots=True)
class Plan:
    """What a playbook would do to a target now."""

    parameters: Mapping[str, str]
    steps: tuple[Step, ...]
    share: float  # of the target that is away at one time, at the worst
    executor: Executor  # of the first step: its level holds


def executor_of(
    name: str, operation: str, target: EntityKey, executors: Sequence[Executor], door: str = ""
) -> Executor | None:
    """The executor of this name that can do this there; with a door, that one and no other."""
    for each in executors:
        if each.name == name and door in ("", each.label) and each.reaches(target, operation):
            return each
    return None


def reached(call: Call, executors: Sequence[Executor]) -> Executor:
    """Who makes the call.

    Raises:
        Unavailable: Nobody is there who can, as when it starts anew: it is waited for like one that does not answer.
    """
    found = executor_of(call.executor, call.operation, call.target, executors, call.door)
    if found is None:
        nobody = f"The control door {call.door} is not there, which" if call.door else "Nobody is there who"
        raise Unavailable(f"{nobody} can {call.operation} {call.target.said}.")
    return found


def can(playbook: Playbook, target: EntityKey, executors: Sequence[Executor]) -> bool:
    """Whether every step of the playbook can be made on the target."""
    return all(executor_of(step.executor, step.operation, target, executors) for step in playbook.steps)


async def planned(
    playbook: Playbook, target: EntityKey, given: Mapping[str, str], executors: Sequence[Executor], *, key: str,
    words: str = "", doors: Mapping[str, str] = MappingProxyType({}),
) -> Plan:  # fmt: skip
    """Dry-run every step.

    Args:
        doors: By the name of an executor, the one of that name that is asked and no other.
        words: What proves the cause; parameters can be picked by it, among what the target tells.

    Raises:
        Invalid: A step cannot be made; nothing was changed.
        Unavailable: An executor does not answer.
    """
    if words and any(parameter.pick for parameter in playbook.parameters):
        first_one = executor_of(playbook.steps[0].executor, playbook.steps[0].operation, target, executors)
        before = await in_time(first_one.state(target), LOOK_S) if first_one else {}
        given = {**given, **picked(playbook, target, before, words)}
    parameters = parameters_of(playbook, given)
    steps: list[Step] = []
    share, first = 0.0, None
    for each in playbook.steps:
        executor = executor_of(each.executor, each.operation, target, executors, doors.get(each.executor, ""))
        if executor is None:
            raise Invalid(f"Nothing here can {each.operation} {target.said}.", "Register a control door for it.")
        call = Call(each.executor, each.operation, target, filled(each.arguments, target, parameters))
        preview = await in_time(executor.dry_run(call), LOOK_S)
        share, first = max(share, preview.share), first or executor
        steps += [
            _at(executor.label, one) for one in _steps(each, call, preview, parameters, key=key, count=len(steps))
        ]
    assert first is not None
    if not any(step.changes for step in steps):
        raise Invalid(f"{playbook.title}: nothing would change at {target.said}.", "It is so already.")
    for back in (call for step in steps for call in step.undo):
        if executor_of(back.executor, back.operation, back.target, executors, back.door) is None:
            said = f"Nothing here can {back.operation} {back.target.said}, which is how it would be taken back."
            raise Invalid(said, "Let the control door do that too, or write a playbook without this undo.")
    return Plan(parameters, tuple(steps), share, first)


def _at(door: str, step: Step) -> Step:
    """The step, with the door that showed it named in its calls."""
    return replace(step, call=replace(step.call, door=door), undo=tuple(replace(each, door=door) for each in step.undo))


def _steps(
    each: StepPlan, call: Call, preview: Preview, parameters: Mapping[str, str], *, key: str, count: int
) -> list[Step]:
    """One step, or one for each replica where a canary is asked for."""
    named = preview.call or call
    calls = [named]
    if each.canary and len(preview.replicas) > 1:
        calls = [
            Call(named.executor, named.operation, named.target, {**named.arguments, "replica": number})
            for number in preview.replicas
        ]
    undo = _undo(each, call, preview, parameters)
    return [
        Step(one, preview.changes, f"{key}-{count + number}", undo if one is named else _of_replica(undo, one))
        for number, one in enumerate(calls)
    ]


def _undo(each: StepPlan, call: Call, preview: Preview, parameters: Mapping[str, str]) -> tuple[Call, ...]:
    """What takes a step back: as the other side says, else as the playbook does."""
    if not each.undo or preview.undo is not None:
        return preview.undo or () if each.undo else ()
    arguments = filled(each.undo.arguments, call.target, parameters, preview.before)
    return (Call(call.executor, each.undo.operation, call.target, arguments),)


def _of_replica(undo: Sequence[Call], one: Call) -> tuple[Call, ...]:
    """What takes back the call of one replica: of the same target nothing but that replica."""
    number = one.arguments["replica"]
    own = [each for each in undo if each.target != one.target or each.arguments.get("replica", number) == number]
    return tuple(
        replace(each, arguments={**each.arguments, "replica": number}) if each.target == one.target else each
        for each in own or undo
    )


def picked(playbook: Playbook, target: EntityKey, before: Mapping[str, str], words: str) -> dict[str, str]:
    """Values of the parameters that are named by what proves the cause, among those that the target itself tells.

    What telemetry says can choose among what is there; it can never bring in a value of its own.
    """
    found: dict[str, str] = {}
    for parameter in playbook.parameters:
        if parameter.pick:
            names = [name.removeprefix(parameter.pick) for name in before if name.startswith(parameter.pick)]
            said = _named(names, target, words)
            found |= {parameter.name: said[0]} if len(said) == 1 else {}
    return found


def _named(names: Sequence[str], target: EntityKey, words: str) -> list[str]:
    """Those of the names that the words hold, each as a word of its own; one within a longer one is not meant.

    Small and capital letters are the same. A name of one or two letters counts only behind that of the target, as
    `cart-1` does for a replica.
    """
    text = words.casefold()
    places = [
        (len(name), *hit.span(), name)
        for name in names
        for hit in re.finditer(_pattern(name, target), text)
        if hit.group("target") or len(name) > BARE_MAX
    ]
    covered = {
        one for one in places for other in places if other[0] > one[0] and other[1] <= one[1] and one[2] <= other[2]
    }
    return sorted({place[-1] for place in places if place not in covered})


def _pattern(name: str, target: EntityKey) -> str:
    """The name, maybe with that of the target before it; a dot or colon right after it ends a sentence, and no name."""
    before, own = re.escape(target.name.casefold()), re.escape(name.casefold())
    return rf"(?<![\w-])(?P<target>{before}-)?{own}(?![\w@-])(?![.:]\w)"
