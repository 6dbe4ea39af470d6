"""Find the templates of a stream of log lines: columns in, template ids out, nothing configured per system.

Two steps. `tokens` names each line's skeleton, and a skeleton that is known costs one look-up. A skeleton that nobody
has seen comes here: it joins the others of its *frame* (the same punctuation and blanks, as many words between; see
`merge`), and the words in which the skeletons of a frame differ are held for a variable once they behave like one.

A template's id is the hash of its text, so it is the same in every shard and after every restart. When templates merge
their ids stay as aliases of the wider one: an id never changes its meaning, it turns out to be a part of another.

Bounded: at most `skeletons_max` skeletons; when they are full, the fifth that was seen least recently is forgotten and
counted. What comes back comes back under the same id.

Sources: P. He et al., Drain: An Online Log Parsing Approach with Fixed Depth Tree, ICWS 2017 (groups by length);
A. Makanju et al., Clustering Event Logs Using Iterative Partitioning, KDD 2009 (the cardinality of a position); S. Yu
et al., Brain: Log Parsing with Bidirectional Parallel Tree, IEEE TSC 16 (2023).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from cerebro.algorithms.templates.merge import VARIABLE, Frame, Part, Skeleton, parts_with, text_of
from cerebro.algorithms.templates.tokens import CLASSES, FIRST_VARIABLE, TOKENS_MAX, cut, name_lines, name_of

SLOTS_FIRST = 1024
MIXES_MAX = 16  # mixed tokens of a line whose second value is looked for
FORGET_SHARE = 0.2
ALIASES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Template:
    """What a group of lines has in common; its variables stand as `<*>`."""

    id: int
    text: str


@dataclass(slots=True)
class Miner:
    """The skeletons and templates of one stream of lines. One owner changes it, with `mine`.

    Arrays have a row a skeleton: `name uint64`, `count int64`, `last int64` (clock of `mine`), `mixed uint64`
    (row, 16), `varied uint64` (a bit a mixed token), `template int32` (row in `templates`).
    """

    skeletons_max: int = 50_000
    name: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(SLOTS_FIRST // 2, np.uint64))
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SLOTS_FIRST // 2, np.int64))
    last: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SLOTS_FIRST // 2, np.int64))
    mixed: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((SLOTS_FIRST // 2, MIXES_MAX), np.uint64))
    varied: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(SLOTS_FIRST // 2, np.uint64))
    template: NDArray[np.int32] = field(default_factory=lambda: np.zeros(SLOTS_FIRST // 2, np.int32))
    skeletons: list[Skeleton] = field(default_factory=list)
    frames: dict[str, Frame] = field(default_factory=dict)
    templates: list[Template] = field(default_factory=list)
    row_of: dict[int, int] = field(default_factory=dict)  # by template id
    alias: dict[int, int] = field(default_factory=dict)  # the id a template had, and the one it is part of now
    forgotten_count: int = 0
    slot: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(SLOTS_FIRST, np.uint64))
    slot_row: NDArray[np.int32] = field(default_factory=lambda: np.full(SLOTS_FIRST, -1, np.int32))


def mine(miner: Miner, lines: pa.StringArray, now: int = 0) -> NDArray[np.uint64]:
    """The id of each line's template as it is known now, `uint64, (n,)`. Changes `miner`.

    A later line may widen a template; `resolve` says what an earlier id belongs to now.
    """
    content, offsets = bytes_of(lines)
    n = len(offsets) - 1
    names, rows, ids = np.empty(n, np.uint64), np.full(n, -1, np.int32), np.zeros(n, np.uint64)
    open_ = np.ones(n, np.bool_)  # lines without an id yet
    unknown = _look_up(miner, content, offsets, names, rows)
    while unknown:
        at = np.flatnonzero(rows < 0)
        _, first = np.unique(names[at], return_index=True)
        room = max(1, miner.skeletons_max - len(miner.skeletons))
        for k in at[np.sort(first)][:room]:
            _learn(miner, content, int(offsets[k]), int(offsets[k + 1]), now)
        unknown = _look_up(miner, content, offsets, names, rows)
        if unknown:
            found = open_ & (rows >= 0)
            ids[found] = _told(miner, rows[found], now)
            open_ &= ~found
            _forget(miner)
    ids[open_] = _told(miner, rows[open_], now)
    return ids


def _told(miner: Miner, rows: NDArray[np.int32], now: int) -> NDArray[np.uint64]:
    """Count the lines of these rows and answer their templates' ids."""
    if not len(rows):
        return np.empty(0, np.uint64)
    seen, counts = np.unique(rows, return_counts=True)
    miner.count[seen] += counts
    miner.last[seen] = now
    _note_varied(miner, seen)
    ids = np.array([template.id for template in miner.templates], np.uint64)
    return ids[miner.template[rows]]


