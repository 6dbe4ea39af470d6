"""Posting JSON to an address outside, once a call. Whoever calls decides whether to try again."""

import httpx

from cerebro.casework.executors.transport import ask, client
from cerebro.spine.errors import Unavailable

TIMEOUT_S = 10.0
REPLY_BYTES_MAX = 4096  # of an answer nobody reads; the rest stays unread


class Webhook:
    """One address that changes are posted to.

    Args:
        url: Checked by `notify.check_address`. It may hold a secret, so no message of ours shows more
            than its host.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._host = httpx.URL(url).host
        self._http = client()

    async def post(self, body: str, headers: dict[str, str]) -> None:
        """Post the body; return when the receiver has taken it, with a status of 200 to 299.

        Raises:
            Unavailable: It did not answer in `TIMEOUT_S`, or not with such a status.
        """
        if self._http.is_closed:  # whoever uses it was ended by an error, and goes on
            self._http = client()
        sent = {"content-type": "application/json", "user-agent": "cerebro", **headers}
        answer = await ask(
            self._http, self._host, "POST", self._url, content=body.encode(), headers=sent,
            timeout_s=TIMEOUT_S, bytes_max=REPLY_BYTES_MAX,
        )  # fmt: skip
        if not answer.is_success:
            raise Unavailable(f"{self._host} answered {answer.status}.")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()
