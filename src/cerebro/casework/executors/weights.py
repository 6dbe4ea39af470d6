"""Weights of a load balancer: HAProxy's runtime API on its socket. An entity is `backend/BACKEND/SERVER`."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

LOOK_S = 5.0
NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}/[A-Za-z0-9._:-]{1,100}")
WEIGHT = re.compile(r"(\d+) \(initial (\d+)\)")
ANSWER_BYTES_MAX = 4096


class Weights:
    """Turns the weight of a server up and down, relative to its configured one.

    Args:
        socket: `unix:/run/haproxy/admin.sock` or `tcp://127.0.0.1:9999`, with `level admin` in HAProxy.
    """

    name = "weights"

    def __init__(self, socket: str, level: Level | None = None) -> None:
        self.level, self._socket = level, socket

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        return target.kind == "backend" and operation == "set_weight" and bool(NAME.fullmatch(target.name))

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        said = await self._say(f"get weight {_named(target)}", LOOK_S)
        found = WEIGHT.search(said)
        if not found:
            raise Invalid(f"The load balancer does not know {target.name}: {said[:200]}", "Write BACKEND/SERVER.")
        now, initial = int(found.group(1)), int(found.group(2))
        return {"weight": f"{now / initial if initial else 0:g}"}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        before, wanted = await self.state(call.target), f"{_share(call):g}"
        return Preview(() if before["weight"] == wanted else (Difference("weight", before["weight"], wanted),), before)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says: to set it twice is to set it once."""
        said = await self._say(f"set weight {_named(call.target)} {round(_share(call) * 100)}%", timeout_s)
        if said.strip():
            raise Invalid(f"The load balancer refused: {said[:200]}", "Look at its name and the socket's level.")
        return f"{call.target.name} gets {_share(call):.0%} of its usual share."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says; within what HAProxy rounds."""
        return abs(float((await self.state(call.target))["weight"]) - _share(call)) < 0.01

    async def _say(self, line: str, timeout_s: float) -> str:
        parts = urlsplit(self._socket)
        try:
            async with asyncio.timeout(timeout_s):
                if parts.scheme == "unix":
                    reader, writer = await asyncio.open_unix_connection(parts.path)
                else:
                    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(f"{line}\n".encode())
                await writer.drain()
                said = await reader.read(ANSWER_BYTES_MAX)
                writer.close()
        except (OSError, TimeoutError) as error:
            raise Unavailable("The load balancer's socket does not answer.") from error
        return said.decode(errors="replace")


def _named(target: EntityKey) -> str:
    """Backend and server, so that the line stays one command.

    Raises:
        Invalid: It is none.
    """
    if not NAME.fullmatch(target.name):
        raise Invalid(f"{target.name[:40]!r} is no BACKEND/SERVER.", "Write letters, digits and . _ : -")
    return target.name


def _share(call: Call) -> float:
    try:
        share = float(call.arguments["weight"])
    except (KeyError, ValueError) as error:
        raise Invalid("The weight is no number.", "Write weight=0 to 1.") from error
    if not 0.0 <= share <= 1.0:
        raise Invalid(f"A weight of {share:g} does not fit.", "Write weight=0 to 1.")
    return share
