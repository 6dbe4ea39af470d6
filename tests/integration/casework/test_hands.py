"""Hands on real engines: a control door over HTTP, a case with a cause, an approval, a call that is made once."""

import asyncio
import hashlib
import hmac
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI

from cerebro.casework.answers import Answers
from cerebro.casework.api import router
from cerebro.casework.desk import Desk
from cerebro.casework.hands.links import Link, own_key, sign
from cerebro.casework.hands.reach import Doors
from cerebro.casework.hands.users import StoredUsers
from cerebro.casework.hands.work import Hands
from cerebro.kernel.access.guard import Guard
from cerebro.kernel.access.keys import Keys
from cerebro.kernel.access.passwords import Passwords
from cerebro.kernel.access.refresh import RefreshTokens
from cerebro.kernel.access.tokens import Tokens
from cerebro.kernel.access.users import Users
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.cases import Cause, Mark
from cerebro.spine.entities import EntityKey

CART = EntityKey("service", "cart")
KEY = "a-key-of-the-door"
SECRET = "signing-secret"


class Supervisor(ThreadingHTTPServer):
    """A program's control door: it rolls a version back, once a key."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.version, self.done, self.calls = "2", {}, []


class Handler(BaseHTTPRequestHandler):
    server: Supervisor

    def log_message(self, *words):
        pass

    def say(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if self.headers["authorization"] != f"Bearer {KEY}":
            self.say(401, {"code": "unauthenticated", "detail": "Who are you?", "mend": ""})
        elif path == "/operations":
            self.say(200, [{"name": "rollback", "about": ""}, {"name": "deploy", "about": ""}])
        elif path == "/done":
            self.say(200, {"done": query.removeprefix("key=") in self.server.done})
        else:
            self.say(200, {"version": self.server.version})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        undo = [{"name": "deploy", "target": asked["target"], "parameters": {"version": self.server.version}}]
        change = {"what": "version", "before": self.server.version, "after": "1"}
        if self.path == "/dry-run":
            self.say(200, {"changes": [change], "state": {"version": self.server.version}, "undo": undo})
        elif asked["parameters"].get("version") == "9":
            self.say(400, {"code": "invalid", "detail": "There is no version 9.", "mend": ""})
        else:
            self.server.calls.append(asked)
            self.server.done.setdefault(asked["key"], True)
            self.server.version = asked["parameters"].get("version", "1")
            self.say(200, {"done": True})


@pytest.fixture
def supervisor():
    server = Supervisor()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def case_id(kernel, finding, tenant):
    desk = Desk(kernel)
    (kept,) = await desk.admit(tenant, [finding("http.server.request.duration", "service/cart")])
    marks = (Mark("deployed", 6.0),)
    cause = Cause(CART, "deploy", 0.9, 1, "It began with the deploy of version 2.", marks=marks)
    now_ms = kernel.clock.now_ms()
    await desk.change(tenant, kept.case, lambda case: replace(case, causes=(cause,), looked_ms=now_ms))
    return kept.case


@pytest.fixture
def hands(whole_kernel):
    return Hands(whole_kernel, StoredUsers(whole_kernel.telemetry, whole_kernel.clock), Doors(whole_kernel))


async def register(client, supervisor, **change):
    url = f"http://127.0.0.1:{supervisor.server_port}"
    body = {"name": "shop", "url": url, "key": KEY, "scope": ["service/*"]} | change
    return await client.post("/executors", json=body)


async def test_asked_shown_approved_done_and_taken_back(client, supervisor, case_id, hands, tenant):
    assert (await register(client, supervisor)).status_code == 201
    await hands.round(tenant)

    (action,) = (await client.get("/actions", params={"case": case_id})).json()["items"]
    assert (action["state"], action["playbook"]) == ("awaiting_approval", "rollback-deploy")
    assert action["steps"][0]["changes"] == [{"what": "version", "before": "2", "after": "1"}]
    assert supervisor.calls == []

    wrong = await client.post(f"/actions/{action['id']}/approve", json={"digest": "0" * 64})
    assert wrong.status_code == 409
    yes = await client.post(f"/actions/{action['id']}/approve", json={"digest": action["digest"]})
    assert yes.status_code == 200, yes.text
    await hands.round(tenant)
    assert [call["name"] for call in supervisor.calls] == ["rollback"]

    early = await client.post(f"/actions/{action['id']}/verdict", json={"verdict": "good"})
    assert early.status_code == 409  # it is not over
    back = await client.post(f"/actions/{action['id']}/undo", json={"reason": "the wrong one"})
    assert back.status_code == 200, back.text
    await hands.round(tenant)
    assert (supervisor.version, supervisor.calls[-1]["name"]) == ("2", "deploy")
    one = (await client.get(f"/actions/{action['id']}")).json()
    assert one["state"] == "undone"
    assert any("wants it undone. the wrong one" in turn["text"] for turn in one["story"])
    assert "approved it" in " ".join((await client.get(f"/actions/{action['id']}/why")).json())
    await client.post(f"/actions/{action['id']}/verdict", json={"verdict": "bad"})
    assert (await client.get("/playbooks/rollback-deploy")).json()["record"]["bad"] == 1


async def test_two_brains_on_one_database_call_once(client, supervisor, case_id, whole_kernel, tenant):
    await register(client, supervisor, level="act")
    brains = [
        Hands(whole_kernel, StoredUsers(whole_kernel.telemetry, whole_kernel.clock), Doors(whole_kernel))
        for _ in range(2)
    ]

    for _ in range(3):
        await asyncio.gather(*(each.round(tenant) for each in brains), return_exceptions=True)

    assert len({call["key"] for call in supervisor.calls}) == len(supervisor.calls) == 1


async def test_a_link_approves_what_it_was_made_for_and_nothing_else(app, client, supervisor, case_id, hands, tenant):
    await register(client, supervisor)
    await hands.round(tenant)
    (action,) = (await client.get("/actions", params={"case": case_id})).json()["items"]
    token = (await client.post(f"/actions/{action['id']}/link")).json()["token"]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as stranger:
        for bad in (token[:-2] + "xx", "nonsense", token + "." + token):
            answer = await stranger.post("/api/v1/approvals", json={"token": bad, "verdict": "approve"})
            assert answer.status_code == 401
        form = {"payload": json.dumps({"actions": [{"value": token, "action_id": "approve"}]})}
        pressed = await stranger.post("/api/v1/approvals", data=form)
        assert pressed.status_code == 200, pressed.text
        again = await stranger.post("/api/v1/approvals", json={"token": token, "verdict": "approve"})
        assert again.status_code == 409

    assert pressed.json()["approved_by"].endswith("(link)")


async def test_a_link_of_someone_who_is_gone_approves_nothing(app, client, records, supervisor, case_id, hands, tenant):
    await register(client, supervisor)
    await hands.round(tenant)
    (action,) = (await client.get("/actions", params={"case": case_id})).json()["items"]
    token = (await client.post(f"/actions/{action['id']}/link")).json()["token"]
    keys = Keys(records, SystemClock())
    for record in (await keys.page(tenant, "", 100)).records:
        await keys.revoke(tenant, record.value.prefix, actor="admin")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as stranger:
        answer = await stranger.post("/api/v1/approvals", json={"token": token, "verdict": "approve"})

    assert (answer.status_code, supervisor.calls) == (401, [])


class Chat(ThreadingHTTPServer):
    """In place of Slack's side: what was posted to an address that came with a press."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ChatHandler)
        self.url, self.heard = f"http://127.0.0.1:{self.server_port}", []


