"""Models behind the OpenAI-compatible chat API: OpenAI, Azure, vLLM, Ollama, llama.cpp, OpenRouter and others.

Source: OpenAI API reference, "Create chat completion"; only what all of these take is sent.
"""

from typing import Any

import httpx
import msgspec

from cerebro.kernel.llm.port import Prompt, Reply
from cerebro.kernel.llm.transport import post
from cerebro.spine.errors import Unavailable


class OpenAi:
    """One model at one address.

    Args:
        url: Up to and with `/v1`.
        key: Sent as a bearer token; empty where none is asked for.
    """

    def __init__(self, name: str, url: str, model: str, key: str) -> None:
        self.name = name
        self._url, self._model = f"{url.rstrip('/')}/chat/completions", model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None)  # noqa: S113  the chain's own

    async def ask(self, prompt: Prompt) -> Reply:
        """Ask once; see the port."""
        body = {
            "model": self._model,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "max_tokens": prompt.tokens_max,
            "temperature": 0,
            "response_format": {"type": "json_object"},
        }
        found = await post(self._http, self.name, self._url, msgspec.json.encode(body), self._headers)
        return self._reply(found)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    def _reply(self, found: Any) -> Reply:
        try:
            text = found["choices"][0]["message"]["content"]
            usage = found.get("usage") or {}
            tokens = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"{self.name} answered in a form that is not the chat API's") from error
        if not isinstance(text, str):
            raise Unavailable(f"{self.name} answered without a text")
        return Reply(text, self._model, *tokens)
