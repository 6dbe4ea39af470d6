"""Entries of the journal become lines, whatever a program wrote into them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.intake.lines.journald import parse_entry
from cerebro.intake.lines.line import BODY_CHARS_MAX, bounded, table_of

ENTRY = {
    "__CURSOR": "s=ab;i=1",
    "__REALTIME_TIMESTAMP": "1763693105000123",
    "_SOURCE_REALTIME_TIMESTAMP": "1763693105000100",
    "PRIORITY": "3",
    "SYSLOG_IDENTIFIER": "sshd",
    "_EXE": "/usr/sbin/sshd",
    "_PID": "42",
    "_SYSTEMD_UNIT": "ssh.service",
    "MESSAGE": "Failed password for root",
}


def parse(**fields):
    return parse_entry(json.dumps(ENTRY | fields).encode())


def test_an_entry_becomes_a_line_of_its_process():
    [row] = table_of([parse()], "web-7").to_pylist()

    assert row["at_ns"] == 1763693105000100_000
    assert row["observed_ns"] == 1763693105000123_000
    assert (row["severity"], row["severity_text"]) == (17, "err")
    assert (row["body"], row["service"]) == ("Failed password for root", "sshd")
    assert (row["entity_kind"], row["entity_name"]) == ("process", "web-7:sshd")
    assert dict(row["attributes"]) == {"process.pid": "42", "systemd.unit": "ssh.service"}


def test_the_kernel_speaks_for_the_host():
    line = parse(SYSLOG_IDENTIFIER="kernel", _EXE=None, _COMM=None, _TRANSPORT="kernel", _PID=None)

    [row] = table_of([line], "web-7").to_pylist()
    assert (row["entity_kind"], row["entity_name"], row["service"]) == ("host", "web-7", "kernel")


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ([72, 105, 255], "Hi\ufffd"),
        (None, ""),
        ([[72, 105], [33]], "Hi"),
        (["a", "b"], "a"),
        ("\x1b[31m<b>'; DROP", "\x1b[31m<b>'; DROP"),
        ([], ""),
    ],
)
def test_a_message_in_any_of_its_forms(message, body):
    assert parse(MESSAGE=message).body == body


@pytest.mark.parametrize("priority", ["8", "", "x", None, "-1", "33"])
def test_a_priority_that_is_none_is_unknown(priority):
    assert parse(PRIORITY=priority).severity == 0


@given(st.binary())
def test_any_bytes_are_a_line_or_nothing(raw):
    parse_entry(raw)


@given(st.dictionaries(st.sampled_from(list(ENTRY)), st.none() | st.text() | st.lists(st.integers(0, 255))))
def test_any_fields_are_a_line_or_nothing(fields):
    line = parse(**fields)
    assert line is None or table_of([line], "h").num_rows == 1


def test_text_is_bounded():
    assert len(bounded("x" * (1 << 20), BODY_CHARS_MAX)) == BODY_CHARS_MAX
    assert bounded("\udcff", 9) == "?"
