"""When a drill that costs a person's time is over."""

from cerebro.proving.count import MENDED_LOOKS, is_mended
from cerebro.proving.drill import QUIET, Plan, run_plan
from cerebro.proving.model import Health, Look, Operation
from cerebro.proving.watch import Act, Seen
from cerebro.spine.entities import EntityKey

USUAL = Health(0, 4000, 200, 0.0, 20.0, 100.0)


def looks(*error_shares: float) -> list[Look]:
    return [Look(4000 * n, Health(0, 4000, 200, share, 20.0, 100.0)) for n, share in enumerate(error_shares)]


def test_mended_is_felt_first_and_then_calm_for_a_while():
    """What nobody has felt yet may still come, and one good look is no recovery."""
    calm = (0.0,) * MENDED_LOOKS
    assert is_mended(USUAL, looks(0.3, *calm))
    assert not is_mended(USUAL, looks(*calm, 0.0))
    assert not is_mended(USUAL, looks(0.3, *calm[1:]))
    assert not is_mended(USUAL, looks(0.3, *calm, 0.2))


async def test_an_act_in_quiet_hours_is_harm():
    class Idle:
        step_s, brisk, name = 10.0, False, "cerebro"

        def __init__(self):
            self.ground, self.watchers, self.at_ms = self, [self], 0

        def now_ms(self):
            return self.at_ms

        async def pass_time(self, duration_s):
            self.at_ms += round(duration_s * 1000)

        async def health(self, start_ms, end_ms):
            return USUAL

        async def seen(self, since_ms):
            return Seen(acts=[Act(5, Operation("restart", EntityKey("service", "cart")))])

    (run,) = await run_plan(Idle(), Plan(QUIET, 1, 60.0, 0.0, 0.0), "simulated")

    assert (run.observation.action_count, run.observation.harmful_count, run.quiet_s) == (1, 1, 60.0)
