"""The bus on a real server that is killed, hangs, and is asked for more than small change."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from cerebro.kernel.bus.nats import NatsBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.bus.retry import publish_until, retrying
from cerebro.kernel.children import Supervisor
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.nats import ask_health, nats_url, prepare_nats
from cerebro.kernel.secrets import load_secrets
from cerebro.spine.errors import Unavailable

GIB = 1 << 30


@pytest.fixture
async def server(make_settings):
    """A server of the test's own under a supervisor that ticks in the test's loop."""
    settings = make_settings()
    supervisor = Supervisor([prepare_nats(settings)], SystemClock())
    supervisor.start(lambda _pause_s: False)

    async def keep():
        while True:
            supervisor.tick()
            await asyncio.sleep(0.02)

    keeping = asyncio.create_task(keep())
    yield settings, supervisor
    keeping.cancel()
    supervisor.stop(lambda _pause_s: None)


async def test_kills_lose_nothing_and_repeat_nothing(server):
    """Three kills -9 under load: every acknowledged message is there once, and a reader sees each once, in order."""
    settings, supervisor = server
    clock = SystemClock()
    writer, reader = [await NatsBus.connect(nats_url(settings)) for _ in range(2)]
    await writer.declare(StreamSpec("m", ("m.*",), GIB, 3600))
    done, seen = asyncio.Event(), []

    async def publish(worker):
        acknowledged = []
        for number in range(40):
            body = f"{worker}-{number}".encode()
            acknowledged.append((await publish_until(writer, clock, "m.a", body, dedup_key=body.decode()), body))
            await asyncio.sleep(0.02)
        return acknowledged

    async def read():
        after = 0
        while not (done.is_set() and len(seen) >= 320):
            place = after
            messages = await retrying(
                lambda place=place: reader.read("m", after=place, count_max=50, bytes_max=GIB, wait_s=0.5), clock
            )
            seen.extend((m.sequence, m.body) for m in messages)
            after = seen[-1][0] if seen else 0

    reading = asyncio.create_task(read())
    working = [asyncio.create_task(publish(worker)) for worker in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.3)
        if pid := supervisor.statuses()[0].pid:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.4)
    acknowledged = [each for found in await asyncio.gather(*working) for each in found]
    done.set()
    async with asyncio.timeout(10):
        await reading

    assert len(acknowledged) == 320
    assert seen == sorted(acknowledged)
    assert supervisor.statuses()[0].restarts >= 2
    await writer.close()
    await reader.close()


def stop_still(pid):
    """Stop a process, and wait for it: on a busy machine its threads run on for a while after the signal."""
    os.kill(pid, signal.SIGSTOP)
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    while any((thread / "stat").read_text().rpartition(")")[2].split()[0] != "T" for thread in threads):
        time.sleep(0.01)


async def test_a_lost_server_is_told_at_once(server):
    """Whoever waits for an answer does not wait for the timeout."""
    settings, supervisor = server
    clock = SystemClock()
    bus = await NatsBus.connect(nats_url(settings), publish_timeout_s=30)
    await bus.declare(StreamSpec("m", ("m.*",), GIB, 3600))
    stop_still(supervisor.statuses()[0].pid)
    waiting = asyncio.create_task(bus.publish("m.a", b"x", dedup_key="k"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    began_s = clock.monotonic_s()
    os.kill(supervisor.statuses()[0].pid, signal.SIGKILL)
    with pytest.raises(Unavailable):
        await waiting
    assert clock.monotonic_s() - began_s < 2
    assert await publish_until(bus, clock, "m.a", b"x", dedup_key="k") == 1
    await bus.close()


async def test_a_server_that_hangs_is_unavailable_in_time(server):
    """No answer within the timeout; the same key is safe afterwards."""
    settings, supervisor = server
    bus = await NatsBus.connect(nats_url(settings), publish_timeout_s=0.3)
    await bus.declare(StreamSpec("m", ("m.*",), GIB, 3600))
    pid = supervisor.statuses()[0].pid
    stop_still(pid)
    with pytest.raises(Unavailable, match=r"0\.3 s"):
        await bus.publish("m.a", b"x", dedup_key="k")
    os.kill(pid, signal.SIGCONT)
    assert await publish_until(bus, SystemClock(), "m.a", b"x", dedup_key="k") == 1
    assert (await bus.state("m")).last_sequence == 1
    await bus.close()


async def test_bulk_is_read_as_fast_as_it_comes(bus, tenant):
    """300 messages of 300 KB: published many in flight, read in far less than a second."""
    clock = SystemClock()
    await bus.declare(StreamSpec(tenant, (f"{tenant}.*",), GIB, 3600))
    body = os.urandom(300_000)
    gate = asyncio.Semaphore(32)

    async def publish(number):
        async with gate:
            await bus.publish(f"{tenant}.a", body, dedup_key=str(number))

    await asyncio.gather(*(publish(number) for number in range(300)))
    began_s, after, count = clock.monotonic_s(), 0, 0
    while count < 300:
        messages = await bus.read(tenant, after=after, count_max=500, bytes_max=16 << 20, wait_s=5)
        after, count = messages[-1].sequence, count + len(messages)
    assert clock.monotonic_s() - began_s < 3
    await bus.trim(tenant, upto=after)


async def test_a_wrong_password_and_a_missing_server_are_said(nats_server):
    """Both with what to look at."""
    for url in (nats_server.replace("cerebro:", "cerebro:x"), "nats://127.0.0.1:1"):
        with pytest.raises(Unavailable, match="cerebro status"):
            await NatsBus.connect(url)


def test_the_supervisor_can_ask_how_the_server_is(nats_server, settings):
    """Without a client library; a wrong port says nothing."""
    password = load_secrets(settings.data_dir).nats_password
    assert ask_health(settings.engines.nats_port, password)["status"] == "ok"
    assert ask_health(1, password) is None
    assert ask_health(settings.engines.nats_port, "wrong") is None


async def test_a_stream_that_was_being_made_when_the_server_was_killed_is_made_again(server):
    """And what comes into it then is there after the next kill; a half-made one that holds messages is kept aside."""
    settings, supervisor = server
    home = settings.data_dir / "nats"
    streams = home / "jetstream" / "jetstream" / "CEREBRO" / "streams"
    bus = await NatsBus.connect(nats_url(settings))
    await bus.declare(StreamSpec("m", ("m.*",), GIB, 3600))
    await bus.publish("m.a", b"first", dedup_key="first")
    described = (streams / "m" / "meta.inf").read_text()
    for name, block in (("half", b""), ("full", b"message")):
        made = streams / name
        for part in ("msgs", "obs"):
            (made / part).mkdir(parents=True)
        (made / "meta.inf").write_text(
            described.replace('"name":"m"', f'"name":"{name}"').replace('"m.*"', f'"{name}.*"')
        )
        (made / "meta.sum.tmp").write_bytes(b"")
        (made / "msgs" / "1.blk").write_bytes(block)
    reader = streams / "m" / "obs" / "reader"
    reader.mkdir()
    (reader / "meta.inf").write_text("{}")
    clock, password = SystemClock(), load_secrets(settings.data_dir).nats_password
    await bus.close()

    for round_ in range(2):
        os.kill(supervisor.statuses()[0].pid, signal.SIGKILL)
        while supervisor.statuses()[0].restarts <= round_ or supervisor.statuses()[0].state != "ready":
            await clock.sleep(0.05)
        said = await asyncio.to_thread(ask_health, settings.engines.nats_port, password)
        assert said["status"] == "ok"
        bus = await NatsBus.connect(nats_url(settings))
        await bus.declare(StreamSpec("half", ("half.*",), GIB, 3600))
        assert await bus.publish("half.a", b"x", dedup_key=str(round_)) == 1 + round_
        assert (await bus.state("m")).last_sequence == 1
        await bus.close()
    assert [(place / "msgs" / "1.blk").read_bytes() for place in (home / "set-aside").glob("full.*")] == [b"message"]
    assert not reader.exists()


@pytest.mark.parametrize(
    ("said", "alive"),
    [
        ([{"status": "ok"}] * 5, [True] * 5),
        ([{"status": "error", "error": "x"}, {"status": "ok"}] * 4, [True] * 8),  # a stream was being made
        ([{"status": "error", "error": "x"}] * 8, [True, True, False, *[True] * 5]),  # a restart does not mend it
        ([{"status": "error", "error": "x"}] * 3 + [{"status": "error", "error": "y"}] * 3, [True, True, False] * 2),
        ([*[{"status": "error", "error": "x"}] * 3, {"status": "ok"}] * 2, [True, True, False, True] * 2),  # it did
        ([None] * 6, [True] * 5 + [False]),
    ],
)
def test_a_server_is_started_again_for_what_lasts_and_what_that_may_mend(make_settings, monkeypatch, said, alive):
    answers = iter(said)
    monkeypatch.setattr("cerebro.kernel.engines.nats.ask_health", lambda _port, _password: next(answers))
    look = prepare_nats(make_settings()).alive

    assert [look(0) for _ in said] == alive
