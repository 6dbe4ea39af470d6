"""What can be done to the shop while it runs, by name; each with its true effect."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cerebro.proving.model import Operation
from cerebro.proving.shop import disk, stock
from cerebro.proving.shop.acts import ask_each, execute
from cerebro.proving.shop.keeper import USERS, Keeper, Replica
from cerebro.proving.shop.plan import CATEGORIES, HOST, OUTSIDE, SERVICES
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

WARM_S = 8.0
ENGINES = ("postgres", "nats")
ELSEWHERE = (*ENGINES, HOST)  # targets that are none of the services


OF_SUPPLIERS = frozenset(("failover", "open_circuit", "close_circuit", "shed"))
OF_SERVICES = frozenset(
    ("scale", "rollback", "deploy", "flag_off", "flag_on", "drain", "undrain", "raise_limit", "limit_retries")
)


@dataclass(frozen=True, slots=True)
class Order:
    """An operation on its way: on what, with which parameters."""

    keeper: Keeper
    name: str
    parameters: Mapping[str, str]

    def number(self, name: str, least: float, most: float, otherwise: float | None = None) -> float:
        """A numeric parameter.

        Raises:
            Invalid: It is missing, no number or out of bounds.
        """
        words = self.parameters.get(name, "" if otherwise is None else str(otherwise))
        try:
            value = float(words)
        except ValueError as error:
            raise Invalid(f"{name}={words!r} is no number.", f"Say {name}={least:g} to {most:g}.") from error
        if not least <= value <= most:
            raise Invalid(f"{name}={value:g} is out of bounds.", f"Say {least:g} to {most:g}.")
        return value


Act = Callable[[Order], Awaitable[None]]


async def operate(keeper: Keeper, operation: Operation) -> None:
    """Do it.

    Raises:
        Invalid: There is no such operation, target or parameter.
    """
    name = name_of(operation.target)
    act = check(keeper, operation)
    keeper.told("operation", name, f"{operation.name} {name}", operation=operation.name)
    await act(Order(keeper, name, operation.parameters))


def name_of(target: EntityKey) -> str:
    """The target as the shop calls it: it has one host, whatever that is called."""
    return HOST if target.kind == HOST else target.name


def check(keeper: Keeper, operation: Operation) -> Act:
    """What does it, once it is known that it can be done there.

    Raises:
        Invalid: There is no such operation or target, or one does not go with the other.
    """
    act, name = ACTS.get(operation.name), name_of(operation.target)
    if act is None:
        raise Invalid(f"The shop knows no operation {operation.name!r}.", f"It knows: {', '.join(ACTS)}.")
    if name == USERS:
        raise Invalid("The users are not ours to operate.", "Scale what serves them, or shed a share of their work.")
    if name == OUTSIDE and operation.name not in OF_SUPPLIERS:
        raise Invalid(f"{operation.name} is not ours to do to a supplier.", f"Say: {', '.join(sorted(OF_SUPPLIERS))}.")
    if name not in ELSEWHERE:
        keeper.entry(name)
    elif operation.name in OF_SERVICES:
        raise Invalid(f"{operation.name} goes with a service, not with {name}.", f"There are: {', '.join(SERVICES)}.")
    return act


async def restart(order: Order) -> None:
    """End in order and start again; an engine too."""
    if order.name in ENGINES:
        if order.name not in order.keeper.halted:
            order.keeper.halt_engine(order.name)
        order.keeper.resume_engine(order.name)
    elif order.name in SERVICES:
        number = int(order.number("replica", 0, 9)) if "replica" in order.parameters else None
        await order.keeper.restart(order.name, number=number)
    else:
        raise Invalid("A host is not restarted from here.", "Name a service, postgres or nats.")


async def scale(order: Order) -> None:
    """Another number of replicas; one more when none is named."""
    here = len(order.keeper.replicas[order.name])
    await order.keeper.scale(order.name, int(order.number("replicas", 1, 6, min(6, here + 1))))


async def rollback(order: Order) -> None:
    """The version before."""
    await order.keeper.rollback(order.name)


async def deploy(order: Order) -> None:
    """Another version."""
    await order.keeper.deploy(order.name, order.parameters.get("version", ""))


async def flag_off(order: Order) -> None:
    """One flag, or the experiment and whatever else is on."""
    for flag in _flags(order):
        order.keeper.flag(order.name, flag, on=False)


async def flag_on(order: Order) -> None:
    """One flag."""
    for flag in _flags(order):
        order.keeper.flag(order.name, flag, on=True)


def _flags(order: Order) -> list[str]:
    flags = order.keeper.entry(order.name).flags
    named = order.parameters.get("flag")
    if named and named not in flags:
        raise Invalid(f"{order.name} has no flag {named!r}.", f"It has: {', '.join(flags) or 'none'}.")
    return [named] if named else [flag for flag, on in flags.items() if on]


async def restore_config(order: Order) -> None:
    """The configuration before."""
    order.keeper.restore_config(order.name)
    await order.keeper.revive(order.name)


async def failover(order: Order) -> None:
    """The standby supplier; a database that is down is brought back, as there is one only."""
    if order.name in ENGINES:
        order.keeper.resume_engine(order.name)
        return
    order.keeper.registry.supplier = "standby" if order.keeper.registry.supplier == "main" else "main"
    order.keeper.publish()


async def drain(order: Order) -> None:
    """No new work for one replica."""
    order.keeper.weigh(order.name, int(order.number("replica", 0, 9)), 0.0)


async def undrain(order: Order) -> None:
    """Work again."""
    order.keeper.weigh(order.name, int(order.number("replica", 0, 9)), 1.0)


async def balance(order: Order) -> None:
    """The same share for each."""
    order.keeper.weigh(order.name, None, 1.0)


async def clear_cache(order: Order) -> None:
    """Everything is forgotten."""
    await ask_each(order.keeper, "cache", "/clear")


async def warm_cache(order: Order) -> None:
    """Every category is asked for once, as far as that goes in a few seconds: the store has enough to do."""
    keeper = order.keeper
    waiting = iter(range(CATEGORIES))

    async def warm(replica: Replica) -> None:
        for category in waiting:
            with suppress(OSError, TimeoutError):
                await keeper.lines.ask(
                    replica.port, "GET", f"/list?category={category}", headers={}, timeout_s=WARM_S / 2
                )

    with suppress(TimeoutError):
        async with asyncio.timeout(WARM_S):
            await asyncio.gather(*(warm(replica) for replica in keeper.replicas["catalogue"]))


async def rotate_credential(order: Order) -> None:
    """A new password for the services, given to all."""
    order.keeper.registry.database_url = await order.keeper.new_credential()
    order.keeper.publish()


async def shed(order: Order) -> None:
    """A share is refused at the front door."""
    order.keeper.configure("gateway", {"shed": order.number("share", 0, 1)})


async def raise_limit(order: Order) -> None:
    """One setting of the configuration."""
    config, limit = order.keeper.entry(order.name).config, order.parameters.get("limit", "pool_size")
    if limit not in config:
        raise Invalid(f"{order.name} has no limit {limit!r}.", f"It has: {', '.join(config)}.")
    order.keeper.configure(order.name, {limit: order.number("value", 0, 1e6, config[limit] * 2)})


async def limit_retries(order: Order) -> None:
    """Fewer tries again."""
    order.keeper.configure(order.name, {"retries": order.number("value", 0, 10, 0)})


async def open_circuit(order: Order) -> None:
    """Payments are noted and charged later."""
    order.keeper.registry.circuit_open = True
    order.keeper.publish()


async def close_circuit(order: Order) -> None:
    """Payments are charged again."""
    order.keeper.registry.circuit_open = False
    order.keeper.publish()


async def reroute(order: Order) -> None:
    """Paths to and from the target go straight, and its name is looked up anew."""
    registry = order.keeper.registry
    registry.routes = {edge: port for edge, port in registry.routes.items() if order.name not in edge.split(">")}
    registry.unresolved = [name for name in registry.unresolved if name != order.name]
    order.keeper.publish()


async def end_query(order: Order) -> None:
    """Every session that is not the services' own is ended."""
    await execute(order.keeper, stock.END_QUERIES)