def resolve(miner: Miner, template_id: int) -> int:
    """The id of the template that an id from an earlier moment belongs to now."""
    while (wider := miner.alias.get(template_id)) is not None:
        template_id = wider
    return template_id


def template_id(text: str) -> int:
    """The id of a template, in every shard and for ever."""
    return xxhash.xxh64_intdigest(text.encode(errors="replace"))


def bytes_of(lines: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of a column of strings, and where each begins and the last ends; nulls are empty."""
    if isinstance(lines, pa.ChunkedArray):
        lines = lines.combine_chunks()
        if isinstance(lines, pa.ChunkedArray):
            lines = lines.chunk(0) if lines.num_chunks else pa.array([], pa.string())
    _, offsets, content = lines.buffers()
    size = 8 if pa.types.is_large_string(lines.type) else 4
    if not len(lines):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    places = np.frombuffer(offsets, np.int64 if size == 8 else np.int32)[lines.offset : lines.offset + len(lines) + 1]
    letters = np.frombuffer(content, np.uint8) if content is not None and len(content) else np.zeros(1, np.uint8)
    return letters, places.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Contents:
    """A miner as plain values: what a snapshot holds."""

    skeletons_max: int
    name: list[int]
    count: list[int]
    last: list[int]
    mixed: list[list[int]]
    varied: list[int]
    parts: list[list[tuple[bool, str, int]]]
    alias: list[tuple[int, int]]
    forgotten_count: int


def freeze(miner: Miner) -> Contents:
    """What `thaw` makes the same miner of."""
    n = len(miner.skeletons)
    return Contents(
        skeletons_max=miner.skeletons_max,
        name=miner.name[:n].tolist(),
        count=miner.count[:n].tolist(),
        last=miner.last[:n].tolist(),
        mixed=[[value for value in row if value] for row in miner.mixed[:n].tolist()],
        varied=[skeleton.varied_bits for skeleton in miner.skeletons],
        parts=[[(part.space, part.text, part.form) for part in skeleton.parts] for skeleton in miner.skeletons],
        alias=list(miner.alias.items()),
        forgotten_count=miner.forgotten_count,
    )


def thaw(contents: Contents) -> Miner:
    """The miner that `freeze` was given."""
    miner = Miner(contents.skeletons_max, forgotten_count=contents.forgotten_count)
    n = len(contents.name)
    while len(miner.name) < n:
        _grow(miner)
    miner.name[:n] = np.array(contents.name, np.uint64)
    miner.count[:n], miner.last[:n] = contents.count, contents.last
    for row, values in enumerate(contents.mixed):
        miner.mixed[row, : len(values)] = np.array(values, np.uint64)
    miner.varied[:n] = np.array(contents.varied, np.uint64)
    miner.alias = dict(contents.alias)
    skeletons = []
    for row, told in enumerate(contents.parts):
        skeleton = Skeleton(row, tuple(Part(*part) for part in told))
        skeleton.varied_bits = contents.varied[row]
        skeletons.append(skeleton)
    rebuild(miner, skeletons)
    return miner


def _look_up(
    miner: Miner, content: NDArray[np.uint8], offsets: NDArray[np.int64], names: NDArray[np.uint64],
    rows: NDArray[np.int32],
) -> int:  # fmt: skip
    tokens = np.empty((TOKENS_MAX, 4), np.int64)
    return int(
        name_lines(
            content, offsets, CLASSES, tokens, names, miner.slot, miner.slot_row, miner.mixed, miner.varied, rows,
            np.uint64(len(miner.slot) - 1),
        )
    )  # fmt: skip


def _learn(miner: Miner, content: NDArray[np.uint8], start: int, stop: int, now: int) -> None:
    """Give a skeleton that nobody has seen its row and its template."""
    tokens, firsts = np.empty((TOKENS_MAX, 4), np.int64), np.zeros(64, np.uint64)
    token_count = cut(content, CLASSES, start, stop, tokens)
    name, mixes = name_of(content, tokens, token_count, firsts)
    row = len(miner.skeletons)
    if row == len(miner.name):
        _grow(miner)
    miner.name[row], miner.count[row], miner.last[row] = name, 0, now
    miner.mixed[row] = 0
    known = min(int(mixes), MIXES_MAX)
    miner.mixed[row, :known] = firsts[:known]
    miner.varied[row] = 0
    _place(miner, row)
    parts = parts_of(content, tokens[: int(token_count)])
    skeleton = Skeleton(row, parts)
    miner.skeletons.append(skeleton)
    _join(miner, skeleton)


def parts_of(content: NDArray[np.uint8], tokens: NDArray[np.int64]) -> tuple[Part, ...]:
    """The tokens of a line as parts of a template."""
    parts = []
    for start, end, form, space in tokens.tolist():
        text = content[start:end].tobytes().decode(errors="replace") if form < FIRST_VARIABLE else VARIABLE
        parts.append(Part(bool(space), text, form))
    return tuple(parts)


def _join(miner: Miner, skeleton: Skeleton) -> None:
    frame = miner.frames.setdefault(skeleton.frame, Frame())
    for changed, pattern in frame.add(skeleton):
        _settle(miner, changed, text_of(parts_with(changed, pattern)))


def _settle(miner: Miner, skeleton: Skeleton, text: str) -> None:
    """Let the skeleton belong to the template of that text; what it belonged to before becomes an alias."""
    new_id = template_id(text)
    at = miner.row_of.get(new_id)
    if at is None:
        at = miner.row_of[new_id] = len(miner.templates)
        miner.templates.append(Template(new_id, text))
    miner.alias.pop(new_id, None)
    before = miner.template[skeleton.row] if skeleton.settled else -1
    if 0 <= before != at and len(miner.alias) < ALIASES_MAX:
        old_id = miner.templates[before].id
        if resolve(miner, new_id) != old_id:
            miner.alias[old_id] = new_id
    miner.template[skeleton.row], skeleton.settled = at, True


def _note_varied(miner: Miner, seen: NDArray[np.int32]) -> None:
    """Mixed tokens with a second value are variables from now on."""
    for row in seen[miner.varied[seen] != 0].tolist():
        skeleton, bits = miner.skeletons[row], int(miner.varied[row])
        if bits == skeleton.varied_bits:
            continue
        frame = miner.frames[skeleton.frame]
        frame.leave(skeleton)
        skeleton.vary(bits)
        for changed, pattern in frame.add(skeleton):
            _settle(miner, changed, text_of(parts_with(changed, pattern)))


def _place(miner: Miner, row: int) -> None:
    if 2 * (row + 1) > len(miner.slot):
        _index(miner, 2 * len(miner.slot), row)
    mask = len(miner.slot) - 1
    at = int(miner.name[row]) & mask
    while miner.slot_row[at] >= 0:
        at = (at + 1) & mask
    miner.slot[at], miner.slot_row[at] = miner.name[row], row


def _index(miner: Miner, length: int, count: int) -> None:
    miner.slot, miner.slot_row = np.zeros(length, np.uint64), np.full(length, -1, np.int32)
    for row in range(count):
        _place(miner, row)


def _grow(miner: Miner) -> None:
    for column in ("name", "count", "last", "mixed", "varied", "template"):
        array = getattr(miner, column)
        setattr(miner, column, np.concatenate([array, np.zeros_like(array)]))


def _forget(miner: Miner) -> None:
    """Drop the skeletons that were seen least recently, and what belonged to them alone."""
    count = len(miner.skeletons)
    order = np.argsort(miner.last[:count], kind="stable")
    kept = np.sort(order[max(1, int(count * FORGET_SHARE)) :])
    miner.forgotten_count += count - len(kept)
    for column in ("name", "count", "last", "mixed", "varied"):
        array = getattr(miner, column)
        array[: len(kept)] = array[kept]
    rebuild(miner, [miner.skeletons[row] for row in kept.tolist()])


def rebuild(miner: Miner, skeletons: Iterable[Skeleton]) -> None:
    """Frames, templates and index from skeletons in the order of their rows."""
    miner.skeletons, miner.frames, miner.templates, miner.row_of = [], {}, [], {}
    for row, skeleton in enumerate(skeletons):
        fresh = Skeleton(row, skeleton.parts)
        fresh.vary(skeleton.varied_bits)
        miner.skeletons.append(fresh)
    for fresh in miner.skeletons:
        _join(miner, fresh)
    _index(miner, max(SLOTS_FIRST, 1 << (2 * len(miner.skeletons)).bit_length()), len(miner.skeletons))
