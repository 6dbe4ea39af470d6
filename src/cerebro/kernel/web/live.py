"""What happens, as it happens, over WebSockets: broadcasts of a tenant to whoever of it listens.

A message is one JSON text, `{"kind": "case", "body": {…}}`; the kinds are those of the bus's
`live.<tenant>.<kind>`, and `beat`, which says that the line is alive, and `again`, which says
that something may have been missed and is to be read anew. Nothing a client sends is looked at.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from cerebro.kernel.access.guard import Guard, Principal
from cerebro.kernel.bus.port import Bus, Message
from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.web import live_metrics as metrics
from cerebro.kernel.web.door import authorization_of, protocol_of
from cerebro.spine.errors import CerebroError, Forbidden, Unauthenticated, Unavailable
from cerebro.spine.identity import TenantId

log = get_log(__name__)

SUBJECTS = "live.>"
CONNECTIONS_MAX = 500
HELD_S = 0.25  # between a broadcast and its telling: what it makes old is made anew meanwhile
WAITING_MAX = 256  # messages of one connection; more, and its reader is too slow
BEAT_S = 20.0
AGAIN = b'{"kind":"again","body":{}}'
KIND = re.compile(r"[a-z_]{1,32}")

GOING_AWAY, TRY_LATER = 1001, 1013
UNAUTHENTICATED, FORBIDDEN, TOO_SLOW = 4401, 4403, 4408

Hear = Callable[[TenantId], None]
Tell = Callable[[TenantId, float], None]


@dataclass(slots=True, eq=False)
class Line:
    """One open connection: what waits to be sent, and why it is to end."""

    tenant: TenantId
    waiting: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(WAITING_MAX))
    ending: asyncio.Future[tuple[int, str]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def give(self, text: bytes) -> None:
        """Send the text soon; a line that has too much waiting ends instead."""
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.end(TOO_SLOW, "too slow: more messages waited than the line may hold")

    def end(self, code: int, reason: str) -> None:
        """End the line, for the first reason that is given."""
        if not self.ending.done():
            self.ending.set_result((code, reason))


class Live:
    """Hears the bus once for all connections of this process; a `Task` of the role that serves the API.

    Args:
        bus: Whose broadcasts are forwarded.
        clock: Of the heartbeat.
        connections_max: One more is refused.
        beat_s: Between two heartbeats, at each of which the credential is looked at again.
        held_s: Between hearing of something and telling it.
    """

    name = "live"

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        connections_max: int = CONNECTIONS_MAX,
        beat_s: float = BEAT_S,
        held_s: float = HELD_S,
    ) -> None:
        self._bus, self._clock = bus, clock
        self._connections_max, self._beat_s, self._held_s = connections_max, beat_s, held_s
        self._lines: set[Line] = set()
        self._watchers: list[tuple[Hear, Tell]] = []

    def watch(self, hear: Hear, tell: Tell) -> None:
        """Call `hear(tenant)` for every broadcast, and `tell(tenant, heard_s)` just before it is forwarded."""
        self._watchers.append((hear, tell))

    async def run(self, stop: asyncio.Event) -> None:
        """Forward until `stop` is set, then end every connection."""
        hearing = asyncio.create_task(self._hear())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                hearing.result()
                raise Unavailable("The bus has ended the line of live broadcasts.")
        finally:
            hearing.cancel()
            stopping.cancel()
            for line in self._lines:
                line.end(GOING_AWAY, "Cerebro stops") if stop.is_set() else line.give(AGAIN)

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from its credential to its end."""
        asked = authorization_of(websocket)
        try:
            principal = await self._known(websocket, asked)
        except CerebroError as error:  # before it is accepted: the client sees a 403
            await websocket.close(_code(error), error.code)
            return
        if len(self._lines) >= self._connections_max:
            metrics.REFUSED.inc()
            await websocket.close(TRY_LATER, "as many connections as there may be")
            return
        await websocket.accept(protocol_of(websocket))
        line = Line(principal.tenant)
        self._lines.add(line)
        metrics.CONNECTIONS.set(len(self._lines))
        try:
            await self._talk(websocket, line, asked)
        finally:
            self._lines.discard(line)
            metrics.CONNECTIONS.set(len(self._lines))

    async def _talk(self, websocket: WebSocket, line: Line, asked: str) -> None:
        parts = [
            asyncio.create_task(_send(websocket, line)),
            asyncio.create_task(_ignore(websocket)),
            asyncio.create_task(self._beat(websocket, line, asked)),
        ]
        try:
            waits: set[asyncio.Future[Any]] = {*parts, line.ending}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        if line.ending.done():
            code, reason = line.ending.result()
            metrics.ENDED.labels(str(code)).inc()
            log.info("live_line_ended", tenant=line.tenant, code=code, reason=reason)
            if websocket.application_state is WebSocketState.CONNECTED:
                with suppress(RuntimeError, WebSocketDisconnect):  # it has gone by itself meanwhile
                    await websocket.close(code, reason)

    async def _beat(self, websocket: WebSocket, line: Line, asked: str) -> None:
        """Say that the line is alive, and end it once its credential is no longer good."""
        while True:
            line.give(b'{"kind":"beat","body":{"at_ms":%d}}' % self._clock.now_ms())
            await self._clock.sleep(self._beat_s)
            try:
                await self._known(websocket, asked)
            except CerebroError as error:
                if not error.retry:
                    line.end(_code(error), error.code)
                    return

    async def _known(self, websocket: WebSocket, asked: str) -> Principal:
        guard: Guard = websocket.app.state.guard
        principal = await guard.authenticate(asked)
        principal.need("read")
        return principal

    async def _hear(self) -> None:
        async for message in self._bus.listen(SUBJECTS):
            self._forward(message)

    def _forward(self, message: Message) -> None:
        _, _, named = message.subject.partition(".")
        name, _, kind = named.partition(".")
        if not KIND.fullmatch(kind):
            return
        tenant = TenantId(name)
        for hear, _ in self._watchers:
            hear(tenant)
        text = b'{"kind":"%s","body":%s}' % (kind.encode(), message.body or b"null")
        asyncio.get_running_loop().call_later(self._held_s, self._tell, tenant, text, self._clock.monotonic_s())

    def _tell(self, tenant: TenantId, text: bytes, heard_s: float) -> None:
        for _, tell in self._watchers:
            tell(tenant, heard_s)
        for line in self._lines:
            if line.tenant == tenant:
                line.give(text)


def _code(error: CerebroError) -> int:
    if isinstance(error, Unauthenticated):
        return UNAUTHENTICATED
    return FORBIDDEN if isinstance(error, Forbidden) else TRY_LATER


async def _send(websocket: WebSocket, line: Line) -> None:
    while True:
        await websocket.send_text((await line.waiting.get()).decode())


async def _ignore(websocket: WebSocket) -> None:
    """Read until the client goes."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
