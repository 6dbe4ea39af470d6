"""When a drill that costs a person's time is over."""

from cerebro.proving.drill import MENDED_LOOKS, Look, is_mended
from cerebro.proving.model import Health

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
