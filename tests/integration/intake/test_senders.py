"""Real senders: the OpenTelemetry SDK exports into the doors, and a Prometheus writes into them."""

import asyncio
import logging
import shutil
import signal
import socket
import subprocess
import textwrap

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

RESOURCE = Resource({"service.name": "checkout", "host.name": "web-7", "service.instance.id": "1"})


def exporting(doors, path):
    return {
        "endpoint": f"http://127.0.0.1:{doors.port}{path}",
        "headers": {"authorization": f"Bearer {doors.tenant}"},
        "compression": Compression.Gzip,
        "timeout": 10,
    }


async def test_the_sdk_exports_metrics(doors):
    def export():
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], RESOURCE)
        meter = provider.get_meter("test")
        meter.create_counter("orders", unit="{order}").add(3, {"kind": "card"})
        meter.create_up_down_counter("queue").add(-2)
        meter.create_histogram("duration", unit="s").record(0.3)
        exporter = OTLPMetricExporter(**exporting(doors, "/v1/metrics"))
        result = exporter.export(reader.get_metrics_data())
        exporter.shutdown()
        provider.shutdown()
        return result

    assert (await asyncio.to_thread(export)).name == "SUCCESS"

    [batch] = await doors.batches()
    series = {(row["metric"], row["type"]): row for row in batch.series.to_pylist()}
    orders = series["orders", "counter"]
    assert dict(orders["labels"]) == {
        "host.name": "web-7", "kind": "card", "service.instance.id": "1", "service.name": "checkout",
    }  # fmt: skip
    assert (orders["entity_kind"], orders["entity_name"], orders["unit"]) == ("service", "checkout", "{order}")
    assert batch.value[batch.lo == orders["lo"]].tolist() == [3.0]
    assert {("queue", "gauge"), ("duration_bucket", "histogram"), ("duration_sum", "histogram")} <= series.keys()


async def test_the_sdk_exports_logs(doors):
    def export():
        provider = LoggerProvider(RESOURCE)
        provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**exporting(doors, "/v1/logs"))))
        logger = logging.getLogger("shop")
        handler = LoggingHandler(logger_provider=provider)
        logger.addHandler(handler)
        logger.error("card %s declined", "<b>4711</b>")
        logger.removeHandler(handler)
        provider.shutdown()

    await asyncio.to_thread(export)

    [table] = await doors.tables("logs")
    [row] = table.to_pylist()
    assert (row["body"], row["severity"], row["service"]) == ("card <b>4711</b> declined", 17, "checkout")


async def test_the_sdk_exports_traces(doors):
    def export():
        provider = TracerProvider(resource=RESOURCE)
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**exporting(doors, "/v1/traces"))))
        tracer = provider.get_tracer("test")
        with tracer.start_as_current_span("POST /pay") as span:
            span.add_event("charged", {"amount": 5})
            with tracer.start_as_current_span("SELECT"):
                pass
        provider.shutdown()

    await asyncio.to_thread(export)

    child, parent = [row for table in await doors.tables("traces") for row in table.to_pylist()]
    assert (parent["name"], child["name"]) == ("POST /pay", "SELECT")
    assert child["parent_span_id"] == parent["span_id"]
    assert child["trace_id"] == parent["trace_id"]
    assert '"charged"' in parent["events"]
    assert parent["entity_name"] == "checkout"


@pytest.fixture
def prometheus(doors, tmp_path):
    """A real Prometheus that scrapes itself and writes into the doors."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs Debian's prometheus")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "prometheus.yml").write_text(
        textwrap.dedent(f"""
            global: {{scrape_interval: 1s, scrape_timeout: 1s}}
            scrape_configs:
              - job_name: prometheus
                static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
            remote_write:
              - url: http://127.0.0.1:{doors.port}/api/v1/write
                authorization: {{credentials: {doors.tenant}}}
                queue_config: {{batch_send_deadline: 500ms, max_shards: 1}}
        """)
    )
    child = subprocess.Popen(
        [program, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield port
    child.send_signal(signal.SIGTERM)
    child.wait(10)


async def test_a_real_prometheus_writes_into_the_door(doors, prometheus):
    for _ in range(100):
        batches = await doors.batches()
        metrics = {row["metric"] for batch in batches for row in batch.series.to_pylist()}
        if len(batches) > 2 and "up" in metrics:
            break
        await asyncio.sleep(0.2)

    rows = [row for batch in batches for row in batch.series.to_pylist()]
    [up] = [row for row in rows if row["metric"] == "up"]
    assert dict(up["labels"]) == {"instance": f"127.0.0.1:{prometheus}", "job": "prometheus"}
    assert (up["entity_kind"], up["entity_name"]) == ("service", "prometheus")
    values = [
        value for batch in batches for value in batch.value[(batch.lo == up["lo"]) & (batch.hi == up["hi"])].tolist()
    ]
    assert values
    assert set(values) <= {0.0, 1.0}
    assert len(rows) == len({(row["hi"], row["lo"]) for row in rows}) > 300
    assert doors.app.refusals(doors.tenant) == []
