"""The real shop, without Cerebro: it sells, breaks, mends, and leaves nothing behind."""

import asyncio
import os
import signal

import psutil
import pytest

from cerebro.kernel.clock import SystemClock
from cerebro.proving.model import Operation
from cerebro.proving.shop.control import Wanted
from cerebro.proving.shop.ground import Shop
from cerebro.proving.shop.verify import verify
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

CLOCK = SystemClock()


async def felt_in(shop: Shop, duration_s: float):
    start_ms = CLOCK.now_ms()
    await asyncio.sleep(duration_s)
    return await shop.health(start_ms, CLOCK.now_ms())


async def until(condition, patience_s: float = 10) -> bool:
    for _ in range(int(patience_s / 0.1)):
        if condition():
            return True
        await asyncio.sleep(0.1)
    return False


def running_in(shop: Shop) -> list[psutil.Process]:
    """Processes of this shop: each names its directory somewhere."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(shop.home) in " ".join(process.info["cmdline"] or ()) and process.info["status"] != "zombie"
    ]


@pytest.fixture(scope="module")
def settings_here(make_settings):
    """One directory for all: the shelves are filled once."""
    return make_settings()


@pytest.fixture
async def shop(settings_here):
    one = Shop(settings_here, lease_s=60)
    await one.up(Wanted(rate=40), with_us=True)
    yield one
    await one.down()


async def worst_of(shop, count, duration_s):
    """Of several stretches the one in which most requests failed."""
    return max([await felt_in(shop, duration_s) for _ in range(count)], key=lambda felt: felt.error_share)


async def test_faults_are_felt_and_pass(shop):
    """A crash and a bad flag reach users; their end, or the operation that helps, is felt too."""
    calm = await felt_in(shop, 2)
    crash = await shop.inject("crash", seed=1, target=EntityKey("service", "gateway"))
    crashed = await worst_of(shop, 4, 2)  # it is up again between two deaths
    ended = await shop.end(crash)
    assert await until(lambda: len(running_in(shop)) >= 14)
    flag = await shop.inject("bad_flag", seed=1, target=EntityKey("service", "catalogue"))
    await asyncio.sleep(1)
    flagged = await felt_in(shop, 1.5)
    await shop.operate(Operation("flag_off", EntityKey("service", "catalogue")))
    await asyncio.sleep(1)
    mended = await felt_in(shop, 1.5)
    await shop.end(flag)

    assert calm.request_count > 30
    assert calm.error_share < 0.05
    assert crashed.error_share > 0.2
    assert ended.end_ms > ended.start_ms
    assert flagged.error_share > 0.1
    assert mended.error_share < 0.05
    assert (await shop.end(crash)).end_ms == ended.end_ms  # twice is as good as once
    with pytest.raises(Invalid, match="no fault"):
        await shop.inject("flood", seed=1)
    with pytest.raises(Invalid, match="cannot have"):
        await shop.inject("disk_full", seed=1, target=EntityKey("service", "cart"))
    with pytest.raises(Invalid, match="no operation"):
        await shop.operate(Operation("pray", EntityKey("service", "cart")))
    pids = [row.pid for row in (await shop.standing()).rows]
    assert await shop.down()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not running_in(shop)


def lives(process):
    """Whether it still is there; it may go while it is looked at."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_keeper_takes_everything_along(shop):
    """Also stopped processes, and foreign ones that a fault brought in."""
    await shop.inject("hang", seed=1, target=EntityKey("service", "cart"))
    await shop.inject("noisy_neighbour", seed=1)
    rows = (await shop.standing()).rows
    keeper = next(row.pid for row in rows if row.name == "keeper")
    family = psutil.Process(keeper).children(recursive=True)
    os.kill(keeper, signal.SIGKILL)

    assert await until(lambda: not any(map(lives, family)))
    assert not shop.is_up
    with pytest.raises(Unavailable, match="not up"):
        await shop.standing()


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_every_kind_is_felt_and_passes(make_settings):
    """All that the shop can have, one after the other."""
    shop = Shop(make_settings(), lease_s=120)
    await shop.up(Wanted(), with_us=True)
    try:
        kinds = [fault.kind for fault in shop.faults()]
        verdicts = [verdict async for verdict in verify(shop, kinds, CLOCK, during_s=15)]
    finally:
        await shop.down()

    assert not [(each.fault.kind, each.effect_s, each.recovery_s) for each in verdicts if not each.holds]
