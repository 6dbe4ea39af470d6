"""A program's own supervisor behind its control door: restart, scale, roll back, drain, … over HTTP with a key.

The door answers `GET /operations`, `GET /state?target=`, `GET /done?key=`, `POST /dry-run` and `POST /operate`, JSON
each; the shop of the proving ground is the reference. An operation with a key that was done is not done again.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import httpx
import msgspec

from cerebro.casework.executors.port import Preview
from cerebro.casework.executors.transport import Answer, ask, client
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

LOOK_S = 5.0
ANSWER_BYTES_MAX = 256 << 10


class Line(msgspec.Struct, frozen=True):
    """One line of a dry run."""

    what: str
    before: str
    after: str


class Back(msgspec.Struct, frozen=True):
    """What takes an operation back."""

    name: str
    target: str
    parameters: dict[str, str] = {}


class Prospect(msgspec.Struct, frozen=True):
    """What the door says of an operation before it is done."""

    changes: list[Line]
    state: dict[str, str] = {}
    undo: list[Back] = []
    replicas: list[str] = []
    share: float = 0.0


class Operation(msgspec.Struct, frozen=True):
    """One operation that the door knows."""

    name: str


class Problem(msgspec.Struct, frozen=True):
    """Why something was not done."""

    detail: str = ""
    mend: str = ""


class ControlDoor:
    """One supervisor.

    Args:
        label: Its own name among the doors of a tenant.
        url: Of the door; https, or this machine.
        key: Bearer token.
        scope: Patterns of `kind/name` that it answers for.
        level: The most that Cerebro may do through it by itself.

    Raises:
        Invalid: The address cannot be read.
    """

    name = "process"

    def __init__(self, label: str, url: str, key: str, scope: Sequence[str], level: Level | None) -> None:
        self.label, self.level = label, level
        self._scope = tuple(scope)
        try:
            base_url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Invalid(f"The control door {label} has no address that can be read.", "Register it anew.") from error
        self._http = client(base_url=base_url, headers={"authorization": f"Bearer {key}"})
        self._operations: frozenset[str] = frozenset()

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says; before `learn` it is not known what the door can do."""
        return operation in self._operations and any(fnmatchcase(target.text, each) for each in self._scope)

    def can(self, operation: str) -> bool:
        """Whether the door knows the operation, be it of whatever target."""
        return operation in self._operations

    async def learn(self) -> None:
        """Ask what it can do; what it told before is known until it tells anew.

        Raises:
            Unavailable: It does not answer.
            Invalid: It refuses, or its answer cannot be read.
        """
        answer = await self._ask("GET", "/operations", timeout_s=LOOK_S)
        self._operations = frozenset(each.name for each in _read(answer, list[Operation]))

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        answer = await self._ask("GET", "/state", {"target": target.text}, timeout_s=LOOK_S)
        state: dict[str, str] = _read(answer, dict[str, str])
        return state

    async def dry_run(self, call: Call) -> Preview:
        """As the port says."""
        found = _read(await self._ask("POST", "/dry-run", body=_doing(call, ""), timeout_s=LOOK_S), Prospect)
        return Preview(
            changes=tuple(Difference(each.what, each.before, each.after) for each in found.changes),
            before=found.state,
            replicas=tuple(found.replicas),
            undo=tuple(Call(self.name, each.name, EntityKey.parse(each.target), each.parameters) for each in found.undo)
            or None,
            share=found.share,
        )

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says."""
        await self._ask("POST", "/operate", body=_doing(call, key), timeout_s=timeout_s)
        return f"{self.label} has done {call.operation} of {call.target.said}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says."""
        found = _read(await self._ask("GET", "/done", {"key": key}, timeout_s=LOOK_S), dict[str, bool])
        return bool(found.get("done"))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, body: Any = None, timeout_s: float
    ) -> Answer:
        answer = await ask(
            self._http, f"The control door {self.label}", method, path, params=query, json=body,
            timeout_s=timeout_s, bytes_max=ANSWER_BYTES_MAX,
        )  # fmt: skip
        if answer.is_success:
            return answer
        problem = _problem(answer.body)
        said = f"The control door {self.label} answered {answer.status}: {problem.detail[:300]}".rstrip(": ")
        if answer.status >= 500:
            raise Unavailable(said)
        raise Invalid(said, problem.mend[:300])


def _doing(call: Call, key: str) -> dict[str, object]:
    return {"name": call.operation, "target": call.target.text, "parameters": dict(call.arguments), "key": key}


def _problem(body: bytes) -> Problem:
    try:
        return msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        return Problem()


def _read(answer: Answer, kind: Any) -> Any:
    if not answer.is_whole:
        raise Invalid("The control door says too much.", "It is none of the kind we know.")
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.MsgspecError as error:
        raise Invalid(f"The control door's answer cannot be read: {error}.", "See docs/guides/hands.md.") from (error)
