"""Change events: CloudEvents 1.0, structured, in batches or binary, and the shape of Amazon EventBridge.

The kind of a change is the first word of its type that is known (`deploy`, `config`, `flag` …), else the type itself.
What it is about is named by `data.entity` (`kind/name`), by `subject` when that is `kind/name`, by the labels in `data`
as for telemetry, by `data.service`, by a bare `subject` as a service, by the last part of the first ARN in `resources`.

Source: CloudEvents 1.0.2, JSON format and HTTP protocol binding; Amazon EventBridge user guide, event structure.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec
import pyarrow as pa

from cerebro.intake.entity import UNKNOWN, clean, entity_of
from cerebro.spine.errors import Invalid, TooLarge
from cerebro.spine.telemetry import EVENT_SCHEMA

EVENTS_MAX = 1000
BODY_CHARS_MAX = 16_384
TITLE_CHARS_MAX = 300
DEPTH_MAX = 20
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
KINDS = (
    ("rollback", "deploy"), ("rolledback", "deploy"), ("deploy", "deploy"), ("release", "deploy"),
    ("rollout", "deploy"), ("migrat", "migration"), ("schema", "migration"), ("config", "config"), ("flag", "flag"),
    ("toggle", "flag"), ("experiment", "flag"), ("restart", "restart"), ("reboot", "restart"), ("scal", "scale"),
    ("schedul", "schedule"), ("cron", "schedule"), ("maintenance", "schedule"), ("certificate", "config"),
)  # fmt: skip
_WORD = re.compile(r"[^0-9a-z]+")


def events_of(body: bytes, media: str, headers: Mapping[str, str], now_ms: int) -> pa.Table:
    """The events of a body as a table of EVENT_SCHEMA.

    Args:
        body: As sent, unfolded.
        media: Its content type, without parameters.
        headers: In lower case; those of the binary form begin with `ce-`.
        now_ms: Stands in for a missing time.

    Raises:
        Invalid: Not events; the detail says which, counted from 0, and what is missing.
        TooLarge: More than `EVENTS_MAX` of them.
    """
    if "ce-specversion" in headers and media not in (STRUCTURED, BATCH):
        every: list[Any] = [_binary(body, media, headers)]
    else:
        found = _json(body)
        every = found if isinstance(found, list) else [found]
    if len(every) > EVENTS_MAX:
        raise TooLarge(f"The body holds {len(every)} events; at most {EVENTS_MAX} are taken at once.", "Send fewer.")
    rows = [_row(event, place, now_ms) for place, event in enumerate(every)]
    columns = zip(*rows, strict=True) if rows else [[] for _ in EVENT_SCHEMA]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, EVENT_SCHEMA, strict=True)], schema=EVENT_SCHEMA
    )


def kind_of(text: str) -> str:
    """What sort of change a type tells of.

    >>> kind_of("dev.cdevents.service.deployed.0.1.0"), kind_of("ECS Deployment State Change"), kind_of("Tea is ready")
    ('deploy', 'deploy', 'tea_is_ready')
    """
    low = text.lower()
    known = next((kind for word, kind in KINDS if word in low), "")
    return known or _WORD.sub("_", low)[:60].strip("_") or "change"


def _row(event: object, place: int, now_ms: int) -> Sequence[object]:
    if not isinstance(event, dict):
        raise Invalid(f"Event {place} is no JSON object.", "Send CloudEvents 1.0, or EventBridge's shape.")
    if "detail-type" in event:
        event = {
            "specversion": "1.0", "id": event.get("id"), "source": event.get("source"), "type": event["detail-type"],
            "time": event.get("time"), "data": event.get("detail"), "resources": event.get("resources"),
        }  # fmt: skip
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not clean(event[name]):
            raise Invalid(f"Event {place} has no {name}.", "CloudEvents 1.0 asks for id, source, specversion and type.")
    if str(event.get("specversion", "")).partition(".")[0] != "1":
        raise Invalid(f"Event {place} has another specversion than 1.0.", 'Write "specversion": "1.0".')
    data = event.get("data") if isinstance(event.get("data"), dict) else {"data": event.get("data")}
    assert isinstance(data, dict)
    source, kind = clean(event["source"]), kind_of(event["type"])
    entity = _entity(event, data)
    identity = hashlib.sha256(f"{event['source']}\0{event['id']}".encode("utf-8", "replace")).hexdigest()[:32]
    return (
        _time_ns(event.get("time"), now_ms, place), identity, kind, source, *entity,
        _title(event, data, entity), _body(event, data),
    )  # fmt: skip


def _entity(event: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str]:
    for text in (data.get("entity"), event.get("subject")):
        if isinstance(text, str) and (parts := clean(text).partition("/"))[2] and parts[0].isidentifier():
            return parts[0], parts[2]
    labels = {name: value for name, value in _texts(data).items() if name != "job"}
    found = entity_of(labels)
    if found != UNKNOWN:
        return found
    if service := clean(str(data.get("service") or "")) or clean(str(event.get("subject") or "")):
        return "service", service
    resources = event.get("resources")
    if isinstance(resources, list) and resources:
        return "resource", clean(re.split(r"[:/]", str(resources[0])[:2000])[-1]) or "unknown"
    return "service", clean(re.split(r"[:/]", event["source"].rstrip("/")[:2000])[-1]) or "unknown"


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    """The labels in the data: its own texts, and those of its `labels` or `attributes`."""
    found = {str(name): value for name, value in data.items() if isinstance(value, str)}
    for name in ("labels", "attributes", "resource"):
        inner = data.get(name)
        if isinstance(inner, dict):
            found |= {str(key): value for key, value in inner.items() if isinstance(value, str)}
    return found


def _title(event: Mapping[str, Any], data: Mapping[str, Any], entity: tuple[str, str]) -> str:
    for name in ("title", "summary", "message", "description"):
        if isinstance(data.get(name), str) and (said := _line(data[name])):
            return said
    version = data.get("version")
    more = f" to {_line(str(version))}" if isinstance(version, str | int | float) else ""
    return f"{_line(event['type'])} of {entity[0]}/{entity[1]}{more}"[:TITLE_CHARS_MAX]


def _line(text: str) -> str:
    line = " ".join(text[: 4 * TITLE_CHARS_MAX].split())
    return "".join(mark for mark in line if mark.isprintable())[:TITLE_CHARS_MAX]


def _body(event: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    try:
        text = msgspec.json.encode({"type": event["type"], "id": event["id"], **data}).decode()
    except (TypeError, UnicodeEncodeError, RecursionError, OverflowError):
        return "{}"
    return text if len(text) <= BODY_CHARS_MAX else msgspec.json.encode({"cut": len(text)}).decode()


def _binary(body: bytes, media: str, headers: Mapping[str, str]) -> dict[str, Any]:
    event: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }
    is_json = media.endswith("json") and body.strip()
    return event | {"data": _json(body) if is_json else {}}


def _json(body: bytes) -> Any:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not JSON: {error}.", "Send CloudEvents 1.0 as JSON.") from error
    if _is_deep(found, DEPTH_MAX):
        raise Invalid(f"The body is nested deeper than {DEPTH_MAX}.", "Send flatter data.")
    return found


def _is_deep(value: object, left: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_is_deep(each, left - 1) for each in inner)


def _time_ns(text: object, now_ms: int, place: int) -> int:
    if text is None:
        return now_ms * 1_000_000
    try:
        at = datetime.fromisoformat(str(text)[:40])
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000) * 1_000_000
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Event {place} has a time that is none.", "Write RFC 3339: 2026-01-31T09:30:00Z.") from error
