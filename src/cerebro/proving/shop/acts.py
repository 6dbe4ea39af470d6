"""Small acts on the running shop that both faults and operations are made of."""

from contextlib import suppress

import psycopg

from cerebro.proving.shop.keeper import Keeper
from cerebro.spine.errors import Unavailable


async def execute(keeper: Keeper, words: str) -> None:
    """A statement as the database's owner.

    Raises:
        Unavailable: The database refuses or is not there.
    """
    try:
        async with await psycopg.AsyncConnection.connect(keeper.database_url, autocommit=True) as connection:
            await connection.execute(words.encode())
    except psycopg.Error as error:
        raise Unavailable(f"The shop's database refuses: {error}") from error


async def ask_each(keeper: Keeper, name: str, target: str, method: str = "POST") -> None:
    """The same question to every replica; one that does not answer is passed over."""
    for replica in keeper.replicas[name]:
        with suppress(OSError, TimeoutError):
            await keeper.lines.ask(replica.port, method, target, headers={}, timeout_s=2)
