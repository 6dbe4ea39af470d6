"""Access tokens: signed, short-lived, read without asking the database.

They say who someone is, not what he may: that is looked up, so that a demotion holds at once.
"""

from dataclasses import dataclass

import jwt
from jwt.types import Options

from cerebro.kernel.access.model import User
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Unauthenticated
from cerebro.spine.identity import TenantId

ALGORITHM = "HS256"
ISSUER = "cerebro"
CLAIMS = ("iss", "sub", "ten", "gen", "iat", "exp")
TEXT_CHARS_MAX = 2048


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says."""

    tenant: TenantId
    login: str
    generation: int  # of the user when it was signed
    expires_ms: int


class Tokens:
    """Signs and reads access tokens.

    Args:
        key: Of the signature; the same in every process of an installation.
        life_s: Of a token, seconds.
    """

    def __init__(self, key: str, life_s: int, clock: Clock) -> None:
        assert len(key) >= 32, "RFC 7518, section 3.2: a key at least as long as the hash"
        self._key, self._life_s, self._clock = key, life_s, clock
        self._header = jwt.encode({}, key, ALGORITHM).partition(".")[0] + "."  # what every token of ours begins with

    def sign(self, tenant: TenantId, user: User) -> tuple[str, int]:
        """A token for the user, and when it expires, Unix milliseconds."""
        now_s = self._clock.now_ms() // 1000
        claims = {
            "iss": ISSUER,
            "sub": user.login,
            "ten": tenant,
            "gen": user.generation,
            "iat": now_s,
            "exp": now_s + self._life_s,
        }
        return jwt.encode(claims, self._key, ALGORITHM), (now_s + self._life_s) * 1000

    def read(self, text: str) -> Claims:
        """What the token says.

        Raises:
            Unauthenticated: It is not ours, or has expired.
        """
        if len(text) > TEXT_CHARS_MAX or not text.startswith(self._header):  # no other header is even parsed
            raise Unauthenticated("The access token is not one of ours.", "Log in.")
        try:
            # Time is our clock's, so PyJWT is told to look only at the form.
            options: Options = {"require": list(CLAIMS), "verify_exp": False, "verify_iat": False, "verify_aud": False}
            said = jwt.decode(text, self._key, algorithms=[ALGORITHM], issuer=ISSUER, options=options)
            claims = Claims(TenantId(str(said["ten"])), str(said["sub"]), int(said["gen"]), int(said["exp"]) * 1000)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("The access token is not one of ours.", "Log in.") from error
        if claims.expires_ms <= self._clock.now_ms():
            raise Unauthenticated(
                "The access token has expired.", "Exchange the refresh token for a new one, or log in."
            )
        return claims