async def create_index(order: Order) -> None:
    """The index on stock."""
    await execute(order.keeper, stock.CREATE_INDEX)


async def free_disk(order: Order) -> None:
    """What filled the disk is removed."""
    disk.free(order.keeper.disk)


async def skip_message(order: Order) -> None:
    """Messages that failed a few times are put aside from now on."""
    order.keeper.configure("worker", {"dead_letter": 1})


def cure(*kinds: str) -> Act:
    """An operation that takes troubles of these kinds from the target's processes."""

    async def act(order: Order) -> None:
        entry = order.keeper.entry(order.name)
        entry.troubles = [each for each in entry.troubles if each.kind not in kinds]
        order.keeper.publish()

    return act


async def stop_neighbour(order: Order) -> None:
    """Foreign programs are ended."""
    order.keeper.end_neighbours()


ACTS: Mapping[str, Act] = {
    "restart": restart,
    "scale": scale,
    "rollback": rollback,
    "deploy": deploy,
    "flag_off": flag_off,
    "flag_on": flag_on,
    "restore_config": restore_config,
    "failover": failover,
    "drain": drain,
    "undrain": undrain,
    "balance": balance,
    "clear_cache": clear_cache,
    "warm_cache": warm_cache,
    "rotate_credential": rotate_credential,
    "shed": shed,
    "raise_limit": raise_limit,
    "limit_retries": limit_retries,
    "open_circuit": open_circuit,
    "close_circuit": close_circuit,
    "reroute": reroute,
    "end_query": end_query,
    "create_index": create_index,
    "free_disk": free_disk,
    "move_disk": cure("slow_disk"),
    "skip_message": skip_message,
    "stop_job": cure("cron_overlap"),
    "stop_neighbour": stop_neighbour,
    "sync_clock": cure("clock_skew"),
}
