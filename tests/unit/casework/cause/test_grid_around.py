"""Of a short acquaintance every sample counts; of a long one steps are as things are sent."""

from cerebro.casework.cause.held import HISTORY_MS, grid_around

ONSET = 1_700_000_000_000


def test_what_was_watched_for_a_minute_has_a_past():
    grid = grid_around(ONSET, ONSET + 12_000, known_ms=65_000)
    before_ms = ONSET - (grid.start_ms + grid.split * grid.step_ms)
    assert grid.step_ms == 5_000
    assert 0 < before_ms <= 25_000  # what is given away as lead, of 65 s


def test_what_was_watched_for_long_is_looked_at_in_its_own_steps():
    grid = grid_around(ONSET, ONSET + 12_000, known_ms=HISTORY_MS)
    assert grid.step_ms == 15_000
    assert grid.split * grid.step_ms >= HISTORY_MS


def test_what_is_sent_every_second_is_looked_at_closely():
    """Little of the calm before counts as trouble, so that a first look soon after the onset sees mostly that."""
    grid = grid_around(ONSET, ONSET + 12_000, known_ms=HISTORY_MS, interval_ms=1_000)
    before_ms = ONSET - (grid.start_ms + grid.split * grid.step_ms)
    assert grid.step_ms == 5_000
    assert before_ms <= 15_000


def test_the_last_step_ends_now():
    """A step that has only begun has heard a few replicas yet: the others would look silent."""
    now_ms = ONSET + 47_123
    grid = grid_around(ONSET, now_ms)
    assert grid.end_ms == now_ms + 1
