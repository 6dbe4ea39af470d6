"""Where a service works: everything that its parts need, in one place."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.database import Pool
from cerebro.proving.shop.peers import Peers
from cerebro.proving.shop.registry import Board
from cerebro.proving.shop.telling import Telling
from cerebro.proving.shop.trouble import Troubles
from cerebro.proving.shop.wire import Answer, Request

Route = Callable[[Request], Awaitable[Answer]]
Routes = Mapping[str, Route]  # by `METHOD /path`


@dataclass(frozen=True, slots=True)
class Room:
    """One process's means."""

    board: Board
    clock: Clock
    telling: Telling
    troubles: Troubles
    peers: Peers
    pool: Pool


def answer(value: object, status: int = 200) -> Answer:
    """The value as a JSON answer."""
    return Answer(status, msgspec.json.encode(value))
