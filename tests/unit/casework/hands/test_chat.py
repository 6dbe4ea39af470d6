"""What a chat is told of an action, and which presses of its buttons count."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import replace

import msgspec
import pytest

from cerebro.casework.deeds import ACTIONS
from cerebro.casework.hands import chat
from cerebro.casework.hands.asker import Asker
from cerebro.casework.hands.links import own_key, read
from cerebro.casework.hands.store import TELLINGS, keep_action
from cerebro.spine.actions import ActionState, Difference, Level, Reason
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, LimitReached, Unauthenticated, Unavailable
from cerebro.spine.identity import DEFAULT_TENANT

EVIL = "<!channel> *bold* <https://evil.example|click> \x1b[31m"


def texts(message):
    """Every text of a message, by how it is read."""
    found = {"plain_text": [], "mrkdwn": []}
    for block in message["blocks"]:
        parts = [block["text"]] if "text" in block else block["elements"]
        for part in parts:
            inner = part["text"] if isinstance(part.get("text"), dict) else part
            found[inner["type"]].append(inner["text"])
    return found


def test_all_that_is_approved_is_shown_and_nothing_of_it_is_markup(waiting):
    step = replace(waiting.steps[0], changes=(Difference(EVIL, "2", EVIL),))
    action = replace(waiting, steps=(step,), reasons=(Reason("share", EVIL),), title=EVIL)

    message = chat.asked(action, "the-token", "https://cerebro.example/cases/7")

    shown = texts(message)
    assert shown["mrkdwn"] == ["<https://cerebro.example/cases/7|Open the case>"]
    whole = "\n".join(shown["plain_text"])
    for part in (waiting.predicted, "Risk guarded", "2 → ", "Undo: deploy version=2", "Why: <!channel>"):
        assert part in whole
    assert "\x1b" not in json.dumps(message["blocks"], ensure_ascii=False)
    assert "<" not in message["text"]
    buttons = message["blocks"][-1]["elements"]
    assert [(each["action_id"], each["value"]) for each in buttons] == [
        ("approve", "the-token"), ("refuse", "the-token")
    ]  # fmt: skip


def test_a_message_keeps_within_what_the_chat_takes(waiting):
    step = replace(waiting.steps[0], changes=tuple(Difference("x" * 400, "a", "b") for _ in range(40)))
    message = chat.asked(replace(waiting, steps=(step,), title="t" * 400), "", "")

    head, *rest = message["blocks"]
    assert len(head["text"]["text"]) <= 150
    assert all(len(each["text"]["text"]) <= 3000 for each in rest)
    assert rest[0]["text"]["text"].index("Undo: ") < 300 and rest[0]["text"]["text"].endswith("in the console)")
    assert f"cerebro actions approve {waiting.id}" in rest[-1]["text"]["text"]


def test_a_step_that_changes_nothing_now_is_shown_for_it_is_made_all_the_same(waiting):
    step = waiting.steps[0]
    calls = [replace(step.call, operation=word, arguments={}) for word in ("drain", "undrain")]
    drain = replace(step, call=calls[0], changes=(Difference("traffic", "all", "none"),), undo=())
    undrain = replace(step, call=calls[1], changes=(), undo=())

    message = chat.asked(replace(waiting, steps=(drain, undrain)), "the-token", "")

    lines = message["blocks"][1]["text"]["text"].splitlines()
    assert lines[2:4] == ["drain: traffic all → none", "undrain: changes nothing as it is now"]


def test_what_is_done_elsewhere_than_the_action_is_named(waiting):
    """A control door may name another target for an undo, and a change of its own there."""
    step = waiting.steps[0]
    elsewhere = EntityKey("service", "cart-2")
    back = replace(step.call, operation="promote", target=elsewhere, arguments={"version": "1"}, door="shop")
    action = replace(waiting, steps=(replace(step, undo=(back,)), replace(step, call=back, undo=())))

    lines = chat.asked(action, "the-token", "")["blocks"][1]["text"]["text"].splitlines()

    assert lines[1] == "Undo: promote of service/cart-2 version=1 @shop"
    assert any(line.startswith("promote of service/cart-2 version=1 @shop: ") for line in lines)
    assert not any("of service/cart " in line or "of service/cart:" in line for line in lines)


@pytest.mark.parametrize(
    ("count", "length", "title"),
    [(13, 3, "Restart"), (5, 800, "Restart"), (1, 3, "t" * 200)],
    ids=["many", "long", "head"],
)
def test_what_is_not_shown_whole_is_not_approved_there(waiting, count, length, title):
    step = replace(waiting.steps[0], changes=tuple(Difference("x" * length, "a", "b") for _ in range(count)))
    message = chat.asked(replace(waiting, steps=(step,), title=title), "the-token", "")

    assert "the-token" not in json.dumps(message)
    assert f"in the console, or: cerebro actions approve {waiting.id}" in message["blocks"][-1]["text"]["text"]


def test_a_press_is_signed_fresh_and_for_this_app():
    body = b"payload=%7B%7D"

    def sealed(at_s, secret="secret", said=body):
        seal = hmac.new(secret.encode(), b"v0:%d:" % at_s + said, hashlib.sha256).hexdigest()
        return {"x-slack-request-timestamp": str(at_s), "x-slack-signature": f"v0={seal}"}

    chat.check_signature("secret", sealed(1000), body, 1200)
    bad = [
        sealed(1000, "another"), sealed(1000, said=b"payload=x"), {}, sealed(800), sealed(1600),
        {"x-slack-request-timestamp": "²", "x-slack-signature": "v0=x"},
    ]  # fmt: skip
    for headers in bad:
        with pytest.raises(Unauthenticated):
            chat.check_signature("secret", headers, body, 1200)
    with pytest.raises(Unauthenticated):
        chat.check_signature("", sealed(1000, ""), body, 1200)  # where no secret is set nothing is signed


@pytest.mark.parametrize("payload", ["", "[]", '{"actions": []}', '{"actions": "x"}', "[" * 9000])
def test_what_is_no_press_is_refused(payload):
    with pytest.raises(Invalid):
        chat.read_press(payload)


def test_who_pressed_is_a_name_and_nothing_else():
    assert chat.read_press(json.dumps({"actions": [{"action_id": "x"}], "user": {"name": "an\x1bna\n"}})).by == "anna"
    assert chat.read_press('{"actions": [{"action_id": "x"}]}').by == "someone"


class Channel:
    """In place of the chat: it takes messages, or does not answer."""

    def __init__(self):
        self.heard, self.is_dead = [], False

    async def post(self, body, headers):
        if self.is_dead:
            raise Unavailable("No answer.")
        self.heard.append(msgspec.json.decode(body))


@pytest.fixture
def asker(bench, tmp_path):
    settings = bench.kernel.settings
    hands = settings.hands.model_copy(
        update={"chat_url": "https://chat.example/x", "chat_as": "anna", "chat_secret": "s", "link_key": "k" * 32}
    )
    bench.kernel = replace(bench.kernel, settings=settings.model_copy(update={"hands": hands}))
    asker = Asker(bench.kernel)
    asker._webhook = Channel()
    return asker


async def test_what_waits_is_told_once_and_so_is_its_end(bench, waiting, asker):
    assert [await asker.round() for _ in range(3)] == [1, 0, 0]
    engine = bench.hands.engine

    await engine.refuse(await engine.ledger.one(DEFAULT_TENANT, waiting.id), "anna", "Not now.")
    assert [await asker.round() for _ in range(2)] == [1, 0]

    first, last = asker._webhook.heard
    assert first["text"].startswith("Approve? ")
    assert "Not now." in last["text"]


async def test_a_button_outlives_what_it_approves(bench, waiting, asker):
    """Whoever presses too late is told by the action that it has expired, and how to go on."""
    await asker.round()
    token = asker._webhook.heard[0]["blocks"][-1]["elements"][0]["value"]

    read(token, own_key(bench.kernel.settings), waiting.expires_ms + 3_600_000)


async def test_what_is_shown_anew_is_told_anew(bench, waiting, asker):
    await asker.round()
    ledger = bench.hands.engine.ledger
    record = await ledger.one(DEFAULT_TENANT, waiting.id)
    await ledger.note(record, replace(record.value, digest="another"))

    assert await asker.round() == 1


async def test_a_chat_that_does_not_answer_is_told_later(bench, waiting, asker):
    asker._webhook.is_dead = True
    assert [await asker.round() for _ in range(2)] == [0, 0]
    await bench.clock.advance(20)
    assert await asker.round() == 0
    asker._webhook.is_dead = False
    await bench.clock.advance(20)
    assert await asker.round() == 0  # a moment ago, and once before
    await bench.clock.advance(20)

    assert await asker.round() == 1


async def test_what_is_done_unasked_is_not_asked_for(bench, waiting, asker):
    """It waits for the blink of an eye only, between its proposal and Cerebro's own word."""
    ledger = bench.hands.engine.ledger
    record = await ledger.one(DEFAULT_TENANT, waiting.id)
    await ledger.note(record, replace(record.value, level=Level.ACT))

    assert await asker.round() == 0


