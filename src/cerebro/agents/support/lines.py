"""Everything the agent does with one batch of log lines of one tenant, in order, without waiting for anything.

Lines become templates (`algorithms.templates`), templates become counts by the minute of an entity (`minutes`), and
counts are judged by the very detector that judges metrics: its tails are calibrated on each series' own past, so a
template that explodes or vanishes is told with a p-value and within a budget. Beside the counts of templates stand two
more series of an entity: transitions within a trace that nobody has seen before, and numbers outside their usual range.
What nobody has ever seen has no past to calibrate on; see `novelty`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.choices import STRANGE_MS, Choice, strange
from cerebro.agents.support.gravity import ERROR_LEVEL, Lexicon, is_grave
from cerebro.agents.support.gravity import learn as learn_words
from cerebro.agents.support.line_words import Told, novel_finding, shown, translated
from cerebro.agents.support.minutes import Minutes, add, closed, series_of
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.novelty import (
    LINES_MIN,
    WINDOW_MS,
    Novelty,
    admits,
    begun_ms,
    came,
    is_rare,
    told,
    weekly_of,
)
from cerebro.agents.support.observe import Rules, Watch, admit, learn_names, new_watch, observe
from cerebro.agents.support.plans import settled_ms
from cerebro.agents.support.shares import LINES as PARTS
from cerebro.algorithms.templates.mine import Contents, Miner, bytes_of, freeze, mine, resolve, thaw
from cerebro.algorithms.templates.tokens import CLASSES, TOKENS_MAX, numbers_of
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId

PAIRS_MAX = 20_000  # entities times templates; beyond it new ones are counted and left alone
SAMPLES_MAX = 3
SAMPLE_CHARS_MAX = 300
TRANSITIONS_MAX = 200_000
NUMBERS_MAX = 4  # of a line
NUMBER_SEEN_MIN = 200  # lines before a number is outside its range
NUMBER_MEMORY = 2000.0
ODD = 8.0  # spreads
SPREAD_MIN = 0.2  # of the logarithm
VALUE_SHARE = 0.1  # of what novelties may cost, that one new value of a small set may
GONE_MS = 300_000  # a novelty that was not seen for so long is over

LINES, GRAVE, STRANGE, ODD_VALUES = "log.lines", "log.error.lines", "log.unseen_transitions", "log.odd_values"


@dataclass(slots=True)
class Pair:
    """One template of one entity."""

    entity: tuple[str, str]
    template: int
    first_ms: int
    last_ms: int = 0
    count: int = 0
    level: int = 0
    grave: bool = False
    row: int = -1  # of its counts
    samples: list[str] = field(default_factory=list)
    born_ms: int = 0  # when it was new, or came back after very long
    born_count: int = 0
    begun_ms: int = 0  # when it began to come as it does now
    is_back: bool = False


@dataclass(slots=True)
class Lines:
    """All the agent knows of one tenant's log lines. `take` changes it.

    `numbers` is float64, (pair, number, 3): count, mean and variance of the logarithms.
    """

    tenant: TenantId
    watch: Watch
    miner: Miner = field(default_factory=Miner)
    minutes: Minutes = field(default_factory=Minutes)
    pairs: list[Pair] = field(default_factory=list)
    pair_of: dict[tuple[tuple[str, str], int], int] = field(default_factory=dict)
    pairs_of: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    pair_of_row: dict[int, int] = field(default_factory=dict)
    born_ms: dict[tuple[str, str], int] = field(default_factory=dict)
    transitions: set[int] = field(default_factory=set)
    numbers: NDArray[np.float64] = field(default_factory=lambda: np.zeros((64, NUMBERS_MAX, 3)))
    lexicon: Lexicon = field(default_factory=Lexicon)
    novelty: Novelty = field(default_factory=Novelty)
    novel: dict[int, Finding] = field(default_factory=dict)  # open findings of what was new, by pair
    named: int = 0  # series of `minutes` that `watch` knows
    newest_ms: int = 0
    turned_away_count: int = 0
    choices: dict[str, Choice] = field(default_factory=dict)  # by pair and place
    odd_since: dict[int, tuple[int, int]] = field(default_factory=dict)  # values never seen: since when, lines; by pair


def new_lines(tenant: TenantId, rules: Rules) -> Lines:
    """A tenant of whose log lines nothing is known."""
    return Lines(tenant, new_watch(tenant, share_of(rules)))


def share_of(rules: Rules) -> Rules:
    """The rules with the parts of the budget that log lines have; a minute without lines is no silence."""
    return replace(rules, parts=PARTS, together=False, silence=False)


def take(lines: Lines, table: pa.Table, rules: Rules, clock_ms: int) -> list[Finding]:
    """Take in a batch of `LOG_SCHEMA` and answer what was found. Changes `lines`."""
    if not table.num_rows:
        return []
    at_ms = np.minimum(table.column("at_ns").to_numpy() // 1_000_000, clock_ms)
    body = table.column("body").combine_chunks()
    column = body if isinstance(body, pa.Array) else pa.concat_arrays(body.chunks)
    if not lines.novelty.since_ms:
        lines.novelty = replace(lines.novelty, since_ms=int(at_ms.max()))
    template = mine(lines.miner, column, int(at_ms.max()))
    pair, findings = _count(lines, table, column, at_ms, template)
    _note_transitions(lines, table, at_ms, template, pair)
    findings += _note_numbers(lines, column, at_ms, pair)
    lines.newest_ms = max(lines.newest_ms, int(at_ms.max()))
    return findings + tick_lines(lines, min(lines.newest_ms, clock_ms), rules)


def tick_lines(lines: Lines, now_ms: int, rules: Rules) -> list[Finding]:
    """Judge the minutes that are over at that time."""
    findings: list[Finding] = []
    learn_names(lines.watch, lines.minutes.names[lines.named :], rules)
    lines.named = len(lines.minutes.names)
    for batch in closed(lines.minutes, now_ms):
        noticed = observe(lines.watch, batch, share_of(rules), int(batch.at_ms[0]) if len(batch) else now_ms)
        said = (translated(finding, lambda key: _told(lines, key)) for finding in noticed)
        findings += [finding for finding in said if finding is not None]
    return findings + list(_over(lines, now_ms))


def _count(
    lines: Lines, table: pa.Table, body: pa.StringArray, at_ms: NDArray[np.int64], template: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], list[Finding]]:
    """Count each template of each entity; the pair of each line, -1 where there is no room, and what was new."""
    entity_of, entities = _entities(table)
    ids, template_at = np.unique(template, return_inverse=True)
    minute = at_ms // 60_000
    minutes, minute_at = np.unique(minute, return_inverse=True)
    combined = (entity_of * len(ids) + template_at) * len(minutes) + minute_at
    found, first, inverse, counts = np.unique(combined, return_index=True, return_inverse=True, return_counts=True)
    level = table.column("severity").to_numpy()
    top = np.zeros(len(found), np.int64)
    np.maximum.at(top, inverse, level)
    rows, findings = np.full(len(found), -1, np.int64), []
    for k, (at, number) in enumerate(zip(first.tolist(), counts.tolist(), strict=True)):
        entity, moment = entities[int(entity_of[at])], int(at_ms[at])
        at_pair = _pair(lines, entity, int(template[at]), moment, int(top[k]))
        if at_pair < 0:
            lines.turned_away_count += number
            continue
        rows[k] = at_pair
        pair = lines.pairs[at_pair]
        before_ms, pair.count = pair.last_ms, pair.count + number
        pair.last_ms = max(pair.last_ms, moment)
        if len(pair.samples) < SAMPLES_MAX or before_ms == 0:
            pair.samples = [*pair.samples, shown(body[at].as_py(), SAMPLE_CHARS_MAX)][-SAMPLES_MAX:]
        add(lines.minutes, moment, pair.row, float(number))
        if finding := _new(lines, at_pair, before_ms, number, moment):
            findings.append(finding)
    return rows[inverse], findings


def _entities(table: pa.Table) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """The entity of each row as a number, and the entities."""
    kinds, names = (table.column(name).combine_chunks().dictionary_encode() for name in ("entity_kind", "entity_name"))
    kinds, names = (
        each if isinstance(each, pa.DictionaryArray) else each.unify_dictionaries().combine_chunks()
        for each in (kinds, names)
    )
    kind_at, name_at = kinds.indices.to_numpy().astype(np.int64), names.indices.to_numpy().astype(np.int64)
    known, row = np.unique(kind_at * len(names.dictionary) + name_at, return_inverse=True)
    told_kinds, told_names = kinds.dictionary.to_pylist(), names.dictionary.to_pylist()
    width = len(told_names)
    return row.astype(np.int64), [(told_kinds[int(k) // width], told_names[int(k) % width]) for k in known]


def _pair(lines: Lines, entity: tuple[str, str], template: int, at_ms: int, level: int) -> int:
    if (wider := resolve(lines.miner, template)) in lines.miner.row_of:
        template = wider
    if (at := lines.pair_of.get((entity, template))) is not None:
        return at
    if (at := _widened(lines, entity, template)) >= 0 or len(lines.pairs) >= PAIRS_MAX:
        return at
    text = lines.miner.templates[lines.miner.row_of[template]].text
    learn_words(lines.lexicon, text, level)
    grave = is_grave(lines.lexicon, text, level)
    at = lines.pair_of[entity, template] = len(lines.pairs)
    metric, unit = (GRAVE, "{error}") if grave else (LINES, "{line}")
    row = series_of(lines.minutes, entity, metric, f"{template:016x}", unit)
    lines.pairs.append(Pair(entity, template, at_ms, level=level, grave=grave, row=row))
    lines.pairs_of.setdefault(entity, []).append(at)
    lines.pair_of_row[row] = at
    lines.born_ms.setdefault(entity, at_ms)
    if at >= len(lines.numbers):
        lines.numbers = np.concatenate([lines.numbers, np.zeros_like(lines.numbers)])
    return at


def _widened(lines: Lines, entity: tuple[str, str], template: int) -> int:
    """The pair of a template that has become part of this wider one, which takes its place; -1 when there is none."""
    former = [at for at in lines.pairs_of.get(entity, []) if resolve(lines.miner, lines.pairs[at].template) == template]
    if not former:
        return -1
    for at in former:
        pair = lines.pairs[at]
        lines.pair_of.pop((entity, pair.template), None)
        pair.template = template
    for at in former[1:]:  # its lines count with the first from now on
        lines.minutes.gauges.add(lines.pairs[at].row)
    lines.pair_of[entity, template] = former[0]
    lines.pairs_of[entity] = [at for at in lines.pairs_of[entity] if at not in former[1:]]
    return former[0]


def _new(lines: Lines, at_pair: int, before_ms: int, number: int, at_ms: int) -> Finding | None:
    """The finding of a grave template that nobody has seen on the entity, or not for very long."""
    pair = lines.pairs[at_pair]
    if not pair.grave or at_pair in lines.novel:
        return None
    pair.begun_ms = begun_ms(pair.begun_ms, before_ms, at_ms)
    if is_rare(before_ms, at_ms):
        settled = settled_ms(lines.watch.changes, pair.entity, pair.samples[-1], at_ms)
        pair.born_ms, pair.born_count, pair.is_back = settled, 0, before_ms > 0
        lines.novelty = came(lines.novelty) if settled == at_ms else lines.novelty
    if not 0 <= at_ms - pair.born_ms <= WINDOW_MS:
        return None
    pair.born_count += number
    sure = pair.level >= ERROR_LEVEL
    if pair.born_count < LINES_MIN or not admits(
        lines.novelty, pair.entity, lines.born_ms[pair.entity], at_ms, sure=sure
    ):
        return None
    watched_ms = pair.born_ms - (pair.first_ms if pair.is_back else lines.born_ms[pair.entity])
    weekly = weekly_of(lines.novelty, pair.born_count, watched_ms, at_ms)
    if weekly > lines.watch.budget.novel_unit:
        return None
    lines.novelty = told(lines.novelty, pair.entity, at_ms, sure=sure)
    kind = "rare_template" if pair.is_back else "new_template"
    finding = novel_finding(lines.tenant, kind, _of(lines, pair), max(pair.born_ms, pair.begun_ms), at_ms, weekly)
    lines.novel[at_pair] = finding
    admit(lines.watch, finding, -1, urgent=False)
    return finding


def _over(lines: Lines, now_ms: int) -> Iterator[Finding]:
    """Tell that what was new has stopped."""
    for at, finding in list(lines.novel.items()):
        pair = lines.pairs[at]
        if now_ms - pair.last_ms >= GONE_MS:
            del lines.novel[at]
            yield novel_finding(lines.tenant, finding.kind, _of(lines, pair), now_ms, now_ms, 0.0, began=finding)


def _told(lines: Lines, key: tuple[str, str, str, str]) -> Told | None:
    """What a series of counts tells of: key is kind, entity's kind and name, template in hex."""
    metric, kind, name, label = key
    if metric not in (LINES, GRAVE):
        return Told((kind, name), "", "", 0, (), lines.tenant)
    row = lines.minutes.at.get((kind, name, metric, label))
    at = lines.pair_of_row.get(row) if row is not None else None
    return _of(lines, lines.pairs[at]) if at is not None and row not in lines.minutes.gauges else None


