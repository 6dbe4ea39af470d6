"""One POST of JSON and its answer, bounded; every way it can go wrong becomes one error."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from cerebro.kernel.llm.port import REPLY_BYTES_MAX
from cerebro.spine.errors import Unavailable


async def post(http: httpx.AsyncClient, name: str, url: str, body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON that the address answers.

    Raises:
        Unavailable: It does not answer, not with a success, not with JSON, or with too much of it.
    """
    sent = {"content-type": "application/json", "accept": "application/json", **headers}
    try:
        async with http.stream("POST", url, content=body, headers=sent) as answer:
            if not answer.is_success:
                raise Unavailable(f"{name} answered {answer.status_code}")
            return msgspec.json.decode(await _bounded(answer, name))
    except httpx.HTTPError as error:
        raise Unavailable(f"{name} does not answer ({type(error).__name__})") from error
    except msgspec.DecodeError as error:
        raise Unavailable(f"{name} answered what is no JSON") from error


async def _bounded(answer: httpx.Response, name: str) -> bytes:
    found = bytearray()
    async for chunk in answer.aiter_bytes():
        found += chunk
        if len(found) > REPLY_BYTES_MAX:
            raise Unavailable(f"{name} answered more than {REPLY_BYTES_MAX} bytes")
    return bytes(found)