async def test_killed_after_it_was_told_it_is_told_once_more_and_no_more(bench, waiting, asker, monkeypatch):
    honest, writes = asker._keep, []

    async def keep(*what):
        writes.append(what)
        if len(writes) == 2:
            raise KeyboardInterrupt
        return await honest(*what)

    monkeypatch.setattr(asker, "_keep", keep)
    with pytest.raises(KeyboardInterrupt):
        await asker.round()
    monkeypatch.setattr(asker, "_keep", honest)
    await bench.clock.advance(20)

    assert [await asker.round() for _ in range(2)] == [1, 0]


async def test_what_is_done_unasked_is_told_when_it_begins_and_when_it_is_over(bench, asker):
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    while not bench.toy.done:
        await bench.rounds(1)
    assert [await asker.round() for _ in range(2)] == [1, 0]
    await bench.rounds(12)

    assert [await asker.round() for _ in range(2)] == [1, 0]
    first, last = asker._webhook.heard
    assert first["text"].startswith("Begun: Roll back the last deploy, service/cart")
    assert "2 → 1" in "".join(texts(first)["plain_text"])
    assert last["text"].startswith("It helped: ")


@pytest.mark.parametrize("heard", [True, False])
async def test_what_began_while_the_chat_did_not_answer_is_told_when_it_is_over(bench, asker, heard):
    """What ended before this chat was ever tried is no news."""
    asker._webhook.is_dead = True
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    for _ in range(12):
        await bench.rounds(1)
        assert not heard or await asker.round() == 0
    asker._webhook.is_dead = False
    await bench.clock.advance(600)

    assert [await asker.round() for _ in range(2)] == [int(heard), 0]