def _of(lines: Lines, pair: Pair) -> Told:
    text = lines.miner.templates[lines.miner.row_of[pair.template]].text if pair.template in lines.miner.row_of else ""
    return Told(pair.entity, f"{pair.template:016x}", text, pair.count, tuple(pair.samples), lines.tenant, pair.grave)


def _note_transitions(
    lines: Lines, table: pa.Table, at_ms: NDArray[np.int64], template: NDArray[np.uint64], pair: NDArray[np.int64]
) -> None:
    """Count the transitions within a trace that were never seen, for the entity of the second line."""
    trace = table.column("trace_id").combine_chunks().dictionary_encode()
    trace = trace if isinstance(trace, pa.DictionaryArray) else trace.unify_dictionaries().combine_chunks()
    code = trace.indices.to_numpy()
    empty = [k for k, text in enumerate(trace.dictionary.to_pylist()) if not text]
    told = np.flatnonzero(~np.isin(code, empty) & (pair >= 0))
    if len(told) < 2:
        return
    order = told[np.lexsort((told, at_ms[told], code[told]))]
    same = code[order[1:]] == code[order[:-1]]
    first, second = template[order[:-1]][same], template[order[1:]][same]
    hashed = (first * np.uint64(0x9E3779B97F4A7C15)) ^ second
    values, places = np.unique(hashed, return_index=True)
    at = order[1:][same]
    for value, place in zip(values.tolist(), places.tolist(), strict=True):
        if value not in lines.transitions and len(lines.transitions) < TRANSITIONS_MAX:
            lines.transitions.add(value)
            entity = lines.pairs[int(pair[at[place]])].entity
            row = series_of(lines.minutes, entity, STRANGE, "transitions", "{transition}")
            add(lines.minutes, int(at_ms[at[place]]), row, 1.0)


