"""OTLP/JSON to OTLP/protobuf, so that one decoder serves both.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. It is proto3's JSON mapping, but ids are hex,
not base64, and enums are numbers.
"""

import base64
import binascii
from enum import Enum
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cerebro.spine.errors import Invalid

IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


class Signal(Enum):
    """What an export request carries."""

    METRICS = "metrics"
    LOGS = "logs"
    TRACES = "traces"


_MESSAGES: dict[Signal, type[Message]] = {
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.TRACES: ExportTraceServiceRequest,
}


def protobuf_of_json(body: bytes, signal: Signal) -> bytes:
    """The same export request in protobuf; unknown names are passed over.

    Raises:
        Invalid: Not JSON, or not an export request of that signal; the detail names the place.
    """
    mend = "Send an OTLP/JSON export request."
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"The body is not JSON: {error}.", mend) from error
    if not isinstance(tree, dict):
        raise Invalid("The body is JSON, but no object.", mend)
    message = _MESSAGES[signal]()
    try:
        json_format.ParseDict(_with_base64_ids(tree), message, ignore_unknown_fields=True, max_recursion_depth=100)
        return message.SerializeToString()
    except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"The body is no export request of {signal.value}: {error}.", mend) from error


def _with_base64_ids(tree: Any) -> Any:
    match tree:
        case dict():
            return {
                name: _base64(part) if name in IDS and isinstance(part, str) else _with_base64_ids(part)
                for name, part in tree.items()
            }
        case list():
            return [_with_base64_ids(part) for part in tree]
        case _:
            return tree


def _base64(digits: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(digits)).decode()
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"the id {digits[:40]!r} is not hexadecimal") from error
