"""The tasks that read logs and traces: what they publish, and that a restart goes on where it was."""

import asyncio

import msgspec
import pyarrow as pa
import pytest

from cerebro.agents.support.flow_lines import LineDetector
from cerebro.agents.support.flow_spans import SpanDetector
from cerebro.agents.support.shares import DETECTORS
from cerebro.agents.support.store import load_standings
from cerebro.app.drivers import simulated_kernel
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.spine.telemetry import LOG_SCHEMA, SPAN_SCHEMA
from cerebro.spine.wire import Kind, encode_table


def table(schema, count, **columns):
    """Rows that are empty but for what is given."""
    empty = {pa.string(): "", pa.int64(): 0, pa.uint8(): 0}
    told = {field.name: [empty.get(field.type, [])] * count for field in schema}
    return pa.table(told | columns, schema=schema)


@pytest.fixture
async def kernel():
    kernel = simulated_kernel(Settings(), VirtualClock(seed=1))
    for stream in ALL:
        await kernel.bus.declare(stream)
    return kernel


async def passed(task, kernel):
    """Let the task read what is there, then stop it."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(task.run(stop))
    for _ in range(30):
        await kernel.clock.advance(1.0)
        await asyncio.sleep(0)
    stop.set()
    for _ in range(30):
        if running.done():
            break
        await kernel.clock.advance(1.0)
        await asyncio.sleep(0)
    await running


@pytest.mark.parametrize(("detector", "stream", "kind"), [
    (LineDetector, "logs", Kind.LOGS), (SpanDetector, "traces", Kind.SPANS)])  # fmt: skip
async def test_a_restart_takes_up_the_snapshot(kernel, detector, stream, kind):
    now_ns = kernel.clock.now_ms() * 1_000_000
    if kind is Kind.LOGS:
        rows = table(LOG_SCHEMA, 4, at_ns=[now_ns] * 4, body=["started", "took 5 ms", "took 6 ms", "\x00"],
                     entity_kind=["service"] * 4, entity_name=["shop"] * 4)  # fmt: skip
    else:
        rows = table(SPAN_SCHEMA, 2, at_ns=[now_ns] * 2, name=["GET", "SELECT"], span_id=["a", "b"],
                     parent_span_id=["", "a"], entity_kind=["service", "database"],
                     entity_name=["shop", "pg"])  # fmt: skip
    await kernel.bus.publish(f"telemetry.default.{stream}", encode_table(kind, rows), dedup_key="one")
    await kernel.bus.publish(f"telemetry.default.{stream}", b"no message", dedup_key="two")
    await passed(detector(kernel), kernel)

    noted = await load_standings(kernel.bus, "default")
    (name,) = noted
    assert name == ("lines" if kind is Kind.LOGS else "spans")
    assert noted[name].per_week == pytest.approx(5.0 * DETECTORS[name].whole)

    again = detector(kernel)
    await again.restore(0)
    state = again._states
    assert again._sequence == 2 and list(state) == ["default"]
    if kind is Kind.LOGS:
        assert {pair.count for pair in state["default"].pairs} == {1, 2}
        told = msgspec.json.decode(await kernel.bus.get_object("support", "default.templates"))
        assert "took <*> ms" in {each["text"] for each in told}
    else:
        assert list(state["default"].edges) == [(("service", "shop"), ("database", "pg"))]
