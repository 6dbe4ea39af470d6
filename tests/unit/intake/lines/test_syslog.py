"""A syslog file read line by line, across rotations, without a loss or a repeat."""

import asyncio
from datetime import UTC, datetime

import pytest

from cerebro.intake.lines.syslog import CHUNK_BYTES, FIRST_BYTES, Syslog, parse_line
from cerebro.kernel.clock import SystemClock

NOW_NS = round(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * 1_000_000_000


def ns(*date):
    return round(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("text", "at_ns", "program", "body"),
    [
        ("2026-01-02T03:04:04+00:00 web-7 sshd[42]: Failed: x", ns(2026, 1, 2, 3, 4, 4), "sshd", "Failed: x"),
        ("2026-01-02T05:04:04.250000+02:00 web-7 CRON[1]: a", ns(2026, 1, 2, 3, 4, 4) + 250_000_000, "CRON", "a"),
        ("2026-01-02T03:04:04Z web-7 app: b", ns(2026, 1, 2, 3, 4, 4), "app", "b"),
        ("Jan  2 03:04:04 web-7 kernel: [1.0] oom", ns(2026, 1, 2, 3, 4, 4), "kernel", "[1.0] oom"),
        ("Dec 31 23:59:59 web-7 app: last year", ns(2025, 12, 31, 23, 59, 59), "app", "last year"),
        ("no form at all", NOW_NS, "", "no form at all"),
        ("2026-13-02T03:04:04Z web-7 app: no month", NOW_NS, "", "2026-13-02T03:04:04Z web-7 app: no month"),
        ("Feb 31 03:04:04 web-7 app: no day", NOW_NS, "", "Feb 31 03:04:04 web-7 app: no day"),
        ("", NOW_NS, "", ""),
    ],
)
def test_lines(text, at_ns, program, body):
    line = parse_line(text, NOW_NS, "1:1", UTC)

    assert (line.at_ns, line.program, line.body) == (at_ns, program, body)


@pytest.fixture
def syslog(tmp_path):
    """A file, and a reader that remembers its place."""
    path = tmp_path / "syslog"
    path.write_text("")
    source = Syslog(path, SystemClock())
    place = [f"{path.stat().st_ino}:0:"]

    def read(count_max=1000):
        lines = asyncio.run(source.lines(place[0], count_max, 0.0))
        if lines:
            place[0] = lines[-1].cursor
        return [line.body for line in lines]

    def write(*bodies, ended=True):
        with path.open("a") as file:
            file.write("\n".join(bodies) + "\n" * ended)

    return path, read, write


def test_lines_come_once_and_only_when_they_are_whole(syslog):
    _, read, write = syslog
    write("one", "two")
    write("thr", ended=False)
    assert read() == ["one", "two"]
    assert read() == []
    write("ee")
    assert read() == ["three"]


def test_a_rotated_file_is_read_to_its_end_first(syslog):
    path, read, write = syslog
    write("one", "two", "three")
    assert read(1) == ["one"]
    path.rename(path.with_name("syslog.1"))
    path.write_text("new\n")

    assert read() == ["two", "three"]
    assert read() == ["new"]
    assert read() == []


def test_a_file_cut_in_place_begins_again(syslog):
    path, read, write = syslog
    write("one", "a longer second line")
    read()
    path.write_text("after\n")

    assert read() == ["after"]


def test_a_file_cut_and_grown_past_the_place_is_noticed(syslog):
    path, read, write = syslog
    write("one")
    read()
    path.write_text("a whole other line\n")

    assert read() == ["a whole other line"]


def test_a_file_that_is_gone_is_waited_for(syslog):
    path, read, write = syslog
    write("one")
    read()
    path.unlink()
    assert read() == []
    path.write_text("back\n")
    assert read() == ["back"]


def test_the_same_place_and_count_give_the_same_lines(syslog):
    path, _, write = syslog
    write(*map(str, range(50)))
    source, start = Syslog(path, SystemClock()), f"{path.stat().st_ino}:0:"

    first = asyncio.run(source.lines(start, 7, 0.0))
    again = asyncio.run(source.lines(start, 7, 0.0))

    assert [(line.body, line.cursor) for line in first] == [(line.body, line.cursor) for line in again]


def test_the_first_start_shows_the_last_lines_only(tmp_path):
    path = tmp_path / "syslog"
    path.write_text("".join(f"line {i}\n" for i in range(100_000)))

    lines = asyncio.run(Syslog(path, SystemClock()).lines("", 1_000_000, 0.0))

    assert lines[-1].body == "line 99999"
    assert lines[0].body.startswith("line ")
    assert sum(len(line.body) + 1 for line in lines) <= FIRST_BYTES


def test_a_line_without_end_is_taken_in_pieces(syslog):
    path, read, write = syslog
    path.write_bytes(b"\x00\xff" * CHUNK_BYTES)

    assert len(read()[0]) == CHUNK_BYTES
    assert len(read()[0]) == CHUNK_BYTES
    write("", "next")
    assert read() == ["", "next"]
