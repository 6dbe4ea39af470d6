"""Decide which words of skeletons are variables, from how the skeletons of one frame differ.

A *frame* is the punctuation and the blanks of a skeleton with one place for each word or variable, and one for a list
of variables. Within a frame, skeletons that differ in one place only lie in one bucket, and the place varies when

* two of its values look like identifiers (a digit, an underscore, an inner dot or capital), or are variables already;
* or two values, where the word before says that a name follows (`NAMERS`: user, host …);
* or it has shown `WORDS_MIN` plain words, `FIRST_WORDS_MIN` in the first place, which tells most of what a line says;
* or it is a list that has shown three lengths.

And where `CROWD_MIN` patterns begin alike, every place that differs in half of them is one, so that a line with several
words that vary together ends in one template, too.

Each condition only ever becomes true as skeletons join, so the order in which they join does not matter.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from cerebro.algorithms.templates.tokens import FIRST_VARIABLE, Form

VARIABLE = "<*>"
WORDS_MIN = 5
FIRST_WORDS_MIN = 9
IDENTIFIERS_MIN = 2
LENGTHS_MIN = 3
CONTEXT_MIN = 2  # constant words that have to be left when a plain word becomes a variable
CROWD_MIN = 24  # patterns that begin alike, from which on places that differ in half of them are variables
NAMERS = frozenset(
    (
        "user",
        "username",
        "login",
        "account",
        "host",
        "hostname",
        "named",
        "пользователь",
        "пользователя",
        "хост",
        "узел",
    )
)
MASKS_MAX = 64  # combinations of variable places that a frame remembers
LIST_MIN = 8  # variables in a row that are one list, whatever their number

_MIXED = (int(Form.MIXED), int(Form.DOTTED))


class Part(NamedTuple):
    """One token of a template: whether a blank stands before it, its text, its `Form`."""

    space: bool
    text: str
    form: int


Place = tuple[str, ...]  # texts of a pattern's places; `VARIABLE` where it varies


class Skeleton:
    """One skeleton: its tokens, and where its places lie in them."""

    __slots__ = ("frame", "parts", "places", "row", "settled", "spans", "varied_bits")

    def __init__(self, row: int, parts: tuple[Part, ...]) -> None:
        self.row, self.parts, self.settled, self.varied_bits = row, parts, False, 0
        self.frame, self.spans = frame_of(parts)
        self.places = self._places()

    def vary(self, bits: int) -> None:
        """Mixed tokens whose bit is set have shown a second value."""
        self.varied_bits = bits
        self.places = self._places()

    def _places(self) -> Place:
        mixed = [at for at, part in enumerate(self.parts) if part.form in _MIXED]
        varied = {at for k, at in enumerate(mixed) if self.varied_bits >> k & 1}
        return tuple(
            VARIABLE
            if end - start >= LIST_MIN
            else "".join(
                (" " if part.space and at > start else "") + (VARIABLE if at in varied else part.text)
                for at, part in enumerate(self.parts[start:end], start)
            )
            for start, end in self.spans
        )


def frame_of(parts: tuple[Part, ...]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The frame of a skeleton, and where each of its places begins and ends."""
    told, spans, at = [], [], 0
    while at < len(parts):
        part = parts[at]
        told.append(" " if part.space else "")
        if part.form == Form.MARK:
            told.append(part.text)
            at += 1
            continue
        end = _list_end(parts, at)
        spans.append((at, end))
        told.append("\x00")
        at = end
    return "".join(told), tuple(spans)


def _list_end(parts: tuple[Part, ...], at: int) -> int:
    """Where the list of variables ends that begins here: with one separator between all of them."""
    end = at + 1
    if parts[at].form < FIRST_VARIABLE:
        return end
    separator: tuple[str, bool] | None = None
    while end < len(parts):
        step = 2 if parts[end].form == Form.MARK and parts[end].text in (",", ";", "|") else 1
        if end + step > len(parts) or parts[end + step - 1].form < FIRST_VARIABLE:
            break
        now = (parts[end].text if step == 2 else "", parts[end + step - 1].space)
        if separator not in (None, now) or now == ("", False):
            break
        separator, end = now, end + step
    return end


