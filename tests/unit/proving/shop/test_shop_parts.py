"""The parts of the shop, each alone."""

import asyncio
import errno

import pytest

from cerebro.kernel.clock import SystemClock, VirtualClock
from cerebro.proving.faults import ALL, OPERATIONS
from cerebro.proving.shop import disk
from cerebro.proving.shop.breaks import BREAKS
from cerebro.proving.shop.load import Felt, summary
from cerebro.proving.shop.operations import ACTS
from cerebro.proving.shop.plan import SERVICES
from cerebro.proving.shop.proxy import Proxy, Weather
from cerebro.proving.shop.registry import EVERY_REPLICA, Board, Entry, Registry, Trouble, load, save
from cerebro.proving.shop.wire import Answer, Lines, Request, serve


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
