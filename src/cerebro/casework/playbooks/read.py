"""From a YAML text to a playbook, or to every fault in it with its line and how to mend it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec
import yaml

from cerebro.casework.playbooks.model import PLACE, Arguments, Playbook, StepPlan
from cerebro.spine.actions import Risk
from cerebro.spine.errors import Invalid

BYTES_MAX = 64 << 10
DEPTH_MAX = 12
BUILT_IN = frozenset({"target", "entity"})
EXECUTORS = ("process", "kubernetes", "webhook", "sql", "nats", "flags", "weights", "dns", "ssh")
OPERATIONS = {
    "kubernetes": frozenset(
        {"restart", "scale", "rollback", "patch_limits", "raise_memory", "cordon", "uncordon", "evict", "delete_pod"}
    ),
    "webhook": frozenset({"post"}),
    "sql": frozenset({"end_blockers"}),
    "nats": frozenset({"purge", "pause_consumer", "resume_consumer"}),
    "flags": frozenset({"turn_on", "turn_off"}),
    "weights": frozenset({"set_weight"}),
    "dns": frozenset({"set_weight"}),
}  # what control doors and the allowed commands of ssh can do, only they know
STEP_IN_PATH = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\[\.\.\.\]")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a playbook's text, where, and what to write instead."""

    line: int
    what: str
    mend: str


class BadPlaybook(Invalid):
    """A text that is no playbook; `faults` lists why."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        first = faults[0]
        super().__init__(f"Line {first.line}: {first.what}", first.mend)


def read(text: str) -> Playbook:
    """The playbook that the text holds.

    Raises:
        BadPlaybook: It holds none.
    """
    node = _compose(text)
    plain = _plain(node, 0)
    try:
        playbook = msgspec.convert(plain, Playbook)
    except msgspec.ValidationError as error:
        raise BadPlaybook((_of_schema(str(error), node),)) from error
    if faults := tuple(_faults(playbook, node)):
        raise BadPlaybook(faults)
    return playbook


@dataclass(frozen=True, slots=True)
class Outside:
    """An operation of which the text alone does not tell whether there is one, and its line."""

    line: int
    executor: str
    operation: str


def outside(playbook: Playbook, text: str) -> tuple[Outside, ...]:
    """The operations of a playbook, and of its undos, that only the other side knows: by its text, which holds it."""
    node = _compose(text)
    found = [
        Outside(_line_of(node, f"$.steps[{number}]"), step.executor, operation)
        for number, step in enumerate(playbook.steps)
        for operation in _operations(step)
        if step.executor not in OPERATIONS
    ]
    return tuple(dict.fromkeys(found))


@cache
def shipped() -> Mapping[str, Playbook]:
    """The playbooks that come with Cerebro, by name."""
    found = {}
    for file in sorted(files("cerebro.casework.playbooks").joinpath("shipped").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            playbook = read(file.read_text())
            assert playbook.name == file.name.removesuffix(".yaml"), f"{file.name} holds {playbook.name}"
            found[playbook.name] = playbook
    return MappingProxyType(found)


def shipped_text(name: str) -> str:
    """A playbook that comes with Cerebro, as it was written; `name` is one of `shipped`."""
    return files("cerebro.casework.playbooks").joinpath("shipped", f"{name}.yaml").read_text()


def _compose(text: str) -> yaml.Node:
    if len(text.encode()) > BYTES_MAX:
        raise BadPlaybook((Fault(1, "The text is too long.", f"Keep it under {BYTES_MAX >> 10} KiB."),))
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise BadPlaybook((Fault(1, "The text refers to itself (`&` and `*`).", "Write the values out."),))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = str(getattr(error, "problem", None) or "it cannot be read")
        raise BadPlaybook((Fault(mark.line + 1 if mark else 1, f"This is not YAML: {what}.", "Mend the line."),)) from (
            error
        )
    if not isinstance(node, yaml.MappingNode):
        raise BadPlaybook((Fault(1, "A playbook is a list of names with values.", "Begin with `name: …`."),))
    return node


def _plain(node: yaml.Node, depth: int) -> object:
    """The node as plain values; names may stand once, and nothing may refer to something else."""
    line = node.start_mark.line + 1
    if depth > DEPTH_MAX:
        raise BadPlaybook((Fault(line, "It is nested too deeply.", "A playbook needs five levels."),))
    if isinstance(node, yaml.MappingNode):
        found: dict[str, object] = {}
        for key, value in node.value:
            place = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadPlaybook((Fault(place, "A name must be a word.", "Put `{…}` into quotes."),))
            if key.value in found:
                raise BadPlaybook((Fault(place, f"{key.value!r} stands here twice.", "Leave one out."),))
            found[str(key.value)] = _plain(value, depth + 1)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, depth + 1) for each in node.value]
    return _scalar(node, line)


def _scalar(node: yaml.Node, line: int) -> object:
    tag = node.tag.rpartition(":")[2]
    text = str(node.value)
    if tag in ("int", "float"):
        try:
            return int(text) if tag == "int" else float(text)
        except ValueError as error:
            raise BadPlaybook((Fault(line, f"{text[:20]!r} is no plain number.", "Write 16, or 0.5."),)) from error
    if tag == "bool":
        return text.lower() in {"true", "yes", "on"}
    if tag == "null":
        return None
    if tag == "str":
        return text
    raise BadPlaybook((Fault(line, f"A value of the kind {tag} has no place here.", "Put it into quotes."),))


def _of_schema(message: str, node: yaml.Node) -> Fault:
    what, _, path = message.partition(" - at `")
    path = path.rstrip("`")
    mend = "See docs/reference/playbooks.md for what stands where."
    if "unknown field" in what:
        mend = "Take the name out, or mend its spelling."
    elif "missing required field" in what:
        mend = "Add it."
    where = f" ({path.lstrip('$.')})" if path.lstrip("$.") else ""
    unknown = re.search(r"unknown field `(\w+)`", what)
    return Fault(_line_of(node, path, unknown.group(1) if unknown else ""), f"{what}{where}.", mend)


def _line_of(node: yaml.Node, path: str, name: str = "") -> int:
    """The line that a path of msgspec's such as `$.steps[0].executor` leads to."""
    for hit in STEP_IN_PATH.finditer(path):
        inner = _child(node, hit.group(1), hit.group(2))
        if inner is None:
            break
        node = inner
    if name and isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value == name:
                return int(key.start_mark.line) + 1
    return int(node.start_mark.line) + 1