def _note_numbers(
    lines: Lines, body: pa.StringArray, at_ms: NDArray[np.int64], pair: NDArray[np.int64]
) -> list[Finding]:
    """Count numbers far outside the range that they usually have in their place, then learn them."""
    content, offsets = bytes_of(body)
    values = np.full((len(body), NUMBERS_MAX), np.nan)
    chosen = np.zeros((len(body), NUMBERS_MAX), np.uint64)
    numbers_of(content, offsets, CLASSES, np.empty((TOKENS_MAX, 4), np.int64), values, chosen)
    findings = _note_choices(lines, body, at_ms, pair, chosen)
    size = np.sign(values) * np.log1p(np.abs(values))
    for place in range(NUMBERS_MAX):
        has = np.isfinite(size[:, place]) & (pair >= 0)
        if not has.any():
            continue
        rows, value = pair[has], size[has, place]
        state = lines.numbers[:, place]
        seen, mean, variance = state[rows, 0], state[rows, 1], state[rows, 2]
        odd = (seen >= NUMBER_SEEN_MIN) & (np.abs(value - mean) > ODD * np.sqrt(variance + SPREAD_MIN**2))
        for at in np.flatnonzero(has)[odd].tolist():
            series = series_of(lines.minutes, lines.pairs[int(pair[at])].entity, ODD_VALUES, "numbers", "{line}")
            add(lines.minutes, int(at_ms[at]), series, 1.0)
        _learn_numbers(state, rows[~odd], value[~odd])
    return findings


