"""What an operation would change, before it is done; and how what it did is taken back."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from cerebro.proving.faults import OPERATIONS
from cerebro.proving.model import Operation
from cerebro.proving.shop.keeper import Keeper
from cerebro.proving.shop.operations import ENGINES, Order, check, name_of
from cerebro.proving.shop.plan import GOOD_VERSION, HOST, entity_text
from cerebro.spine.errors import Invalid

ONE_BY_ONE = frozenset({"restart", "drain", "undrain"})
ROLLING = frozenset({"restart", "rollback", "deploy", "drain"})


class Change(msgspec.Struct, frozen=True):
    """One line of a dry run: what would be other than it is."""

    what: str
    before: str
    after: str


class Undo(msgspec.Struct, frozen=True):
    """What takes an operation back."""

    name: str
    target: str
    parameters: dict[str, str] = {}


class Prospect(msgspec.Struct, frozen=True):
    """What would come of an operation. No changes: it would do nothing that can be seen beforehand.

    Args:
        state: Of the target as it is now.
        undo: Operations that take it back, in this order; empty when nothing can or need be.
        replicas: Of the target, when the operation can be done to one of them alone with the parameter `replica`.
        share: Of the target's capacity that is away at one time while it is done, 0 … 1.
    """

    changes: list[Change]
    state: dict[str, str]
    undo: list[Undo]
    replicas: list[str] = []
    share: float = 0.0


class Ahead(NamedTuple):
    """Changes with what takes them back."""

    changes: list[Change]
    undo: list[Undo]


def catalogue() -> list[dict[str, str]]:
    """Every operation of the shop with what it does."""
    from cerebro.proving.shop.operations import ACTS  # noqa: PLC0415

    return [{"name": name, "about": OPERATIONS[name]} for name in ACTS]


def state_of(keeper: Keeper, name: str) -> dict[str, str]:
    """How a target is run now, as its own people could read it; faults are not told.

    Raises:
        Invalid: There is no such target.
    """
    if name in ENGINES:
        return {"up": _word(name not in keeper.halted), "supplier": ""}
    if name == HOST:
        return {"programs": ", ".join(sorted(keeper.replicas))}
    entry, replicas = keeper.entry(name), keeper.replicas[name]
    versions = keeper.versions[name]
    state = {
        "replicas": str(len(replicas)),
        "ready": str(sum(str(each.state) == "ready" for each in replicas)),
        "version": versions[-1],
        "version_before": versions[-2] if len(versions) > 1 else "",
        "supplier": keeper.registry.supplier,
        "circuit_open": _word(keeper.registry.circuit_open),
    }
    state |= {f"config.{key}": f"{value:g}" for key, value in entry.config.items()}
    state |= {f"flag.{key}": _word(on) for key, on in entry.flags.items()}
    return state | {f"weight.{place.number}": f"{place.weight:g}" for place in entry.places}


def look_ahead(keeper: Keeper, operation: Operation) -> Prospect:
    """What the operation would change.

    Raises:
        Invalid: There is no such operation, target or parameter.
    """
    name = name_of(operation.target)
    check(keeper, operation)
    state = state_of(keeper, name)
    ahead = AHEAD.get(operation.name, _plain)(Order(keeper, name, operation.parameters), state)
    if ahead is None:
        ahead = Ahead([Change(operation.name, "as it is", OPERATIONS[operation.name])], [])
    numbers = [str(each.number) for each in keeper.replicas.get(name, ())]
    return Prospect(
        ahead.changes,
        state,
        ahead.undo,
        numbers if operation.name in ONE_BY_ONE else [],
        _away(name, operation.name, len(numbers)) if ahead.changes else 0.0,
    )


def _away(name: str, operation: str, count: int) -> float:
    """How much of the target is not there while the operation is done."""
    if name in ENGINES:
        return 1.0 if operation == "restart" else 0.0
    return 1.0 / max(1, count) if operation in ROLLING else 0.0


def _plain(_order: Order, _state: Mapping[str, str]) -> Ahead | None:
    """Nothing is known beforehand but what the operation is for."""
    return None


def _restart(order: Order, state: Mapping[str, str]) -> Ahead:
    if order.name in ENGINES:
        return Ahead([Change("up", state["up"], "yes, after a moment without it")], [])
    # No process ids: those of a service that crashes again and again would be others at every look.
    count = len(order.keeper.replicas.get(order.name, ()))
    return Ahead([Change("processes", f"{count} as they are", "new ones, one after the other")], [])


def _scale(order: Order, state: Mapping[str, str]) -> Ahead:
    now = state.get("replicas", "0")
    wanted = f"{order.number('replicas', 1, 6, min(6, int(now) + 1)):.0f}"
    return _one(order, "replicas", now, wanted, "scale", {"replicas": now})


def _rollback(order: Order, state: Mapping[str, str]) -> Ahead:
    before = state.get("version_before", "")
    if not before:
        return Ahead([], [])
    return _one(order, "version", state["version"], before, "deploy", {"version": state["version"]})


def _deploy(order: Order, state: Mapping[str, str]) -> Ahead:
    version = order.parameters.get("version", GOOD_VERSION)
    return _one(order, "version", state.get("version", ""), version, "rollback", {})


def _flag(*, on: bool) -> Callable[[Order, Mapping[str, str]], Ahead]:
    back = "flag_off" if on else "flag_on"

    def ahead(order: Order, state: Mapping[str, str]) -> Ahead:
        named = order.parameters.get("flag")
        flags = [key.removeprefix("flag.") for key, value in state.items() if key.startswith("flag.")]
        touched = [each for each in flags if named in (None, each) and state[f"flag.{each}"] != _word(on)]
        return Ahead(
            [Change(f"flag.{each}", _word(not on), _word(on)) for each in touched],
            [Undo(back, f"service/{order.name}", {"flag": each}) for each in touched],
        )

    return ahead


def _restore_config(order: Order, state: Mapping[str, str]) -> Ahead:
    past = order.keeper.configs.get(order.name) or [{}]
    changes = [
        Change(f"config.{key}", state[f"config.{key}"], f"{value:g}")
        for key, value in past[-1].items()
        if state.get(f"config.{key}") != f"{value:g}"
    ]
    uneven = [key for key, value in state.items() if key.startswith("weight.") and value != "1"]
    named = [Change("name", "not known", "known")] if order.name in order.keeper.registry.unresolved else []
    return Ahead([*changes, *(Change(key, state[key], "1") for key in uneven), *named], [])


def _failover(order: Order, state: Mapping[str, str]) -> Ahead:
    if order.name in ENGINES:
        return Ahead([Change("up", state["up"], "yes")], [])
    after = "standby" if state.get("supplier") == "main" else "main"
    return _one(order, "supplier", state.get("supplier", ""), after, "failover", {})


def _weight(after: str, back: str) -> Callable[[Order, Mapping[str, str]], Ahead]:
    def ahead(order: Order, state: Mapping[str, str]) -> Ahead:
        number = f"{order.number('replica', 0, 9):.0f}"
        if f"weight.{number}" not in state:
            raise Invalid(f"{order.name} has no replica {number}.", "Ask for its state: it lists them as weight.N.")
        return _one(order, f"weight.{number}", state[f"weight.{number}"], after, back, {"replica": number})

    return ahead


def _balance(_order: Order, state: Mapping[str, str]) -> Ahead:
    uneven = [key for key, value in state.items() if key.startswith("weight.") and value != "1"]
    return Ahead([Change(key, state[key], "1") for key in uneven], [])


def _setting(
    operation: str, parameter: str, limit: str = "", where: str = ""
) -> Callable[[Order, Mapping[str, str]], Ahead]:
    """An operation that sets one value of the configuration, of its target or of `where`."""

    def ahead(order: Order, state: Mapping[str, str]) -> Ahead:
        name = where or order.name
        here = state_of(order.keeper, name)
        key = limit or order.parameters.get("limit", "pool_size")
        if f"config.{key}" not in here:
            raise Invalid(f"{name} has no limit {key!r}.", "Ask for its state: it lists them as config.NAME.")
        before = here[f"config.{key}"]
        after = f"{order.number(parameter, 0, 1e6, 0.0 if limit else float(before) * 2):g}"
        back = {parameter: before} | ({} if limit else {"limit": key})
        return Ahead([Change(f"{name} {key}", before, after)], [Undo(operation, f"service/{name}", back)])

    return ahead


def _circuit(*, opened: bool) -> Callable[[Order, Mapping[str, str]], Ahead]:
    def ahead(order: Order, _state: Mapping[str, str]) -> Ahead:
        now, back = _word(order.keeper.registry.circuit_open), "close_circuit" if opened else "open_circuit"
        return _one(order, "circuit_open", now, _word(opened), back, {})

    return ahead


def _one(  # noqa: PLR0917  a line of a table
    order: Order, what: str, before: str, after: str, back: str, parameters: dict[str, str]
) -> Ahead:
    """One change and what takes it back; none where it is so already."""
    if before == after:
        return Ahead([], [])
    return Ahead([Change(what, before, after)], [Undo(back, entity_text(order.name), parameters)])


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


AHEAD: Mapping[str, Callable[[Order, Mapping[str, str]], Ahead | None]] = {
    "restart": _restart,
    "scale": _scale,
    "rollback": _rollback,
    "deploy": _deploy,
    "flag_off": _flag(on=False),
    "flag_on": _flag(on=True),
    "restore_config": _restore_config,
    "failover": _failover,
    "drain": _weight("0", "undrain"),
    "undrain": _weight("1", "drain"),
    "balance": _balance,
    "shed": _setting("shed", "share", "shed", "gateway"),
    "raise_limit": _setting("raise_limit", "value"),
    "limit_retries": _setting("limit_retries", "value", "retries"),
    "open_circuit": _circuit(opened=True),
    "close_circuit": _circuit(opened=False),
}
