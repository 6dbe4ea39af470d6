"""The real shop between two drills: the next one begins when users are served as before the first, or not at all."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cerebro.cli import drill as suites
from cerebro.cli import drill_live
from cerebro.cli.drill_live import RealStage
from cerebro.proving import ledger
from cerebro.proving.drill import Look, Plan
from cerebro.proving.faults import fault_of
from cerebro.proving.model import Health, Injection
from cerebro.proving.watch import Seen
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Unavailable

WELL, SLOW, HURT = (
    Health(0, 0, 200, 0.0, 8.0, 60.0),
    Health(0, 0, 200, 0.0, 400.0, 900.0),
    Health(0, 0, 200, 0.3, 8, 60),
)
NOBODY = Health(0, 0, 0, 0.0, 0.0, 0.0)


class Shop:
    """Users feel `felt` until the shop was put in order `cured_by` times; a fault leaves that behind."""

    def __init__(self, felt: Health = WELL, cured_by: int = 1) -> None:
        self.left, self.cured_by, self.is_up = felt, cured_by, True
        self.now, self.tidied, self.ended = felt, 0, 0

    async def tidy(self) -> None:
        self.tidied += 1
        self.now = WELL if self.tidied >= self.cured_by else self.now

    async def health(self, start_ms: int, end_ms: int) -> Health:
        return replace(self.now, start_ms=start_ms, end_ms=end_ms)

    def faults(self):
        return [fault_of("hang"), fault_of("slow_cpu")]

    async def inject(self, kind, *, seed):
        self.tidied = 0
        return Injection("i", fault_of(kind), EntityKey("service", "cart"), 1, 0, seed)

    async def end(self, injection):
        self.now = self.left
        return replace(injection, end_ms=2)


class Stage(RealStage):
    """On an hour of its own."""

    def __init__(self, shop) -> None:
        self.said: list[str] = []

        async def seen(since_ms):
            return Seen()

        cerebro = SimpleNamespace(name="cerebro", seen=seen, close_cases=lambda verdict="": self.said.append(verdict))
        super().__init__(shop, cerebro)
        self.hour_ms = 1_000_000

    def now_ms(self) -> int:
        return self.hour_ms

    async def pass_time(self, duration_s: float) -> None:
        self.hour_ms += round(duration_s * 1000)


@pytest.mark.parametrize("felt", [SLOW, HURT, NOBODY])
async def test_what_users_are_not_used_to_is_not_well(felt):
    """A p95 of 900 ms is none of a shop that answers in 60; after five minutes, put in order twice, it is given up."""
    stage = Stage(Shop(felt, cured_by=9))
    stage.get_used([Look(1, WELL)])
    stage.get_used([Look(2, SLOW)])  # of the first quiet stretch only
    began_ms = stage.now_ms()
    with pytest.raises(Unavailable, match="does not get well"):
        await stage.clear("useful")

    assert stage.shop.tidied == 2
    assert 300_000 <= stage.now_ms() - began_ms < 320_000
    assert not stage.said


async def test_put_in_order_again_it_may_get_well():
    stage = Stage(Shop(HURT, cured_by=2))
    stage.get_used([Look(1, WELL)])
    await stage.clear("useful")

    assert (stage.shop.tidied, stage.said) == (2, ["useful"])


@pytest.mark.parametrize(("looks", "felt", "well"), [([], SLOW, True), ([Look(1, NOBODY)], HURT, False)])
async def test_until_it_is_known_what_is_usual_there_are_bounds(looks, felt, well):
    """A quiet stretch in which nobody came tells nothing."""
    stage = Stage(Shop(felt, cured_by=9))
    stage.get_used(looks)
    if well:
        await stage.settle()
    else:
        with pytest.raises(Unavailable):
            await stage.settle()


async def test_no_run_is_kept_of_a_shop_that_does_not_get_well(tmp_path):
    """The suite ends after the drill that hurt it; after its last drill nothing is left to be ended."""
    plans = [Plan(kind, 1, 16.0, 8.0, 4.0) for kind in ("hang", "slow_cpu")]
    path = tmp_path / "runs.jsonl"
    stage = Stage(Shop(WELL))
    stage.shop.left, stage.shop.cured_by = SLOW, 9
    with pytest.raises(Unavailable, match="--resume"):
        await suites._play_on(stage, plans, path, True)
    assert [run.plan.kind for run in ledger.load(path)] == ["hang"]

    stage.shop.now = WELL
    await suites._play_on(stage, plans[1:], path, True)
    assert [run.plan.kind for run in ledger.load(path)] == ["hang", "slow_cpu"]


@pytest.fixture
def lent(monkeypatch) -> Shop:
    """A shop that is up beside a Cerebro that is."""
    shop = Shop(HURT)
    shop.entities = frozenset()
    monkeypatch.setattr(drill_live.supervise, "status", lambda _: {"all": "up"})
    monkeypatch.setattr(drill_live, "Shop", lambda _, *, lease_s: shop)
    monkeypatch.setattr(drill_live, "RealStage", lambda *_: Stage(shop))
    monkeypatch.setattr(drill_live, "Client", lambda _: None)
    return shop


async def test_a_shop_that_was_up_is_put_in_order_first(lent):
    """Whatever was done to it before: the quiet stretch of the first drill is a quiet one."""
    async with drill_live.real_stage(None, lambda _: None, 60.0):
        assert (lent.tidied, lent.now) == (1, WELL)


async def test_a_shop_that_was_up_is_left_in_order(lent):
    """Also when we are told to stop while a fault is being injected: the shop goes on with that alone."""
    injecting = asyncio.Event()

    async def inject(kind, *, seed):
        injecting.set()
        lent.now = HURT
        await asyncio.sleep(60)

    async def played() -> None:
        async with drill_live.real_stage(None, lambda _: None, 60.0) as stage:
            await suites._play_on(stage, [Plan("hang", 1, 16.0, 8.0, 4.0)], None, True)

    lent.inject = inject
    drill = asyncio.create_task(played())
    await injecting.wait()
    drill.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drill

    assert (lent.tidied, lent.now) == (2, WELL)


async def test_a_fault_ends_by_itself_soon_after_the_drill_would_have_ended_it(lent, monkeypatch):
    leases = []
    monkeypatch.setattr(drill_live, "Shop", lambda _, *, lease_s: leases.append(lease_s) or lent)
    async with drill_live.real_stage(None, lambda _: None, 120.0):
        pass

    assert leases == [180.0]
