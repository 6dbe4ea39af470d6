"""Weights of a load balancer: HAProxy's runtime API on its socket. An entity is `backend/BACKEND/SERVER`.

HAProxy's weights are whole numbers, a server's own being 1 where its configuration says nothing: what share of it is
left can be no finer than that, so the number itself is shown, and set.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

LOOK_S = 5.0
NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}/[A-Za-z0-9._:-]{1,100}")
WEIGHT = re.compile(r"(\d+) \(initial (\d+)\)")
ANSWER_BYTES_MAX = 1 << 20
WEIGHT_MAX = 256
RUNNING = "2"  # of `srv_op_state`
KEPT_OUT = 0x3F  # of `srv_admin_state`: maintenance and drain, set or inherited


class Weights:
    """Turns the weight of a server up and down: `weight` is a share of its configured one, `units` the weight itself.

    Args:
        socket: `unix:/run/haproxy/admin.sock` or `tcp://127.0.0.1:9999`, with `level admin` in HAProxy.
    """

    name, label = "weights", ""

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
        return {"units": found.group(1), "configured": found.group(2)}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        before = await self.state(call.target)
        wanted = str(_units(call, before))
        if before["units"] == wanted:
            return Preview((), before)
        named = replace(call, arguments={**call.arguments, "units": wanted})
        back = replace(call, arguments={"units": before["units"]})
        change = Difference("units", f"{before['units']} of {before['configured']}", wanted)
        share = await self._share_away(call.target, int(before["units"]), int(wanted))
        return Preview((change,), before, undo=(back,), call=named, share=share)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says: to set it twice is to set it once."""
        wanted = _units(call, await self.state(call.target))
        said = await self._say(f"set weight {_named(call.target)} {wanted}", timeout_s)
        if said.strip():
            raise Invalid(f"The load balancer refused: {said[:200]}", "Look at its name and the socket's level.")
        return f"{call.target.name} has a weight of {wanted}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        before = await self.state(call.target)
        return int(before["units"]) == _units(call, before)

    async def _share_away(self, target: EntityKey, now: int, wanted: int) -> float:
        """How much of the backend's weight goes from this server, among those that run."""
        backend, _, server = _named(target).partition("/")
        lines = (await self._say(f"show servers state {backend}", LOOK_S)).splitlines()
        names = next((line.lstrip("# ").split() for line in lines if line.startswith("#")), [])
        rows = [dict(zip(names, line.split(), strict=False)) for line in lines if line[:1].isdigit() and " " in line]
        others = sum(
            int(row.get("srv_uweight", "0")) for row in rows if row.get("srv_name") != server and _takes_load(row)
        )
        return max(0, now - wanted) / max(1, now + others)

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
                said = await _all_of(reader)
                writer.close()
        except (OSError, TimeoutError) as error:
            raise Unavailable("The load balancer's socket does not answer.") from error
        if not said:  # HAProxy ends every answer with an empty line, that of a change too
            raise Unavailable("The load balancer's socket was closed without an answer.")
        return said.decode(errors="replace")


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    said = b""
    while len(said) < ANSWER_BYTES_MAX and (more := await reader.read(ANSWER_BYTES_MAX)):
        said += more
    return said


def _takes_load(row: Mapping[str, str]) -> bool:
    """Whether a server is up, and nobody keeps the load from it."""
    return row.get("srv_op_state") == RUNNING and not int(row.get("srv_admin_state", "0")) & KEPT_OUT


def _named(target: EntityKey) -> str:
    """Backend and server, so that the line stays one command.

    Raises:
        Invalid: It is none.
    """
    if not NAME.fullmatch(target.name):
        raise Invalid(f"{target.name[:40]!r} is no BACKEND/SERVER.", "Write letters, digits and . _ : -")
    return target.name


def _units(call: Call, before: Mapping[str, str]) -> int:
    """The weight that is wanted, in HAProxy's own numbers; a share that is not 0 leaves at least 1.

    Raises:
        Invalid: It is none.
    """
    try:
        if units := call.arguments.get("units"):
            wanted = int(units)
        else:
            share = float(call.arguments["weight"])
            if not 0.0 <= share <= 1.0:
                raise Invalid(f"A weight of {share:g} does not fit.", "Write weight=0 to 1.")
            wanted = max(round(share * int(before["configured"])), int(share > 0.0))
    except (KeyError, ValueError) as error:
        raise Invalid("The weight is no number.", "Write weight=0 to 1.") from error
    if not 0 <= wanted <= WEIGHT_MAX:
        raise Invalid(f"HAProxy has no weight of {wanted}.", f"It has 0 to {WEIGHT_MAX}.")
    return wanted
