"""How each kind of fault is brought into the shop, on what, and how it is taken out again.

A break starts the trouble and returns what ends it; that may be called at any time, whatever has
been done to the shop meanwhile.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import msgspec
import nats
import psycopg

from cerebro.kernel.children import Child, State, Supervisor
from cerebro.kernel.engines.ground import BASE_ENVIRONMENT
from cerebro.proving.shop import disk, stock
from cerebro.proving.shop.acts import ask_each, execute
from cerebro.proving.shop.keeper import Keeper, Replica
from cerebro.proving.shop.plan import (
    EDGES,
    NEXT_VERSION,
    SERVICES,
    STREAM,
    SUBJECT,
    VERSION_ERRORS,
    VERSION_LATENCY,
    VERSION_LEAK,
)
from cerebro.proving.shop.proxy import Proxy, Weather
from cerebro.proving.shop.registry import Trouble

End = Callable[[], Awaitable[None]]
BURN = "while True: pass"
NEIGHBOURS = 16  # foreign processes: eight for each core of the smallest machine
PURGE_S = 30.0  # a machine that is busy takes its time over what has piled up
FAR_AWAY_MS = 120_000  # beyond a session's life
PASSED_S, CRASH_S, CRON_S = 0.5, 2.5, 2.0


@dataclass(frozen=True, slots=True)
class Site:
    """Where and for how long a fault is injected.

    Args:
        until_ms: When it ends also by itself.
    """

    keeper: Keeper
    id: str
    service: str
    until_ms: int
    chance: Random


Break = Callable[[Site], Awaitable[End]]


def inside(kind: str, amount: float, *, one_start: bool = True) -> Break:
    """A trouble in the service's processes; a restart is free of it when `one_start`."""

    async def begin(site: Site) -> End:
        keeper = site.keeper
        for replica in keeper.replicas[site.service]:
            incarnation = replica.incarnation if one_start else 0
            keeper.afflict(site.service, Trouble(site.id, kind, replica.number, incarnation, site.until_ms, amount))

        async def end() -> None:
            keeper.relieve(site.id)

        return end

    return begin


def deployed(version: str) -> Break:
    """A version is rolled out."""

    async def begin(site: Site) -> End:
        await site.keeper.deploy(site.service, version)

        async def end() -> None:
            if site.keeper.versions[site.service][-1] == version:
                await site.keeper.rollback(site.service)

        return end

    return begin


def configured(*, told: bool = True, **values: float) -> Break:
    """A configuration is put in place, announced or not; the target's processes read it as they run."""

    async def begin(site: Site) -> End:
        keeper = site.keeper
        before = dict(keeper.entry(site.service).config)
        keeper.configure(site.service, values, told=told)

        async def end() -> None:
            keeper.take_back(site.service, values, before, told=told)

        return end

    return begin


def announced(title: str, **values: float) -> Break:
    """Something planned that the shop's people tell beforehand."""
    quietly = configured(told=False, **values)

    async def begin(site: Site) -> End:
        site.keeper.told("schedule", site.service, title)
        return await quietly(site)

    return begin


def repeated(every_s: float, act: Callable[[Site], Awaitable[None]]) -> Break:
    """Something is done again and again."""

    async def begin(site: Site) -> End:
        async def go_on() -> None:
            while True:
                await act(site)
                await asyncio.sleep(every_s)

        return ending(asyncio.create_task(go_on()))

    return begin


def ending(*tasks: asyncio.Task[None]) -> End:
    """End tasks, and wait for their end."""

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return end


def pathway(weather: Weather) -> Break:
    """The path between the service's caller and the service goes through a proxy."""

    async def begin(site: Site) -> End:
        keeper = site.keeper
        caller = next(caller for caller, called in EDGES if called == site.service)
        ports = tuple(place.port for place in keeper.entry(site.service).places)
        proxy = Proxy(ports, weather, keeper.clock)
        edge, port = f"{caller}>{site.service}", await proxy.open()
        keeper.registry.routes[edge] = port
        keeper.publish()

        async def end() -> None:
            if keeper.registry.routes.get(edge) == port:
                del keeper.registry.routes[edge]
                keeper.publish()
            await asyncio.sleep(PASSED_S)  # until every service has seen it
            await proxy.close()

        return end

    return begin


