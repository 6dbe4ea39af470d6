import asyncio

import pytest
from opentelemetry import trace

from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.bus.streams import TRACES
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.observe.spans import OwnTraces
from cerebro.kernel.observe.traces import span
from cerebro.spine.errors import Unavailable
from cerebro.spine.wire import Kind, decode_table


@pytest.fixture(autouse=True)
def _fresh_provider(monkeypatch):
    """The SDK takes one provider a process; each test here brings its own."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", trace.Once())


async def run_with_spans(publish):
    stop = asyncio.Event()
    task = asyncio.create_task(OwnTraces(publish, "recorder", share=1.0).run(stop))
    while trace._TRACER_PROVIDER is None:  # noqa: ASYNC110  it is set by a library, which tells nobody
        await asyncio.sleep(0.01)
    with span("block_stored", "default", rows=5), span("insert"):
        pass
    stop.set()
    await asyncio.wait_for(task, 60)


async def test_our_spans_come_into_our_own_tenant():
    """Parent and child, with their attributes, in one message."""
    bus = MemoryBus(SystemClock())
    await bus.declare(TRACES)
    await run_with_spans(lambda subject, body, key: bus.publish(subject, body, dedup_key=key))

    (message,) = await bus.read("traces", after=0, count_max=9, bytes_max=1 << 20, wait_s=0)
    assert message.subject == "telemetry._cerebro.traces"
    inner, outer = decode_table(Kind.SPANS, message.body).to_pylist()
    assert (inner["name"], outer["name"], outer["service"]) == ("insert", "block_stored", "cerebro")
    assert dict(outer["resource"])["service.instance.id"] == "recorder"
    assert (inner["parent_span_id"], outer["parent_span_id"]) == (outer["span_id"], "")
    assert dict(outer["attributes"])["rows"] == "5"
    assert 0 <= inner["duration_ns"] <= outer["duration_ns"]


async def test_a_bus_that_is_gone_costs_the_spans_and_nothing_else():
    """Traces may be missed; what they trace may not."""

    async def publish(_subject, _body, _key):
        raise Unavailable("No bus.")

    await run_with_spans(publish)