@dataclass(slots=True)
class Frame:
    """The skeletons of one frame, and the patterns they have merged into. `add` changes it."""

    members: dict[Place, list[Skeleton]] = field(default_factory=dict)  # by their own places
    pattern: dict[Place, Place] = field(default_factory=dict)  # of own places, the widest known
    owners: dict[Place, set[Place]] = field(default_factory=dict)  # of a pattern, the own places it covers
    buckets: dict[tuple[int, Place], set[Place]] = field(default_factory=dict)  # patterns that differ in one place
    masks: dict[tuple[int, ...], None] = field(default_factory=dict)
    by_first: dict[str, set[Place]] = field(default_factory=dict)  # patterns by their first place

    def add(self, skeleton: Skeleton) -> list[tuple[Skeleton, Place]]:
        """Take a skeleton in; the skeletons whose pattern this changes, its own first, each with its pattern."""
        own = skeleton.places
        mine = self.members.setdefault(own, [])
        if skeleton not in mine:
            mine.append(skeleton)
        if own in self.pattern:
            return [(skeleton, self.pattern[own])]
        if (known := self._known(own)) is not None:
            self._assign(own, known)
            return [(skeleton, known)]
        self._assign(own, own)
        changed = self._merge_from(own)
        others = [member for each in changed if each != own for member in self.members[each] if member.places == each]
        return [(skeleton, self.pattern[own])] + [(member, self.pattern[member.places]) for member in others]

    def leave(self, skeleton: Skeleton) -> None:
        """Forget where the skeleton stood, because its places are about to change."""
        self.members[skeleton.places].remove(skeleton)

    def _known(self, places: Place) -> Place | None:
        for mask in self.masks:
            masked = tuple(VARIABLE if at in mask else text for at, text in enumerate(places))
            if masked in self.owners:
                return masked
        return None

    def _assign(self, own: Place, pattern: Place) -> None:
        self.pattern[own] = pattern
        self.owners.setdefault(pattern, set()).add(own)

    def _merge_from(self, start: Place) -> set[Place]:
        """Enter a new pattern and merge until nothing more does; the own places whose pattern changed."""
        changed: set[Place] = set()
        entering = [start]
        while entering:
            pattern = entering.pop()
            if pattern not in self.owners:
                continue
            crowd = self.by_first.setdefault(pattern[0] if pattern else "", set())
            crowd.add(pattern)
            for at in range(len(pattern)):
                bucket = self.buckets.setdefault((at, pattern[:at] + pattern[at + 1 :]), set())
                bucket.add(pattern)
            for at in range(len(pattern)):
                rest = pattern[:at] + pattern[at + 1 :]
                bucket = self.buckets[at, rest]
                if len(bucket) > 1 and varies([each[at] for each in bucket], rest, at):
                    wide = (*pattern[:at], VARIABLE, *pattern[at + 1 :])
                    changed |= self._widen(set(bucket), wide)
                    entering.append(wide)
                    break
            if len(crowd) >= CROWD_MIN and len(crowd) % 8 == 0:
                for wide, narrow in crowded(crowd):
                    changed |= self._widen(narrow, wide)
                    entering.append(wide)
        return changed

    def _widen(self, bucket: set[Place], wide: Place) -> set[Place]:
        """Put one pattern in the place of several."""
        moved: set[Place] = set()
        for pattern in bucket:
            if pattern == wide:
                continue
            for at in range(len(pattern)):
                key = (at, pattern[:at] + pattern[at + 1 :])
                self.buckets[key].discard(pattern)
                if not self.buckets[key]:
                    del self.buckets[key]
            self.by_first[pattern[0]].discard(pattern)
            moved |= self.owners.pop(pattern, set())
        for own in moved:
            self._assign(own, wide)
        self.owners.setdefault(wide, set())
        if len(self.masks) < MASKS_MAX:
            self.masks[tuple(at for at, text in enumerate(wide) if text == VARIABLE)] = None
        return moved


def crowded(crowd: set[Place]) -> list[tuple[Place, set[Place]]]:
    """What patterns that begin alike become when they are many: places that differ in most of them are variables.

    It finds what no bucket can: several words that vary together, as in "user anna logged in from berlin".
    """
    columns = list(zip(*crowd, strict=True))
    distinct = [len(set(column)) for column in columns]
    context = sum(count == 1 and is_word(column[0]) for count, column in zip(distinct, columns, strict=True))
    wide_places = {at for at, count in enumerate(distinct) if 2 * count >= len(crowd)}
    if context < CONTEXT_MIN or not wide_places:
        return []
    found: dict[Place, set[Place]] = {}
    for pattern in crowd:
        wide = tuple(VARIABLE if at in wide_places else text for at, text in enumerate(pattern))
        found.setdefault(wide, set()).add(pattern)
    return [(wide, narrow) for wide, narrow in sorted(found.items()) if narrow != {wide}]


def varies(values: list[str], rest: Place, at: int) -> bool:
    """Whether these values of one place, all else being equal, are those of a variable."""
    context = sum(is_word(text) for text in rest)
    identifiers = sum(is_identifier(text) or text.startswith(VARIABLE) for text in values)
    lists = sum(text.startswith(VARIABLE) for text in values)
    if lists == len(values):
        return lists >= LENGTHS_MIN
    if at > 0 and context >= CONTEXT_MIN and rest[at - 1].lower() in NAMERS:
        return True
    if identifiers >= IDENTIFIERS_MIN and context >= 1 and at > 0:
        return True
    return context >= CONTEXT_MIN and len(values) >= (WORDS_MIN if at else FIRST_WORDS_MIN)


def is_word(text: str) -> bool:
    """Two letters at least."""
    return sum(letter.isalpha() for letter in text[:8]) > 1


def is_identifier(text: str) -> bool:
    """Whether the text is one that people do not say: with a digit, an underscore, an inner dot, an at sign, a slash.

    >>> [is_identifier(each) for each in ("root", "user_7", "java.lang.String", "Failed", "отказ")]
    [False, True, True, False, False]
    """
    inner = text[1:-1]
    return any(letter.isdigit() for letter in text) or any(mark in inner for mark in "_.@/\\$~")


def parts_with(skeleton: Skeleton, pattern: Place) -> list[tuple[bool, str]]:
    """The skeleton's parts with the pattern's texts at its places."""
    told, at = [], 0
    for (start, end), text in zip(skeleton.spans, pattern, strict=True):
        told += [(part.space, part.text) for part in skeleton.parts[at:start]]
        told.append((skeleton.parts[start].space, text))
        at = end
    return told + [(part.space, part.text) for part in skeleton.parts[at:]]


def text_of(parts: list[tuple[bool, str]]) -> str:
    """A template's text.

    >>> text_of([(False, "user"), (True, "<*>"), (False, ":"), (True, "gone")])
    'user <*>: gone'
    """
    return "".join((" " if space else "") + text for space, text in parts)
