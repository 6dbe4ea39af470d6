"""Changes told to a real HTTP server: signed, once when it takes them, again and again when it does not."""

import asyncio
import hashlib
import hmac
import json

import pytest

from cerebro.casework.desk import Desk
from cerebro.casework.flow import Messenger, tasks
from cerebro.casework.store import NOTICES, every
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import CaseworkSettings, Settings
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import SELF_TENANT

SECRET = "a long secret of the webhook"


class Receiver:
    """An HTTP server that answers with the statuses it is told, the last one for ever."""

    def __init__(self):
        self.statuses, self.heard = [200], []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/hook?token=hidden"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            writer.close()
            return
        self.heard.append((status, headers, body))
        location = "Location: http://127.0.0.1:9/else\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver():
    async with Receiver() as made:
        yield made


@pytest.fixture
def clock():
    return VirtualClock(start_ms=1_760_000_000_000)


@pytest.fixture
def quiet_kernel(receiver, clock, bus):
    rules = CaseworkSettings(webhook_url=receiver.url, webhook_secret=SECRET)
    return Kernel(Settings(casework=rules), clock, bus, None, MemoryRecords())


@pytest.fixture
def admit(quiet_kernel, finding, tenant, clock):
    async def admit(key="cpu"):
        await Desk(quiet_kernel).admit(
            tenant, [finding(key, f"host/{key}", seen_ms=clock.now_ms(), at_ms=clock.now_ms())]
        )

    return admit


async def waiting(kernel):
    async with kernel.records.transaction() as transaction:
        return [record.value async for record in every(transaction, NOTICES, SELF_TENANT)]


async def test_a_change_is_posted_once_and_signed(quiet_kernel, receiver, admit, clock):
    messenger = Messenger(quiet_kernel)
    await admit()

    assert await messenger.round() == 1
    assert await messenger.round() == 0 and await waiting(quiet_kernel) == []

    ((_, headers, body),) = receiver.heard
    told = json.loads(body)
    assert told["change"] == "opened" and told["case"]["severity"] == 3 and told["id"] == headers["x-cerebro-delivery"]
    stamp, signature = (part.split("=", 1)[1] for part in headers["x-cerebro-signature"].split(","))
    wanted = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, wanted) and int(stamp) == clock.now_ms() // 1000


async def test_a_failure_is_tried_again_with_growing_pauses(quiet_kernel, receiver, admit, clock):
    receiver.statuses = [500, 0, 302, 404, 200]
    messenger = Messenger(quiet_kernel)
    await admit()
    pauses_ms = []
    while notices := await waiting(quiet_kernel):
        pauses_ms.append(notices[0].due_ms - clock.now_ms())
        await clock.advance(max(0, pauses_ms[-1]) / 1000)
        await messenger.round()

    assert [status for status, *_ in receiver.heard] == [500, 302, 404, 200]
    assert len({headers["x-cerebro-delivery"] for _, headers, _ in receiver.heard}) == 1, (
        "one delivery, known by its id"
    )
    assert pauses_ms[0] == 0 and all(1000 <= pause <= 24_000 for pause in pauses_ms[1:])


async def test_a_receiver_that_is_down_holds_up_no_case_and_gets_everything_later(quiet_kernel, receiver, admit, clock):
    receiver.statuses = [503]
    messenger = Messenger(quiet_kernel)
    for number in range(5):
        await admit(f"signal{number}")
    assert await messenger.round() == 0
    assert len(receiver.heard) == 1, "the first failure ends the round: the others would go the same way"
    assert len(await waiting(quiet_kernel)) == 5

    receiver.statuses = [200]
    await clock.advance(10)
    assert await messenger.round() == 5 and await waiting(quiet_kernel) == []


async def test_what_nobody_ever_takes_is_given_up_and_kept(quiet_kernel, receiver, admit, clock):
    receiver.statuses = [500]
    messenger = Messenger(quiet_kernel)
    await admit()
    for _ in range(30):
        await clock.advance(2 * 3600)
        await messenger.round()

    (notice,) = await waiting(quiet_kernel)
    assert notice.state == "dead" and notice.attempt_count == 20 == len(receiver.heard)
    assert "500" in notice.error and "hidden" not in notice.error


async def test_two_messengers_tell_a_change_once(quiet_kernel, receiver, admit):
    for number in range(8):
        await admit(f"signal{number}")

    await asyncio.gather(*(Messenger(quiet_kernel).round() for _ in range(3)))

    assert len(receiver.heard) == 8 == len({headers["x-cerebro-delivery"] for _, headers, _ in receiver.heard})


async def test_a_messenger_that_dies_while_sending_is_followed_by_another(
    quiet_kernel, receiver, admit, clock, monkeypatch
):
    await admit()
    with monkeypatch.context() as fault:

        async def die(*_):
            raise SystemError("killed here")

        fault.setattr("cerebro.casework.executors.webhook.Webhook.post", die)
        with pytest.raises(SystemError):
            await Messenger(quiet_kernel).round()
    messenger = Messenger(quiet_kernel)
    assert await messenger.round() == 0, "until its lease is over the first may still be sending"
    await clock.advance(61)
    assert await messenger.round() == 1 and len(receiver.heard) == 1


@pytest.mark.parametrize("url", ["http://example.org/hook", "ftp://127.0.0.1/", "http://10.0.0.1/", "hook", "https://"])
def test_a_webhook_in_the_clear_is_refused(url, quiet_kernel):
    rules = CaseworkSettings(webhook_url=url)
    kernel = Kernel(Settings(casework=rules), quiet_kernel.clock, quiet_kernel.bus, None, quiet_kernel.records)

    with pytest.raises(Invalid, match="https"):
        tasks(kernel)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.org/x", "http://127.0.0.1:9/", "http://localhost/", "http://[::1]/"]
)
def test_https_and_this_machine_are_allowed(url, quiet_kernel):
    rules = CaseworkSettings(webhook_url=url)
    kernel = Kernel(Settings(casework=rules), quiet_kernel.clock, quiet_kernel.bus, None, quiet_kernel.records)

    assert "messenger" in [task.name for task in tasks(kernel)]


async def test_a_messenger_that_an_error_has_ended_goes_on(quiet_kernel, receiver, admit):
    """As when the database is away for a moment: it is run again, and tells what it has to tell."""
    messenger, stop = Messenger(quiet_kernel), asyncio.Event()
    stop.set()
    await messenger.run(stop)
    await admit()

    assert await messenger.round() == 1
