"""A disk that is really full: a clear refusal, nothing lost, and work again when there is room."""

import asyncio
import os
import subprocess
import time

import pytest

from cerebro.kernel.bus.nats import NatsBus
from cerebro.kernel.bus.port import StreamSpec
from cerebro.kernel.children import Supervisor, log_tail
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.engines.nats import nats_url, prepare_nats
from cerebro.spine.errors import CerebroError, LimitReached

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path_factory):
    """A file system of 48 MiB; needs root and mounts."""
    place = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def make_room(small_disk):
    return lambda: subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)


@pytest.fixture
def server(small_disk, make_settings):
    settings = make_settings(data_dir=small_disk / "data")
    settings.data_dir.mkdir()
    supervisor = Supervisor([prepare_nats(settings)], SystemClock())
    supervisor.start(lambda pause_s: bool(time.sleep(pause_s)))
    yield settings, supervisor
    supervisor.stop(time.sleep)


async def publish_until_refused(bus, first, count=400):
    for number in range(first, first + count):
        try:
            await bus.publish("m.a", os.urandom(300_000), dedup_key=str(number))
        except CerebroError as error:
            return number, error
    raise AssertionError("never refused")


async def test_a_nearly_full_disk_refuses_before_the_server_is_hurt(server, small_disk):
    """With the watched margin the server never meets the end of the disk."""
    settings, _ = server
    bus = await NatsBus.connect(nats_url(settings), disk=small_disk, disk_free_bytes_min=8 * MIB)
    await bus.declare(StreamSpec("m", ("m.*",), 1024 * MIB, 3600))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(41 * MIB))
    await asyncio.sleep(1.1)  # it looks once a second
    with pytest.raises(LimitReached, match="free on the disk"):
        await bus.publish("m.a", b"x", dedup_key="k")

    ballast.unlink()
    await asyncio.sleep(1.1)
    assert await bus.publish("m.a", b"x", dedup_key="k") == 1
    await bus.close()


async def test_a_full_disk_is_recovered_from(server, make_room):
    """The server that met the end of the disk is started again once there is room; what it acknowledged is there."""
    settings, supervisor = server
    bus = await NatsBus.connect(nats_url(settings), publish_timeout_s=1)
    await bus.declare(StreamSpec("m", ("m.*",), 1024 * MIB, 3600))
    refused, error = await publish_until_refused(bus, 0)
    assert error.retry

    make_room()
    clock = SystemClock()
    until_s = clock.monotonic_s() + 30  # ill health has to last before it is started again
    while (supervisor.statuses()[0].restarts, supervisor.statuses()[0].state) != (1, "ready"):
        assert clock.monotonic_s() < until_s, log_tail(settings.data_dir / "logs" / "nats.log")
        supervisor.tick()
        await clock.sleep(0.05)
    await clock.sleep(0.5)
    assert (await bus.state("m")).last_sequence == refused
    assert await bus.publish("m.a", b"x", dedup_key=str(refused)) == refused + 1
    await bus.close()
