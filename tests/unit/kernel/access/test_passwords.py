"""What makes a password good enough, and how it is checked."""

import asyncio
import time

import pytest

from cerebro.kernel.access import passwords
from cerebro.kernel.access.limits import TooManyRequests
from cerebro.kernel.access.passwords import Passwords, check_password
from cerebro.spine.errors import Invalid


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaa", "abababababababab", "Password123!!!!", "x" * 257, "ann.operator2024", ""]
)
def test_what_would_be_guessed_is_refused(password):
    """Short, long, monotonous, common, or the login with a year behind it."""
    with pytest.raises(Invalid):
        check_password(password, "ann.operator")


@pytest.mark.parametrize("password", ["four quiet brown horses", "Xq7-kkl2-PP00-zz", "пароль из пяти слов"])
def test_a_few_words_are_good(password):
    """In any script."""
    check_password(password, "ann")


async def test_only_the_same_password_matches(clock):
    """And nothing matches nobody."""
    hasher = Passwords(clock)
    known = await hasher.hash("four quiet brown horses")

    assert known.startswith("$argon2id$")
    assert await hasher.matches("four quiet brown horses", known)
    assert not await hasher.matches("four quiet brown horse", known)
    assert not await hasher.matches("nobody has this password", None)
    assert not await hasher.matches("anything", "not a hash")
    assert not hasher.is_outdated(known)
    assert hasher.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ")


async def test_two_are_checked_at_once_though_those_who_asked_are_gone(clock, monkeypatch):
    """Each check takes 32 MiB: who asks and hangs up must not make room for a third."""
    running, most = [0], [0]

    def slow(_known: str, _password: str) -> bool:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.05)
        running[0] -= 1
        return False

    hasher = Passwords(clock)
    monkeypatch.setattr(hasher, "_verify", slow)
    asked = [asyncio.create_task(hasher.matches("x", None)) for _ in range(8)]
    await asyncio.sleep(0.01)
    for task in asked[:6]:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)

    assert most == [2]


async def test_the_queue_is_bounded(clock, monkeypatch):
    """Beyond it one is told to come again: memory and time are bounded whatever comes."""
    monkeypatch.setattr(passwords, "WAITING_MAX", 2)
    hasher = Passwords(clock)

    answers = await asyncio.gather(*(hasher.matches("x", None) for _ in range(5)), return_exceptions=True)

    assert [type(answer) for answer in answers].count(TooManyRequests) == 3
