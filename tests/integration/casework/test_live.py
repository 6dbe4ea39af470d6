"""The live door: who may listen, what they hear, and when a line ends."""

import asyncio
import base64
import json
import os

import pytest

from cerebro.kernel.settings import HttpSettings
from cerebro.kernel.web.live import UNAUTHENTICATED, Live
from cerebro.kernel.web.server import HttpServer


class Socket:
    """A WebSocket client as ASGI sees it."""

    def __init__(self, app, key="", protocols=(), deaf=False):
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        self.sent, self.incoming, self.deaf = asyncio.Queue(), asyncio.Queue(), deaf
        self.incoming.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket", "path": "/api/v1/live", "raw_path": b"/api/v1/live", "query_string": b"",
            "root_path": "", "scheme": "ws", "headers": headers, "subprotocols": list(protocols), "app": app,
            "asgi": {"version": "3.0"},
        }  # fmt: skip
        self.serving = asyncio.create_task(app(scope, self.incoming.get, self._send))

    async def _send(self, message):
        if self.deaf and message["type"] == "websocket.send":
            await asyncio.Event().wait()
        await self.sent.put(message)

    async def next(self, kind=None):
        async with asyncio.timeout(10):
            while True:
                message = await self.sent.get()
                if message["type"] != "websocket.send":
                    return message
                heard = json.loads(message["text"])
                if heard["kind"] != "beat" or kind == "beat":
                    return heard

    async def leave(self):
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.serving


@pytest.fixture
async def hub(live, running):
    running(live)
    await asyncio.sleep(0.1)  # until it listens
    return live


async def test_a_listener_hears_its_tenants_cases_and_no_others(hub, app, make_key, desk, tenant, finding):
    key = await make_key("read")
    mine = Socket(app, protocols=["cerebro.v1", f"bearer.{key}"])
    other = Socket(app, await make_key("read", of=f"x{tenant}"))
    accepted = await mine.next()
    assert accepted["type"] == "websocket.accept" and accepted["subprotocol"] == "cerebro.v1", "never the token"
    await other.next()
    assert (await mine.next("beat"))["kind"] == "beat"

    await desk.admit(tenant, [finding("cpu")])

    heard = {event["kind"]: event["body"] for event in [await mine.next(), await mine.next()]}
    assert heard["finding"]["signal"] == "cpu" and heard["case"]["finding_count"] == 1
    assert all(json.loads(message["text"])["kind"] == "beat" for message in list(other.sent._queue))
    await mine.leave()
    await other.leave()


@pytest.mark.parametrize("scopes", [(), ("ingest",)])
async def test_who_may_not_read_is_refused_before_the_line_opens(hub, app, make_key, scopes):
    line = Socket(app, await make_key(*scopes) if scopes else "cbr_nobody_nothing")

    refused = await line.next()

    assert refused["type"] == "websocket.close" and refused["code"] in (4401, 4403)


async def test_a_line_ends_when_its_credential_does(hub, app, make_key, kernel, tenant, monkeypatch):
    line = Socket(app, await make_key("read"))
    await line.next()

    async def gone(_authorization):
        from cerebro.spine.errors import Unauthenticated

        raise Unauthenticated("revoked")

    monkeypatch.setattr(app.state.guard, "authenticate", gone)

    assert (await line.next())["code"] == UNAUTHENTICATED


async def test_a_slow_reader_is_dropped_with_the_reason_and_holds_up_nobody(hub, app, make_key, kernel, tenant):
    slow, quick = Socket(app, await make_key("read"), deaf=True), Socket(app, await make_key("read"))
    assert (await slow.next())["type"] == (await quick.next())["type"] == "websocket.accept"

    for number in range(600):
        await kernel.bus.broadcast(f"live.{tenant}.gauge", b'{"n":%d}' % number)
        await asyncio.sleep(0)

    ended = await slow.next()
    assert ended["type"] == "websocket.close" and ended["code"] == 4408 and "too slow" in ended["reason"]
    assert (await quick.next())["body"] == {"n": 0}
    await quick.leave()


async def test_one_line_too_many_is_refused(kernel, app, make_key, running):
    narrow = Live(kernel.bus, kernel.clock, connections_max=1)
    app.router.routes.clear()
    app.add_api_websocket_route("/api/v1/live", narrow.serve)
    key = await make_key("read")
    first = Socket(app, key)
    await first.next()

    assert (await Socket(app, key).next())["code"] == 1013
    await first.leave()
    again = Socket(app, key)
    assert (await again.next())["type"] == "websocket.accept", "a line that ended makes room"
    await again.leave()


async def test_over_a_real_listener(hub, app, make_key, desk, tenant, finding, running, make_settings, until):
    """The handshake and frames of RFC 6455 through the server that Cerebro ships with."""
    http: HttpSettings = make_settings().http
    running(HttpServer(app, http))

    async def connect():
        try:
            return await asyncio.open_connection("127.0.0.1", http.port)
        except OSError:
            return None

    reader, writer = await until(connect)
    nonce = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /api/v1/live HTTP/1.1",
        "Host: x",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {nonce}",
        f"Sec-WebSocket-Protocol: cerebro.v1, bearer.{await make_key('read')}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 101") and "sec-websocket-protocol: cerebro.v1" in head

    await desk.admit(tenant, [finding("cpu")])
    kinds = set()
    async with asyncio.timeout(10):
        while not {"case", "finding"} <= kinds:
            kinds.add(json.loads(await frame(reader))["kind"])
    writer.close()


async def frame(reader):
    first, size = await reader.readexactly(2)
    assert first == 0x81, "one whole text frame"
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2))
    return await reader.readexactly(size)
