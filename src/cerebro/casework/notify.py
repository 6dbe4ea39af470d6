"""Which changes of a case are told outside, in which words, and when a failed attempt is made again."""

import hashlib
import hmac
import ipaddress
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from cerebro.casework.lines import case_line
from cerebro.casework.store import Notice
from cerebro.spine.cases import Case, Entry
from cerebro.spine.errors import Invalid

TOLD = frozenset(
    {
        "opened",
        "reopened",
        "severity_rose",
        "acknowledged",
        "assigned",
        "escalated",
        "resolved",
        "merged",
        "closed",
        "action_harmed",
    }
)
OF_ACTIONS = frozenset(  # told of what is not done silently
    {"action_begun", "action_helped", "action_not_helped", "action_not_verified", "action_undone", "action_failed"}
)
VERSION = 1  # of the body
ATTEMPTS_MAX = 20
BACKOFF_MS, BACKOFF_MS_MAX = 2_000, 3_600_000  # 20 attempts reach over about ten hours
LEASE_MS = 60_000  # in which one attempt ends, or another process may make it again
ERROR_CHARS_MAX = 300


def notice(case: Case, entry: Entry, place: int) -> Notice:
    """What is to be told of one change.

    Args:
        case: As it is after the change.
        entry: The change.
        place: That tells apart the changes of a case; part of the delivery's id, by which a
            receiver knows one that comes twice.
    """
    text = f"{case.id}\0{place}\0{entry.kind}\0{entry.at_ms}\0{entry.text}"
    notice_id = hashlib.sha256(text.encode()).hexdigest()[:32]
    body = {
        "version": VERSION,
        "id": notice_id,
        "change": entry.kind,
        "at_ms": entry.at_ms,
        "actor": entry.actor,
        "text": entry.text,
        "tenant": case.tenant,
        "case": case_line(case),
    }
    return Notice(
        id=notice_id,
        tenant=case.tenant,
        case=case.id,
        change=entry.kind,
        body=msgspec.json.encode(body).decode(),
        made_ms=entry.at_ms,
        due_ms=entry.at_ms,
    )


def begun(notice: Notice, now_ms: int) -> Notice:
    """The notice while an attempt is under way: nobody else tries until the lease is over."""
    return replace(notice, due_ms=now_ms + LEASE_MS, attempt_count=notice.attempt_count + 1)


def ended(notice: Notice, now_ms: int, error: str, spread: float) -> Notice:
    """The notice after an attempt.

    Args:
        error: Why it failed; empty when it did not.
        spread: 0 … 1, drawn anew each time, so that many do not try at one moment.
    """
    if not error:
        return replace(notice, state="sent", error="")
    if notice.attempt_count >= ATTEMPTS_MAX:
        return replace(notice, state="dead", error=error[:ERROR_CHARS_MAX])
    wait_ms = min(BACKOFF_MS << notice.attempt_count - 1, BACKOFF_MS_MAX)
    return replace(notice, due_ms=now_ms + round(wait_ms * (0.5 + spread)), error=error[:ERROR_CHARS_MAX])


def check_address(url: str, setting: str = "casework.webhook_url") -> None:
    """Refuse an address that would carry cases in the clear over a network.

    Args:
        url: Where to post.
        setting: That names it.

    Raises:
        Invalid: It is not https, nor http to this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    shown = f"{parts.scheme}://{parts.hostname or ''}"
    raise Invalid(
        f"The webhook's address {shown} is neither https nor http to this machine.",
        f"Set {setting} to an https:// address.",
    )


def sign(secret: str, body: str, at_s: int) -> str:
    """The signature header: `t=<Unix seconds>,v1=<HMAC-SHA256 of "<t>.<body>", hex>`.

    A receiver computes the same, compares in constant time, and refuses an old `t`.

    >>> sign("key", "{}", 1700000000)[:24]
    't=1700000000,v1=9d713ed4'
    """
    digest = hmac.new(secret.encode(), f"{at_s}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
