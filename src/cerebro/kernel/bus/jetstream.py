"""JetStream's words: its requests and refusals as they stand on the wire, without a client library.

Source: NATS architecture decision records 1 (API), 8 (key-value), 20 (objects), 31 (direct get).
"""

import base64
import json
import re
from typing import Any, Protocol

from cerebro.kernel.bus.mailbox import Letter, status_of
from cerebro.kernel.bus.port import Message, StreamSpec
from cerebro.spine.errors import CerebroError, Conflict, Invalid, LimitReached, NotFound, TooLarge, Unavailable

API = "$JS.API"
KEY = re.compile(r"[-/_=.a-zA-Z0-9]+")
NAME = re.compile(r"[-_a-zA-Z0-9]+")

# The server's stable error codes, from its errors.json.
NO_MESSAGE, NO_STREAM, STREAM_EXISTS, WRONG_SEQUENCE = 10037, 10059, 10058, 10071
STORE_FAILED, NO_STORAGE, NO_RESOURCES, MESSAGE_TOO_LARGE = 10077, 10047, 10023, 10054
SWITCHED_OFF = {10008, 10039, 10074, 10076}


class NobodyThere(Unavailable):
    """No stream takes the subject, or its servers are choosing a leader."""


class JetStream(Protocol):
    """One connection to JetStream, as far as buckets and objects need it. Each call tries once."""

    async def store(self, subject: str, body: bytes, headers: dict[str, str] | None) -> dict[str, Any]:
        """Publish into a stream; the server's acknowledgement."""
        ...

    async def ask(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        """The server's answer to an API request."""
        ...

    async def gather(self, stream: str, question: dict[str, Any]) -> list[Letter]:
        """The messages of a batched direct get; none when there are none."""
        ...

    async def last(self, stream: str, subject: str) -> tuple[bytes, int] | None:
        """The newest message of a subject, as the stream's leader knows it, and its sequence."""
        ...

    async def make_stream(self, wanted: dict[str, Any]) -> None:
        """Make the stream, or bring it to this configuration."""
        ...


def stream_of(spec: StreamSpec, replicas: int) -> dict[str, Any]:
    """The configuration of a stream that refuses when full, in the server's units (nanoseconds)."""
    return {
        "name": spec.name,
        "subjects": list(spec.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_bytes": spec.bytes_max,
        "max_age": round(spec.age_s_max * 1e9),
        "duplicate_window": round(min(spec.dedup_s, spec.age_s_max) * 1e9),
        "allow_direct": True,
        "num_replicas": replicas,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_msg_size": -1,
    }


def answer_of(letter: Letter, what: str) -> dict[str, Any]:
    """What the server answered.

    Raises:
        CerebroError: It refused; see `refusal_of`.
    """
    if status_of(letter) == 503:
        raise NobodyThere(f"The bus has nobody for {what} now.", "If the server has just started, try again.")
    answer: dict[str, Any] = json.loads(letter.data)
    if "error" in answer:
        raise refusal_of(answer["error"], what)
    return answer


def refusal_of(error: dict[str, Any], what: str) -> CerebroError:
    """The server's refusal in our words."""
    code, said = int(error.get("err_code", 0)), str(error.get("description", ""))
    detail = f"{what}: {said} ({code})."
    if code in (WRONG_SEQUENCE, STREAM_EXISTS):
        return Conflict(detail)
    if code in (NO_MESSAGE, NO_STREAM):
        return NotFound(detail)
    if code == MESSAGE_TOO_LARGE:
        return TooLarge(detail, "Send less at once.")
    if code in (NO_STORAGE, NO_RESOURCES) or (code == STORE_FAILED and ("maximum" in said or "space" in said)):
        return LimitReached(f"The stream is full. {detail}", "Slow down and send again.")
    passing = code in SWITCHED_OFF or int(error.get("code", 0)) >= 500
    return Unavailable(detail) if passing else Invalid(detail)


def within(bytes_max: int, letters: list[Letter]) -> list[Message]:
    """The letters as messages. The server sends the one that goes over the limit too; here only the first may."""
    found: list[Message] = []
    total = 0
    for letter in letters:
        total += len(letter.data)
        if found and total > bytes_max:
            break
        found.append(Message((letter.headers or {})["Nats-Subject"], letter.data, sequence_of(letter)))
    return found


def sequence_of(letter: Letter) -> int:
    """Of a message that came by a direct get."""
    return int((letter.headers or {})["Nats-Sequence"])


def bucket_name(bucket: str) -> str:
    """The name, when it is one.

    Raises:
        Invalid: It is none.
    """
    if not NAME.fullmatch(bucket):
        raise Invalid(f"{bucket!r} is no name for a bucket: letters, digits, - and _.")
    return bucket


def key_name(key: str) -> str:
    """The key, when it is one.

    Raises:
        Invalid: It is none.
    """
    if not KEY.fullmatch(key) or key.startswith(".") or key.endswith(".") or ".." in key:
        raise Invalid(f"{key!r} is no key: letters, digits and - / _ = . are.")
    return key


def word_of(name: str) -> str:
    """Any name as one word of a subject."""
    return base64.urlsafe_b64encode(name.encode()).decode()
