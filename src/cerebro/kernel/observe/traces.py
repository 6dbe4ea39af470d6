"""Traces of Cerebro itself, few and cheap, and none of the way that they take themselves.

Until `start_tracing` is called every span is a no-op.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from cerebro.spine.identity import SELF_TENANT

TENANT = "cerebro.tenant"
SHARE = 0.01  # of the traces that begin here; self-telemetry may be 1 % of ingest
LIMITS = SpanLimits(max_attributes=32, max_attribute_length=512, max_events=16, max_links=8)


class NotOurselves(Sampler):
    """Drops every span of Cerebro's own tenant, so that storing a span makes no span.

    Args:
        others: Decides about the rest.
    """

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(  # noqa: PLR0917  the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Drop, or ask `others`."""
        if attributes and attributes.get(TENANT) == SELF_TENANT:
            return SamplingResult(Decision.DROP)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """For the SDK."""
        return f"NotOurselves({self._others.get_description()})"


def start_tracing(service: str, exporter: SpanExporter, share: float = SHARE) -> Callable[[], None]:
    """Send a share of this process's traces to `exporter`, in batches from a thread of its own.

    A trace that came in from outside with a decision keeps it.

    Returns:
        What flushes and ends it; call it when the process stops.
    """
    others = ParentBased(TraceIdRatioBased(share))
    provider = TracerProvider(
        sampler=NotOurselves(others),
        resource=Resource.create({"service.name": "cerebro", "service.instance.id": service}),
        span_limits=LIMITS,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2048, schedule_delay_millis=2000))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextmanager
def span(name: str, tenant: str = "", **attributes: AttributeValue) -> Iterator[trace.Span]:
    """Time a piece of work. What it raises is recorded on the span and goes on."""
    known = {key.replace("__", "."): value for key, value in attributes.items()}
    with _tracer_of(trace.get_tracer_provider()).start_as_current_span(
        name, attributes={TENANT: tenant, **known}
    ) as current:
        yield current


@lru_cache(maxsize=4)  # making one costs 40 us
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    return provider.get_tracer("cerebro")