class ChatHandler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


@pytest.fixture
def chat():
    server = Chat()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def pressing(whole_kernel, live, chat, records, tenant):
    """Presses a button of an action as Slack tells of it; with another secret, or a message of another place."""
    hands = whole_kernel.settings.hands.model_copy(
        update={"chat_url": f"{chat.url}/hook", "chat_secret": SECRET, "chat_as": "night-shift"}
    )
    kernel = replace(whole_kernel, settings=whole_kernel.settings.model_copy(update={"hands": hands}))
    users = Users(records, SystemClock(), Passwords(SystemClock()), RefreshTokens(records, SystemClock(), 60))
    await users.make(tenant, "night-shift", "operator", "a long enough passphrase", actor="test")
    app = FastAPI(openapi_url=None)
    app.state.guard = Guard(records, kernel.clock, Tokens("k" * 32, 900, kernel.clock))
    app.include_router(router(kernel, Answers(kernel.clock), live))
    explain_problems(app)

    async def press(
        action, button="approve", *, secret=SECRET, late_s=0, reply=chat.url, as_json=False, left_ms=60_000
    ):
        link = Link(tenant, action["id"], action["digest"], "chat:night-shift", kernel.clock.now_ms() + left_ms)
        token = sign(link, own_key(kernel.settings))
        payload = {"type": "block_actions", "user": {"id": "U1", "username": "anna"}, "response_url": f"{reply}/reply",
                   "actions": [{"type": "button", "action_id": button, "value": token}]}  # fmt: skip
        body = urlencode({"payload": json.dumps(payload)}).encode()
        at_s = kernel.clock.now_ms() // 1000 - late_s
        seal = hmac.new(secret.encode(), b"v0:%d:" % at_s + body, hashlib.sha256).hexdigest()
        headers = {"x-slack-request-timestamp": str(at_s), "x-slack-signature": f"v0={seal}",
                   "content-type": "application/x-www-form-urlencoded"}  # fmt: skip
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cerebro") as slack:
            if as_json:
                return await slack.post("/api/v1/approvals", json={"token": token, "verdict": button})
            return await slack.post("/api/v1/approvals", content=body, headers=headers)

    press.users = users
    return press


