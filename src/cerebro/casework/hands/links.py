"""Signed links: whoever holds one may say yes or no to one action as it was shown, until it expires.

A link is made for a person who may approve, and is sent to where they read: a mail, a button in a chat. Nothing is
changed by a GET, which mail and chat programs make by themselves; the button posts.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import Unauthenticated
from cerebro.spine.identity import ActionId, TenantId

CHARS_MAX = 2000


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a link is for."""

    tenant: TenantId
    action: ActionId
    digest: str  # of what was shown; another plan needs another link
    who: str
    until_ms: int


def key_of(secret: str) -> bytes:
    """The key of links, from a secret that is used for other things too."""
    return hmac.new(secret.encode(), b"cerebro action links v1", hashlib.sha256).digest()


def own_key(settings: Settings) -> bytes:
    """The key of this installation's links."""
    own = settings.hands.link_key or settings.access.token_key
    return key_of(own or load_secrets(settings.data_dir).token_key)


def sign(link: Link, key: bytes) -> str:
    """The link as a text that fits into an address.

    >>> token = sign(Link(TenantId("t"), ActionId("a"), "d", "anna", 5), b"key")
    >>> read(token, b"key", 4).who
    'anna'
    """
    body = msgspec.json.encode(link)
    return f"{_text(body)}.{_text(hmac.new(key, body, hashlib.sha256).digest())}"


def read(token: str, key: bytes, now_ms: int) -> Link:
    """What a link is for.

    Raises:
        Unauthenticated: It is not one of ours, or has expired.
    """
    body, _, seal = token.partition(".")
    try:
        raw, shown = _bytes(body), _bytes(seal)
        if len(token) > CHARS_MAX or not hmac.compare_digest(shown, hmac.new(key, raw, hashlib.sha256).digest()):
            raise Unauthenticated("This link is not one of ours.", "Open the action in the console.")
        link = msgspec.json.decode(raw, type=Link)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Unauthenticated("This link cannot be read.", "Open the action in the console.") from error
    if link.until_ms <= now_ms:
        raise Unauthenticated("This link has expired.", "Open the action in the console.")
    return link


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
