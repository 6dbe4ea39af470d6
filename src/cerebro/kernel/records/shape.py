"""What every driver does alike: values to JSON and back, the fields they are found by, cursors."""

import base64
import binascii
import typing
from functools import lru_cache
from typing import TypeVar

import msgspec

from cerebro.kernel.records.port import Collection, Record, Scalar, Search
from cerebro.spine.errors import Invalid

T = TypeVar("T")
NOT_THERE = "\ufffd"  # stands for what is no text
LISTS = (tuple, list, frozenset, set)


def encode(value: object) -> bytes:
    """The value as JSON.

    Raises:
        Invalid: A text in it is not Unicode, or holds a NUL, which PostgreSQL's JSON cannot.
    """
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise Invalid("A text holds half a surrogate pair.", "Send valid Unicode.") from error
    if b"\\u0000" in body:
        storable(_texts(msgspec.json.decode(body)))
    return body


def storable(text: str) -> str:
    """The text itself.

    Raises:
        Invalid: As `encode` does.
    """
    if "\0" in text:
        raise Invalid("A text holds the character U+0000, which cannot be stored.", "Leave it out.")
    if findable(text) != text:
        raise Invalid("A text holds half a surrogate pair.", "Send valid Unicode.")
    return text


def findable(value: Scalar) -> Scalar:
    """What to look for in the database: a text that it cannot hold becomes one that nothing has."""
    if isinstance(value, str):
        return value.replace("\0", NOT_THERE).encode(errors="replace").decode()
    return value


def decode(collection: Collection[T], key: str, body: bytes | str, version: int) -> Record[T]:
    """The record whose JSON this is. A body that does not fit its type is a bug: a migration was forgotten."""
    return Record(key, _decoder(collection).decode(body), version)


def plain(value: object) -> Scalar:
    """A filter's value as the JSON has it: an enum's value, an entity's text."""
    built = msgspec.to_builtins(value)
    if isinstance(built, dict):
        return f"{built['kind']}/{built['name']}"
    assert isinstance(built, str | int | float | bool), value
    return built


@lru_cache(maxsize=1024)
def is_list(collection: Collection[T], field: str) -> bool:
    """Whether a field of the values is a list."""
    if field == "key":
        return False
    assert field in collection.fields, f"{collection.name} cannot be searched by {field}"
    return typing.get_origin(typing.get_type_hints(collection.type)[field]) in LISTS


def make_cursor(order: str, value: Scalar, key: str) -> str:
    """Where the next page begins: after this value of the order's field, then after this key."""
    parts = (order, key) if order.lstrip("-") == "key" else (order, value, key)
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(search: Search) -> tuple[Scalar, ...]:
    """The place in `search.after`: `(key,)`, or `(value, key)` when ordered by a field.

    Raises:
        Invalid: It was not made by `make_cursor` for this order.
    """
    kind = tuple[str, str] if search.order.lstrip("-") == "key" else tuple[str, Scalar, str]
    try:
        text = base64.urlsafe_b64decode(search.after + "=" * (-len(search.after) % 4))
        order, *place = msgspec.json.decode(text, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Invalid("The cursor cannot be read.", "Ask for the first page, without a cursor.") from error
    if order != search.order:
        raise Invalid(f"The cursor belongs to a list ordered by {order}.", "Ask for the first page, without a cursor.")
    return tuple(place)


@lru_cache(maxsize=256)
def _decoder(collection: Collection[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(collection.type)


def _texts(value: object) -> str:
    """Every text in a JSON value, names of members too, in one."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(name + _texts(inner) for name, inner in value.items())
    return "".join(map(_texts, value)) if isinstance(value, list) else ""
