"""The task of the brain that talks in a chat: each action that waits for someone, or that Cerebro does by itself and
not silently, is told there, and how it ended.

What was told stands in the action itself, so that a crash tells it once more at most, and loses nothing.
"""

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from cerebro.casework.deeds import KeptAction
from cerebro.casework.desk import Stale
from cerebro.casework.executors.webhook import Webhook
from cerebro.casework.hands import chat
from cerebro.casework.hands.ledger import Ledger
from cerebro.casework.hands.links import Link, own_key, sign
from cerebro.casework.hands.policy import ASKED
from cerebro.casework.notify import check_address
from cerebro.kernel.clock import pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Record
from cerebro.spine.actions import OPEN, ActionState, Level
from cerebro.spine.errors import CerebroError, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT

log = get_log(__name__)

ROUND_S = 2.0
AGAIN_MS = 15_000  # after an attempt that failed, or that another process has begun; twice as long after each
NEWS_MS = 3_600_000  # what ended unheard longer ago, while the chat did not answer, is not told any more
OVER = "over"  # in place of a digest, once its end is told


class Asker:
    """Asks for actions of this installation's own tenant, whose chat the settings name.

    Args:
        kernel: Its records hold the actions.

    Raises:
        Invalid: The chat's address would carry them in the clear.
    """

    name = "asker"

    def __init__(self, kernel: Kernel) -> None:
        self._settings, self._clock = kernel.settings.hands, kernel.clock
        check_address(self._settings.chat_url, "hands.chat_url")
        self._ledger, self._webhook = Ledger(kernel), Webhook(self._settings.chat_url)
        self._key, self._public_url = own_key(kernel.settings), kernel.settings.http.public_url.rstrip("/")

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set."""
        try:
            while not stop.is_set():
                await self.round()
                await pause(self._clock, stop, ROUND_S)
        finally:
            await self._webhook.close()

    async def round(self) -> int:
        """Tell what is to be told now; how much of it arrived."""
        count = 0
        for record in await self._ledger.lately(DEFAULT_TENANT):
            if self._is_due(record.value):
                try:
                    count += await self._tell(record)
                except Stale:
                    log.debug("action_crossed", action_id=record.key)
                except Unavailable as error:
                    log.warning("chat_did_not_answer", action_id=record.key, reason=error.detail)
                    break  # the next one would go to the same place
                except CerebroError as error:
                    if error.retry:
                        raise
                    log.warning("action_not_asked_for", action_id=record.key, reason=error.detail)
        return count

    def _is_due(self, action: KeptAction) -> bool:
        if action.asking_ms and self._clock.now_ms() < action.asking_ms + (AGAIN_MS << min(action.askings, 8) - 1):
            return False
        if action.state is ActionState.AWAITING:
            return action.asked != action.digest and action.level in ASKED
        if not action.asked:
            return action.level is Level.ACT and self._is_news(action)
        return action.state not in OPEN and action.asked != OVER

    def _is_news(self, action: KeptAction) -> bool:
        """Whether what nobody was asked for is under way, or was a short time ago."""
        if action.state in (ActionState.EXECUTING, ActionState.VERIFYING):
            return True
        return 0 < action.started_ms <= action.ended_ms and self._clock.now_ms() - action.ended_ms < NEWS_MS

    async def _tell(self, record: Record[KeptAction]) -> bool:
        """Tell one; it is claimed first, so that of two brains one does."""
        now_ms = self._clock.now_ms()
        tries = record.value.askings + 1
        record = await self._ledger.note(record, replace(record.value, asking_ms=now_ms, askings=tries))
        action = record.value
        waits, is_over = action.state is ActionState.AWAITING, action.state not in OPEN
        if waits:
            message = chat.asked(action, self._token(action), self._address(action))
        else:
            message = chat.over(action) if is_over else chat.begun(action, self._address(action))
        await self._webhook.post(msgspec.json.encode(message).decode(), {})
        told = OVER if is_over else action.digest
        await self._ledger.note(record, replace(action, asked=told, asking_ms=0, askings=0))
        return True

    def _token(self, action: KeptAction) -> str:
        if not (self._settings.chat_as and self._settings.chat_secret):
            return ""
        until_ms = action.made_ms + round(self._settings.approval_s * 1000)
        who = f"{chat.MARK}{self._settings.chat_as}"
        return sign(Link(action.tenant, action.id, action.digest, who, until_ms), self._key)

    def _address(self, action: KeptAction) -> str:
        return f"{self._public_url}/cases/{action.case}" if urlsplit(self._public_url).hostname else ""
