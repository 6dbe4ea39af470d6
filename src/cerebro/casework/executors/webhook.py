"""Posting JSON to an address outside, once a call. Whoever calls decides whether to try again."""

import httpx

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
        self._http = _client()

    async def post(self, body: str, headers: dict[str, str]) -> None:
        """Post the body; return when the receiver has taken it, with a status of 200 to 299.

        Raises:
            Unavailable: It did not answer in `TIMEOUT_S`, or not with such a status.
        """
        if self._http.is_closed:  # whoever uses it was ended by an error, and goes on
            self._http = _client()
        sent = {"content-type": "application/json", "user-agent": "cerebro", **headers}
        try:
            async with self._http.stream("POST", self._url, content=body.encode(), headers=sent) as answer:
                await self._skim(answer)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._host} did not take the message: {type(error).__name__}.") from error
        if not answer.is_success:
            raise Unavailable(f"{self._host} answered {answer.status_code}.")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _skim(self, answer: httpx.Response) -> None:
        """Read a short answer, so that the connection can be used again; leave a long one."""
        size = 0
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size > REPLY_BYTES_MAX:
                return


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
