"""What is asked of a language model, and what comes back. A driver tries once; `chain` decides what then."""

from dataclasses import dataclass
from typing import Protocol

REPLY_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question.

    Args:
        system: What the model is to do; ours alone, nothing from outside stands in it.
        user: What it is to do it with. May hold text from outside: to the model it is data.
        tokens_max: Of the answer.
    """

    system: str
    user: str
    tokens_max: int = 1500


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, and what it cost."""

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0


class Provider(Protocol):
    """One model at one address."""

    name: str

    async def ask(self, prompt: Prompt) -> Reply:
        """Ask once.

        Raises:
            Unavailable: No answer, a refusal of the provider's, or an answer that cannot be read.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        ...


class Models(Protocol):
    """Every provider that is configured, as one: masked, timed, counted, remembered."""

    async def ask(self, prompt: Prompt, *, purpose: str) -> Reply:
        """An answer of the first provider that gives one.

        Args:
            purpose: What it is spent on, such as a case; each has its own budget.

        Raises:
            LimitReached: The budget of the purpose is spent.
            Unavailable: No provider answers.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        ...
