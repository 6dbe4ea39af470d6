"""What must not leave: addresses, cards, credentials and names become marks, and are themselves again on the way back.

The same value has the same mark within one text, so that a sentence still says which of two hosts it means.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])")
ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9a-fA-F:]*::|(?:[0-9a-fA-F]+:){7})[0-9a-fA-F:]{3,39})(?![\w:])"
)
TOKEN = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r"|(?:sk|pk|rk|ghp|gho|ghs|xox[abp]|glpat|cbr|AKIA|ASIA)[-_]?[A-Za-z0-9_-]{12,}"  # keys by their known beginnings
    r"|(?i:bearer|basic)\s+[\w.~+/=-]{8,}"
    r"|(?i:password|passwd|secret|token|api[_-]?key|пароль)\s*[=:]\s*[^\s,;]{3,}"
    r"|(?<![\w/+=])(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w/+=])"
)
MARK = re.compile(r"\[(?:email|card|address|token|name)-\d+\]")


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without what must not leave, and what each mark stands for."""

    text: str
    meaning: Mapping[str, str]

    def unmasked(self, text: str) -> str:
        """The text with every mark of ours turned back; a mark we never made stays as it is."""
        return MARK.sub(lambda found: self.meaning.get(found[0], found[0]), text)


def mask(text: str, names: Iterable[str] = ()) -> Masked:
    """The text with marks in place of what must not leave.

    Args:
        names: Of people and customers, to be masked wherever they stand as words; upper or lower case.

    >>> shown = mask("ann@shop.ru paid with 4111 1111 1111 1111 from 10.0.0.7")
    >>> shown.text
    '[email-1] paid with [card-1] from [address-1]'
    >>> shown.unmasked("[address-1] called")
    '10.0.0.7 called'
    """
    marks: dict[tuple[str, str], str] = {}

    def put(what: str, value: str) -> str:
        count = sum(kind == what for kind, _ in marks)
        return marks.setdefault((what, value), f"[{what}-{count + 1}]")

    text = MARK.sub(lambda found: found[0].replace("[", "(").replace("]", ")"), text)  # nobody's marks but ours
    text = TOKEN.sub(lambda found: put("token", found[0]), text)
    text = EMAIL.sub(lambda found: put("email", found[0]), text)
    text = CARD.sub(lambda found: put("card", found[0]) if luhn(found[0]) else found[0], text)
    text = ADDRESS.sub(lambda found: put("address", found[0]) if _is_address(found[0]) else found[0], text)
    for name in sorted({name.strip() for name in names if name.strip()}, key=len, reverse=True):
        known = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        text = known.sub(lambda found: put("name", found[0]), text)
    return Masked(text, {mark: value for (_, value), mark in marks.items()})


def luhn(text: str) -> bool:
    """Whether the digits of a text could be the number of a card.

    Source: H. P. Luhn, Computer for Verifying Numbers, US patent 2,950,048 (1960); ISO/IEC 7812-1, annex B.

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(mark) for mark in text if mark.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return len(digits) >= 13 and sum(doubled) % 10 == 0


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
