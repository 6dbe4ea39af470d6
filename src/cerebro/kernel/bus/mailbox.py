"""Answers to requests over one connection, however many are in flight, told apart by a word of their subject."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cerebro.spine.errors import Unavailable


class Letter(Protocol):
    """What the client library gives us."""

    subject: str
    data: bytes
    headers: dict[str, str] | None


@dataclass(slots=True)
class _Question:
    answer: asyncio.Future[Letter]
    parts: list[Letter] | None = field(default=None)


class Mailbox:
    """Hands each letter to the question that it answers. A lost connection answers them all with `Unavailable`.

    Args:
        prefix: Of the subjects at which answers arrive; a dot and the question's number follow.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._open: dict[str, _Question] = {}

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{self._prefix}.*"

    def open(self, parts: list[Letter] | None = None) -> tuple[str, asyncio.Future[Letter]]:
        """An address for the answer, and the answer to come.

        With `parts`, letters gather there until one with a status ends the answer.
        """
        self._count += 1
        key = str(self._count)
        answer: asyncio.Future[Letter] = asyncio.get_running_loop().create_future()
        self._open[key] = _Question(answer, parts)
        answer.add_done_callback(lambda _answer: self._open.pop(key, None))
        return f"{self._prefix}.{key}", answer

    async def receive(self, letter: Letter) -> None:
        """Take one letter in; a coroutine because the client library wants one."""
        question = self._open.get(letter.subject[len(self._prefix) + 1 :])
        if question is None or question.answer.done():
            return  # whoever asked has given up
        if question.parts is None or "Status" in (letter.headers or {}):
            question.answer.set_result(letter)
        else:
            question.parts.append(letter)

    def fail_all(self, why: str) -> None:
        """Tell everyone who waits that no answer will come."""
        for question in list(self._open.values()):
            if not question.answer.done():
                question.answer.set_exception(Unavailable(why))


def status_of(letter: Letter) -> int:
    """The status of a control letter, 0 of any other."""
    headers: Mapping[str, str] = letter.headers or {}
    return int(headers.get("Status", 0))
