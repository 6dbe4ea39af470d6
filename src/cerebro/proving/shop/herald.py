"""Changes as the shop's own people announce them: CloudEvents to Cerebro's door, the moment they are made.

What breaks by itself is not announced; a deploy, configuration, flag, migration or operation is, also a bad one.
"""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from cerebro.kernel.clock import Clock
from cerebro.kernel.observe.log import get_log
from cerebro.proving.shop.plan import entity_text

log = get_log(__name__)

SOURCE, TYPE = "/shop/keeper", "application/cloudevents+json"
POST_S = 5.0
UNDERWAY_MAX = 100


class Herald:
    """Tells of changes without keeping anyone waiting; what cannot be told is dropped and logged.

    Args:
        url: Of Cerebro; empty to tell nobody.
        key: That opens its intake.
    """

    def __init__(self, url: str, key: str, clock: Clock) -> None:
        self._url, self._key, self._clock = url.rstrip("/"), key, clock
        self._underway: set[asyncio.Task[None]] = set()

    def tell(self, kind: str, name: str, title: str, attributes: Mapping[str, str]) -> None:
        """One change of a service, from inside the running loop."""
        if not self._url or len(self._underway) >= UNDERWAY_MAX:
            return
        body = msgspec.json.encode(self.event(kind, name, title, attributes))
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._post, body))
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    def event(self, kind: str, name: str, title: str, attributes: Mapping[str, str]) -> dict[str, object]:
        """The change as a CloudEvent."""
        now_ms = self._clock.now_ms()
        return {
            "specversion": "1.0",
            "id": self._clock.new_id(),
            "source": SOURCE,
            "type": f"shop.{kind}",
            "subject": entity_text(name),
            "time": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(),
            "data": {"title": title, "entity": entity_text(name), **attributes},
        }

    def _post(self, body: bytes) -> None:
        headers = {"content-type": TYPE, "authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._url}/intake/events", body, headers)  # noqa: S310  our own address
        try:
            with urllib.request.urlopen(request, timeout=POST_S):  # noqa: S310
                return
        except (urllib.error.URLError, OSError) as error:
            log.warning("shop_change_not_told", reason=str(error))
