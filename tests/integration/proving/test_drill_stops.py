"""A drill in life that is told to stop, or cannot begin, leaves no process of its own behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cerebro.kernel.settings import Settings, as_environment

WAIT_S = 120


def begun(settings: Settings, out: Path) -> subprocess.Popen:
    words = [sys.executable, "-m", "cerebro.cli.main", "drill", "--kind", "hang", "--seed", "1"]
    with out.open("wb") as told:
        return subprocess.Popen(
            words, env=as_environment(settings), stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT
        )


def left_of(settings: Settings) -> list[str]:
    """Processes that name this installation's directory."""
    root = str(settings.data_dir.parent)
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if root in line]


def begun_until(sign, settings, out):
    """A drill a second after it has told the sign."""
    drill = begun(settings, out)
    until_s = time.monotonic() + WAIT_S
    while sign not in out.read_text() and time.monotonic() < until_s:
        time.sleep(0.2)
    time.sleep(1)
    return drill


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("sign", ["Starting Cerebro", "Opening the shop", "nothing is wrong"])
def test_told_to_stop_at_any_moment(make_settings, tmp_path, sign):
    """Also by an impatient hand: the second signal does not cut the clearing up short."""
    settings, out = make_settings(), tmp_path / "told.txt"
    drill = begun_until(sign, settings, out)
    os.kill(drill.pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(drill.pid, signal.SIGTERM)

    assert drill.wait(WAIT_S) == 130
    assert "Nothing is left behind" in out.read_text()
    assert not left_of(settings)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("sign", ["Starting Cerebro", "nothing is wrong"])
def test_killed_at_once_it_leaves_nothing(make_settings, tmp_path, sign):
    """The Cerebro and the shop that it started end with it, in order, though nobody could tell them."""
    settings, out = make_settings(), tmp_path / "told.txt"
    drill = begun_until(sign, settings, out)
    os.kill(drill.pid, signal.SIGKILL)
    drill.wait(WAIT_S)

    until_s = time.monotonic() + WAIT_S
    while left_of(settings) and time.monotonic() < until_s:
        time.sleep(0.5)
    assert not left_of(settings)


@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_taken_port_is_said(make_settings, tmp_path):
    """In a line that names it, and nothing stays."""
    settings, out = make_settings(), tmp_path / "told.txt"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.http.port))
        taken.listen()
        assert begun(settings, out).wait(WAIT_S) != 0

    assert str(settings.http.port) in out.read_text()
    assert not left_of(settings)
