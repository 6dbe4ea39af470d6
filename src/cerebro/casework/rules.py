"""The rules of correlation as data: a YAML text, read into `Rules`, or refused with line and mend.

map: {hops: 2, within: 5m}
history: {times: 3, share: 0.6}
together:
  - name: one namespace
    labels: [k8s.namespace.name]
    within: 2m
apart: [deployment.environment]
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from cerebro.spine.errors import Invalid

TEXT_BYTES_MAX = 16 << 10
RULES_MAX = 20
LABELS_MAX = 8
HOPS_MAX = 2
WITHIN_S_MAX = 3600.0
NAME_CHARS_MAX = 100
LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
ALONE = frozenset({"host.name", "k8s.pod.name", "k8s.node.name", "service.name", "service.instance.id"})
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
KNOWN = {
    "": ("map", "history", "together", "apart"),
    "map": ("hops", "within"),
    "history": ("times", "share"),
    "together": ("name", "labels", "within"),
}


@dataclass(frozen=True, slots=True)
class Shared:
    """Things with the same values of these labels are tied."""

    name: str
    labels: tuple[str, ...]
    within_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What ties things together.

    Args:
        hops: Relations of the map that a tie may go over; 0 for none.
        within_s: How far apart troubles of things tied by the map or by history may begin.
        history: Whether troubles that came together before are tied.
        history_min: How often they must have.
        history_share: And in which part of the times.
        shared: Ties by labels.
        apart: Labels in which things that are tied never differ.
    """

    hops: int = 2
    within_s: float = 300.0
    history: bool = True
    history_min: int = 3
    history_share: float = 0.6
    shared: tuple[Shared, ...] = ()
    apart: tuple[str, ...] = ()


DEFAULT_TEXT = "map: {hops: 2, within: 5m}\nhistory: {times: 3, share: 0.6}\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a text of rules, where, and what to write instead."""

    line: int
    what: str
    mend: str


class BadRules(Invalid):
    """A text that holds no rules; `faults` lists why."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        super().__init__(f"Line {faults[0].line}: {faults[0].what}{more}", faults[0].mend)


def read_rules(text: str) -> Rules:
    """The rules that the text holds.

    Raises:
        BadRules: It holds none, they contradict each other, or one would never end.

    >>> read_rules("map: {hops: 1, within: 90s}").within_s
    90.0
    """
    reader = _Reader()
    rules = reader.read(text)
    if reader.faults:
        raise BadRules(tuple(sorted(reader.faults, key=lambda fault: fault.line)))
    return rules


class _Reader:
    """Reads one text and notes its faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, text: str) -> Rules:
        """The rules, as far as there are any."""
        parts = self._members(self._compose(text), "")
        on_map, history = self._members(parts.get("map"), "map"), self._members(parts.get("history"), "history")
        apart = tuple(self._texts(parts["apart"], "apart")) if "apart" in parts else ()
        if apart and (alone := [label for label in apart if label in ALONE]):
            what = (
                f"`apart` keeps things of different {alone[0]!r} apart, and the map ties just those: a contradiction."
            )
            self._fault(parts["apart"], what, f"Take {alone[0]!r} out of `apart`, or write map: {{hops: 0}}.")
        shared = tuple(self._shared(parts.get("together")))
        rules = Rules()
        return Rules(
            hops=round(self._number(on_map.get("hops"), rules.hops, 0, HOPS_MAX)),
            within_s=self._length(on_map.get("within"), rules.within_s),
            history=bool(self._number(history.get("times"), rules.history_min, 0, 1000)),
            history_min=max(1, round(self._number(history.get("times"), rules.history_min, 0, 1000))),
            history_share=self._number(history.get("share"), rules.history_share, 0.1, 1.0),
            shared=shared,
            apart=apart,
        )

    def _compose(self, text: str) -> yaml.Node | None:
        if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
            self._fault(None, "The text is too long.", f"Keep it under {TEXT_BYTES_MAX >> 10} KiB.")
            return None
        try:
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
                self._fault(None, "The text refers to itself (`&` and `*`).", "Write the values out.")
                return None
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "it cannot be read"
            self.faults.append(Fault(mark.line + 1 if mark else 1, f"This is not YAML: {problem}.", "Mend the line."))
            return None

    def _shared(self, node: yaml.Node | None) -> Iterator[Shared]:
        seen: dict[tuple[str, ...], str] = {}
        rows = self._rows(node, "together", RULES_MAX)
        for row in rows:
            said = self._members(row, "together")
            name = str(said["name"].value)[:NAME_CHARS_MAX] if "name" in said else "without a name"
            labels = tuple(sorted(self._texts(said.get("labels"), "labels")))
            if not labels:
                self._fault(row, f"The rule {name!r} names no label.", "Write labels: [k8s.namespace.name].")
                continue
            if "within" not in said:
                self._fault(
                    row, f"The rule {name!r} never ends: it joins troubles however far apart.", "Write within: 2m."
                )
            if labels in seen:
                self._fault(
                    row,
                    f"The rules {seen[labels]!r} and {name!r} speak of the same labels and contradict each other.",
                    "Keep one of them.",
                )
            seen[labels] = name
            yield Shared(name, labels, self._length(said.get("within"), 120.0))

    def _members(self, node: yaml.Node | None, of: str) -> dict[str, Any]:
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{of or 'The text'} holds no names and values.", f"Write {', '.join(KNOWN[of])}.")
            return {}
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.value not in KNOWN[of]:
                self._fault(key, f"Nobody knows {str(key.value)[:80]!r}.", f"Known are {', '.join(KNOWN[of])}.")
            elif key.value in found:
                self._fault(key, f"{key.value!r} is given twice.", "Keep one of them.")
            else:
                found[key.value] = value
        return found

    def _rows(self, node: yaml.Node | None, of: str, count_max: int) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode) or len(node.value) > count_max:
            self._fault(node, f"{of} is no list of at most {count_max}.", "Write one entry a line, with a dash.")
            return []
        return list(node.value)

    def _texts(self, node: yaml.Node | None, of: str) -> list[str]:
        texts = []
        for row in self._rows(node, of, LABELS_MAX):
            if isinstance(row, yaml.ScalarNode) and 0 < len(row.value) <= NAME_CHARS_MAX:
                texts.append(row.value)
            else:
                self._fault(row, f"{of} holds what is no label's name.", "Write names such as k8s.namespace.name.")
        return texts

    def _number(self, node: yaml.Node | None, usual: float, least: float, most: float) -> float:
        if node is None:
            return usual
        try:
            value = float(node.value)
        except (TypeError, ValueError):
            value = most + 1
        if not least <= value <= most:
            self._fault(node, f"{str(node.value)[:40]!r} is no number from {least:g} to {most:g}.", f"Try {usual:g}.")
            return usual
        return value

    def _length(self, node: yaml.Node | None, usual: float) -> float:
        if node is None:
            return usual
        match = LENGTH.fullmatch(str(node.value).strip())
        length_s = float(match[1]) * UNITS_S[match[2]] if match else 0.0
        if not 0 < length_s <= WITHIN_S_MAX:
            what = f"{str(node.value)[:40]!r} never ends" if length_s else f"{str(node.value)[:40]!r} is no length"
            self._fault(node, f"{what}: a tie lasts more than 0 and at most 1 h.", "Write 30s, 5m or 1h.")
            return usual
        return length_s

    def _fault(self, node: yaml.Node | None, what: str, mend: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.faults.append(Fault(line, what, mend))


def plain(rules: Rules) -> Mapping[str, object]:
    """The rules as they count, for people."""
    return {name: getattr(rules, name) for name in Rules.__slots__}