def _child(node: yaml.Node, name: str | None, place: str | None) -> yaml.Node | None:
    if name and isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == name), None)
    if place and isinstance(node, yaml.SequenceNode) and int(place) < len(node.value):
        return node.value[int(place)]
    return None


def _faults(playbook: Playbook, node: yaml.Node) -> Iterator[Fault]:
    """What the schema cannot see."""
    known = {parameter.name for parameter in playbook.parameters}
    for number, step in enumerate(playbook.steps):
        line = _line_of(node, f"$.steps[{number}]")
        yield from _step_faults(step, known, line, playbook.risk)
    for number, parameter in enumerate(playbook.parameters):
        line = _line_of(node, f"$.parameters[{number}]")
        if parameter.type == "choice" and not parameter.choices:
            yield Fault(line, f"The choice {parameter.name} has nothing to choose from.", "Add `choices: […]`.")
        if parameter.min > parameter.max:
            yield Fault(line, f"{parameter.name}: the least is more than the most.", "Turn them round.")
    if playbook.expect.hold_s > playbook.expect.within_s:
        line = _line_of(node, "$.expect")
        yield Fault(line, "It must hold for longer than it is watched.", "Make `within_s` longer than `hold_s`.")


def _step_faults(step: StepPlan, known: set[str], line: int, risk: Risk) -> Iterator[Fault]:
    if step.executor not in EXECUTORS:
        yield Fault(line, f"There is no executor {step.executor!r}.", f"Write one of: {', '.join(EXECUTORS)}.")
    known_here = OPERATIONS.get(step.executor)
    for operation in _operations(step):
        if known_here and operation not in known_here:
            mend = f"It knows: {', '.join(sorted(known_here))}."
            yield Fault(line, f"{step.executor} has no operation {operation!r}.", mend)
    for name in _places(step.arguments):
        if name not in known | BUILT_IN:
            mend = f"Declare it under `parameters`, or write one of: {', '.join(sorted(known | BUILT_IN))}."
            yield Fault(line, f"${{{name}}} is no parameter of this playbook.", mend)
    if step.undo:
        for name in _places(step.undo.arguments):
            if not name.startswith("before.") and name not in known | BUILT_IN:
                yield Fault(line, f"${{{name}}} is not known to the undo.", "Write `${before.NAME}` or a parameter.")
    elif not step.why_no_undo and risk is not Risk.READ:
        yield Fault(line, "The step has no undo.", "Add `undo`, or say why there is none: `why_no_undo: …`.")


def _operations(step: StepPlan) -> tuple[str, ...]:
    return (step.operation, step.undo.operation) if step.undo else (step.operation,)


def _places(arguments: Arguments) -> list[str]:
    return [name for value in arguments.values() for name in PLACE.findall(value)]