def sessions(count: int, work: Callable[[Site, int, "psycopg.AsyncConnection[object]"], Awaitable[None]]) -> Break:
    """Sessions on the database that do harm for as long as they are there."""

    async def begin(site: Site) -> End:
        async def one(number: int) -> None:
            url = site.keeper.database_url
            async with await psycopg.AsyncConnection.connect(url, application_name="intruder") as connection:
                with suppress(psycopg.OperationalError):  # ended by `end_query`
                    await work(site, number, connection)

        return ending(*(asyncio.create_task(one(number)) for number in range(count)))

    return begin


async def _lock(_site: Site, _number: int, connection: "psycopg.AsyncConnection[object]") -> None:
    await connection.execute("SET idle_in_transaction_session_timeout = 0")
    await connection.execute("LOCK TABLE products, movements IN ACCESS EXCLUSIVE MODE")
    await asyncio.Event().wait()


async def migration(site: Site) -> End:
    """A change of the schema that takes a table's lock and keeps it."""
    site.keeper.told("migration", site.service, "Schema migration 47: products, movements")
    return await sessions(1, _lock)(site)


async def _report(_site: Site, _number: int, connection: "psycopg.AsyncConnection[object]") -> None:
    """A report over everything that wants the stock to stand still meanwhile."""
    while True:
        await connection.execute("SELECT product_id FROM stock FOR SHARE")
        await connection.execute(
            "SELECT count(*) FROM movements a JOIN movements b ON a.quantity = b.quantity AND a.id % 7 = b.id % 5"
        )


async def _cross(_site: Site, number: int, connection: "psycopg.AsyncConnection[object]") -> None:
    """Two sessions take the shelves of the best-selling products in opposite orders."""
    await connection.execute("SET idle_in_transaction_session_timeout = 0")
    order = range(1, 60) if number == 0 else range(59, 0, -1)
    while True:
        try:
            for product in order:
                await connection.execute("UPDATE stock SET quantity = quantity WHERE product_id = %s", (product,))
                await asyncio.sleep(0.02)
            await asyncio.sleep(1.0)
            await connection.commit()
        except psycopg.errors.DeadlockDetected:
            await connection.rollback()


async def crash(site: Site) -> End:
    """The target's processes are ended by force again and again, as a fault in what they remember would.

    Those that are started anew on purpose are free of it; those that only come back by themselves are not.
    """
    keeper, name = site.keeper, site.service
    ill = {replica.incarnation for replica in keeper.replicas[name]}

    async def again() -> None:
        while True:
            for replica in keeper.replicas[name]:
                if replica.incarnation in ill and replica.state is State.READY:
                    keeper.signal(replica, signal.SIGKILL)
            await asyncio.sleep(CRASH_S)

    return ending(asyncio.create_task(again()))


async def reindex(site: Site) -> None:
    """The scheduled job begins."""
    await ask_each(site.keeper, site.service, "/reindex")


async def cron(site: Site) -> End:
    """The job starts again and again, and none ends."""
    relieve = await inside("cron_overlap", 1, one_start=False)(site)
    stop = await repeated(CRON_S, reindex)(site)

    async def end() -> None:
        await stop()
        await relieve()

    return end


async def hang(site: Site) -> End:
    """One replica is stopped; it lives and does nothing."""
    replica: Replica = site.keeper.replicas[site.service][0]
    site.keeper.signal(replica, signal.SIGSTOP)

    async def end() -> None:
        if replica in site.keeper.every_replica():
            site.keeper.signal(replica, signal.SIGCONT)

    return end


async def flag(site: Site) -> End:
    """The experiment is switched on."""
    name = SERVICES[site.service].experiment
    site.keeper.flag(site.service, name, on=True)

    async def end() -> None:
        if site.keeper.entry(site.service).flags[name]:
            site.keeper.flag(site.service, name, on=False)

    return end


