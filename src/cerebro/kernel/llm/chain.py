"""The providers as one: the first that answers, within a time and a budget; masked, counted and remembered."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cerebro.kernel.clock import Clock
from cerebro.kernel.llm import metrics
from cerebro.kernel.llm.breaker import Breaker
from cerebro.kernel.llm.mask import mask
from cerebro.kernel.llm.port import Prompt, Provider, Reply
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.settings import LlmSettings
from cerebro.spine.errors import LimitReached, Unavailable

log = get_log(__name__)
REMEMBERED_MAX = 256
PURPOSES_MAX = 1000
CHARS_PER_TOKEN = 3  # counted before it is sent; fewer than any model's in our two languages, so the guess is high


@dataclass(slots=True)
class Spent:
    """What one purpose has cost so far."""

    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer, and until when it is good."""

    reply: Reply
    until_s: float


class Chain:
    """The driver of `Models`: one provider after the other.

    Args:
        providers: In the order in which they are asked.
    """

    def __init__(self, providers: Sequence[Provider], settings: LlmSettings, clock: Clock) -> None:
        self._rules, self._clock = settings, clock
        self._names = settings.masked_names.split(",")
        self._providers = [
            (provider, Breaker(clock, settings.failures_max, settings.pause_s)) for provider in providers
        ]
        self._answers: OrderedDict[str, Remembered] = OrderedDict()
        self._spent: OrderedDict[str, Spent] = OrderedDict()

    async def ask(self, prompt: Prompt, *, purpose: str) -> Reply:
        """An answer of the first provider that gives one; see the port."""
        name = hashlib.sha256(f"{prompt.system}\0{prompt.user}\0{prompt.tokens_max}".encode()).hexdigest()
        if (known := self._answers.get(name)) and self._clock.monotonic_s() < known.until_s:
            metrics.CALLS.labels("memory", "remembered").inc()
            return known.reply
        masked = mask(prompt.user, self._names)
        for mark in masked.meaning:
            metrics.MASKED.labels(mark.strip("[]").partition("-")[0]).inc()
        reply = await self._first(replace(prompt, user=masked.text), purpose)
        reply = replace(reply, text=masked.unmasked(reply.text))
        self._answers[name] = Remembered(reply, self._clock.monotonic_s() + self._rules.remember_s)
        while len(self._answers) > REMEMBERED_MAX:
            self._answers.popitem(last=False)
        return reply

    async def close(self) -> None:
        """Let go of every connection."""
        for provider, _ in self._providers:
            await provider.close()

    async def _first(self, prompt: Prompt, purpose: str) -> Reply:
        fault = "every provider is being left alone after failures"
        for provider, breaker in self._providers:
            if not breaker.admits():
                metrics.CALLS.labels(provider.name, "left_alone").inc()
                continue
            spent = self._charged(purpose, prompt)
            try:
                reply = await self._once(provider, prompt)
            except Unavailable as error:
                breaker.failed()
                fault = error.detail
                metrics.CALLS.labels(provider.name, "failed").inc()
                log.warning("llm_failed", provider=provider.name, reason=error.detail)
                continue
            breaker.succeeded()
            spent.tokens += reply.tokens_out
            metrics.CALLS.labels(provider.name, "answered").inc()
            metrics.TOKENS.labels(provider.name, "in").inc(reply.tokens_in)
            metrics.TOKENS.labels(provider.name, "out").inc(reply.tokens_out)
            return reply
        raise Unavailable(f"No language model answers: {fault}.")

    async def _once(self, provider: Provider, prompt: Prompt) -> Reply:
        began_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._rules.timeout_s):
                return await provider.ask(prompt)
        except TimeoutError as error:
            raise Unavailable(f"{provider.name} gave no answer in {self._rules.timeout_s:g} s") from error
        finally:
            metrics.SECONDS.observe(self._clock.monotonic_s() - began_s)

    def _charged(self, purpose: str, prompt: Prompt) -> Spent:
        """The account of the purpose, with this call on it.

        Raises:
            LimitReached: It would be over its budget. Nothing was sent.
        """
        account = self._spent.setdefault(purpose, Spent())
        self._spent.move_to_end(purpose)
        while len(self._spent) > PURPOSES_MAX:
            self._spent.popitem(last=False)
        tokens = (len(prompt.system) + len(prompt.user)) // CHARS_PER_TOKEN
        if account.calls >= self._rules.calls_per_case_max:
            raise LimitReached(f"{account.calls} calls to language models were spent on this case.")
        if account.tokens + tokens + prompt.tokens_max > self._rules.tokens_per_case_max:
            raise LimitReached(f"{account.tokens} tokens were spent on this case; this call would be too many.")
        account.calls += 1
        account.tokens += tokens
        return account
