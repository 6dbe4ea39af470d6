"""How far what was noticed reaches: along what it needs, and to those who use what is seen inside of a thing."""

import pytest

from cerebro.casework.cause.reach import needs_of, reached_from

CALLS = (("front", "cart"), ("desk", "cart"), ("cart", "store"))


@pytest.mark.parametrize(
    ("signal", "reached"),
    [
        ("duration.mean", {"cart", "store"}),  # its answers are what it needs, never its callers
        ("postgresql.backends", {"cart", "store", "front", "desk"}),  # its sessions are also its callers' doing
    ],
)
def test_what_is_seen_inside_of_a_thing_reaches_those_who_use_it(draw, signal, reached):
    names = ("front", "desk", "cart", "store")
    picture = draw([(name, "duration.mean") for name in names], CALLS, alarmed=("cart",), signal=signal)
    found = reached_from(picture, needs_of(picture))

    assert {key.name for key, is_reached in zip(picture.entities, found, strict=True) if is_reached} == reached


def test_nothing_noticed_reaches_everything(draw):
    picture = draw([("front", "duration.mean"), ("cart", "duration.mean")], (("front", "cart"),), alarmed=())
    assert reached_from(picture, needs_of(picture)).all()
