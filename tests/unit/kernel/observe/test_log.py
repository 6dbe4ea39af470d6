import io
import json
import logging
import socket

import pytest
import structlog

from cerebro.kernel.observe.log import REDACTED, get_log, start_logging


@pytest.fixture
def lines():
    """Logging into memory; what it was before comes back afterwards."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    out = io.StringIO()
    start_logging("info", "collector", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_a_line_has_the_fields_that_log_stores_expect(lines):
    """Field names and their order are those of the specification; the rest follows."""
    structlog.contextvars.bind_contextvars(
        request_id="r1", user_id="u1", method="GET", path="/api/v1/cases", status=200, duration_ms=12.5
    )
    get_log("cerebro.x").info("request_answered", items=3)

    (line,) = lines()
    wanted = "timestamp level service pod request_id user_id method path status duration_ms message"
    assert list(line)[:11] == wanted.split()
    assert (line["level"], line["service"], line["pod"]) == ("info", "collector", socket.gethostname())
    assert (line["message"], line["items"], line["module"]) == ("request_answered", 3, "cerebro.x")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "refresh_token", "webhook_secret", "X-Api-Key", "set_cookie", "nats_password"]
)
def test_secrets_never_reach_a_log(lines, name):
    """By the name of the field, at any depth."""
    get_log("x").info("login_failed", **{name: "hunter2"}, headers={name: "hunter2", "accept": "*/*"})

    (line,) = lines()
    assert line[name] == REDACTED
    assert line["headers"] == {name: REDACTED, "accept": "*/*"}


def test_harmless_names_are_shown(lines):
    """A word inside a name that hides nothing is no secret."""
    get_log("x").info("block_stored", dedup_token="metrics:1-5")
    assert lines()[0]["dedup_token"] == "metrics:1-5"


def test_levels_below_are_not_written(lines):
    """`debug` says nothing at level info."""
    get_log("x").debug("batch_seen")
    assert not lines()


def test_libraries_and_tracebacks_are_one_json_line_each(lines):
    """A line is a line, whoever wrote it."""
    logging.getLogger("asyncio").warning("Executing %s took long", "x\ny")
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        get_log("x").exception("task_crashed")

    library, crash = lines()
    assert library["message"] == "Executing x\ny took long"
    assert library["service"] == "collector"
    assert "ZeroDivisionError" in crash["exception"]


def test_what_is_hostile_stays_one_bounded_line(lines):
    """Line breaks are escaped, long values are cut, bytes and objects do not fail."""
    get_log("x").info("body_refused", body="a\n{}" * 10_000, raw=b"\xff", what=object())
    (line,) = lines()
    assert len(line["body"]) < 5000
