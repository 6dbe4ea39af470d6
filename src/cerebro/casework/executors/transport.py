"""One HTTP request and its answer, bounded: whoever is asked decides neither how long it takes nor how much is read."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from cerebro.spine.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: Of HTTP.
        body: Its beginning, where it is not whole.
    """

    status: int
    body: bytes
    is_whole: bool

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300


async def ask(
    http: httpx.AsyncClient, name: str, method: str, url: str, *, timeout_s: float, bytes_max: int, **sent: Any
) -> Answer:
    """The answer to one request, of whatever status.

    Args:
        name: Of who is asked, for people; an address may hold a secret.
        timeout_s: For all of it, not for each piece.
        bytes_max: Of the body; what is beyond stays unread.
        sent: What else httpx takes for a request.

    Raises:
        Unavailable: It has not answered in time, or not at all.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            http.stream(method, url, timeout=timeout_s, **sent) as answer,
        ):
            body = bytearray()
            async for piece in answer.aiter_raw():  # as it comes: a little that is packed can be very much
                body += piece
                if len(body) > bytes_max:
                    break
            return Answer(answer.status_code, bytes(body[:bytes_max]), len(body) <= bytes_max)
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unavailable(f"{name} did not answer: {type(error).__name__}.") from error


def client(**settings: Any) -> httpx.AsyncClient:
    """Connections to whoever is asked: no redirects, nothing from the environment, no packed answers."""
    headers = {"accept-encoding": "identity", **settings.pop("headers", {})}
    return httpx.AsyncClient(headers=headers, follow_redirects=False, trust_env=False, **settings)
