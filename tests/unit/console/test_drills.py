"""A drill told to the console: who reads it, who may tell it, and that nobody who searches learns of it."""

from importlib.resources import files
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from cerebro.app.drivers import simulated_kernel
from cerebro.console.drills import BUCKET, KEPT_MAX, SILENT_MS, router
from cerebro.kernel.access.guard import Principal
from cerebro.kernel.access.limits import RateLimit
from cerebro.kernel.bus.streams import ALL
from cerebro.kernel.clock import VirtualClock
from cerebro.kernel.settings import Settings
from cerebro.kernel.web.problem import explain_problems
from cerebro.spine.identity import DEFAULT_TENANT

STORY = {
    "kind": "crash",
    "title": "A replica dies",
    "entity": "service/cart",
    "phase": "fault",
    "began_ms": 1000,
    "fault_ms": 2000,
    "steps": [{"at_ms": 2500, "what": "case", "text": "Cart fails", "case": "c1"}],
    "felt": [{"at_ms": 2400, "error_share": 0.5, "p95_ms": 900.0}],
}


class Anyone:
    """A guard to whom the credential is the list of what one may."""

    async def authenticate(self, asked: str) -> Principal:
        return Principal(DEFAULT_TENANT, "anna", "user", frozenset(asked.split(",")))


@pytest.fixture
def clock():
    return VirtualClock(start_ms=10_000)


@pytest.fixture
async def kernel(clock):
    kernel = simulated_kernel(Settings(), clock)
    for stream in ALL:
        await kernel.bus.declare(stream)
    return kernel


@pytest.fixture
async def api(kernel, clock):
    app = FastAPI()
    app.state.guard, app.state.rates = Anyone(), RateLimit(1000, clock)
    explain_problems(app)
    app.include_router(router(kernel))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://cerebro/api/v1") as client:
        client.headers["authorization"] = "read,operate"
        yield client


async def test_what_was_told_is_read(api):
    """The last word counts."""
    await api.put("/drills/d1", json={**STORY, "phase": "quiet", "steps": []})
    assert (await api.put("/drills/d1", json=STORY)).status_code == 204
    (found,) = (await api.get("/drills")).json()["items"]

    assert (found["id"], found["running"], found["phase"]) == ("d1", True, "fault")
    assert found["steps"][0]["case"] == "c1"


async def test_a_drill_that_falls_silent_or_ends_runs_no_more(api, clock):
    """It may have been killed."""
    await api.put("/drills/d1", json=STORY)
    await api.put("/drills/d2", json={**STORY, "phase": "over"})
    running = {line["id"]: line["running"] for line in (await api.get("/drills")).json()["items"]}
    assert running == {"d1": True, "d2": False}
    await clock.advance(SILENT_MS / 1000)

    assert not any(line["running"] for line in (await api.get("/drills")).json()["items"])


async def test_only_the_newest_are_kept(api):
    """By when they began."""
    for number in range(KEPT_MAX + 2):
        await api.put(f"/drills/d{number}", json={**STORY, "began_ms": number})
    kept = [line["id"] for line in (await api.get("/drills")).json()["items"]]

    assert kept == [f"d{number}" for number in reversed(range(2, KEPT_MAX + 2))]


async def test_who_may_only_read_tells_nothing(api):
    """And who may do nothing reads nothing."""
    assert (await api.put("/drills/d1", json=STORY, headers={"authorization": "read,respond"})).status_code == 403
    assert (await api.get("/drills", headers={"authorization": "ingest"})).status_code == 403


async def test_bad_stories_are_refused(api):
    """Unknown names, phases and endless lists."""
    for wrong in ({"phase": "party"}, {"remedies": ["restart"]}, {"steps": STORY["steps"] * 1000}):
        assert (await api.put("/drills/d1", json={**STORY, **wrong})).status_code in (400, 422)


async def test_nothing_that_searches_hears_of_it(api, kernel):
    """No stream has a message more."""
    await api.put("/drills/d1", json=STORY)
    assert [(await kernel.bus.state(stream.name)).last_sequence for stream in ALL] == [0] * len(ALL)


def test_no_other_module_names_where_it_is_kept():
    """Whoever detects, diagnoses or acts cannot read it by accident."""
    source = Path(str(files("cerebro")))
    naming = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if f'"{BUCKET}"' in path.read_text() and "BUCKET" in path.read_text()
    ]

    assert naming == ["console/drills.py"]