async def messages(site: Site, bodies: Sequence[bytes], every_s: float) -> End:
    """Messages come into the queue: once, or again and again."""
    bus = await nats.connect(site.keeper.registry.bus_url)

    async def send() -> None:
        while True:
            for body in bodies:
                await bus.publish(SUBJECT, body)
            await bus.flush()
            if not every_s:
                return
            await asyncio.sleep(every_s)

    sending = ending(asyncio.create_task(send()))

    async def end() -> None:
        await sending()
        await bus.jetstream(timeout=PURGE_S).purge_stream(STREAM)
        await bus.close()

    return end


async def backlog(site: Site) -> End:
    """A partner imports orders, more of them than one worker confirms."""
    return await messages(site, [msgspec.json.encode({"order": 0})] * 25, 0.2)


async def poison(site: Site) -> End:
    """Some messages cannot be read, and go back into the queue each time."""
    return await messages(site, [b'{"order": '] * 6, 0.0)


async def full_disk(site: Site) -> End:
    """Something has filled the disk."""
    disk.fill(site.keeper.disk)

    async def end() -> None:
        disk.free(site.keeper.disk)

    return end


async def no_index(site: Site) -> End:
    """The index that stock is looked up by is gone."""
    await execute(site.keeper, stock.DROP_INDEX)

    async def end() -> None:
        await execute(site.keeper, stock.CREATE_INDEX)

    return end


async def expired(site: Site) -> End:
    """The services' password is past its end; sessions that are open are cut."""
    keeper = site.keeper
    await execute(keeper, f"ALTER ROLE {stock.ROLE} VALID UNTIL '2020-01-01'")
    await execute(keeper, stock.END_SESSIONS)

    async def end() -> None:
        await execute(keeper, f"ALTER ROLE {stock.ROLE} VALID UNTIL 'infinity'")

    return end


async def primary(site: Site) -> End:
    """The database is down."""
    site.keeper.halt_engine("postgres")

    async def end() -> None:
        site.keeper.resume_engine("postgres")

    return end


async def unresolved(site: Site) -> End:
    """The service's name leads nowhere."""
    names = site.keeper.registry.unresolved
    names.append(site.service)
    site.keeper.publish()

    async def end() -> None:
        if site.service in names:
            names.remove(site.service)
            site.keeper.publish()

    return end


async def uneven(site: Site) -> End:
    """All work goes to one replica, which is slow enough to notice."""
    keeper, name = site.keeper, site.service
    before = dict(keeper.entry(name).config)
    keeper.configure(name, {"concurrency": 1})
    for replica in keeper.replicas[name][1:]:
        keeper.weigh(name, replica.number, 0.02)

    async def end() -> None:
        keeper.take_back(name, {"concurrency": 1}, before)
        keeper.weigh(name, None, 1.0)

    return end


async def loop(site: Site) -> End:
    """A configuration that no process starts with; the running ones are restarted for it."""
    keeper = site.keeper
    before = dict(keeper.entry(site.service).config)
    keeper.configure(site.service, {"concurrency": 0})
    await keeper.restart(site.service)

    async def end() -> None:
        keeper.take_back(site.service, {"concurrency": 0}, before)
        await keeper.revive(site.service)

    return end


async def neighbour(site: Site) -> End:
    """Foreign programs that only burn."""
    home = site.keeper.home
    children = [
        Child(
            name=f"neighbour-{number}",
            argv=(sys.executable, "-c", BURN),
            environment=BASE_ENVIRONMENT,
            log_file=home / "logs" / "neighbour.log",
        )
        for number in range(NEIGHBOURS)
    ]
    supervisor = Supervisor(children, site.keeper.clock)
    supervisor.start(lambda _duration_s: False)
    site.keeper.neighbours.append(supervisor)

    async def end() -> None:
        site.keeper.end_neighbours()

    return end


async def nothing(_site: Site) -> End:
    """Nothing is done."""
    return _done


async def planned_restart(site: Site) -> End:
    """One replica is restarted in order."""
    await site.keeper.restart(site.service, number=site.keeper.replicas[site.service][0].number)
    return _done


async def planned_scale(site: Site) -> End:
    """One replica more, and afterwards one less."""
    count = len(site.keeper.replicas[site.service])
    await site.keeper.scale(site.service, count + 1)

    async def end() -> None:
        if len(site.keeper.replicas[site.service]) > count:
            await site.keeper.scale(site.service, count)

    return end


