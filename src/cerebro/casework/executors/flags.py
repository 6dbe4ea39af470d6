"""Feature flags in Unleash, by its admin API: a flag's entity is `flag/NAME`, in one project and environment."""

import re
from collections.abc import Mapping

import msgspec

from cerebro.casework.executors.port import Preview
from cerebro.casework.executors.transport import Answer, ask, client
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

LOOK_S = 5.0
ANSWER_BYTES_MAX = 1 << 20
NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}")
OPERATIONS = {"turn_on": "on", "turn_off": "off"}


class Environment(msgspec.Struct, frozen=True):
    """Where a flag is on or off."""

    name: str = ""
    enabled: bool = False


class Feature(msgspec.Struct, frozen=True):
    """What Unleash tells of a flag, as far as it is read."""

    environments: tuple[Environment, ...] = ()


class Flags:
    """Turns flags on and off.

    Args:
        url: Of the service; https, or this machine.
        token: Of a service account that may change flags of this project.
    """

    name, label = "flags", ""

    def __init__(
        self, url: str, token: str, project: str = "default", environment: str = "production",
        level: Level | None = None,
    ) -> None:  # fmt: skip
        self.level, self._environment = level, environment
        self._base = f"/api/admin/projects/{project}/features"
        self._http = client(base_url=url, headers={"authorization": token})

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        return target.kind == "flag" and operation in OPERATIONS

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        answer = await self._ask("GET", self._path(target), LOOK_S)
        for each in _read(answer.body).environments:
            if each.name == self._environment:
                return {"state": "on" if each.enabled else "off"}
        raise Invalid(f"{target.said} is not in {self._environment}.", "Look at its name.")

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        before, wanted = await self.state(call.target), OPERATIONS[call.operation]
        same = before["state"] == wanted
        return Preview(() if same else (Difference("state", before["state"], wanted),), before)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says: to turn it twice is to turn it once."""
        wanted = OPERATIONS[call.operation]
        await self._ask("POST", f"{self._path(call.target)}/environments/{self._environment}/{wanted}", timeout_s)
        return f"{call.target.name} is {wanted}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        return (await self.state(call.target))["state"] == OPERATIONS[call.operation]

    def _path(self, target: EntityKey) -> str:
        if not NAME.fullmatch(target.name) or target.name in (".", ".."):
            raise Invalid(f"{target.name[:40]!r} is no name of a flag.", "Write letters, digits and . _ ~ -")
        return f"{self._base}/{target.name}"

    async def _ask(self, method: str, path: str, timeout_s: float) -> Answer:
        answer = await ask(
            self._http, "The flag service", method, path, timeout_s=timeout_s, bytes_max=ANSWER_BYTES_MAX
        )
        if answer.is_success:
            return answer
        kind = Unavailable if answer.status >= 500 else Invalid
        raise kind(f"The flag service answered {answer.status}.", "Look at the flag's name and the token.")


def _read(body: bytes) -> Feature:
    try:
        return msgspec.json.decode(body, type=Feature)
    except msgspec.MsgspecError as error:
        raise Invalid("The flag service's answer is none of Unleash's.", "Look at reach.unleash_url.") from error
