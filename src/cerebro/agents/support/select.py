"""A selector of series in the words of Prometheus, `metric{label="value", other=~"regex"}`, read and checked."""

import re
from dataclasses import dataclass

from cerebro.spine.errors import Invalid

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:.]*"
WHOLE = re.compile(rf"\s*({NAME})?\s*(?:{{(.*)}})?\s*", re.DOTALL)
PART = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.DOTALL)
MATCHERS_MAX = 20
EXAMPLE = 'Write it as metric{label="value"}, such as system.filesystem.usage{device="/dev/sda1"}.'
CLAUSES = {
    "=": "labels[{{name_{n}:String}}] = {{value_{n}:String}}",
    "!=": "labels[{{name_{n}:String}}] != {{value_{n}:String}}",
    "=~": "match(labels[{{name_{n}:String}}], {{value_{n}:String}})",
    "!~": "NOT match(labels[{{name_{n}:String}}], {{value_{n}:String}})",
}


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series are meant.

    >>> parse_selector('up{job="api", az!="b"}')
    Selector(metric='up', matchers=(('job', '=', 'api'), ('az', '!=', 'b')))
    """

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def clauses(self) -> tuple[str, dict[str, str]]:
        """The condition on the table `series`, and its parameters: no word of the selector stands in the SQL."""
        parameters = {"metric": self.metric}
        parts = ["metric = {metric:String}"]
        for n, (name, operator, value) in enumerate(self.matchers):
            parts.append(CLAUSES[operator].format(n=n))
            whole = operator in ("=~", "!~")
            parameters |= {f"name_{n}": name, f"value_{n}": f"^(?:{value})$" if whole else value}
        return " AND ".join(parts), parameters


def parse_selector(text: str) -> Selector:
    """Read a selector.

    Raises:
        Invalid: It is none; the detail says where it stopped being one.
    """
    found = WHOLE.fullmatch(text)
    if not found or not found[1]:
        raise Invalid(f"{text[:200]!r} selects no metric.", EXAMPLE)
    inner, matchers = (found[2] or "").strip(), []
    while inner:
        part = PART.match(inner)
        if not part:
            raise Invalid(f"The selector cannot be read from {inner[:60]!r} on.", EXAMPLE)
        value = re.sub(r"\\(.)", r"\1", part[3]) if part[2] in ("=", "!=") else part[3].replace(r"\\", "\\")
        if "~" in part[2]:
            _check_pattern(value)
        matchers.append((part[1], part[2], value))
        inner = inner[part.end() :].strip()
    if len(matchers) > MATCHERS_MAX:
        raise Invalid(f"A selector has at most {MATCHERS_MAX} labels.", EXAMPLE)
    return Selector(found[1], tuple(matchers))


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise Invalid(f"The pattern {pattern[:60]!r} is no regular expression: {error}.", EXAMPLE) from error
