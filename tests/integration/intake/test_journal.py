"""The machine's own logs reach the bus once each, through restarts, an absent bus and a crash in the middle."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cerebro.intake.journal import REMEMBERED_MS, JournalObserver
from cerebro.intake.lines.journald import Journald
from cerebro.intake.lines.line import CursorLost
from cerebro.intake.lines.syslog import Syslog
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.spine.errors import Unavailable
from cerebro.spine.wire import Kind, decode_table

JOURNALD = Path("/lib/systemd/systemd-journald")


class Shifted(SystemClock):
    """The machine's time, moved on by a test, and sleeps that end soon."""

    shift_ms = 0

    def now_ms(self):
        return super().now_ms() + self.shift_ms

    async def sleep(self, duration_s):
        await asyncio.sleep(min(duration_s, 0.01))


class Fragile(MemoryBus):
    """A bus that fails where a test says: `before` a message is stored, or `after`, when no one hears of it."""

    fails = ""

    async def publish(self, subject, body, *, dedup_key):
        if self.fails == "before":
            raise Unavailable("Down.")
        sequence = await super().publish(subject, body, dedup_key=dedup_key)
        if self.fails == "after":
            raise Unavailable("Down.")
        return sequence


@pytest.fixture
async def place(settings, tmp_path):
    clock = Shifted()
    bus = Fragile(clock)
    for stream in ALL:
        await bus.declare(stream)
    path = tmp_path / "syslog"
    path.write_text("")
    return Kernel(settings, clock, bus, None, None), bus, path


@contextlib.asynccontextmanager
async def following(kernel, source):
    stop = asyncio.Event()
    task = asyncio.create_task(JournalObserver(kernel, source=source, host="web-7").run(stop))
    yield
    stop.set()
    await asyncio.wait_for(task, 10)


async def bodies(bus):
    messages = await bus.read("logs", after=0, count_max=1000, bytes_max=1 << 26, wait_s=0)
    return [text for message in messages for text in decode_table(Kind.LOGS, message.body).column("body").to_pylist()]


async def until(bus, count, timeout_s=10):
    for _ in range(int(timeout_s / 0.02)):
        if len(await bodies(bus)) >= count:
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # and whatever would be too much
    return await bodies(bus)


async def test_lines_come_once_through_restarts(place):
    kernel, bus, path = place
    path.write_text("one\ntwo\n")
    async with following(kernel, Syslog(path, kernel.clock)):
        assert await until(bus, 2) == ["one", "two"]
    with path.open("a") as file:
        file.write("while away\n")
    async with following(kernel, Syslog(path, kernel.clock)):
        assert await until(bus, 3) == ["one", "two", "while away"]


@pytest.mark.parametrize("fails", ["before", "after"])
@pytest.mark.parametrize("later_ms", [0, REMEMBERED_MS + 60_000])
async def test_a_crash_in_the_middle_neither_loses_nor_repeats(place, fails, later_ms):
    kernel, bus, path = place
    path.write_text("one\ntwo\n")
    bus.fails = fails
    async with following(kernel, Syslog(path, kernel.clock)):
        await asyncio.sleep(0.2)
    with path.open("a") as file:
        file.write("three\n")

    bus.fails = ""
    kernel.clock.shift_ms = later_ms
    async with following(kernel, Syslog(path, kernel.clock)):
        assert await until(bus, 3) == ["one", "two", "three"]


async def test_without_any_log_it_waits_quietly(place, monkeypatch):
    kernel, bus, _ = place
    monkeypatch.setattr("cerebro.intake.journal.find_source", lambda clock: None)
    async with following(kernel, None):
        await asyncio.sleep(0.05)
    assert await bodies(bus) == []


@pytest.fixture
def journal(tmp_path):
    """A real journald with a namespace of its own, and a journalctl that reads it."""
    journalctl = shutil.which("journalctl")
    if os.geteuid() != 0 or not JOURNALD.exists() or not journalctl:
        pytest.skip("needs root and systemd-journald")
    name = f"cbr{os.getpid()}"
    run = Path(f"/run/systemd/journal.{name}")
    daemon = subprocess.Popen(
        [JOURNALD, name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 5
    while not (run / "dev-log").exists() and daemon.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\nexec {journalctl} --namespace={name} "$@"\n')
    program.chmod(0o755)

    def say(text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(run / "dev-log"))
            log.send(f"<11>cbrtest[7]: {text}".encode())

    try:
        if daemon.poll() is not None:
            pytest.skip("systemd-journald does not run here")
        yield say, str(program)
    finally:
        daemon.terminate()
        daemon.wait(5)
        shutil.rmtree(run, ignore_errors=True)
        for kept in (*Path("/run/log/journal").glob(f"*.{name}"), *Path("/var/log/journal").glob(f"*.{name}")):
            shutil.rmtree(kept, ignore_errors=True)


async def test_a_real_journal(place, journal):
    kernel, bus, _ = place
    say, program = journal
    say("before")
    async with following(kernel, Journald(program)):
        assert (await until(bus, 1))[-1] == "before"
        say("dur\x1bing")
        seen = await until(bus, len(await bodies(bus)) + 1)
    say("while away")
    async with following(kernel, Journald(program)):
        last = await until(bus, len(seen) + 1)

    assert [text for text in last if "before" in text or "away" in text] == ["before", "while away"]
    messages = await bus.read("logs", after=0, count_max=100, bytes_max=1 << 24, wait_s=0)
    rows = [row for message in messages for row in decode_table(Kind.LOGS, message.body).to_pylist()]
    [row] = [row for row in rows if row["body"] == "while away"]
    assert (row["service"], row["severity"], row["entity_kind"]) == ("cbrtest", 17, "process")


async def test_a_place_the_journal_does_not_know_is_reported(journal):
    source = Journald(journal[1])
    with pytest.raises(CursorLost):
        await source.lines("nonsense", 10, 5.0)
    await source.close()
