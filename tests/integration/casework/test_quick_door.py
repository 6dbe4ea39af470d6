"""An answer that is at hand is given before the application is asked, and to nobody else than whoever may have it."""

import httpx
import pytest

from cerebro.app.front import api, gate_of
from cerebro.casework.answers import Answers, Quick
from cerebro.kernel.bus.memory import MemoryBus
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.telemetry.memory import MemoryTelemetry
from cerebro.kernel.web.live import Live
from cerebro.kernel.web.middleware import Front

CASES = "/api/v1/cases?limit=5"


class Counted:
    """The application, and how often it was asked."""

    def __init__(self, app):
        self.app, self.count = app, 0

    async def __call__(self, scope, receive, send):
        self.count += 1
        await self.app(scope, receive, send)


@pytest.fixture
def kernel(make_settings):
    clock = SystemClock()
    return Kernel(make_settings(), clock, MemoryBus(clock), MemoryTelemetry(), MemoryRecords())


@pytest.fixture
def gate(kernel):
    return gate_of(kernel)


@pytest.fixture
async def ask(kernel, gate):
    answers = Answers(kernel.clock)
    app = Counted(api(kernel, gate, Live(kernel.bus, kernel.clock), {}, answers))
    whole = Front(Quick(app, answers, gate), kernel.clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://cerebro") as client:

        async def ask(key, path=CASES):
            before = app.count
            answered = await client.get(path, headers={"authorization": f"Bearer {key}"})
            return answered, app.count - before

        yield ask


@pytest.fixture
async def key_of(gate):
    async def make(tenant, *scopes):
        return (await gate.keys.make(tenant, "-".join(scopes), scopes, actor="me")).text

    return make


async def test_the_second_who_asks_is_answered_at_the_door(ask, key_of):
    key = await key_of("us", "read")
    first, asked = await ask(key)
    assert (first.status_code, asked) == (200, 1)
    second, asked = await ask(key)
    assert (second.status_code, asked) == (200, 0)
    assert second.content == first.content
    assert second.headers["cache-control"] == "no-store"
    assert second.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("tenant", "scopes", "status"), [("them", ("read",), 200), ("us", ("ingest",), 403)])
async def test_nobody_gets_what_is_not_theirs(ask, key_of, tenant, scopes, status):
    await ask(await key_of("us", "read"))
    answered, asked = await ask(await key_of(tenant, *scopes))
    assert (answered.status_code, asked) == (status, 1)


@pytest.mark.parametrize("key", ["", "nonsense", "cbr_0123456789abcdef_wrong"])
async def test_a_wrong_credential_opens_nothing_that_is_at_hand(ask, key_of, key):
    await ask(await key_of("us", "read"))
    answered, asked = await ask(key)
    assert (answered.status_code, asked) == (401, 1)


async def test_who_asks_too_often_is_told_so(ask, key_of, gate):
    key = await key_of("us", "read")
    await ask(key)
    statuses = [(await ask(key))[0].status_code for _ in range(3 * int(gate.settings.requests_per_s) + 10)]
    assert statuses[0] == 200
    assert 429 in statuses
