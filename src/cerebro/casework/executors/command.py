"""Commands on other machines over ssh: allowed beforehand by name, each argument quoted, never a line of a person's.

The ssh program is started without a shell. What reaches the far shell is a fixed template whose places are filled
with quoted values, so that a value is one word there whatever stands in it.
"""

import asyncio
import re
import shlex
from collections.abc import Mapping, Sequence

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
PLACE = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")
NOT_CONNECTED = 255
SAID_CHARS_MAX = 500
OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=yes", "-T")


class Command:
    """Runs allowed commands on hosts.

    Args:
        allowed: By name, the words of each; a word may hold `${argument}`.
        user: Who logs in; their key is ssh's own matter.
        program: The ssh program.
    """

    name, label = "ssh", ""

    def __init__(
        self, allowed: Mapping[str, str], user: str, program: Sequence[str] = ("ssh",), level: Level | None = None
    ) -> None:
        self.level, self._user, self._program = level, user, tuple(program)
        self._allowed = {name: tuple(shlex.split(text)) for name, text in allowed.items()}

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        return target.kind == "host" and operation in self._allowed and bool(HOST.fullmatch(target.name))

    def can(self, operation: str) -> bool:
        """Whether a command of this name is allowed, be it on whatever host."""
        return operation in self._allowed

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says; nothing is asked of a machine before it is acted on."""
        return {}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says: what can be shown beforehand is the command."""
        return Preview((Difference("command", "not run", f"run: {self.line(call)}"),))

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says; it is made once, for the hands never make a call twice without knowing."""
        line, where = self.line(call), f"{self._user}@{call.target.name}"
        try:
            child = await asyncio.create_subprocess_exec(
                *self._program, *OPTIONS, where, "--", line,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise Invalid(f"{self._program[0]} cannot be started: {error.strerror}.", "Install OpenSSH.") from error
        try:
            said, _ = await asyncio.wait_for(child.communicate(), timeout_s)
        except TimeoutError as error:
            child.kill()
            await child.wait()
            raise Unavailable(f"{call.target.name} did not finish in {timeout_s:.0f} s.") from error
        if child.returncode == NOT_CONNECTED:
            raise Unavailable(f"{call.target.name} was not reached: {_shown(said)}")
        if child.returncode:
            raise Invalid(f"{call.operation} ended with {child.returncode}: {_shown(said)}", "Look at the machine.")
        return _shown(said) or "Done."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says: nobody can tell."""
        return None

    def line(self, call: Call) -> str:
        """The command as the far shell reads it.

        Raises:
            Invalid: It is not allowed, or an argument is missing or unknown.
        """
        words = self._allowed.get(call.operation)
        if words is None:
            raise Invalid(f"{call.operation!r} is no allowed command.", f"Allowed: {', '.join(self._allowed)}.")
        named = {name for word in words for name in PLACE.findall(word)}
        if named != set(call.arguments):
            raise Invalid(
                f"{call.operation} takes {', '.join(sorted(named)) or 'no arguments'}.", "Name exactly these."
            )
        return " ".join(shlex.quote(PLACE.sub(lambda hit: call.arguments[hit.group(1)], word)) for word in words)


def _shown(said: bytes) -> str:
    text = said.decode(errors="replace")
    return "".join(each if each.isprintable() else " " for each in text).strip()[:SAID_CHARS_MAX]
