"""The task of the brain that talks in a chat: each action that waits for someone, or that Cerebro does by itself and
not silently, is told there, and how it ended.

What was told is kept beside the action, which is written by whoever does it, at the same time: a crash tells it once
more at most, and loses nothing.
"""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from cerebro.casework.deeds import KeptAction
from cerebro.casework.executors.webhook import Webhook
from cerebro.casework.hands import chat
from cerebro.casework.hands.ledger import Ledger
from cerebro.casework.hands.links import Link, own_key, sign
from cerebro.casework.hands.policy import ASKED
from cerebro.casework.hands.store import TELLINGS, Telling
from cerebro.casework.notify import check_address
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record, Search
from cerebro.spine.actions import OPEN, ActionState, Level
from cerebro.spine.errors import CerebroError, Conflict, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT

log = get_log(__name__)

ROUND_S = 2.0
AGAIN_MS = 15_000  # after an attempt that failed, or that another process has begun; twice as long after each
LATE_MS = 86_400_000  # after an action has expired: who presses then is told by the action itself how to go on
NEWS_MS = 300_000  # so long the end of what nobody was told of is news: it may begin and end between two rounds
TELLINGS_MAX = 1000
BEGUN = (ActionState.EXECUTING, ActionState.VERIFYING, ActionState.UNDOING)


class Asker:
    """Tells of the actions of this installation's own tenant in the chat that the settings name.

    Args:
        kernel: Its records hold the actions.

    Raises:
        Invalid: The chat's address would carry them in the clear.
    """

    name = "asker"

    def __init__(self, kernel: Kernel) -> None:
        self._settings, self._clock = kernel.settings.hands, kernel.clock
        check_address(self._settings.chat_url, "hands.chat_url")
        self._records, self._ledger = kernel.records, Ledger(kernel)
        self._webhook = Webhook(self._settings.chat_url)
        self._key, self._public_url = own_key(kernel.settings), kernel.settings.http.public_url.rstrip("/")

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop` is set."""
        try:
            while not stop.is_set():
                await self.round()
                await pause(self._clock, stop, ROUND_S)
        finally:
            await self._webhook.close()

    async def round(self) -> int:
        """Tell what is to be told now; how much of it arrived.

        Raises:
            CerebroError: Something could not be told for now; all else was.
        """
        told = await self._told()
        count, failed = 0, None
        for record in await self._ledger.lately(DEFAULT_TENANT):
            action, before = record.value, told.get(record.key, Record(record.key, Telling(), 0))
            if not self._is_due(action, before.value):
                continue
            try:
                count += await self._tell(action, before)
            except Conflict:
                log.debug("action_crossed", action_id=action.id)
            except Unavailable as error:
                log.warning("chat_did_not_answer", action_id=action.id, reason=error.detail)
                break  # the next one would go to the same place
            except CerebroError as error:
                log.warning("action_not_told", action_id=action.id, reason=error.detail)
                failed = failed or (error if error.retry else None)
        if failed:
            raise failed
        return count

    async def _told(self) -> dict[str, Record[Telling]]:
        """What was told, by the action's id; what is long over is forgotten."""
        long_ago_ms = self._clock.now_ms() - 2 * NEWS_MS
        async with self._records.transaction() as transaction:
            page = await transaction.find(TELLINGS, DEFAULT_TENANT, Search({}, order="-key", limit=TELLINGS_MAX))
            for record in page.records:
                if 0 < record.value.over_ms < long_ago_ms:
                    await transaction.delete(TELLINGS, DEFAULT_TENANT, record.key)
        return {record.key: record for record in page.records}

    def _is_due(self, action: KeptAction, told: Telling) -> bool:
        if told.tried_ms and self._clock.now_ms() < told.tried_ms + (AGAIN_MS << min(told.tries, 8) - 1):
            return False
        if action.state is ActionState.AWAITING:
            return told.digest != action.digest and action.level in ASKED
        if action.state in BEGUN:
            return not told.digest and action.level is Level.ACT
        if action.state in OPEN or told.over_ms == action.ended_ms:
            return False
        is_news = action.ended_ms > self._clock.now_ms() - NEWS_MS
        return bool(told.digest or told.tries) or (action.level is Level.ACT and action.started_ms > 0 and is_news)

    async def _tell(self, action: KeptAction, before: Record[Telling]) -> bool:
        """Tell one; it is claimed first, so that of two brains one does."""
        claim = replace(before.value, tried_ms=self._clock.now_ms(), tries=before.value.tries + 1)
        version = await self._keep(action, claim, before.version)
        if action.state not in OPEN:
            message = chat.over(action)
        elif action.state is ActionState.AWAITING:
            message = chat.asked(action, self._token(action), self._address(action))
        else:
            message = chat.begun(action, self._address(action))
        await self._webhook.post(msgspec.json.encode(message).decode(), {})
        over_ms = 0 if action.state in OPEN else action.ended_ms
        await self._keep(action, Telling(action.digest, over_ms=over_ms), version)
        return True

    async def _keep(self, action: KeptAction, telling: Telling, version: int) -> int:
        async with self._records.transaction() as transaction:
            return await transaction.save(TELLINGS, action.tenant, action.id, telling, version=version)

    def _token(self, action: KeptAction) -> str:
        if not (self._settings.chat_as and self._settings.chat_secret):
            return ""
        until_ms = action.made_ms + round(self._settings.approval_s * 1000) + LATE_MS
        who = f"{chat.MARK}{self._settings.chat_as}"
        return sign(Link(action.tenant, action.id, action.digest, who, until_ms), self._key)

    def _address(self, action: KeptAction) -> str:
        return f"{self._public_url}/cases/{action.case}" if urlsplit(self._public_url).hostname else ""
