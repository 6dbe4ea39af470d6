"""What fails or is broken off is measured like what succeeds."""

from asyncio import CancelledError
from contextlib import suppress

from cerebro.kernel.clock import SystemClock
from cerebro.proving.shop.plan import GOOD_VERSION
from cerebro.proving.shop.registry import Registry
from cerebro.proving.shop.telling import BROKEN_OFF, Telling


def test_a_statement_that_fails_is_measured_with_its_error():
    """As instruments do: or a store that answers nothing but errors would look idle."""
    telling, told = Telling("cart", 0, GOOD_VERSION, Registry(), SystemClock()), []
    telling._stored = lambda duration_s, labels: told.append((duration_s, dict(labels)))  # type: ignore[method-assign]
    with suppress(ValueError), telling.storing("SELECT", "carts") as stretch:
        stretch.failed("LockNotAvailable")
        raise ValueError
    with suppress(ValueError), telling.storing("SELECT", "carts"):
        raise ValueError
    with suppress(CancelledError), telling.storing("SELECT", "carts"):
        raise CancelledError
    telling.close()

    assert [labels["error.type"] for _, labels in told] == ["LockNotAvailable", "ValueError", BROKEN_OFF]
    assert all(labels["server.address"] == "postgres" and duration_s >= 0 for duration_s, labels in told)


def test_who_goes_away_is_no_failure_of_who_serves():
    """A proxy counts a client that has closed the connection apart from errors of the server, too."""
    telling = Telling("cart", 0, GOOD_VERSION, Registry(), SystemClock())
    for error in (CancelledError, ValueError):
        with suppress(error), telling.serving("GET", "/cart", {}):
            raise error
    counted = [each.value for each in telling._failures(None)]
    telling.close()

    assert counted == [1]