async def shown(client, supervisor, case_id, hands, tenant):
    await register(client, supervisor)
    await hands.round(tenant)
    return (await client.get("/actions", params={"case": case_id})).json()["items"][0]


async def test_a_button_in_the_chat_approves_what_it_showed(client, supervisor, case_id, hands, tenant, pressing, chat):
    action = await shown(client, supervisor, case_id, hands, tenant)

    pressed = await pressing(action)
    again = await pressing(action)
    await hands.round(tenant)

    assert (pressed.status_code, pressed.json()["approved_by"]) == (200, "anna (chat, as night-shift)")
    assert again.status_code == 409
    assert [each["replace_original"] for each in chat.heard] == [True, False]
    assert "anna approved: " in chat.heard[0]["text"] and "cannot be approved any more" in chat.heard[1]["text"]
    assert [call["name"] for call in supervisor.calls] == ["rollback"]


async def test_a_press_of_a_button_that_has_expired_is_answered(
    client, supervisor, case_id, hands, tenant, pressing, chat
):
    action = await shown(client, supervisor, case_id, hands, tenant)

    assert (await pressing(action, secret="another", left_ms=-1)).status_code == 401
    assert chat.heard == []
    assert (await pressing(action, left_ms=-1)).status_code == 401

    (told,) = chat.heard
    assert (told["response_type"], told["text"]) == (
        "ephemeral", "This link has expired. Open the action in the console."
    )  # fmt: skip


@pytest.mark.parametrize(
    "said", [{"secret": "another"}, {"late_s": 400}, {"as_json": True}, {"button": "open"}, {"button": "approve "}]
)
async def test_what_the_chat_has_not_signed_approves_nothing(
    client, supervisor, case_id, hands, tenant, pressing, chat, said
):
    action = await shown(client, supervisor, case_id, hands, tenant)

    answer = await pressing(action, **said)

    assert answer.status_code in (400, 401, 422)
    assert (await client.get(f"/actions/{action['id']}")).json()["state"] == "awaiting_approval"
    assert chat.heard == []


async def test_a_press_counts_with_the_rights_of_the_login_and_no_others(
    client, supervisor, case_id, hands, tenant, pressing, chat
):
    action = await shown(client, supervisor, case_id, hands, tenant)
    await pressing.users.change(tenant, "night-shift", actor="test", role="viewer")
    assert (await pressing(action)).status_code == 403
    await pressing.users.change(tenant, "night-shift", actor="test", role="operator", disabled=True)
    assert (await pressing(action)).status_code == 401
    assert [each["response_type"] for each in chat.heard] == ["ephemeral", "ephemeral"]
    await pressing.users.change(tenant, "night-shift", actor="test", disabled=False)

    refused = await pressing(action, "refuse", reply="http://127.0.0.1:9")  # an address that is not the chat's

    assert (refused.json()["state"], len(chat.heard)) == ("refused", 2)


