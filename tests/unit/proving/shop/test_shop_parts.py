"""The parts of the shop, each alone."""

import asyncio
import errno
from contextlib import nullcontext
from random import Random
from types import SimpleNamespace

import msgspec
import psycopg
import pytest

from cerebro.intake.cloudevents import events_of
from cerebro.kernel.clock import SystemClock, VirtualClock
from cerebro.proving.faults import ALL, OPERATIONS
from cerebro.proving.model import Operation
from cerebro.proving.shop import disk
from cerebro.proving.shop.breaks import BREAKS
from cerebro.proving.shop.control import Wanted
from cerebro.proving.shop.database import Pool
from cerebro.proving.shop.herald import Herald
from cerebro.proving.shop.keeper import Keeper
from cerebro.proving.shop.load import Felt, summary
from cerebro.proving.shop.operations import ACTS
from cerebro.proving.shop.plan import SERVICES, config_of, flags_of
from cerebro.proving.shop.prospect import look_ahead, state_of
from cerebro.proving.shop.proxy import Proxy, Weather
from cerebro.proving.shop.registry import EVERY_REPLICA, Board, Entry, Place, Registry, Trouble, load, save
from cerebro.proving.shop.wire import Answer, Lines, Request, serve
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid


async def echo(request: Request) -> Answer:
    return Answer(200, request.body or request.path.encode())


@pytest.fixture
async def echo_port():
    server = await serve(echo, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_what_the_shop_can_have_is_declared_and_what_it_can_do_too():
    """One catalogue for every ground."""
    assert set(BREAKS) <= set(ALL)
    assert set(ACTS) <= set(OPERATIONS)
    assert len([kind for kind in BREAKS if ALL[kind].cause_kind != "control"]) >= 36
    assert all(set(plan.targets) <= {*SERVICES, "postgres", "host"} for plan in BREAKS.values())


async def test_client_and_server_speak(echo_port):
    """Connections are kept, also beyond the requests that one connection may carry."""
    lines = Lines()
    answers = [
        await lines.ask(echo_port, "POST", "/x", body=f"{count}".encode(), headers={}, timeout_s=2)
        for count in range(90)
    ]
    lines.close()

    assert [int(each.body) for each in answers] == list(range(90))


async def test_a_silent_server_is_given_up_on(echo_port):
    """Through a cut path nothing comes back, and the client says so in time."""
    proxy, lines = Proxy((echo_port,), Weather(cut=True), SystemClock()), Lines()
    port = await proxy.open()

    with pytest.raises(TimeoutError):
        await lines.ask(port, "GET", "/x", headers={}, timeout_s=0.2)
    await proxy.close()


async def test_a_slow_path_is_slow_and_loses_nothing(echo_port):
    """The delay is each way."""
    clock, lines = SystemClock(), Lines()
    proxy = Proxy((echo_port,), Weather(delay_s=0.05), clock)
    port = await proxy.open()
    began_s = clock.monotonic_s()
    answer = await lines.ask(port, "GET", "/abc", headers={}, timeout_s=2)
    await proxy.close()
    lines.close()

    assert answer.body == b"/abc"
    assert clock.monotonic_s() - began_s >= 0.08


async def test_a_request_that_was_given_up_ends_at_the_server():
    """The server does not work for someone who has gone."""
    gone = asyncio.Event()

    async def slow(_request: Request) -> Answer:
        try:
            await asyncio.sleep(5)
        finally:
            gone.set()
        return Answer(200)

    server, lines = await serve(slow, 0), Lines()
    with pytest.raises(TimeoutError):
        await lines.ask(server.sockets[0].getsockname()[1], "GET", "/", headers={}, timeout_s=0.1)
    await asyncio.wait_for(gone.wait(), 2)
    server.close()


def board_of(tmp_path, trouble: Trouble, clock, incarnation=7) -> Board:
    file = tmp_path / "registry.json"
    save(Registry(services={"cart": Entry(troubles=[trouble])}), file)
    return Board(file, "cart", 0, incarnation=incarnation, version="1.4.0", clock=clock)


async def test_a_trouble_ends_by_itself(tmp_path):
    """Nobody needs to be alive to end it."""
    clock = VirtualClock()
    board = board_of(tmp_path, Trouble("a", "slow_cpu", EVERY_REPLICA, 0, clock.now_ms() + 1000), clock)

    assert board.trouble("slow_cpu")
    await clock.advance(1.1)
    assert board.trouble("slow_cpu") is None


def test_a_restarted_process_is_free_of_its_trouble(tmp_path):
    """What befell one start does not befall the next."""
    clock = VirtualClock()
    trouble = Trouble("a", "memory_leak", 0, 7, clock.now_ms() + 1000)

    assert board_of(tmp_path, trouble, clock, incarnation=7).trouble("memory_leak")
    assert board_of(tmp_path, trouble, clock, incarnation=8).trouble("memory_leak") is None


def test_the_registry_is_for_its_owner_only(tmp_path):
    """It holds passwords."""
    file = tmp_path / "registry.json"
    save(Registry(database_url="postgresql://x"), file)

    assert file.stat().st_mode & 0o077 == 0
    assert load(file).database_url == "postgresql://x"


def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path):
    """The quota holds, and what filled it can be removed."""
    disk.append(tmp_path, "journal", "1\n")
    disk.fill(tmp_path)
    with pytest.raises(OSError) as caught:
        disk.append(tmp_path, "journal", "2\n")
    disk.free(tmp_path)
    disk.append(tmp_path, "journal", "3\n")

    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "journal").read_text() == "1\n3\n"


