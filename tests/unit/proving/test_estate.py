"""The simulated estate as a ground: faults are felt, remedies help, controls harm nobody, wrong remedies do."""

import asyncio

import pytest

from cerebro.kernel.clock import VirtualClock
from cerebro.proving.estate.effects import EFFECTS
from cerebro.proving.estate.estate import Estate
from cerebro.proving.faults import ALL
from cerebro.proving.model import CONTROL, Operation
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

FAULTS = sorted(kind for kind in EFFECTS if ALL[kind].cause_kind != CONTROL)
CONTROLS = sorted(kind for kind in EFFECTS if ALL[kind].cause_kind == CONTROL)
BEFORE, DURING, SETTLING, AFTER = 80, 100, 40, 40  # ticks


def estate_at_rest(services: int = 20, seed: int = 7) -> tuple[Estate, object]:
    estate = Estate(services, seed, VirtualClock())
    estate.measure(20)
    return estate, felt(estate, BEFORE)


def felt(estate: Estate, ticks: int):
    """Play so many ticks; what users felt meanwhile."""
    start_ms = estate.motion.now_ms
    estate.measure(ticks)
    return asyncio.run(estate.health(start_ms, estate.motion.now_ms))


def worse(now, before) -> bool:
    return now.error_share > before.error_share + 0.002 or now.p95_ms > 1.2 * before.p95_ms


def test_every_declared_kind_is_known():
    """The catalogue of both grounds, whole."""
    assert set(EFFECTS) == set(ALL)


@pytest.mark.parametrize("kind", FAULTS)
def test_users_feel_the_fault_and_its_end(kind):
    """Worse than before while it lasts; as before once it has ended and settled."""
    estate, before = estate_at_rest()
    injection = estate.begin(kind, seed=1)
    during = felt(estate, DURING)
    estate.finish(injection)
    estate.measure(SETTLING)
    after = felt(estate, AFTER)

    assert worse(during, before), (kind, injection.target, before, during)
    assert not worse(after, before), (kind, before, after)


@pytest.mark.parametrize("kind", CONTROLS)
def test_nobody_feels_a_control(kind):
    """Harmless changes are harmless."""
    estate, before = estate_at_rest()
    estate.begin(kind, seed=1)

    assert not worse(felt(estate, DURING), before)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if EFFECTS[kind].mends])
def test_what_mends_a_fault_is_among_its_declared_remedies_or_ends_it(kind):
    """The estate's truth and the catalogue agree on at least one remedy."""
    assert EFFECTS[kind].mends & set(ALL[kind].remedies)


@pytest.mark.parametrize("kind", ["primary_lost", "bad_deploy_latency", "migration_lock", "dns_failure"])
def test_the_first_true_remedy_helps(kind):
    """Users are served as before while the fault would still last."""
    estate, before = estate_at_rest()
    injection = estate.begin(kind, seed=1)
    estate.measure(DURING)
    remedy = next(name for name in ALL[kind].remedies if name in EFFECTS[kind].mends)
    asyncio.run(estate.operate(Operation(remedy, injection.target)))
    estate.measure(SETTLING)

    assert not worse(felt(estate, AFTER), before)


@pytest.mark.parametrize(
    ("name", "parameters"), [("failover", {}), ("restart", {}), ("shed", {"share": "0.4"})]
)  # fmt: skip
def test_a_needless_operation_does_harm(name, parameters):
    """A store's failover costs its connections, shedding costs those who are refused."""
    estate, before = estate_at_rest()
    store = estate.topology.entity(estate.topology.names.index("postgres-1"))
    asyncio.run(estate.operate(Operation(name, store, parameters)))

    assert felt(estate, 8).error_share > before.error_share + 0.002


def test_the_right_operation_on_the_wrong_target_mends_nothing():
    """A rollback of a neighbour leaves the bad version where it is."""
    estate, before = estate_at_rest()
    injection = estate.begin("bad_deploy_errors", seed=1)
    other = next(name for name in estate.topology.names if name != injection.target.name)
    asyncio.run(estate.operate(Operation("rollback", EntityKey("service", other))))

    assert worse(felt(estate, DURING), before)


def test_ending_twice_is_safe():
    """The second time changes nothing, whatever was done meanwhile."""
    estate, _ = estate_at_rest(8)
    injection = estate.begin("crash", seed=3)
    estate.measure(4)
    ended = estate.finish(injection)

    assert ended.end_ms > ended.start_ms
    assert estate.finish(ended) == ended


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Estate(4, 1, VirtualClock()), "5 to 500"),
        (lambda: Estate(8, 1, VirtualClock(), interval_s=0.1), "1 to 60"),
        (lambda: Estate(8, 1, VirtualClock()).begin("gremlins", seed=1), "There are: crash"),
        (lambda: Estate(8, 1, VirtualClock()).begin("crash", seed=1, target=EntityKey("service", "nobody")), "nobody"),
        (
            lambda: Estate(8, 1, VirtualClock()).begin("crash", seed=1, target=EntityKey("service", "postgres-1")),
            "cannot have",
        ),
        (
            lambda: asyncio.run(
                Estate(8, 1, VirtualClock()).operate(Operation("dance", EntityKey("service", "gateway")))
            ),
            "There are: restart",
        ),
        (
            lambda: asyncio.run(
                Estate(8, 1, VirtualClock()).operate(Operation("shed", EntityKey("service", "gateway"), {"share": "9"}))
            ),
            "share=0 to 1",
        ),
    ],
)
def test_a_wrong_word_gets_a_line_that_says_what_to_write(wrong, words):
    """Every refusal names what there is."""
    with pytest.raises(Invalid, match=words):
        wrong()


def test_who_shares_a_past_has_a_future_of_its_own():
    """And the same one when it is drawn from the same seed."""
    told = []
    for seed in (1, 1, 2):
        estate, _ = estate_at_rest()
        estate.draw_anew(seed)
        told.append(felt(estate, 10))

    assert told[0] == told[1] != told[2]
