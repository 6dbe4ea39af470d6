"""OTLP's messages for upb, with text kept as bytes.

The twins are made from the descriptors of `opentelemetry-proto`, every `string` declared `bytes`: the wire is
the same, but text that is not UTF-8 is ours to refuse or mend, record by record, where upb would throw away the body.
"""

from typing import TypeVar

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from cerebro.intake.decode.identity import Value
from cerebro.spine.errors import Invalid, TooLarge

UPB_BYTES_MAX = 16 << 20
"""Largest body that upb is given: its tree takes up to fifty times the body, where the body means harm."""

_pool = DescriptorPool()


def _add(file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add(dependency)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _as_bytes(message)
    _pool.Add(proto)


def _as_bytes(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _as_bytes(nested)


def _twin(name: str) -> type[Message]:
    return GetMessageClass(_pool.FindMessageTypeByName(f"opentelemetry.proto.{name}"))


for _service in (metrics_service_pb2, logs_service_pb2, trace_service_pb2):
    _add(_service.DESCRIPTOR)

Metrics = _twin("collector.metrics.v1.ExportMetricsServiceRequest")
Logs = _twin("collector.logs.v1.ExportLogsServiceRequest")
Traces = _twin("collector.trace.v1.ExportTraceServiceRequest")
AnyValue = _twin("common.v1.AnyValue")
Event = _twin("trace.v1.Span.Event")
Link = _twin("trace.v1.Span.Link")


Kind = TypeVar("Kind", bound=Message)


def parsed(message: type[Kind], body: bytes) -> Kind:
    """One message read by upb.

    Raises:
        Invalid: The bytes are not protobuf.
        TooLarge: More bytes than upb is given here.
    """
    if len(body) > UPB_BYTES_MAX:
        raise TooLarge(f"The body has {len(body)} bytes; {UPB_BYTES_MAX} fit this form.", "Send smaller batches.")
    found = message()
    try:
        found.ParseFromString(body)
    except DecodeError as error:
        raise Invalid(
            f"The body is no {message.DESCRIPTOR.name}.", "Send the protobuf message, uncompressed."
        ) from error
    return found


def plain(value: Message) -> Value:
    """An AnyValue of a twin as a Python value; what is not UTF-8 in it is replaced."""
    which = value.WhichOneof("value")
    match which:
        case "string_value":
            return text(value.string_value)  # type: ignore[attr-defined]
        case "array_value":
            return [plain(each) for each in value.array_value.values]  # type: ignore[attr-defined]
        case "kvlist_value":
            return {text(each.key): plain(each.value) for each in value.kvlist_value.values}  # type: ignore[attr-defined]
        case None | "string_value_strindex":
            return None
        case _:
            found: Value = getattr(value, which)
            return found


def text(body: bytes) -> str:
    """Text from the wire; what is not UTF-8 in it becomes U+FFFD."""
    return body.decode(errors="replace")
