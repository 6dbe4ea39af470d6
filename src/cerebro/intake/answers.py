"""Answers in the form of the protocol that asked: Prometheus reads text, OTLP a `google.rpc.Status`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from cerebro.intake.body import TooSlow, Unsupported
from cerebro.intake.decode.otlp_json import Signal
from cerebro.intake.trouble import BadMethod, Busy
from cerebro.kernel.access.limits import TooManyRequests
from cerebro.spine.errors import (
    CerebroError,
    Forbidden,
    Invalid,
    LimitReached,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

RETRY_AFTER_S = 5  # for a full stream or an engine that does not answer, where nobody knows better
DETAIL_CHARS_MAX = 1000


class Form(Enum):
    """How a protocol writes its answers."""

    TEXT = "text/plain; charset=utf-8"
    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, ready to send."""

    status: int
    body: bytes = b""
    form: Form = Form.TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


# The first class that fits: HTTP status, and gRPC's code (google/rpc/code.proto).
_STATUSES: tuple[tuple[type[CerebroError], int, int], ...] = (
    (BadMethod, 405, 12),
    (Unsupported, 415, 3),
    (TooLarge, 413, 3),
    (Invalid, 400, 3),
    (TooSlow, 408, 4),
    (Unauthenticated, 401, 16),
    (Forbidden, 403, 7),
    (TooManyRequests, 429, 8),
    (Busy, 503, 14),
    (LimitReached, 503, 14),  # the stream is full: a server's trouble, not the sender's
    (Unavailable, 503, 14),
)
_OURS = (500, 13)


def refusal(error: CerebroError, form: Form) -> Answer:
    """The answer to a body that was not taken, or to a request that is none."""
    status, code = next(((http, grpc) for kind, http, grpc in _STATUSES if isinstance(error, kind)), _OURS)
    text = str(error)[:DETAIL_CHARS_MAX]
    headers: dict[str, str] = {}
    if status in (429, 503):
        headers["retry-after"] = str(max(1, math.ceil(getattr(error, "retry_after_s", RETRY_AFTER_S))))
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="cerebro", Basic realm="cerebro"'
    if status == 405:
        headers["allow"] = "POST"
    if form is Form.PROTOBUF:
        return Answer(status, _varint_field(1, code) + _text_field(2, text), form, headers)
    if form is Form.JSON:
        return Answer(status, msgspec.json.encode({"code": code, "message": text, "details": []}), form, headers)
    return Answer(status, f"{text}\n".encode(), form, headers)


_REJECTED_NAME = {
    Signal.METRICS: "rejectedDataPoints",
    Signal.LOGS: "rejectedLogRecords",
    Signal.TRACES: "rejectedSpans",
}


def taken_otlp(signal: Signal, form: Form, refused_count: int, message: str) -> Answer:
    """An `Export…ServiceResponse`: empty when all was taken, else how much was not, and why."""
    message = message[:DETAIL_CHARS_MAX]
    if form is Form.JSON:
        partial = {
            _REJECTED_NAME[signal]: str(refused_count),
            "errorMessage": message,
        }  # proto3 JSON writes int64 as text
        return Answer(200, msgspec.json.encode({"partialSuccess": partial} if refused_count else {}), form)
    if not refused_count:
        return Answer(200, b"", form)
    partial_success = _varint_field(1, refused_count) + _text_field(2, message)
    return Answer(200, b"\x0a" + _varint(len(partial_success)) + partial_success, form)


def taken_prometheus() -> Answer:
    """Remote write 1.0 has no words for a body taken in part: what is left out is counted."""
    return Answer(204)


def _varint_field(number: int, value: int) -> bytes:
    return bytes((number << 3,)) + _varint(value)


def _text_field(number: int, text: str) -> bytes:
    body = text.encode("utf-8", "replace")
    return bytes((number << 3 | 2,)) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    """Protobuf's base-128 number.

    >>> _varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
