"""Another system that acts when it is called: a webhook, signed, with the action's key in every call."""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from cerebro.casework.executors.port import Preview
from cerebro.casework.executors.transport import ask, client
from cerebro.casework.executors.webhook import REPLY_BYTES_MAX
from cerebro.kernel.clock import Clock
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable


class Hook:
    """Posts what is wanted to one address per system: `system/NAME`.

    Args:
        urls: By the system's name; https, or this machine.
        secret: Key of the HMAC-SHA256 signature, as of Cerebro's other webhooks.
    """

    name, label = "webhook", ""

    def __init__(self, urls: Mapping[str, str], secret: str, clock: Clock, level: Level | None = None) -> None:
        self.level, self._urls, self._secret, self._clock = level, urls, secret, clock
        self._http = client()

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        return target.kind == "system" and target.name in self._urls and operation == "post"

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says; the other system tells nothing."""
        return {}

    async def dry_run(self, call: Call) -> Preview:
        """As the port says: what can be shown beforehand is what is posted."""
        body = msgspec.json.encode(_body(call, "")).decode()
        return Preview((Difference("post", "not sent", body[:500]),))

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says; the receiver knows a call that comes twice by `idempotency-key`."""
        body, at_s = msgspec.json.encode(_body(call, key)), self._clock.now_ms() // 1000
        headers = {"content-type": "application/json", "idempotency-key": key}
        if self._secret:
            seal = hmac.new(self._secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
            headers["x-cerebro-signature"] = f"t={at_s},v1={seal}"
        answer = await ask(
            self._http, call.target.said, "POST", self._urls[call.target.name], content=body, headers=headers,
            timeout_s=timeout_s, bytes_max=REPLY_BYTES_MAX,
        )  # fmt: skip
        if answer.status >= 500:
            raise Unavailable(f"{call.target.said} answered {answer.status}.")
        if not answer.is_success:
            raise Invalid(f"{call.target.said} answered {answer.status}.", "Look at what it expects.")
        return f"{call.target.said} has taken it."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says: only the receiver could tell."""
        return None


def _body(call: Call, key: str) -> dict[str, object]:
    return {
        "version": 1, "key": key, "operation": call.operation, "target": call.target.text,
        "arguments": dict(call.arguments),
    }  # fmt: skip
