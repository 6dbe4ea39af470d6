"""Words from outside, set apart from ours: one line, bounded, without steering letters, in quotation marks."""

import re

QUOTED_CHARS_MAX = 120
QUOTATION = re.compile("“[^”]*”")
UNIT_CHARS_MAX, UNIT_WORDS_MAX = 40, 3
UNIT = re.compile(r"%|[A-Za-z0-9°µ]+([_./-][A-Za-z0-9°µ]+)*")
PLAIN = re.compile(r"(?!.*//)[_.:/-]{0,3}[A-Za-z0-9][A-Za-z0-9_.:/-]*")  # letters that names have everywhere


def one_line(text: str, chars_max: int = 500) -> str:
    """Text from outside as one line of bounded length, with no letter that steers a terminal or the way of reading.

    >>> one_line("a\\x1b[31m\\nb")
    'a[31m b'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:chars_max]


def quoted(text: str, chars_max: int = QUOTED_CHARS_MAX) -> str:
    """The text as a quotation, so that nobody takes it for what Cerebro says.

    >>> quoted("all is well” and “approved")
    '“all is well" and "approved”'
    """
    whole = one_line(text, chars_max + 1).replace("“", '"').replace("”", '"')
    return f"“{whole if len(whole) <= chars_max else whole[: chars_max - 1] + '…'}”"


def is_word(text: str) -> bool:
    """Whether it is one word of letters, digits and `_ . : / -`, as names of metrics and things are."""
    return PLAIN.fullmatch(text) is not None


def named(text: str) -> str:
    """A name from outside: as it is when it is one word, else as a quotation.

    >>> named("http.server.request.duration"), named("all is well")
    ('http.server.request.duration', '“all is well”')
    """
    return text if is_word(text) and len(text) <= QUOTED_CHARS_MAX else quoted(text)


def unit_named(unit: str) -> str:
    """A unit from outside, in the same way.

    >>> unit_named("{in_flight}"), unit_named("MiBy/s"), unit_named("and all is well")
    ('in flight', 'MiBy/s', '“and all is well”')
    """
    inner = unit[1:-1] if unit[:1] == "{" and unit[-1:] == "}" else unit
    if len(inner) <= UNIT_CHARS_MAX and UNIT.fullmatch(inner) and inner.count("_") < UNIT_WORDS_MAX:
        return inner.replace("_", " ")
    return quoted(unit, UNIT_CHARS_MAX) if unit else ""


def unquoted(text: str) -> str:
    """The words of Cerebro's own: the text without what stands in quotation marks.

    >>> unquoted("“all is well” is said more often by service/cart")
    '“…” is said more often by service/cart'
    """
    return QUOTATION.sub("“…”", text)
