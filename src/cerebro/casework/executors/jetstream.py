"""NATS JetStream: purge a stream, let a consumer rest. By the server's own API subjects.

A stream's entity is `stream/NAME`, a consumer's `consumer/STREAM.NAME`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from cerebro.casework.executors.port import Preview
from cerebro.kernel.clock import Clock
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

ANSWER_S = 5.0
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
UP_TO = "up_to"  # in a purge, the sequence of the first message that stays
NEVER = "0001-01-01T00:00:00Z"


class JetStream:
    """Acts on the streams of one server.

    Args:
        url: With the credentials of a user who may use the API of these streams.
    """

    name, label = "nats", ""

    def __init__(self, url: str, clock: Clock, level: Level | None = None) -> None:
        self.level, self._url, self._clock = level, url, clock

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        if operation == "purge":
            return target.kind == "stream"
        return operation in ("pause_consumer", "resume_consumer") and target.kind == "consumer"

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        found = await self._info(target)
        if target.kind == "stream":
            held = found["state"]
            # Of a stream that was emptied, the first is the sequence that its next message will have.
            return {
                "messages": str(held["messages"]),
                "first": str(held["first_seq"]),
                "next": str(held["last_seq"] + 1),
            }
        return {"paused": "yes" if found.get("paused") else "no"}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        before = await self.state(call.target)
        if call.operation == "purge":
            change = Difference("messages", before["messages"], "0")
            named = Call(call.executor, call.operation, call.target, {**call.arguments, UP_TO: before["next"]})
            return Preview((change,) if before["messages"] != "0" else (), before, call=named)
        wanted = "yes" if call.operation == "pause_consumer" else "no"
        return Preview((Difference("paused", before["paused"], wanted),) if before["paused"] != wanted else (), before)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says. To pause twice is to pause; what came after the dry run outlives every purge."""
        if call.operation == "purge":
            up_to = _up_to(call)
            if up_to <= 1:
                return "Nothing was in it."  # some servers take this bound for none, and purge all
            said = await self._ask(f"STREAM.PURGE.{_name(call.target.name)}", {"seq": up_to})
            return f"{said['purged']} messages are gone."
        until = NEVER
        if call.operation == "pause_consumer":
            pause_s = float(call.arguments["pause_s"])
            until = datetime.fromtimestamp(self._clock.now_ms() / 1000 + pause_s, UTC).isoformat()
        stream, consumer = _pair(call.target.name)
        await self._ask(f"CONSUMER.PAUSE.{stream}.{consumer}", {"pause_until": until})
        return f"{call.target.said} {'rests' if until != NEVER else 'goes on'}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says; a purge has happened when nothing is left of what it was to throw away."""
        before = await self.state(call.target)
        if call.operation == "purge":
            return int(before["first"]) >= _up_to(call)
        return (before["paused"] == "yes") == (call.operation == "pause_consumer")

    async def _info(self, target: EntityKey) -> dict[str, Any]:
        if target.kind == "stream":
            return await self._ask(f"STREAM.INFO.{_name(target.name)}", {})
        stream, consumer = _pair(target.name)
        return await self._ask(f"CONSUMER.INFO.{stream}.{consumer}", {})

    async def _ask(self, subject: str, body: Mapping[str, object]) -> dict[str, Any]:
        client = await self._connect()
        try:
            answer = await client.request(f"$JS.API.{subject}", msgspec.json.encode(body), timeout=ANSWER_S)
        except (NatsError, TimeoutError) as error:
            raise Unavailable(f"NATS did not answer: {type(error).__name__}.") from error
        finally:
            await client.close()
        found: dict[str, Any] = msgspec.json.decode(answer.data)
        if problem := found.get("error"):
            raise Invalid(f"NATS refused: {problem.get('description', '')[:200]}.", "Look at its name and rights.")
        return found

    async def _connect(self) -> Client:
        try:
            return await nats.connect(self._url, allow_reconnect=False, connect_timeout=ANSWER_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable("NATS does not answer.") from error


def _up_to(call: Call) -> int:
    """The sequence of the first message that a purge leaves there.

    Raises:
        Invalid: The call names none: it was not shown by a dry run.
    """
    said = call.arguments.get(UP_TO, "")
    if not (said.isascii() and said.isdigit()):
        raise Invalid("This purge does not say up to which message.", "Propose it anew: its dry run names it.")
    return int(said)


def _pair(name: str) -> tuple[str, str]:
    stream, _, consumer = name.partition(".")
    return _name(stream), _name(consumer)


def _name(text: str) -> str:
    """A name that is one token of a subject.

    Raises:
        Invalid: It is none.
    """
    if not NAME.fullmatch(text):
        raise Invalid(f"{text[:40]!r} is no name of a stream or consumer.", "Write letters, digits, - and _.")
    return text
