"""Faults of someone's own in a suite's file: `[faults.NAME]`, made of what can be turned on a simulated estate."""

import math
from collections.abc import Mapping
from typing import Any

from cerebro.proving.faults import (
    ALL,
    CAPACITY,
    CODE,
    CONFIG,
    DATA,
    DEPENDENCY,
    DEPLOY,
    EXTERNAL,
    NETWORK,
    OPERATIONS,
    RESOURCE,
)
from cerebro.proving.model import CONTROL, Declared, Fault
from cerebro.spine.errors import Invalid

CAUSES = (RESOURCE, DEPENDENCY, DEPLOY, CONFIG, DATA, CAPACITY, NETWORK, CODE, EXTERNAL, CONTROL)
FIELDS = (
    "title", "cause", "symptom", "on", "turns", "mends", "helps", "cycle_s", "lasts_s", "change", "then",
)  # fmt: skip


def declared_in(found: Any) -> Mapping[str, Declared]:
    """The faults that a file declares, by name.

    Raises:
        Invalid: One of them is not as it should be; the mend says what to write.
    """
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise Invalid("faults holds no tables.", "Write [faults.my_fault] with what it does below it.")
    return {name: _declared(name, each) for name, each in found.items()}


def _declared(name: str, found: Mapping[str, Any]) -> Declared:
    if name in ALL:
        raise Invalid(f"faults.{name}: there is a fault of that name.", "Write another name.")
    if unknown := sorted(set(found) - set(FIELDS)):
        raise Invalid(f"faults.{name} has no {unknown[0]!r}.", f"It has: {', '.join(FIELDS)}.")
    cause = str(found.get("cause", RESOURCE))
    if cause not in CAUSES:
        raise Invalid(f"faults.{name}.cause = {cause!r} is none.", f"Write one of: {', '.join(CAUSES)}.")
    mends = _operations(name, "mends", found.get("mends", []))
    helps = _operations(name, "helps", found.get("helps", []))
    lasts_s = _number(f"faults.{name}.lasts_s", found.get("lasts_s", 0.0))
    title, symptom = str(found.get("title", name)), str(found.get("symptom", ""))
    declared = Declared(
        Fault(name, title, cause, symptom, tuple(dict.fromkeys((*mends, *helps))), ends_alone=lasts_s > 0),
        _words(name, "on", found.get("on", ["service"])),
        _turns(name, found.get("turns", {})),
        mends,
        _pair(f"faults.{name}.cycle_s", found.get("cycle_s", [0.0, 0.0])),
        lasts_s,
        str(found.get("change", "")),
        tuple((kind, _number(f"faults.{name}.then.{kind}", at)) for kind, at in _table(name, "then", found)),
    )
    from cerebro.proving.estate.effects import effect_of  # noqa: PLC0415  only who declares something pays for it

    effect_of(declared)
    return declared


def _operations(name: str, key: str, found: Any) -> tuple[str, ...]:
    words = _words(name, key, found)
    if unknown := [word for word in words if word not in OPERATIONS]:
        raise Invalid(f"faults.{name}.{key} holds {unknown[0]!r}.", f"Write some of: {', '.join(OPERATIONS)}.")
    return words


def _words(name: str, key: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise Invalid(f"faults.{name}.{key} = {found!r} is no list of words.", f'Write {key} = ["a", "b"].')
    return tuple(found)


def _turns(name: str, found: Any) -> tuple[tuple[str, float, float], ...]:
    if not isinstance(found, dict):
        raise Invalid(f"faults.{name}.turns = {found!r} is no table.", "Write turns = { speed = [0.1, 0.2] }.")
    return tuple((knob, *_pair(f"faults.{name}.turns.{knob}", bounds)) for knob, bounds in found.items())


def _pair(where: str, found: Any) -> tuple[float, float]:
    """The lower and the upper bound of what is drawn; of a cycle, the whole and its bad part."""
    if not isinstance(found, list) or len(found) != 2:
        raise Invalid(f"{where} = {found!r} is no pair of numbers.", f"Write {where.rpartition('.')[2]} = [0.1, 0.2].")
    return _number(where, found[0]), _number(where, found[1])


def _number(where: str, found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or found < 0:
        raise Invalid(f"{where} = {found!r} does not fit.", "Write a number of at least 0.")
    return float(found)


def _table(name: str, key: str, found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise Invalid(f"faults.{name}.{key} = {table!r} is no table.", f"Write {key} = {{ crash = 60 }}.")
    return list(table.items())