async def _done() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind: how it begins, and which services can have it; the true cause may be another entity."""

    begin: Break
    targets: Sequence[str]
    cause: str = ""  # an engine or supplier, where the cause is none of the services


SEVERAL = ("catalogue", "cart", "payment")
BUSY = ("catalogue", "gateway")
WEB = ("catalogue", "cart", "gateway")
FLAGGED = tuple(name for name, plan in SERVICES.items() if plan.experiment and name != "recommendation")

BREAKS: Mapping[str, Plan] = {
    "crash": Plan(crash, WEB),
    "hang": Plan(hang, WEB),
    "slow_cpu": Plan(inside("slow_cpu", 0.75), BUSY),
    "memory_leak": Plan(inside("memory_leak", 2 << 20), BUSY),
    "connection_pool_exhaustion": Plan(inside("connection_pool_exhaustion", 1), ("catalogue", "cart")),
    "outside_api_slow": Plan(inside("outside_api_slow", 2400, one_start=False), ("outside",)),
    "outside_api_failing": Plan(inside("outside_api_failing", 0.85, one_start=False), ("outside",)),
    "bad_deploy_errors": Plan(deployed(VERSION_ERRORS), WEB),
    "bad_deploy_latency": Plan(deployed(VERSION_LATENCY), WEB),
    "bad_flag": Plan(flag, FLAGGED),
    "queue_backlog": Plan(backlog, ("worker",)),
    "cache_flush": Plan(configured(told=False, forget_ms=150), ("cache",)),
    "fd_exhaustion": Plan(inside("fd_exhaustion", 1), WEB),
    "thread_starvation": Plan(inside("thread_starvation", 350), WEB),
    "disk_full": Plan(full_disk, ("checkout",)),
    "slow_disk": Plan(inside("slow_disk", 2500, one_start=False), ("checkout",)),
    "packet_loss": Plan(pathway(Weather(loss_share=0.2)), ("catalogue", "cart")),
    "network_delay": Plan(pathway(Weather(delay_s=0.2)), ("catalogue", "cart")),
    "network_partition": Plan(pathway(Weather(cut=True)), ("catalogue", "cart", "payment")),
    "dns_failure": Plan(unresolved, ("catalogue", "cart", "payment")),
    "expired_credential": Plan(expired, ("postgres",)),
    "bad_deploy_leak": Plan(deployed(VERSION_LEAK), BUSY),
    "bad_config": Plan(configured(timeout_ms=28), ("gateway",)),
    "migration_lock": Plan(migration, ("postgres",)),
    "slow_query": Plan(sessions(3, _report), ("postgres",)),
    "missing_index": Plan(no_index, ("postgres",)),
    "deadlock": Plan(sessions(2, _cross), ("postgres",)),
    "primary_lost": Plan(primary, ("postgres",)),
    "poison_message": Plan(poison, ("worker",)),
    "retry_storm": Plan(configured(impatience_ms=8, retries=9), ("gateway",)),
    "traffic_surge": Plan(configured(told=False, surge=4.5), ("load",), "gateway"),
    "cron_overlap": Plan(cron, ("catalogue",)),
    "clock_skew": Plan(inside("clock_skew", FAR_AWAY_MS), ("cart", "checkout")),
    "noisy_neighbour": Plan(neighbour, ("host",)),
    "crash_loop": Plan(loop, WEB),
    "uneven_load": Plan(uneven, ("catalogue",)),
    "outside_api_limited": Plan(inside("outside_api_limited", 0.7, one_start=False), ("outside",)),
    "outside_api_garbled": Plan(inside("outside_api_garbled", 0.8, one_start=False), ("outside",)),
    "nothing": Plan(nothing, ("gateway",)),
    "harmless_deploy": Plan(deployed(NEXT_VERSION), SEVERAL),
    "planned_load": Plan(announced("Campaign mail goes out", surge=1.25), ("load",)),
    "planned_restart": Plan(planned_restart, SEVERAL),
    "harmless_config": Plan(configured(queue_max=150), WEB),
    "planned_scale": Plan(planned_scale, SEVERAL),
}
