"""From settings to providers. Imported only when a model is configured, so that it weighs nothing when none is."""

from urllib.parse import urlsplit

from cerebro.kernel.clock import Clock
from cerebro.kernel.llm.bedrock import Bedrock
from cerebro.kernel.llm.chain import Chain
from cerebro.kernel.llm.openai import OpenAi
from cerebro.kernel.llm.port import Provider
from cerebro.kernel.llm.sigv4 import Credential
from cerebro.kernel.settings import LlmSettings
from cerebro.spine.errors import Invalid

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def open_models(settings: LlmSettings, clock: Clock) -> Chain:
    """The configured providers, the first one first.

    Raises:
        Invalid: A provider is unknown, has no model, or an address that would carry the key in the clear.
    """
    first = _provider(settings, clock, settings.provider, settings.url, settings.model, settings.key)
    second = (settings.second_provider, settings.second_url, settings.second_model, settings.second_key)
    both = [first, _provider(settings, clock, *second)] if settings.second_provider else [first]
    return Chain(both, settings, clock)


def _provider(settings: LlmSettings, clock: Clock, kind: str, url: str, model: str, key: str) -> Provider:  # noqa: PLR0917
    if not model:
        raise Invalid("The language model has no name.", "Set `llm.model`, and `llm.second_model` for a second one.")
    if kind == "bedrock":
        _check(url, may_be_empty=True)
        credential = Credential(settings.aws_access_key, settings.aws_secret_key, settings.aws_session_token)
        return Bedrock(f"bedrock:{model}", url, model, region=settings.aws_region, credential=credential, clock=clock)
    _check(url, may_be_empty=False)
    return OpenAi(f"openai:{model}", url, model, key)


def _check(url: str, *, may_be_empty: bool) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (url or not may_be_empty) and not (parts.scheme == "https" and parts.hostname) and not local:
        raise Invalid(
            "The language model's address is neither https nor on this machine.",
            "Mend `llm.url`: https://host/v1, or http://127.0.0.1:port/v1.",
        )
