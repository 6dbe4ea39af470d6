"""Models of Amazon Bedrock, by its Converse API.

Source: AWS, Amazon Bedrock API reference, "Converse".
"""

from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from cerebro.kernel.clock import Clock
from cerebro.kernel.llm.port import Prompt, Reply
from cerebro.kernel.llm.sigv4 import Credential, signed
from cerebro.kernel.llm.transport import post
from cerebro.spine.errors import Unavailable


class Bedrock:
    """One model in one region.

    Args:
        url: Of the service; the region's own when empty.
    """

    def __init__(self, name: str, url: str, model: str, *, region: str, credential: Credential, clock: Clock) -> None:
        self.name = name
        base = (url or f"https://bedrock-runtime.{region}.amazonaws.com").rstrip("/")
        self._url, self._model, self._region = f"{base}/model/{quote(model, safe='')}/converse", model, region
        self._credential, self._clock = credential, clock
        self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None)  # noqa: S113  the chain's own

    async def ask(self, prompt: Prompt) -> Reply:
        """Ask once; see the port."""
        body = msgspec.json.encode(
            {
                "system": [{"text": prompt.system}],
                "messages": [{"role": "user", "content": [{"text": prompt.user}]}],
                "inferenceConfig": {"maxTokens": prompt.tokens_max, "temperature": 0},
            }
        )
        own = {"content-type": "application/json"}
        added = signed(
            self._credential, self._url, body,
            region=self._region, service="bedrock", at_ms=self._clock.now_ms(), headers=own,
        )  # fmt: skip
        return self._reply(await post(self._http, self.name, self._url, body, own | added))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    def _reply(self, found: Any) -> Reply:
        try:
            parts = found["output"]["message"]["content"]
            text = "".join(part["text"] for part in parts if "text" in part)
            usage = found.get("usage") or {}
            tokens = (int(usage.get("inputTokens") or 0), int(usage.get("outputTokens") or 0))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"{self.name} answered in a form that is not Converse's") from error
        return Reply(text, self._model, *tokens)