def _note_choices(
    lines: Lines, body: pa.StringArray, at_ms: NDArray[np.int64], pair: NDArray[np.int64], chosen: NDArray[np.uint64]
) -> list[Finding]:
    """Tell of values that a small set did not hold, by the rule for new templates."""
    rows, findings = strange(lines.choices, pair, chosen, at_ms), []
    for at in np.unique(pair[rows]).tolist():
        mine, whose = rows[pair[rows] == at], lines.pairs[at]
        moment, watched_ms = int(at_ms[mine[0]]), int(at_ms[mine[0]]) - lines.born_ms[whose.entity]
        born_ms, count = lines.odd_since.get(at, (0, 0))
        if moment - born_ms > STRANGE_MS:
            born_ms, count, lines.novelty = moment, 0, came(lines.novelty)
        count += len(mine)
        lines.odd_since[at] = (born_ms, count)
        if moment - born_ms > WINDOW_MS or count < LINES_MIN:
            continue
        weekly = weekly_of(lines.novelty, count, watched_ms, moment)
        if weekly > VALUE_SHARE * lines.watch.budget.novel_unit or not admits(lines.novelty, whose.entity, 0, moment):
            continue
        lines.novelty = told(lines.novelty, whose.entity, moment)
        samples = tuple(shown(body[k].as_py(), SAMPLE_CHARS_MAX) for k in mine[:SAMPLES_MAX].tolist())
        what = replace(_of(lines, whose), samples=samples)
        findings.append(novel_finding(lines.tenant, "parameter", what, born_ms, moment, weekly))
        admit(lines.watch, findings[-1], -1, urgent=False)
    return findings


