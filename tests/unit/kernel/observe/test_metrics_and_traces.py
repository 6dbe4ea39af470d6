import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, TraceIdRatioBased
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cerebro.kernel.observe.metrics import expose, readings
from cerebro.kernel.observe.traces import TENANT, NotOurselves, span, start_tracing


@pytest.fixture
def registry():
    made = CollectorRegistry()
    Counter("cerebro_x_seen_total", "Seen.", ["reason"], registry=made).labels('a"b\n').inc(3)
    return made


def test_metrics_are_openmetrics(registry):
    """A strict parser reads what we expose."""
    body, content_type = expose(registry=registry)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    (family,) = text_string_to_metric_families(body.decode())
    assert family.samples[0].labels == {"reason": 'a"b\n'}


def test_an_old_scraper_gets_the_old_form(registry):
    """Content negotiation, for those that do not know OpenMetrics."""
    assert expose("text/plain", registry)[1].startswith("text/plain")


def test_readings_are_values_without_creation_times(registry):
    """What goes to our own tenant."""
    assert [(r.name, r.kind, r.value) for r in readings(registry)] == [("cerebro_x_seen_total", "counter", 3.0)]


@pytest.mark.parametrize(("tenant", "decision"), [("_cerebro", Decision.DROP), ("default", Decision.RECORD_AND_SAMPLE)])
def test_our_own_ingest_path_is_untraced(tenant, decision):
    """Storing a span of ours makes no span."""
    assert NotOurselves(ALWAYS_ON).should_sample(None, 1, "ingest", attributes={TENANT: tenant}).decision is decision


def test_few_traces_are_kept():
    """The share is a share of the trace ids."""
    sampler = NotOurselves(TraceIdRatioBased(0.01))
    kept = sum(
        sampler.should_sample(None, n * 0x9E3779B97F4A7C15 % 2**64, "x").decision is Decision.RECORD_AND_SAMPLE
        for n in range(20_000)
    )
    assert 100 < kept < 300


def test_spans_reach_the_exporter():
    """With their attributes; with the exception of what failed."""
    exporter = InMemorySpanExporter()
    stop = start_tracing("test", exporter, share=1.0)
    with span("outer", "default", rows=3), pytest.raises(ValueError, match="no"), span("inner"):
        raise ValueError("no")
    with span("own", "_cerebro"):
        pass
    stop()

    found = {each.name: each for each in exporter.get_finished_spans()}
    assert set(found) == {"outer", "inner"}
    assert found["outer"].attributes["rows"] == 3
    assert found["inner"].parent.span_id == found["outer"].context.span_id
    assert found["inner"].events[0].name == "exception"
