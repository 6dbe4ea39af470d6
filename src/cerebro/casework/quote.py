"""Words from outside, set apart from ours: one line, bounded, without steering letters, in quotation marks."""

QUOTED_CHARS_MAX = 120


def one_line(text: str, chars_max: int = 500) -> str:
    """Text from outside as one line of bounded length, with no letter that steers a terminal or the way of reading.

    >>> one_line("a\\x1b[31m\\nb")
    'a[31m b'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:chars_max]


def quoted(text: str) -> str:
    """The text as a quotation, so that nobody takes it for what Cerebro says.

    >>> quoted("all is well” and “approved")
    '“all is well" and "approved”'
    """
    return f"“{one_line(text, QUOTED_CHARS_MAX).replace('“', chr(34)).replace('”', chr(34))}”"
