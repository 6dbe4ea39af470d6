"""What a signed link is answered with: by a program that has the token, or by a button in a chat."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.datastructures import Headers

from cerebro.casework.deeds import KeptAction
from cerebro.casework.executors.webhook import Webhook
from cerebro.casework.hands import answers, chat
from cerebro.casework.hands.counter import Counter
from cerebro.casework.hands.links import Link, own_key, read, sign
from cerebro.casework.notify import check_address
from cerebro.kernel.access.guard import Guard, Principal
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import CerebroError, Invalid, Unauthenticated, Unavailable

log = get_log(__name__)


class Links:
    """Makes signed links, and takes their answers."""

    def __init__(self, counter: Counter, kernel: Kernel) -> None:
        self._counter, self._clock = counter, kernel.clock
        self._settings, self._whole = kernel.settings.hands, kernel.settings

    async def make(self, principal: Principal, action_id: str) -> answers.LinkLine:
        """A link for who may approve, of the action as it is shown now.

        Raises:
            NotFound: There is no such action.
            Forbidden: They may not approve it.
        """
        record = await self._counter.ledger.one(principal.tenant, action_id)
        await self._counter.may(principal, record)
        until_ms = self._clock.now_ms() + round(self._settings.link_s * 1000)
        made = Link(principal.tenant, record.value.id, record.value.digest, principal.name, until_ms)
        return answers.LinkLine(sign(made, own_key(self._whole)), until_ms)

    async def answered(self, guard: Guard, asked: answers.Answer) -> KeptAction:
        """Do what the holder of a token says.

        Raises:
            Unauthenticated: The link is none of ours, has expired, counts only in the chat, or its maker is gone.
            Forbidden: Whoever made it may not approve this.
            Stale: It is another action by now, or over.
        """
        link = self._read(asked.token)
        if link.who.startswith(chat.MARK):
            raise Unauthenticated("This link counts by its button in the chat alone.", "Press it there.")
        return await self._decide(guard, link, asked.verdict, link.who, f"{link.who} (link)")

    async def pressed(self, guard: Guard, headers: Headers, body: bytes) -> KeptAction:
        """Do what a button says; the chat is told what came of it.

        Raises:
            Invalid: It is no press.
            Unauthenticated: As of `answered`; or the chat has not signed it.
        """
        try:
            payload = parse_qs(body.decode(), max_num_fields=20, strict_parsing=True)["payload"][0]
        except (KeyError, ValueError) as error:
            raise Invalid("The answer cannot be read.", "Send `token` and `verdict`: approve or refuse.") from error
        press = chat.read_press(payload)
        button = press.actions[0]
        if button.action_id not in (chat.APPROVE, chat.REFUSE):
            raise Invalid("No such button is ours.", "Send `token` and `verdict`: approve or refuse.")
        try:
            chat.check_signature(self._settings.chat_secret, headers, body, self._clock.now_ms() // 1000)
        except Unauthenticated:
            link = self._read(button.value)
            if link.who.startswith(chat.MARK):
                raise
            return await self._do(guard, button, link, press.by)  # a relay has put a person's own link behind a button
        try:
            done = await self._do(guard, button, self._read(button.value), press.by)
        except CerebroError as error:
            await self._reply(press, chat.refusal(f"{error.detail} {error.mend}".strip()))
            raise
        await self._reply(press, chat.answered(done, press.by))
        return done

    async def _do(self, guard: Guard, button: chat.Pressed, link: Link, by: str) -> KeptAction:
        login = link.who.removeprefix(chat.MARK)
        said = f"{login} (link)" if login == link.who else f"{by} (chat, as {login})"
        return await self._decide(guard, link, button.action_id, login, said)

    def _read(self, token: str) -> Link:
        return read(token, own_key(self._whole), self._clock.now_ms())

    async def _decide(self, guard: Guard, link: Link, verdict: str, login: str, by: str) -> KeptAction:
        record = await self._counter.ledger.one(link.tenant, link.action)
        await self._counter.may(await guard.standing(link.tenant, login), record)  # who made it may be gone by now
        engine = self._counter.engine
        if verdict == chat.APPROVE:
            return (await engine.approve(record, by, link.digest)).value
        return (await engine.refuse(record, by, "", link.digest)).value

    async def _reply(self, press: chat.Press, message: Mapping[str, object]) -> None:
        """Tell the chat, where the address is its own; that it does not listen takes nothing back."""
        url = press.response_url
        if urlsplit(url).netloc != urlsplit(self._settings.chat_url).netloc:
            return
        check_address(url, "hands.chat_url")
        webhook = Webhook(url)
        try:
            await webhook.post(msgspec.json.encode(message).decode(), {})
        except Unavailable as error:
            log.warning("chat_did_not_answer", reason=error.detail)
        finally:
            await webhook.close()