def test_health_counts_what_users_felt():
    """Failures by share, durations by rank."""
    felt = summary([Felt(0, float(count), count % 10 != 0) for count in range(1, 101)])

    assert felt == {"request_count": 100, "error_share": 0.1, "p50_ms": 51.0, "p95_ms": 96.0}
    assert summary([])["error_share"] == 0


@pytest.fixture
def keeper(make_settings):
    """One that keeps nothing yet: the registry as planned, no processes."""
    keeper = Keeper(make_settings(), Wanted(), VirtualClock())
    keeper.registry = Registry()
    for name in SERVICES:
        keeper.registry.services[name] = Entry(
            places=[Place(0, 1), Place(1, 2)], config=config_of(name), flags=flags_of(name)
        )
        keeper.replicas[name], keeper.versions[name], keeper.configs[name] = [], ["1.4.0"], []
    return keeper


CART = EntityKey("service", "cart")


@pytest.mark.parametrize(
    ("operation", "change", "undo"),
    [
        (Operation("scale", CART, {"replicas": "3"}), ("replicas", "0", "3"), ("scale", {"replicas": "0"})),
        (Operation("deploy", CART, {"version": "1.4.1"}), ("version", "1.4.0", "1.4.1"), ("rollback", {})),
        (Operation("flag_off", CART), ("flag.notes", "yes", "no"), ("flag_on", {"flag": "notes"})),
        (Operation("drain", CART, {"replica": "1"}), ("weight.1", "1", "0"), ("undrain", {"replica": "1"})),
        (Operation("shed", CART, {"share": "0.2"}), ("gateway shed", "0", "0.2"), ("shed", {"share": "0"})),
        (
            Operation("raise_limit", CART, {"limit": "pool_size"}),
            ("cart pool_size", "6", "12"),
            ("raise_limit", {"value": "6", "limit": "pool_size"}),
        ),
        (Operation("limit_retries", CART), ("cart retries", "1", "0"), ("limit_retries", {"value": "1"})),
        (Operation("open_circuit", CART), ("circuit_open", "no", "yes"), ("close_circuit", {})),
        (Operation("failover", CART), ("supplier", "main", "standby"), ("failover", {})),
    ],
)
def test_a_dry_run_says_what_would_change_and_what_takes_it_back(keeper, operation, change, undo):
    """Nothing is done by it."""
    before = state_of(keeper, "cart")
    ahead = look_ahead(keeper, operation)

    assert [(each.what, each.before, each.after) for each in ahead.changes] == [change]
    assert [(each.name, each.parameters) for each in ahead.undo] == [undo]
    assert state_of(keeper, "cart") == before == ahead.state


@pytest.mark.parametrize("name", sorted(ACTS))
def test_every_operation_can_be_looked_at_first(keeper, name):
    """On a service that has all that an operation may need."""
    parameters = {"replica": "0", "share": "0.1", "version": "1.4.1"}

    assert look_ahead(keeper, Operation(name, CART, parameters)).state["version"] == "1.4.0"


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Operation("pray", CART), "no operation 'pray'"),
        (Operation("scale", EntityKey("service", "bar")), "no service 'bar'"),
        (Operation("scale", EntityKey("service", "postgres")), "goes with a service"),
        (Operation("scale", CART, {"replicas": "many"}), "no number"),
        (Operation("drain", CART, {"replica": "7"}), "no replica 7"),
        (Operation("raise_limit", CART, {"limit": "sky"}), "no limit 'sky'"),
    ],
)
def test_a_dry_run_refuses_what_cannot_be_done(keeper, operation, words):
    """With a line that says what can."""
    with pytest.raises(Invalid, match=words):
        look_ahead(keeper, operation)


