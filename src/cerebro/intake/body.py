"""A request's body: read, bounded at every step, and decompressed.

The limits hold before the memory is spent: a body is refused by its announced length, then by what
has arrived, then by what it says it unfolds to, then by what it has unfolded to so far.
"""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import cramjam

from cerebro.intake.trouble import Busy
from cerebro.spine.errors import CerebroError, Invalid, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SNAPPY_UNFOLD_MAX = 32  # raw snappy's longest copy makes 64 bytes of 3: whoever announces more does not tell the truth
GZIP_MEMBERS_MAX = 64
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_NUMBER = re.compile(r"[0-9]{1,18}")


class Gone(CerebroError):
    """The sender hung up; nobody waits for an answer."""

    code = "gone"


class TooSlow(CerebroError):
    """The body did not arrive in time."""

    code = "too_slow"


class Unsupported(Invalid):
    """A media type or compression that this door does not speak."""

    code = "unsupported_media_type"


class Room:
    """The bytes of all bodies on their way in, as sent; they may not be more than `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max, self.used_bytes = bytes_max, 0

    @contextmanager
    def for_body(self, receive: Receive) -> Iterator[Receive]:
        """Receive one body, its bytes counted as they arrive and until the block is left.

        The given function raises `Busy` when there is no room for what arrived.
        """
        held_bytes = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal held_bytes
            message = await receive()
            size = len(message.get("body", b""))
            if self.used_bytes + size > self.bytes_max:
                raise Busy("More bodies are on their way in than we hold at once.", "Send this one again.")
            self.used_bytes += size
            held_bytes += size
            return message

        try:
            yield counted
        finally:
            self.used_bytes -= held_bytes


async def read_body(receive: Receive, headers: Mapping[str, str], *, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body as sent.

    Raises:
        TooLarge: It is, or says it is, over `bytes_max`. What follows is not read.
        TooSlow: It did not end within `timeout_s`.
        Gone: The sender hung up.
        Invalid: The announced length is no number.
    """
    announced = headers.get("content-length", "0")
    if not _NUMBER.fullmatch(announced):
        raise Invalid("Content-Length is not a number.")
    if int(announced) > bytes_max:
        raise too_large(int(announced), bytes_max)
    try:
        async with asyncio.timeout(timeout_s):
            return await _gather(receive, bytes_max)
    except TimeoutError as error:
        raise TooSlow(f"The body did not arrive within {timeout_s:g} s.", "Send smaller batches.") from error


async def _gather(receive: Receive, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone("The sender hung up.")
        part = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise too_large(size, bytes_max)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def unfold_snappy(body: bytes, bytes_max: int) -> bytes:
    """The content of raw snappy, Prometheus' form: no frames, its length in front.

    Raises:
        TooLarge: It says it unfolds to more than `bytes_max`. Nothing was unfolded.
        Invalid: Not raw snappy.
    """
    mend = "Compress with snappy's block format, not its framing format."
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > bytes_max:
            raise TooLarge(
                f"The body unfolds to {size} bytes; the limit is {bytes_max}.",
                "Send smaller batches, or raise http.decoded_bytes_max.",
            )
        if size > SNAPPY_UNFOLD_MAX * len(body):
            raise Invalid(f"{len(body)} bytes of snappy cannot unfold to {size}.", mend)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Invalid("The body is not raw snappy.", mend) from error


def unfold_gzip(body: bytes, bytes_max: int) -> bytes:
    """The content of gzip, all its members.

    Raises:
        TooLarge: It unfolds to more than `bytes_max`; no more than that was ever held.
        Invalid: Not gzip, or cut short.
    """
    parts: list[bytes] = []
    room = bytes_max
    for _ in range(GZIP_MEMBERS_MAX):
        unfolding = zlib.decompressobj(_GZIP_WINDOW)
        try:
            part = unfolding.decompress(body, room + 1)
        except zlib.error as error:
            raise Invalid("The body is not gzip.", "Compress with gzip, or send it as it is.") from error
        room -= len(part)
        if room < 0:
            raise TooLarge(
                f"The body unfolds to more than {bytes_max} bytes.",
                "Send smaller batches, or raise http.decoded_bytes_max.",
            )
        if not unfolding.eof:
            raise Invalid("The gzip body is cut short.", "Send it whole.")
        parts.append(part)
        body = unfolding.unused_data
        if not body:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise Invalid(f"The gzip body has more than {GZIP_MEMBERS_MAX} members.", "Compress it in one.")


def too_large(size: int, bytes_max: int) -> TooLarge:
    """The refusal of a body as sent."""
    return TooLarge(
        f"The body has {size} bytes or more; the limit is {bytes_max}.",
        "Send smaller batches, or raise http.body_bytes_max.",
    )
