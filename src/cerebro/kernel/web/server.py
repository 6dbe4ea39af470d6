"""The HTTP listener as a task: granian inside this process's own event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from cerebro.kernel.settings import HttpSettings
from cerebro.spine.errors import Invalid

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.", "::1", "localhost")


def check_address(http: HttpSettings) -> None:
    """Refuse an address that would carry credentials in the clear, or a port that is taken.

    Raises:
        Invalid: With the setting to change.
    """
    tls = http.tls_certificate is not None and http.tls_key is not None
    if not (tls or http.insecure or http.host.startswith(LOOPBACK)):
        raise Invalid(
            f"{http.host} is not a loopback address, and credentials would cross the network in the clear.",
            "Set http.tls_certificate and http.tls_key, or http.insecure when something before Cerebro speaks TLS.",
        )
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((http.host, http.port))
        except OSError as error:
            raise Invalid(
                f"Cannot listen on {http.host}:{http.port}: {error.strerror}.",
                "Stop what uses the port, or set CEREBRO_HTTP__PORT to another.",
            ) from error


class HttpServer:
    """One listener for one ASGI application; the role's `Task`.

    Args:
        application: Called for every request and WebSocket.
        http: Address, port and TLS.
    """

    name = "http"

    def __init__(self, application: Asgi, http: HttpSettings) -> None:
        self._application = application
        self._http = http

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then let running requests end."""
        check_address(self._http)
        server = Server(
            self._application,
            address=self._http.host,
            port=self._http.port,
            interface=Interfaces.ASGINL,
            backlog=1024,
            backpressure=2048,
            log_enabled=False,
            ssl_cert=self._http.tls_certificate,
            ssl_key=self._http.tls_key,
            http1_settings=HTTP1Settings(header_read_timeout=15_000),
        )
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()
        server.stop()  # type: ignore[no-untyped-call]
        await serving