def test_a_name_that_is_not_known_is_part_of_the_configuration(keeper):
    """A dry run says that going back makes it known; where all is as it was, that nothing would change."""
    restore = Operation("restore_config", CART)
    assert not look_ahead(keeper, restore).changes
    keeper.registry.unresolved.append("cart")

    assert [(each.what, each.after) for each in look_ahead(keeper, restore).changes] == [("name", "known")]


def test_the_state_tells_no_fault(keeper):
    """Who operates the shop sees what its own people see."""
    keeper.registry.services["cart"].troubles.append(Trouble("a", "slow_cpu", -1, 0, 1 << 60))
    keeper.registry.routes["gateway>cart"] = 4711

    assert "slow_cpu" not in str(state_of(keeper, "cart"))
    assert "4711" not in str(state_of(keeper, "cart"))


def test_a_fault_takes_back_only_its_own_settings(keeper, monkeypatch):
    """What others have changed meanwhile stays, and nobody goes back to the fault's settings afterwards."""
    monkeypatch.setattr(Keeper, "told", lambda *_arguments, **_labels: None)
    before, ours = config_of("gateway"), {"timeout_ms": 28.0, "retries": 8.0}
    keeper.configure("gateway", ours)
    keeper.configure("gateway", {"retries": 0.0})
    keeper.take_back("gateway", ours, before)
    config = keeper.entry("gateway").config

    assert (config["timeout_ms"], config["retries"]) == (before["timeout_ms"], 0.0)
    keeper.restore_config("gateway")
    assert keeper.entry("gateway").config["timeout_ms"] == before["timeout_ms"]


async def test_a_pool_loses_no_place_to_those_who_are_cut_off(monkeypatch):
    """Requests that are given up anywhere on the way give back what they hold."""
    board, told = SimpleNamespace(value=lambda _name: 2, trouble=lambda _kind: None), []
    board.registry = SimpleNamespace(database_url="")
    telling = SimpleNamespace(
        gauge=lambda *_: None,
        counter=lambda *_: None,
        storing=lambda *_: nullcontext(),
        log=lambda *_, **__: told.append(1),
    )
    pool = Pool(board, telling)

    async def connect(*_arguments, **_named):
        await asyncio.sleep(0.002)
        return SimpleNamespace(closed=False, broken=False, commit=lambda: asyncio.sleep(0.001), close=close)

    async def close() -> None:
        await asyncio.sleep(0)

    async def request() -> None:
        async with pool.connection():
            await asyncio.sleep(0.002)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    chance = Random(1)
    for _ in range(60):
        tasks = [asyncio.create_task(request()) for _ in range(6)]
        await asyncio.sleep(chance.uniform(0, 0.006))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert pool._taken_count == 0
    await asyncio.gather(request(), request(), request())
    assert not told


def test_a_change_is_told_as_a_cloud_event_that_cerebro_reads():
    """By its kind, its entity and its title; a supplier is outside, the machine has its own name."""
    herald = Herald("", "", VirtualClock())
    told = [
        herald.event("deploy", "cart", "cart 1.5.0 deployed", {"version": "1.5.0"}),
        herald.event("flag", "cart", "cart: bundles turned on", {"flag": "bundles"}),
        herald.event("schedule", "load", "Campaign mail goes out", {}),
        herald.event("restart", "postgres", "restart postgres", {}),
        herald.event("failover", "outside", "failover outside", {}),
    ]
    read = events_of(msgspec.json.encode(told), "application/cloudevents-batch+json", {}, 0).to_pylist()

    assert [each["kind"] for each in read] == ["deploy", "flag", "schedule", "restart", "shop_failover"]
    assert [f"{each['entity_kind']}/{each['entity_name']}" for each in read] == [
        "service/cart", "service/cart", "service/load", "service/postgres", "external/outside",
    ]  # fmt: skip
    assert read[0]["title"] == "cart 1.5.0 deployed"
