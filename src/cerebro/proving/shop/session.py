"""A shopper's session: a signed name with an end, checked by each service against its own clock."""

import hmac

from cerebro.proving.shop.refusal import Refused
from cerebro.proving.shop.room import Room
from cerebro.proving.shop.wire import Request

HEADER, LIFE_MS = "x-session", 60_000


def sign(room: Room, shopper: str) -> str:
    """A session from now on."""
    words = f"{shopper}.{room.troubles.now_ms() + LIFE_MS}"
    return f"{words}.{_signature(room, words)}"


def need_session(room: Room, request: Request) -> str:
    """The shopper of this request.

    Raises:
        Refused: There is no session, it is not ours or it has expired.
    """
    words, _, signature = request.headers.get(HEADER, "").rpartition(".")
    shopper, _, end_ms = words.partition(".")
    if not hmac.compare_digest(signature, _signature(room, words)):
        raise Refused(401, "no valid session")
    if int(end_ms) < room.troubles.now_ms():
        room.telling.log("WARN", "session expired", end_ms=int(end_ms), now_ms=room.troubles.now_ms())
        raise Refused(401, "session expired")
    return shopper


def _signature(room: Room, words: str) -> str:
    return hmac.new(room.board.registry.session_key.encode(), words.encode(), "sha256").hexdigest()[:32]