async def test_autonomy_playbooks_and_their_doors(client, make_key, app, supervisor):
    frozen = await client.post("/autonomy", json={"frozen": True, "reason": "a release"})
    assert frozen.json()["policy"]["frozen"]
    assert (await client.post("/autonomy", json={"levels": {"shed-load": "act"}})).status_code == 400
    assert (await client.post("/autonomy", json={"levels": {"scale-out": "ask"}})).status_code == 200
    rows = {row["playbook"]: row["level"] for row in (await client.get("/autonomy")).json()["items"]}
    assert (rows["scale-out"], rows["set-clock"], rows["move-disk"]) == ("ask", "act", "suggest")
    rules = [{"playbook": "set-*", "target": "host/*", "level_max": "suggest", "why": "no clocks today"}]
    await client.post("/autonomy", json={"stopped": True, "reason": "a restore", "rules": rules})
    answer = (await client.get("/autonomy")).json()
    policy, found = answer["policy"], {row["playbook"]: row for row in answer["items"]}
    assert (policy["frozen_reason"], policy["stopped_reason"]) == ("a release", "a restore")  # each switch has its own
    assert policy["frozen_by"] == policy["stopped_by"] and policy["frozen_ms"] <= policy["stopped_ms"]
    assert (found["scale-out"]["by"], found["set-clock"]["by"]) == (policy["stopped_by"], "")
    assert (found["set-clock"]["bound"], found["scale-out"]["bound"]) == ("host/*: suggest (no clocks today)", "")
    await client.post("/autonomy", json={"stopped": False})

    bad = (await client.post("/playbooks/check", json={"text": "name: x\nversion: 1"})).json()
    assert bad["faults"][0]["line"] == 1
    for url in ("http://example.com", "http://[", "nonsense", "https://"):
        assert (await register(client, supervisor, url=url)).status_code == 400
    await register(client, supervisor)
    await register(client, supervisor, level="act")  # what is done through it, the matrix says
    rows = {row["playbook"]: row["level"] for row in (await client.get("/autonomy")).json()["items"]}
    assert (rows["rollback-deploy"], rows["restart-service"]) == ("act", "ask")  # the door cannot restart
    (door,) = (await client.get("/executors")).json()["items"]
    assert "key" not in door
    assert (await client.delete("/executors/shop")).status_code == 204


async def test_only_whoever_may_sign_off_can_approve(app, make_key, client, supervisor, case_id, hands, tenant):
    await register(client, supervisor)
    await hands.round(tenant)
    (action,) = (await client.get("/actions", params={"case": case_id})).json()["items"]
    headers = {"authorization": f"Bearer {await make_key('read', 'respond')}"}

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://cerebro", headers=headers
    ) as responder:
        answer = await responder.post(f"/api/v1/actions/{action['id']}/approve", json={"digest": action["digest"]})

    assert answer.status_code == 403
    assert supervisor.calls == []


async def test_a_playbook_is_signed_off_by_its_role_and_over_nobodys_other_text(app, make_key, client):
    """A new text neither takes a playbook from the role that signs it off, nor what someone else wrote meanwhile."""
    text = (await client.get("/playbooks/nats-purge-stream/text")).json()["text"]
    lower = text.replace("sign_off: admin", "sign_off: operator")
    keys = [await make_key("read", "respond", "operate"), await make_key("read", "respond", "operate", "admin")]
    operator, admin = (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://cerebro/api/v1",
            headers={"authorization": f"Bearer {each}"},
        )
        for each in keys
    )  # fmt: skip

    assert (await operator.post("/playbooks", json={"text": lower})).status_code == 403
    mine = text.replace("version: 2", "version: 3", 1)
    assert (await admin.post("/playbooks", json={"text": mine, "replaces": text})).status_code == 201
    late = await admin.post("/playbooks", json={"text": text, "replaces": text})
    assert late.status_code == 409 and "meanwhile" in late.json()["detail"]
    assert (await admin.post("/playbooks", json={"text": text, "replaces": mine})).status_code == 201