def _learn_numbers(state: NDArray[np.float64], rows: NDArray[np.int64], value: NDArray[np.float64]) -> None:
    """Move count, mean and variance of the rows by a batch, the older batches fading."""
    if not len(rows):
        return
    known, at = np.unique(rows, return_inverse=True)
    count = np.bincount(at).astype(np.float64)
    mean = np.bincount(at, value) / count
    spread = np.bincount(at, (value - mean[at]) ** 2) / count
    before = np.minimum(state[known, 0], NUMBER_MEMORY)
    share = count / (before + count)
    shift = mean - state[known, 1]
    state[known, 2] = (1 - share) * (state[known, 2] + share * shift**2) + share * spread
    state[known, 1] += share * shift
    state[known, 0] += count


@dataclass(frozen=True, slots=True)
class Kept:
    """The state as plain values: what a snapshot holds beside that of the counts."""

    miner: Contents
    names: list[SeriesName]
    gauges: list[int]
    open: list[tuple[int, list[tuple[int, float]]]]
    done: int
    pairs: list[Pair]
    gone: list[int]
    born_ms: list[tuple[tuple[str, str], int]]
    transitions: list[int]
    numbers: list[list[list[float]]]
    words: dict[str, tuple[int, int]]
    levels: tuple[int, int]
    since_ms: int
    novelty_count: float
    novelty_ms: list[tuple[tuple[str, str], int]]
    novel: list[tuple[int, Finding]]
    named: int
    newest_ms: int
    choices: dict[str, Choice] = field(default_factory=dict)
    odd_since: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    novelty_sure_ms: list[tuple[tuple[str, str], int]] = field(default_factory=list)


def keep(lines: Lines) -> Kept:
    """What `again` makes the same state of, together with the state of `lines.watch`."""
    listed = {at for members in lines.pairs_of.values() for at in members}
    return Kept(
        miner=freeze(lines.miner),
        names=list(lines.minutes.names),
        gauges=sorted(lines.minutes.gauges),
        open=[(minute, list(counts.items())) for minute, counts in lines.minutes.open.items()],
        done=lines.minutes.done,
        pairs=[replace(pair, samples=list(pair.samples)) for pair in lines.pairs],
        gone=[at for at in range(len(lines.pairs)) if at not in listed],
        born_ms=list(lines.born_ms.items()),
        transitions=list(lines.transitions),
        numbers=lines.numbers[: len(lines.pairs)].tolist(),
        words=dict(lines.lexicon.words),
        levels=(lines.lexicon.grave, lines.lexicon.other),
        since_ms=lines.novelty.since_ms,
        novelty_count=lines.novelty.count,
        novelty_ms=list(lines.novelty.told_ms.items()),
        novelty_sure_ms=list(lines.novelty.sure_ms.items()),
        novel=list(lines.novel.items()),
        named=lines.named,
        newest_ms=lines.newest_ms,
        choices={key: replace(each, values=dict(each.values)) for key, each in lines.choices.items()},
        odd_since=list(lines.odd_since.items()),
    )


def again(kept: Kept, watch: Watch) -> Lines:
    """The state that `keep` was given."""
    minutes = Minutes(
        names=list(kept.names),
        at={(n.entity_kind, n.entity_name, n.metric, n.labels[0][1]): row for row, n in enumerate(kept.names)},
        open={minute: dict(counts) for minute, counts in kept.open},
        gauges=set(kept.gauges),
        done=kept.done,
    )
    lines = Lines(watch.tenant, watch, thaw(kept.miner), minutes, list(kept.pairs), named=kept.named)
    gone = set(kept.gone)
    for at, pair in enumerate(lines.pairs):
        lines.pair_of_row[pair.row] = at
        if at not in gone:
            lines.pair_of[pair.entity, pair.template] = at
            lines.pairs_of.setdefault(pair.entity, []).append(at)
    lines.born_ms, lines.transitions = dict(kept.born_ms), set(kept.transitions)
    while len(lines.numbers) < len(lines.pairs):
        lines.numbers = np.concatenate([lines.numbers, np.zeros_like(lines.numbers)])
    if lines.pairs:
        lines.numbers[: len(lines.pairs)] = np.array(kept.numbers)
    lines.lexicon = Lexicon(dict(kept.words), *kept.levels)
    lines.novelty = Novelty(kept.since_ms, kept.novelty_count, dict(kept.novelty_ms), dict(kept.novelty_sure_ms))
    lines.novel, lines.newest_ms = dict(kept.novel), kept.newest_ms
    lines.choices = {key: replace(each, values=dict(each.values)) for key, each in kept.choices.items()}
    lines.odd_since = dict(kept.odd_since)
    return lines
