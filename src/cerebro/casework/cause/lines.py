"""Log lines into what a picture keeps of them: how often each template is said, and what follows it.

A template is the line with everything that varies cut out. The order of templates within a span is the program's way
through its code; a way that has changed points at the code that changed it.

Source: G. Yu et al., Nezha, FSE 2023 (patterns of successive events, compared between fault-free and faulty times).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cerebro.algorithms.shift import excess_of_counts
from cerebro.casework.cause.grid import coded
from cerebro.casework.cause.picture import NOBODY, Tallies, joined_tallies
from cerebro.casework.cause.vocabulary import CLEAR
from cerebro.casework.cause.words import OF_SELF, alike, names_in, speaks_of_database, word_of

VARIES = re.compile(
    r"""\d{1,4}[-:/.]\d\d[-:/.]\d\d\S*        # times and dates
    |\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b
    |\b0x[0-9a-fA-F]+\b
    |\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b
    |[\w.+-]+@[\w-]+\.[\w.]+
    |"[^"]*"|'[^']*'
    |(?<![A-Za-z#\d])[-+]?\d+(?:[.:]\d+)*[a-zA-Z]{0,3}\b
    |(?<==)[^\s,\])}]+|(?<=:\s)[^\s,\]\[]+""",
    re.VERBOSE,
)
CHARS_MAX = 160
END = "the end"
LOUD = re.compile(
    r"\b(error|exception|fatal|panic|critical|fail(ed|ure)?|traceback|timed? ?out|refused|denied)\b", re.I
)
ERROR_SEVERITY, WARNING_SEVERITY, PLAIN_SEVERITY = 17, 13, 9  # OpenTelemetry: ERROR, WARN, INFO
NAME_CHARS_MIN = 3
WORDS_DOUBT = 0.3  # how far the share of lines that say a word wanders by itself, relative


def template(line: str) -> str:
    """The line without what varies.

    >>> template("16:42:10.175 INFO order 4711 took 12ms for user=ann")
    '* INFO order * took * for user=*'
    """
    return VARIES.sub("*", line[: 4 * CHARS_MAX])[:CHARS_MAX]


@dataclass(frozen=True, slots=True)
class Lines:
    """Log lines in columns.

    Args:
        scope: Lines of one scope (a span) follow one another; negative for none.
        at: Any unit; the order of lines.
        before: Which of them are of the time when all was well; `during`: of the trouble; neither: of another trouble.
    """

    entity: NDArray[np.int32]
    message: NDArray[np.object_]
    scope: NDArray[np.int64]
    at: NDArray[np.int64]
    before: NDArray[np.bool_]
    during: NDArray[np.bool_]

    def chosen(self, kept: NDArray[np.bool_]) -> "Lines":
        """Those of them, in their order."""
        return Lines(*(getattr(self, each.name)[kept] for each in fields(self)))


def tallied_words(
    lines: Lines,
    severity: NDArray[np.uint8],
    names: Mapping[str, int],
    database_of: Mapping[int, int] | None = None,
    unread: Collection[int] = (),
) -> Tallies:
    """What lines of trouble speak of, by who says it (`said`), or by who says it of whom (`blames`).

    Args:
        severity: OpenTelemetry's, uint8 (line,); of an unknown one the line's own words decide.
        names: Entities by the names that lines know them by.
        database_of: Whom each means by "the database".
        unread: Those whose lines of before fell out.
    """
    stores = database_of or {}
    texts, code = _alike(lines.message)
    parts = (lines.before, lines.during, ~(lines.before | lines.during))
    of = [np.bincount(lines.entity[mask], minlength=int(lines.entity.max(initial=0)) + 1) for mask in parts]
    loud = np.array([bool(LOUD.search(text)) for text in texts], np.bool_)
    heard = (severity >= WARNING_SEVERITY) | ((severity == 0) & loud[code] if len(texts) else False)
    pairs, row = np.unique(lines.entity.astype(np.int64) * max(len(texts), 1) + code, return_inverse=True)
    hits = [np.bincount(row[heard & mask], minlength=len(pairs)) for mask in parts]
    found: dict[tuple[int, int, str], list[float]] = {}
    for place in np.flatnonzero(sum(hits)):
        speaker, text = int(pairs[place] // len(texts)), texts[int(pairs[place] % len(texts))]
        if word := word_of(text):
            peer = NOBODY if word in OF_SELF else _named(text, speaker, names)
            if peer == NOBODY and speaks_of_database(text, word):
                peer = stores.get(speaker, NOBODY)
            key = speaker, peer, word
            counts = found.setdefault(key, [0.0] * len(parts))
            for k, part in enumerate(hits):
                counts[k] += float(part[place])
    keys = sorted(key for key, counts in found.items() if counts[0] + counts[1])
    entity = np.array([key[0] for key in keys], np.int32)
    before, during, elsewhere = np.array([found[key] for key in keys]).reshape(-1, len(parts)).T
    whole = [each[entity].astype(np.float64) for each in of]
    lost = np.isin(entity, list(unread)) & (whole[2] == 0)
    chronic = (elsewhere > 0) & (excess_of_counts(elsewhere, whole[2], during, whole[1], WORDS_DOUBT) < CLEAR)
    # who never said a word had as much to speak of before as it has now
    never = np.where(lost | chronic, 0.0, whole[1])
    return Tallies(
        entity,
        np.array([key[1] for key in keys], np.int32),
        tuple("said" if key[1] == NOBODY else "blames" for key in keys),
        tuple(key[2] for key in keys),
        np.full(len(keys), ERROR_SEVERITY, np.int8),
        before,
        np.where(whole[0] == 0, never, whole[0]),
        during,
        whole[1],
    )


def spoken_of(message: NDArray[np.object_], speaker: int, names: Mapping[str, int], word: str) -> NDArray[np.int32]:
    """int32 (line,): of whom each line of one speaker says the word; `NOBODY` where it does not, or names nobody."""
    texts, code = _alike(message)
    found = [_named(text, speaker, names) if word_of(text) == word else NOBODY for text in texts]
    return np.array([*found, NOBODY], np.int32)[code]


def _alike(message: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """The different texts without their numbers, and which of them each line is."""
    bodies, of_line = coded(message)
    texts, code = coded(np.array([alike(each) for each in bodies], object))
    return texts, code[of_line] if bodies else of_line


def _named(text: str, speaker: int, names: Mapping[str, int]) -> int:
    """The first other one that the text names."""
    for name in names_in(text):
        if len(name) >= NAME_CHARS_MIN and names.get(name, speaker) != speaker:
            return names[name]
    return NOBODY


def tallied_lines(lines: Lines) -> Tallies:
    """Templates and their successions, before and during."""
    words, code = _templates(lines.message)
    key = lines.entity.astype(np.int64) * len(words) + code
    return joined_tallies([_said(lines, key, words), _followed(lines, key, words)])


def _templates(message: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    """The templates in order, `END` the last of them, and which one each line is of."""
    words, of_line = coded(message)
    cut = [template(line) for line in words]
    names = sorted(set(cut))
    place = {name: k for k, name in enumerate(names)}
    return [*names, END], np.array([place[each] for each in cut], np.int64)[of_line] if cut else of_line


def _said(lines: Lines, key: NDArray[np.int64], words: list[str]) -> Tallies:
    entity, before, during, size = lines.entity, lines.before, lines.during, len(words)
    keys = np.unique(key[before | during])
    counts = []
    for mask in (before, during):
        hits = np.bincount(np.searchsorted(keys, key[mask]), minlength=len(keys)).astype(np.float64)
        of = np.bincount(entity[mask], minlength=int(entity.max(initial=0)) + 1).astype(np.float64)
        counts += [hits, of[keys // size]]
    return _tallies("log", keys, tuple(words[k % size] for k in keys), size, counts)


def _followed(lines: Lines, key: NDArray[np.int64], words: list[str]) -> Tallies:
    """Within a scope, what comes after each template; `END` when nothing does."""
    order, size = np.lexsort((lines.at, lines.scope)), len(words)
    key, scope, before, during = key[order], lines.scope[order], lines.before[order], lines.during[order]
    if not len(key):
        return joined_tallies([])
    follows = np.append((scope[1:] == scope[:-1]) & (key[1:] // size == key[:-1] // size), False)
    after = np.where(follows, np.append(key[1:] % size, 0), size - 1)
    pair = key * size + after
    within = scope >= 0
    keys = np.unique(pair[(before | during) & within])
    counts = []
    for mask in (before & within, during & within):
        hits = np.bincount(np.searchsorted(keys, pair[mask]), minlength=len(keys)).astype(np.float64)
        heads, total = np.unique(key[mask], return_counts=True)
        place = np.clip(np.searchsorted(heads, keys // size), 0, max(len(heads) - 1, 0))
        known = heads[place] == keys // size if len(heads) else np.zeros(len(keys), np.bool_)
        counts += [hits, np.where(known, total[place] if len(heads) else 0, 0).astype(np.float64)]
    text = tuple(f"{words[(k // size) % size]} → {words[k % size]}" for k in keys)
    return _tallies("pair", keys // size, text, size, counts)


def _tallies(
    kind: str, keys: NDArray[np.int64], text: tuple[str, ...], size: int, counts: list[NDArray[np.float64]]
) -> Tallies:
    loud = np.array([ERROR_SEVERITY if LOUD.search(each) else PLAIN_SEVERITY for each in text], np.int8)
    return Tallies(
        (keys // size).astype(np.int32),
        np.full(len(keys), NOBODY, np.int32),
        (kind,) * len(keys),
        text,
        loud,
        counts[0],
        counts[1],
        counts[2],
        counts[3],
    )
