"""How often one may ask, and how often one may be wrong."""

import pytest

from cerebro.kernel.access.limits import ATTEMPTS_S, LoginAttempts, RateLimit, TooManyRequests, network_of


def allowed(limit: RateLimit, name: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limit.take(name)
        except TooManyRequests:
            continue
        count += 1
    return count


async def test_a_burst_is_let_through_then_the_rate(clock):
    """Two seconds' worth at once, then as many as time brings."""
    limit = RateLimit(10, clock)

    assert allowed(limit, "a", 100) == 20
    await clock.advance(0.5)
    assert allowed(limit, "a", 100) == 5
    await clock.advance(1000)
    assert allowed(limit, "a", 100) == 20


async def test_who_is_refused_is_told_when_to_come_again(clock):
    """And is let in then."""
    limit = RateLimit(0.5, clock, burst_s=2)
    limit.take("a")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("a")

    assert 0 < refused.value.retry_after_s <= 2
    await clock.advance(refused.value.retry_after_s)
    limit.take("a")


def test_one_does_not_pay_for_another(clock):
    """Each name has a bucket of its own."""
    limit = RateLimit(1, clock)
    allowed(limit, "a", 100)

    assert allowed(limit, "b", 100) == 2


async def test_failures_from_one_address_are_limited_and_forgotten(clock):
    """Ten, then a pause of at most 15 minutes."""
    attempts = LoginAttempts(10, clock)
    for _ in range(10):
        attempts.begin("ann", "10.0.0.1")
    with pytest.raises(TooManyRequests) as refused:
        attempts.begin("ann", "10.0.0.1")
    attempts.begin("ann", "10.0.0.2")
    attempts.begin("bob", "10.0.0.1")

    assert refused.value.retry_after_s == pytest.approx(ATTEMPTS_S)
    await clock.advance(ATTEMPTS_S)
    attempts.begin("ann", "10.0.0.1")


def test_only_what_was_wrong_counts(clock):
    """A right password forgets the failures of its login from there; one that nobody looked at was none."""
    attempts = LoginAttempts(2, clock)
    for _ in range(30):
        attempts.begin("ann", "10.0.0.1")
        attempts.taken_back("ann", "10.0.0.1")
    attempts.begin("ann", "10.0.0.1")
    attempts.begin("ann", "10.0.0.1")
    attempts.succeeded("ann", "10.0.0.1")
    attempts.begin("ann", "10.0.0.1")
    attempts.begin("ann", "10.0.0.1")

    with pytest.raises(TooManyRequests):
        attempts.begin("ann", "10.0.0.1")


def test_guessing_spread_over_logins_or_addresses_is_limited_too(clock):
    """Many logins from one address, or one login from many."""
    spray, siege = LoginAttempts(2, clock), LoginAttempts(2, clock)
    for number in range(10):
        spray.begin(f"user{number}", "10.0.0.1")
        siege.begin("ann", f"10.0.0.{number}")

    with pytest.raises(TooManyRequests):
        spray.begin("someone", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        siege.begin("ann", "10.9.9.9")


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.0.0.1", "10.0.0.1"), ("2001:db8::1:2", "2001:db8::/64"), ("::ffff:10.0.0.1", "::ffff:a00:1"), ("", "")],
)
def test_an_ipv6_subscriber_is_one_place(address, place):
    """A /64 has more addresses than anyone could count."""
    assert network_of(address) == place
