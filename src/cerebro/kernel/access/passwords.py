"""Passwords: what makes one good enough, and argon2id, bounded in time and memory."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from cerebro.kernel.access.limits import TooManyRequests
from cerebro.kernel.access.metrics import HASH_SECONDS
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Invalid

LENGTH_MIN, LENGTH_MAX = 12, 256
DISTINCT_MIN = 5
# RFC 9106, section 4, and OWASP's password storage sheet ask for at least 19 MiB and 2 passes; with 32 MiB one
# check takes 30 to 60 ms on a core here, and two at once bound the memory to 64 MiB.
PASSES, MEMORY_KIB, LANES = 2, 32 * 1024, 1
AT_ONCE, WAITING_MAX = 2, 64
TRIED_FIRST = """
password password1 password123 passwordpassword qwerty qwertyuiop letmein welcome admin administrator changeme
iloveyou monkey dragon football baseball superman trustno1 cerebro operations correcthorsebatterystaple
1234567890 123456789012 1q2w3e4r5t6y abcdefghijkl
"""
COMMON = frozenset(TRIED_FIRST.split())


def check_password(password: str, login: str) -> None:
    """Refuse a password that would be guessed.

    Raises:
        Invalid: Too short, too long, too few different characters, common, or the login itself.
    """
    bare = password.lower().strip("0123456789!?.#$ ")
    if len(password) < LENGTH_MIN:
        raise Invalid(f"The password is shorter than {LENGTH_MIN} characters.", "Take several words.")
    if len(password) > LENGTH_MAX:
        raise Invalid(f"The password is longer than {LENGTH_MAX} characters.")
    if len(set(password)) < DISTINCT_MIN:
        raise Invalid(f"The password has fewer than {DISTINCT_MIN} different characters.", "Take several words.")
    if bare in COMMON or password.lower() in COMMON or (len(login) > 2 and bare == login):
        raise Invalid("The password is one that is tried first.", "Take several words of your own.")


class Passwords:
    """Hashes and checks passwords on threads, two at a time.

    Args:
        clock: Measures the checks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hasher = argon2.PasswordHasher(PASSES, MEMORY_KIB, LANES)
        self._nobody = self._hasher.hash("nobody has this password")
        # Threads of our own bound the memory even when those who asked are gone before their turn ends.
        self._threads = ThreadPoolExecutor(AT_ONCE, "password")
        self._waiting_count = 0

    async def hash(self, password: str) -> str:
        """The password in argon2id's own notation, with a fresh salt."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, password: str, known: str | None) -> bool:
        """Whether the password is the one of the hash; for `None` the same work is done, and the answer is no.

        Raises:
            TooManyRequests: So many wait that the answer would come too late.
        """
        if self._waiting_count >= WAITING_MAX:
            raise TooManyRequests("Too many logins at once.", "Try again in a moment.", retry_after_s=5)
        start_s = self._clock.monotonic_s()
        self._waiting_count += 1
        try:
            checking = asyncio.get_running_loop().run_in_executor(
                self._threads, self._verify, known or self._nobody, password
            )
            same = await checking
        finally:
            self._waiting_count -= 1
        HASH_SECONDS.observe(self._clock.monotonic_s() - start_s)
        return same and known is not None

    def is_outdated(self, known: str) -> bool:
        """Whether the hash was made with other parameters than ours."""
        return self._hasher.check_needs_rehash(known)

    def _verify(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False