async def test_what_is_begun_unasked_and_goes_wrong_between_two_rounds_is_told(bench, asker):
    async def refused(call, *, key, timeout_s):
        raise Invalid("Not now.")

    bench.toy.execute = refused
    await bench.case()
    while not (actions := await bench.actions()) or actions[0].state is not ActionState.FAILED:
        await bench.rounds(1, step_s=2.0)

    assert [await asker.round() for _ in range(2)] == [1, 0]
    (told,) = asker._webhook.heard
    assert told["text"].startswith("Not done: Roll back the last deploy, service/cart. It was refused: Not now.")
    for _ in range(20):
        await bench.clock.advance(60)
        assert await asker.round() == 0
    async with bench.kernel.records.transaction() as transaction:
        assert await transaction.count(TELLINGS, DEFAULT_TENANT, {}) == 0


async def test_what_is_taken_back_is_told_as_that(bench, asker):
    """Also long after it has helped, when what was told of it is forgotten."""
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    await bench.rounds(12)
    engine, (action,) = bench.hands.engine, await bench.actions()
    await bench.clock.advance(3600)
    await asker.round()
    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, action.id), "anna")

    assert [await asker.round() for _ in range(2)] == [1, 0]
    await bench.rounds(2)
    assert [await asker.round() for _ in range(2)] == [1, 0]
    assert [each["text"].partition(":")[0] for each in asker._webhook.heard] == ["Being taken back", "Undone"]


async def test_what_is_taken_back_soon_is_told_to_its_last_end(bench, asker):
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    while not (actions := await bench.actions()) or actions[0].state is not ActionState.HELPED:
        await bench.rounds(1)
    await asker.round()
    engine = bench.hands.engine
    await engine.take_back(await engine.ledger.one(DEFAULT_TENANT, actions[0].id), "anna")
    await bench.rounds(2)

    assert [await asker.round() for _ in range(2)] == [1, 0]
    assert [each["text"].partition(":")[0] for each in asker._webhook.heard] == ["It helped", "Undone"]


async def test_what_cannot_be_told_for_now_keeps_no_other_from_it(bench, waiting, asker, monkeypatch):
    other = replace(waiting, id="000-older", made_ms=waiting.made_ms - 1)
    async with bench.kernel.records.transaction() as transaction:
        await transaction.save(ACTIONS, DEFAULT_TENANT, other.id, keep_action(other), version=0)
    honest = asker._keep

    async def keep(action, telling, version):
        if action.id == waiting.id:
            raise LimitReached("The disk is full.")
        return await honest(action, telling, version)

    monkeypatch.setattr(asker, "_keep", keep)
    with pytest.raises(LimitReached):
        await asker.round()

    assert len(asker._webhook.heard) == 1


async def test_who_does_it_and_who_tells_of_it_do_not_cross(bench, asker):
    """The call is under way while the chat is told: what comes of it is written all the same, and told once."""
    told, done = asyncio.Event(), asyncio.Event()
    honest, post = bench.toy.execute, asker._webhook.post

    async def slow_call(call, *, key, timeout_s):
        await told.wait()
        said = await honest(call, key=key, timeout_s=timeout_s)
        done.set()
        return said

    async def slow_chat(body, headers):
        told.set()
        await done.wait()
        await asyncio.sleep(0)
        await post(body, headers)

    bench.toy.execute, asker._webhook.post = slow_call, slow_chat
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000

    async def tells():
        for _ in range(1000):
            if await asker.round():
                return
            await asyncio.sleep(0)

    await asyncio.gather(bench.rounds(3), tells())
    asker._webhook.post = post
    await bench.rounds(12)
    await asker.round()

    assert [each.state for each in await bench.actions()] == [ActionState.HELPED]
    assert [each["text"].partition(":")[0] for each in asker._webhook.heard] == ["Begun", "It helped"]


async def test_what_is_done_silently_is_told_nobody(bench, asker):
    ledger = bench.hands.engine.ledger
    await bench.case()
    bench.users.until_ms = bench.clock.now_ms() + 10_000
    for _ in range(12):
        await bench.rounds(1)
        for action in await bench.actions():
            record = await ledger.one(DEFAULT_TENANT, action.id)
            await ledger.note(record, replace(record.value, level=Level.SILENT))
        assert await asker.round() == 0

    assert [each.state for each in await bench.actions()] == [ActionState.HELPED]
