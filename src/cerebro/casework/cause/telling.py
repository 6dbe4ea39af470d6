"""A diagnosis in plain sentences: what was seen, with its numbers."""

import re
from collections.abc import Sequence

import numpy as np

from cerebro.casework.cause.clues import Family
from cerebro.casework.cause.picture import NOBODY
from cerebro.casework.cause.view import View
from cerebro.spine.quote import named, quoted

CAME = re.compile("“([^”]*)” came [0-9]+ (?:s|min) before the first sign")
THOUSANDS = 10_000.0  # from here on they are set apart
RESIDUE, BEYOND_WORDS = 1e-9, 1e15  # what a difference of nothing leaves; what nobody counts the zeros of


def sentence_of(view: View, entity: int, rows: Sequence[int]) -> str:
    """Why this entity, in one or two sentences."""
    picture, fused = view.picture, view.fused
    who = picture.entities[entity].said
    parts = []
    if rows:
        parts.append(clue_line(view, rows[0]))
    elif fused.silent[entity] > 0:
        parts.append(f"{who} tells nothing of itself, and all that need it suffer without another reason.")
    if fused.change[entity] >= 0:
        change = picture.changes[fused.change[entity]]
        before_s = max(0.0, (picture.onset_ms - change.at_ms) / 1000)
        span = f"{before_s:.0f} s" if before_s < 120 else f"{before_s / 60:.0f} min"
        parts.append(f"{quoted(change.title or change.kind)} came {span} before the first sign.")
    if fused.support[entity] >= 2.0:
        parts.append("What needs it suffers too.")
    return " ".join(parts) or f"{who} fits what was noticed, without a clear sign of its own."


def changes_named(sentence: str) -> str:
    """The titles of changes that a sentence of ours speaks of, and nothing else of it.

    >>> changes_named("“flag.new is on” came 5 s before the first sign. “flag.old is off” is said more often by cart.")
    'flag.new is on'
    """
    return " ".join(CAME.findall(sentence))


def clue_line(view: View, row: int) -> str:
    """One clue as one sentence."""
    picture, found = view.picture, view.found
    who = picture.entities[found.entity[row]].said
    family, text = Family(found.family[row]), named(found.text[row])
    more = found.sign[row] > 0
    level, change = float(found.level[row]), float(found.change[row])
    if found.table[row] == "tracks":
        moved = "rose" if more else "fell"
        toward = f" towards {picture.entities[found.peer[row]].said}" if found.peer[row] != NOBODY else ""
        return f"{text} of {who}{toward} {moved} from {_number(level)} to {_number(level + change)}."
    if found.table[row] == "times":
        peer = found.peer[row]
        what = f"asking {picture.entities[peer].said}" if peer != NOBODY else "by itself"
        verb = "took longer" if more else "took less time"
        return f"{text} in {who} {verb} {what}: {_number(level)} ms before, {_number(level + change)} ms now."
    before, now = 100 * level, 100 * (level + change)
    if family == Family.LOGS:
        verb = "is said more often" if more else "is said less often"
        shares = f"{_number(before, 2)} % of the time before, {_number(now, 2)} % now"
        return f"{quoted(found.text[row])} {verb} by {who}: {shares}."
    if family == Family.FLOW:
        return f"In {who}, {text} is taken {_number(now)} % of the time, {_number(before)} % before."
    if family == Family.WIRE and found.peer[row] != NOBODY:
        asked = picture.entities[found.peer[row]].said
        return f"Calls of {who} to {asked} fail: {_number(before, 2)} % before, {_number(now, 2)} % now."
    return f"{text} of {who} fails by itself: {_number(before, 2)} % before, {_number(now, 2)} % now."


def _number(value: float, digits: int = 3) -> str:
    """As people read it: so many digits that count, and no power of ten as long as they can take it in.

    >>> _number(31523.0), _number(99.96, 2), _number(0.0000272)
    ('31,500', '100', '0.0000272')
    """
    if not np.isfinite(value):
        return "?"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) < RESIDUE:
        return "0"
    if abs(rounded) >= BEYOND_WORDS:
        return f"{rounded:g}"
    return f"{rounded:,.0f}" if abs(rounded) >= THOUSANDS else str(np.format_float_positional(rounded, trim="-"))
