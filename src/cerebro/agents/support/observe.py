"""Everything the agent does with one batch of one tenant, in order, without waiting for anything.

The state is columnar and changed in place; the same batches in the same order give the same findings, however
they are cut by restarts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import log

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.admit import (
    USEFUL,
    Admission,
    Budget,
    Change,
    Leaning,
    Opinion,
    admitted,
    budget_of,
    leaning_at,
    opined,
    review,
    set_prices,
    share_repeats,
    test_of,
)
from cerebro.agents.support.band import Band, band_of, within
from cerebro.agents.support.climb import Climbing, Climbs, climbing, climbs_left, note_told
from cerebro.agents.support.climb import enrol as enrol_limits
from cerebro.agents.support.clocks import set_back
from cerebro.agents.support.concert import Concert, enrol_measures, judge_concert, loudness_of
from cerebro.agents.support.describe import Allowed, Episode, Moment, cleared, opened, silenced
from cerebro.agents.support.detect import detect
from cerebro.agents.support.forget import PAUSE_MS as ROOM_PAUSE_MS
from cerebro.agents.support.forget import choose, concert_left, points_left, ratios_left, series_left, together_left
from cerebro.agents.support.fullness import Fullness
from cerebro.agents.support.model import SHARES, Judged, Reading, SeriesName, Test, Turn, heard_ms
from cerebro.agents.support.nature import FAULTS, WEIGHT_FAULT, kind_of, reach_of, reading_of
from cerebro.agents.support.outlook import HOUR_MS, wall_ms
from cerebro.agents.support.ratios import ERROR_RATIO, Ratios, is_failure
from cerebro.agents.support.recent import POINT, Recent, no_points
from cerebro.agents.support.shapes import SHIFT_RATIO
from cerebro.agents.support.shares import ALONE, Parts
from cerebro.agents.support.silence import FORGET_MS, Silence, find_silence, reached_ms
from cerebro.agents.support.together import Together, away_from, away_of, enrol, judge_entities, judge_peers, peer_count
from cerebro.agents.support.unlike import Mover, concert_finding, joint_finding, peer_finding
from cerebro.agents.support.untaught import accept, forget, keep, kept_left, not_past, nothing_kept
from cerebro.agents.support.watch import Series, admit_series, no_priors, no_series, priors_of
from cerebro.algorithms.index import EMPTY
from cerebro.algorithms.scale import backward
from cerebro.algorithms.spending import REPEAT_COST, fade
from cerebro.spine.findings import Finding
from cerebro.spine.identity import TenantId
from cerebro.spine.telemetry import INCREASES, SampleBatch

TICK_MS = 10_000  # between two looks at budget and silence
PAUSE_MS = 120_000  # without a tick: more than twice the longest usual interval between scrapes
LEND_MS = 60_000  # between two rounds of lending tails within families
OPEN_PER_ENTITY_MAX = 8  # findings of one entity that are open at once; more series are counted in the evidence
POINTS_SHOWN = 120
CHANGES_MAX = 500
AFTERMATH_S = 120.0  # of a trouble, while what was done about it goes on to move its entity
NOT_YET_S = 1e10  # some day, for the end of what is still open
INCIDENT_MS = 300_000  # signs of one trouble may begin so long before the one that was admitted
MOVERS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say.

    Args:
        noise_budget: False findings a week that people will bear, of everything that could fire.
        warmup_count: Samples a series must show before it is judged.
        series_max: Series watched; more are counted and left alone.
        time_zone: Whose days and weeks the seasons follow, daylight saving included.
        holidays: ISO 3166 code of the country whose public holidays are Sundays; empty for none.
        together: Whether entities and peers are judged beside single series.
        silence: Whether it is told that nothing comes.
        parts: Of the budget that are spent here.
        forgets: Times as fast as else it is forgotten that a series has spoken of late.
    """

    noise_budget: float
    warmup_count: int
    series_max: int
    time_zone: str = "UTC"
    holidays: str = ""
    together: bool = False
    silence: bool = True
    parts: Parts = ALONE
    forgets: float = 1.0


@dataclass(slots=True)
class Tally:
    """What was counted since the start of the process."""

    judged: int = 0
    late: int = 0
    refused: int = 0
    reset: int = 0
    unnamed: int = 0
    suppressed: int = 0


@dataclass(slots=True)
class Watch:
    """All the agent knows of one tenant. `open_rows` holds the episodes told, by row; `open_silences` by entity.

    A leak lasts while other things happen to its series, so it has a place of its own, `open_leaks`.
    """

    tenant: TenantId
    budget: Budget
    series: Series = field(default_factory=no_series)
    recent: Recent = field(default_factory=no_points)
    priors: NDArray[np.float64] = field(default_factory=no_priors)
    open_rows: dict[int, Episode] = field(default_factory=dict)
    open_leaks: dict[int, Episode] = field(default_factory=dict)
    open_silences: dict[tuple[str, str], Episode] = field(default_factory=dict)
    ticked_ms: int = 0
    lent_ms: int = 0
    priced_ms: int = 0
    leanings: dict[tuple[str, int, str, str], Leaning] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    together: Together = field(default_factory=Together)
    ratios: Ratios = field(default_factory=Ratios)
    fullness: Fullness = field(default_factory=Fullness)
    climbs: Climbs = field(default_factory=Climbs)
    concert: Concert = field(default_factory=Concert)
    open_joint: dict[int, Episode] = field(default_factory=dict)  # by slot
    open_concerts: dict[int, Episode] = field(default_factory=dict)  # by slot
    open_peers: dict[int, Episode] = field(default_factory=dict)  # by place
    untaught: NDArray[np.void] = field(default_factory=nothing_kept)
    opinions_seen: dict[str, str] = field(default_factory=dict)  # verdict by finding, so that each counts once
    full_ms: int = 0  # when it was last found that there is no room for new series
    resumed_ms: int = 0  # when telemetry came again after nobody had sent any
    tally: Tally = field(default_factory=Tally)
    unnamed: set[tuple[int, int]] = field(default_factory=set)  # series to be looked up in the catalog


def new_watch(tenant: TenantId, rules: Rules) -> Watch:
    """A tenant nothing is known of."""
    return Watch(tenant, budget_of(rules.noise_budget, rules.parts))


def names_of(table: pa.Table) -> Iterator[SeriesName]:
    """The series that a table of `SERIES_SCHEMA` names."""
    for row in table.to_pylist():
        yield SeriesName(
            row["hi"],
            row["lo"],
            row["metric"],
            tuple(sorted(row["labels"])),
            row["type"],
            row["unit"],
            row["entity_kind"],
            row["entity_name"],
        )


def learn_names(watch: Watch, names: Iterable[SeriesName], rules: Rules) -> None:
    """Begin to watch these series."""
    for name in (known := list(names)):
        watch.unnamed.discard((name.hi, name.lo))
    if (wanted := watch.series.count + len(known) - rules.series_max) > 0:
        _make_room(watch, wanted)
    admit_series(watch.series, known, rules.series_max)


def observe(watch: Watch, batch: SampleBatch, rules: Rules, clock_ms: int) -> list[Finding]:
    """Take in a batch and answer what was found in it. Changes `watch`.

    `clock_ms` is our own hour. It matters only for senders whose clocks run ahead of it: these do not make
    others late.
    """
    if batch.series.num_rows:
        learn_names(watch, names_of(batch.series), rules)
    row, at_ms, value = _rows_of(watch, batch, rules)
    if not len(row):
        return []
    if watch.budget.unit == 0.0:
        _tick(watch, int(at_ms[0]), rules)
    series = watch.series
    judged = detect(
        series.rows, row, at_ms, value,
        unit=watch.budget.unit, priors=watch.priors, warmup_count=rules.warmup_count,
        wall_ms=wall_ms(at_ms, rules.time_zone, rules.holidays), reached_ms=watch.ticked_ms,
    )  # fmt: skip
    _count(watch, judged)
    if judged.set_back.any():
        _follow_clocks(watch, row[judged.set_back], at_ms[judged.set_back])
    watch.recent.write(_points(row, at_ms, judged), series.count)
    findings = _turns(watch, row, at_ms, judged)
    findings += _climbs(watch, row, at_ms, value)
    if rules.together:
        findings += _entities(watch, row, at_ms, judged, rules.warmup_count)
    _mark_troubled(watch, findings)
    if min(int(at_ms[-1]), clock_ms) - watch.ticked_ms < TICK_MS:
        return findings
    return findings + tick(watch, min(reached_ms(series), clock_ms), rules)


def tick(watch: Watch, now_ms: int, rules: Rules) -> list[Finding]:
    """Look at the budget and for silence, if `now_ms` is late enough for another look."""
    if now_ms - watch.ticked_ms < TICK_MS:
        return []
    if now_ms - watch.ticked_ms > PAUSE_MS and watch.ticked_ms:  # nobody sent anything: the silence was ours
        watch.resumed_ms = now_ms
    if watch.series.turned_away_count and watch.series.count >= rules.series_max:
        _make_room(watch)
    _tick(watch, now_ms, rules)
    gone = list(_gone(watch, now_ms))
    _mark_troubled(watch, gone)
    told = gone + (_silences(watch, now_ms, rules) if rules.silence else [])
    return told + _peers(watch, now_ms) if rules.together else told


def _mark_troubled(watch: Watch, findings: list[Finding]) -> None:
    """Let the series of the entities that these findings are of know until when they count as troubled.

    That is as long as an episode of theirs is open, and for its aftermath: what was restarted, moved or filled anew to
    mend it does not run as usual at once. Counted from the newest sample of each, and so by its own clock, which may be
    slow or be set back; one that came late waits for the others.
    """
    rows = watch.series.rows
    told_ms: dict[tuple[str, str], int] = {}
    for finding in findings:
        entity = (finding.entity.kind, finding.entity.name)
        told_ms[entity] = min(finding.seen_ms, told_ms.get(entity, finding.seen_ms))
    for entity, at_ms in told_ms.items():
        members = watch.series.by_entity.get(entity, [])
        is_troubled = (
            any(member in watch.open_rows for member in members)
            or watch.together.slots.get(entity) in watch.open_joint
            or watch.concert.slots.get(entity) in watch.open_concerts
        )
        if is_troubled:
            watch.untaught = keep(watch.untaught, rows, members, at_ms)
        last_ms = rows["last_ms"][members]
        behind_s = np.minimum((last_ms.max(initial=0) - last_ms) / 1000.0, AFTERMATH_S)
        rows["calm_s"][members] = NOT_YET_S if is_troubled else AFTERMATH_S + behind_s


def _follow_clocks(watch: Watch, row: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
    """Go on with what belongs to series whose clock was set back; with the hour itself where it was everybody's."""
    set_back(watch.together, watch.concert, watch.ratios, watch.climbs, row, at_ms)
    if (reached := reached_ms(watch.series)) < watch.ticked_ms - PAUSE_MS:
        watch.series.rows["lag_s"] = 0.0
        watch.ticked_ms = watch.lent_ms = watch.priced_ms = reached
        watch.resumed_ms = min(watch.resumed_ms, reached)
        watch.full_ms = min(watch.full_ms, reached)


def _make_room(watch: Watch, wanted: int = 0) -> None:
    """Forget series that are gone; they give way to new ones, of which so many have no room."""
    now_ms = watch.ticked_ms
    if 0 <= now_ms - watch.full_ms < ROOM_PAUSE_MS:
        return
    kept = choose(watch.series, now_ms, _held(watch), wanted)
    if kept is None:
        watch.full_ms = now_ms
        return
    now_at = kept.now_at.tolist()
    entities, concerts = watch.together.entities, watch.concert.entities
    joint = {entities[slot]: told for slot, told in watch.open_joint.items()}
    concert = {concerts[slot]: told for slot, told in watch.open_concerts.items()}
    watch.series, watch.recent = series_left(watch.series, kept), points_left(watch.recent, kept)
    watch.together = together_left(watch.together, watch.series, kept)
    watch.concert, watch.ratios = (
        concert_left(watch.concert, watch.series),
        ratios_left(watch.ratios, watch.series, kept),
    )
    watch.climbs, watch.fullness = climbs_left(watch.climbs, watch.series.names, kept.rows), Fullness()
    watch.open_joint = {watch.together.slots[entity]: _moved(told, now_at) for entity, told in joint.items()}
    watch.open_concerts = {watch.concert.slots[entity]: _moved(told, now_at) for entity, told in concert.items()}
    for open_by_row in (watch.open_rows, watch.open_leaks, watch.open_peers):
        moved = {now_at[row]: _moved(told, now_at) for row, told in open_by_row.items()}
        open_by_row.clear()
        open_by_row.update(moved)
    watch.open_silences = {entity: _moved(told, now_at) for entity, told in watch.open_silences.items()}
    admissions = (replace(each, row=now_at[each.row] if each.row >= 0 else -1) for each in watch.budget.admissions)
    watch.budget = replace(watch.budget, admissions=tuple(admissions))
    watch.untaught = kept_left(watch.untaught, kept.now_at)


def _held(watch: Watch) -> set[tuple[str, str]]:
    """Entities with a finding open."""
    names, rows = watch.series.names, [*watch.open_rows, *watch.open_leaks, *watch.open_peers]
    held = {(names[row].entity_kind, names[row].entity_name) for row in rows} | set(watch.open_silences)
    held |= {watch.together.entities[slot] for slot in watch.open_joint}
    return held | {watch.concert.entities[slot] for slot in watch.open_concerts}


def _moved(episode: Episode, now_at: list[int]) -> Episode:
    return replace(episode, rows=tuple(now_at[row] for row in episode.rows))


def _gone(watch: Watch, now_ms: int) -> Iterator[Finding]:
    """End the episodes of series of which nothing has come for a day: a pod may have died in the middle of one."""
    rows = watch.series.rows
    for kept in (watch.open_rows, watch.open_leaks):
        at = np.array(list(kept), np.int64)
        for row in at[now_ms - heard_ms(rows[at]) >= FORGET_MS].tolist():
            state, episode = rows[row], kept.pop(row)
            value = float(state["value"])
            moment = Moment(row, now_ms, episode.onset_ms, value, episode.expected, 0, Turn.NONE, 0.0, 0.0)
            state["episode"] = state["leaking"] = 0
            yield cleared(watch.tenant, watch.series.names[row], moment, _shown(watch, row), episode)


def _silences(watch: Watch, now_ms: int, rules: Rules) -> list[Finding]:
    found = find_silence(watch.series, now_ms, watch.resumed_ms, watch.budget.unit, rules.warmup_count)
    return [finding for silence in found if (finding := _tell_silence(watch, silence, now_ms))]


def _climbs(
    watch: Watch, row: NDArray[np.int32], at_ms: NDArray[np.int64], value: NDArray[np.float64]
) -> list[Finding]:
    """What climbs towards its limit, and what does no more; told as a leak, whose budget it shares."""
    enrol_limits(watch.climbs, watch.series.names)
    for open_row in watch.open_leaks:  # told before a start, too
        if watch.series.rows["leaking"][open_row] == 0:
            note_told(watch.climbs, open_row)
    findings: list[Finding] = []
    for each in climbing(watch.climbs, row, at_ms, value):
        moment = _climb_moment(watch, each)
        if each.turn is not Turn.OPENED:
            findings += _close(watch, moment)
        elif each.row not in watch.open_leaks and each.weekly < _allowed(watch, moment).weekly:
            note_told(watch.climbs, each.row)
            name = watch.series.names[each.row]
            findings += _open(watch, (name.entity_kind, name.entity_name), [moment])
    return findings


def _climb_moment(watch: Watch, each: Climbing) -> Moment:
    reach = max(float(watch.series.rows["band"][each.row]), 1e-9)
    effect = abs(each.value - each.start) / reach
    return Moment(
        each.row, each.at_ms, min(each.start_ms, each.at_ms), each.value, each.start,
        int(Test.LEAK), each.turn, each.weekly, effect,
    )  # fmt: skip


def _entities(
    watch: Watch, row: NDArray[np.int32], at_ms: NDArray[np.int64], judged: Judged, warmup_count: int
) -> list[Finding]:
    """Entities that behave unlike themselves; not where one of their series has said so already."""
    enrol(watch.together, watch.series.names)
    rows = watch.series.rows
    away = away_from(judged.value, judged.predicted, judged.band, rows["scale"][row], rows["offset"][row])
    unit = watch.budget.joint_unit
    findings = _concerts(watch, row, at_ms, loudness_of(rows, row, judged.value, judged.predicted, away, warmup_count))
    for strange in judge_entities(watch.together, row, at_ms, away, unit):
        entity = watch.together.entities[strange.at]
        episode = watch.open_joint.pop(strange.at, None)
        members = np.array(watch.series.by_entity[entity], np.int32)
        opened = strange.turn is Turn.OPENED
        if not opened and episode is None:
            continue
        if opened and any(int(member) in watch.open_rows for member in members):
            continue
        movers = _movers(watch, members)
        points = _shown(watch, movers[0].row)
        allowed = unit / max(watch.together.whole, 1)
        finding = joint_finding(watch.tenant, entity, strange, movers, points, allowed, episode)
        findings.append(finding)
        if opened:
            watch.open_joint[strange.at] = _episode(finding, 0.0, tuple(int(member) for member in members[:1]))
            watch.together.joined["repeat"][strange.at] += REPEAT_COST
            admit(watch, finding, -1, urgent=False)
    return findings


def _concerts(
    watch: Watch, row: NDArray[np.int32], at_ms: NDArray[np.int64], loudness: NDArray[np.float64]
) -> list[Finding]:
    """Entities of which several measures have moved at once; not where one of their series has said so already."""
    enrol_measures(watch.concert, watch.series.names)
    unit = watch.budget.concert_unit
    findings = []
    for strange in judge_concert(watch.concert, row, at_ms, loudness, unit):
        entity, opened = watch.concert.entities[strange.at], strange.turn is Turn.OPENED
        episode = watch.open_concerts.pop(strange.at, None)
        members = np.array(watch.series.by_entity[entity], np.int32)
        if (opened and any(int(member) in watch.open_rows for member in members)) or (not opened and episode is None):
            continue
        movers = _movers(watch, members)
        allowed = unit / max(watch.concert.whole, 1)
        points = _shown(watch, movers[0].row)
        findings.append(concert_finding(watch.tenant, entity, strange, movers, points, allowed, episode))
        if opened:
            watch.open_concerts[strange.at] = _episode(findings[-1], 0.0, tuple(int(member) for member in members[:1]))
            watch.concert.heard["repeat"][strange.at] += REPEAT_COST
            admit(watch, findings[-1], -1, urgent=False)
    return findings


def _movers(watch: Watch, members: NDArray[np.int32]) -> list[Mover]:
    away = away_of(watch.series.rows, members)
    furthest = np.argsort(-np.abs(away), kind="stable")[:MOVERS_SHOWN]
    return [Mover(int(members[k]), watch.series.names[int(members[k])], float(away[k])) for k in furthest]


def _peers(watch: Watch, now_ms: int) -> list[Finding]:
    """Series that do what their peers do not; not where the series has said so itself."""
    together, unit = watch.together, watch.budget.peer_unit
    enrol(together, watch.series.names)
    findings = []
    for strange in judge_peers(together, watch.series.rows, now_ms, unit):
        row, opened = int(together.peers["row"][strange.at]), strange.turn is Turn.OPENED
        episode = watch.open_peers.pop(strange.at, None)
        if (opened and row in watch.open_rows) or (not opened and episode is None):
            continue
        size = together.sizes[int(together.peers["group"][strange.at])]
        away = float(away_of(watch.series.rows, np.array([row], np.int32))[0])
        allowed = unit / max(peer_count(together, watch.series.rows, now_ms), 1)
        name, points = watch.series.names[row], _shown(watch, row)
        finding = peer_finding(watch.tenant, row, name, size - 1, strange, away, points, allowed, episode)
        findings.append(finding)
        if opened:
            watch.open_peers[strange.at] = _episode(finding, 0.0, (row,))
            together.peers["repeat"][strange.at] += REPEAT_COST
            admit(watch, finding, -1, urgent=False)
    return findings


def _tick(watch: Watch, now_ms: int, rules: Rules) -> None:
    watch.ticked_ms = now_ms
    watch.untaught = not_past(watch.untaught, now_ms)
    rows = watch.series.rows[: watch.series.count]
    if watch.budget.spending.per_week != (per_week := rules.noise_budget * rules.parts.whole):
        watch.budget = replace(watch.budget, spending=replace(watch.budget.spending, per_week=per_week))
    watch.budget = replace(watch.budget, parts=rules.parts)
    watch.changes = [change for change in watch.changes if change.end_ms > now_ms]
    current = [(_rows_of_entity(watch, c.entity), c.factor) for c in watch.changes if c.start_ms <= now_ms]
    changed = sum(float(rows["weight"][which].sum()) * (factor - 1.0) for which, factor in current)
    watch.budget = review(watch.budget, rows, now_ms, rules.warmup_count, changed)
    elapsed_ms = round(rules.forgets * max(0, now_ms - watch.priced_ms)) if watch.priced_ms else 0
    set_prices(watch.budget, rows, elapsed_ms, _leans(watch, now_ms), current)
    watch.priced_ms = now_ms
    faded = fade(elapsed_ms, watch.budget.spending.per_week)
    for part in (watch.together.joined, watch.together.peers, watch.concert.heard):
        part["repeat"] = np.maximum(part["repeat"] - faded, 0.0)
    if now_ms - watch.lent_ms >= LEND_MS:
        watch.lent_ms = now_ms
        watch.priors = priors_of(rows)


def _rows_of_entity(watch: Watch, entity: tuple[str, str]) -> NDArray[np.int64]:
    return np.array(watch.series.by_entity.get(entity, []), np.int64)


def _leans(watch: Watch, now_ms: int) -> Iterator[tuple[NDArray[np.int64], int, float]]:
    yield watch.climbs.rows, int(Test.LEAK), -log(2.0)  # a leak and a climb have the part of one between them
    for (kind, family, *entity), leaning in watch.leanings.items():
        which = _rows_of_entity(watch, (entity[0], entity[1]))
        mine = which[watch.series.rows["family"][which] == family]
        yield mine, test_of(kind), leaning_at(leaning, now_ms)


def take_opinions(watch: Watch, opinions: Iterable[Opinion]) -> int:
    """Let what people said of findings move prices; answers how many were new. Changes `watch`."""
    fresh = [each for each in opinions if watch.opinions_seen.get(each.dedup_key) != each.verdict]
    for opinion in fresh:
        watch.opinions_seen[opinion.dedup_key] = opinion.verdict
        rows = watch.series.rows[: watch.series.count]
        watch.budget = opined(watch.budget, opinion, rows, watch.leanings)
    _note_incidents(watch, {each.dedup_key: each.verdict for each in fresh})
    return len(fresh)


def _note_incidents(watch: Watch, verdicts: dict[str, str]) -> None:
    """What people know as a real trouble is no nature of its series, however often it comes: it teaches no tail."""
    found = [each for each in watch.budget.admissions if each.dedup_key in verdicts]
    since_ms: dict[tuple[str, str], int] = {}
    for each in found:
        if verdicts[each.dedup_key] == USEFUL:
            since_ms[each.entity] = min(each.at_ms, since_ms.get(each.entity, each.at_ms))
    rows = watch.series.rows
    for entity in {each.entity for each in found} - since_ms.keys():
        watch.untaught = accept(watch.untaught, watch.series.by_entity.get(entity, []))
    for entity, at_ms in since_ms.items():
        which = _rows_of_entity(watch, entity)
        watch.untaught = forget(watch.untaught, rows, which.tolist(), at_ms)
        rows["calm_s"][which] = np.maximum(rows["calm_s"][which], AFTERMATH_S)  # what is left of it fades slowly
        rows["real"][which[(rows["episode"][which] > 0) & (rows["opened_ms"][which] >= at_ms - INCIDENT_MS)]] = 1
    for state, slots in ((watch.together.joined, watch.together.slots), (watch.concert.heard, watch.concert.slots)):
        for entity in since_ms.keys() & slots.keys():
            state["told"][slots[entity]] = max(0.0, state["told"][slots[entity]] - 1.0)


def take_changes(watch: Watch, changes: Iterable[Change]) -> None:
    """Let changes and plans move prices from the next tick on; at most `CHANGES_MAX` are kept."""
    watch.changes = [*watch.changes, *(each for each in changes if each not in watch.changes)][-CHANGES_MAX:]


def _rows_of(
    watch: Watch, batch: SampleBatch, rules: Rules
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """The rows, times and values of the samples whose series are watched, in time order."""
    row = watch.series.index.find(batch.hi, batch.lo)
    at_ms, value = batch.at_ms, batch.value
    if (unknown := row == EMPTY).any():
        watch.tally.unnamed += int(unknown.sum())
        if watch.series.count < rules.series_max:
            watch.unnamed.update(zip(batch.hi[unknown].tolist(), batch.lo[unknown].tolist(), strict=True))
        row, at_ms, value = row[~unknown], at_ms[~unknown], value[~unknown]
    if len(at_ms) > 1 and (np.diff(at_ms) < 0).any():
        order = np.argsort(at_ms, kind="stable")
        row, at_ms, value = row[order], at_ms[order], value[order]
    return row, at_ms, value


def _points(row: NDArray[np.int32], at_ms: NDArray[np.int64], judged: Judged) -> NDArray[np.void]:
    taken = np.isfinite(judged.value)
    points = np.empty(int(taken.sum()), POINT)
    points["row"], points["at_ms"] = row[taken], at_ms[taken]
    points["value"], points["predicted"], points["band"] = (
        part[taken] for part in (judged.value, judged.predicted, judged.band)
    )
    return points


def _turns(watch: Watch, row: NDArray[np.int32], at_ms: NDArray[np.int64], judged: Judged) -> list[Finding]:
    """Findings of the samples that turned something, moment by moment; ends come first so that beginnings find room."""
    findings: list[Finding] = []
    moments = (_dated(watch, _moment(watch, int(k), row, at_ms, judged)) for k in np.flatnonzero(judged.turn))
    for _, together in groupby(moments, key=lambda moment: moment.at_ms):
        by_entity: dict[tuple[str, str], list[Moment]] = {}
        for moment in together:
            if moment.turn is not Turn.OPENED:
                findings += _close(watch, moment)
                continue
            name = watch.series.names[moment.row]
            by_entity.setdefault((name.entity_kind, name.entity_name), []).append(moment)
        for entity, begun in by_entity.items():
            findings += _open(watch, entity, begun)
    return findings


def _moment(watch: Watch, k: int, row: NDArray[np.int32], at_ms: NDArray[np.int64], judged: Judged) -> Moment:
    at, seen_ms = int(row[k]), int(at_ms[k])
    state = watch.series.rows[at]
    onset_ms = int(state["onset_ms"]) or seen_ms
    expected = backward(float(judged.predicted[k]), int(state["scale"]), float(state["offset"]))
    low, high = reach_of(int(state["family"]))
    if not low <= expected <= high:
        seen = watch.recent.of(at, POINTS_SHOWN)["value"]
        expected = float(within(state, np.array([expected], np.float32), seen)[0])
    return Moment(
        at, seen_ms, min(onset_ms, seen_ms), float(judged.value[k]), expected,
        int(judged.test[k]), Turn(int(judged.turn[k])), float(judged.weekly[k]), float(judged.effect[k]),
    )  # fmt: skip


def _dated(watch: Watch, moment: Moment) -> Moment:
    """The moment of a leak, from where and when its trend began; any other as it is."""
    if moment.test != Test.LEAK:
        return moment
    state = watch.series.rows[moment.row]
    start = backward(float(state["leak_start"]), int(state["scale"]), float(state["offset"]))
    onset_ms = min(int(state["leak_hour"]) * HOUR_MS, moment.at_ms)
    return replace(moment, expected=start, onset_ms=onset_ms)


def _told(watch: Watch, moment: Moment) -> dict[int, Episode]:
    """Where the episodes of its kind are kept."""
    return watch.open_leaks if moment.test == Test.LEAK else watch.open_rows


def _shown(watch: Watch, row: int) -> Band:
    """The newest points of a series, in its unit."""
    points = watch.recent.of(row, POINTS_SHOWN)
    bounds = band_of(watch.series.rows[row], points["predicted"], points["band"], points["value"])
    return Band(points["at_ms"], points["value"], *bounds)


def _close(watch: Watch, moment: Moment) -> Iterator[Finding]:
    if episode := _told(watch, moment).pop(moment.row, None):
        name, points = watch.series.names[moment.row], _shown(watch, moment.row)
        members = watch.series.by_entity[name.entity_kind, name.entity_name]
        if not any(member in watch.open_rows for member in members):  # its trouble is over
            share_repeats(watch.series.rows, np.array(members, np.int64))
        yield cleared(watch.tenant, name, moment, points, episode)


def _open(watch: Watch, entity: tuple[str, str], begun: list[Moment]) -> list[Finding]:
    """The strongest of an entity's new episodes, as many as it may have open; the rest are counted."""
    members = watch.series.by_entity[entity]
    already = sum(member in watch.open_rows for member in members) if len(watch.open_rows) else 0
    begun = [moment for moment in begun if not _fails_less(watch.series.names[moment.row], moment)]
    begun.sort(key=lambda moment: (-watch.series.rows["weight"][moment.row], moment.weekly, moment.row))
    told = begun[: max(0, OPEN_PER_ENTITY_MAX - already)]
    others = len(begun) - len(told)
    watch.tally.suppressed += others
    findings = []
    for moment in told:
        points, allowed = _shown(watch, moment.row), _allowed(watch, moment)
        finding = opened(watch.tenant, watch.series.names[moment.row], moment, points, others, allowed)
        _told(watch, moment)[moment.row] = _episode(finding, moment.expected, (moment.row,))
        admit(watch, finding, moment.row, urgent=bool(watch.series.rows["weight"][moment.row] >= WEIGHT_FAULT))
        findings.append(finding)
    return findings


def _fails_less(name: SeriesName, moment: Moment) -> bool:
    """Failures that become fewer are no trouble: what was learned of them was one. Nor is a shape that comes back.

    A gauge of faults is not meant, for it may say what is left of them, as an error budget does.
    """
    if moment.value >= moment.expected:
        return False
    if name.metric.endswith((ERROR_RATIO, SHIFT_RATIO)):
        return True
    reading = reading_of(name)
    is_count = reading is Reading.RATE or name.type in INCREASES
    if not is_count or moment.test == Test.VARIANCE:  # who becomes restless may be below what was expected by chance
        return False
    return kind_of(name, reading) == FAULTS or is_failure(name.labels, asked="client" in name.metric)


def _allowed(watch: Watch, moment: Moment) -> Allowed:
    """What the budget allowed this test of this series at the time."""
    state, budget = watch.series.rows[moment.row], watch.budget
    price = float(state["price"][moment.test])
    eased = budget.eases[0 if state["weight"] >= WEIGHT_FAULT else 1].factor
    weekly = budget.unit * float(state["weight"]) * price * float(SHARES[moment.test])
    return Allowed(weekly, budget.tenant_per_week, float(state["weight"]), price, eased)


def _tell_silence(watch: Watch, silence: Silence, now_ms: int) -> Finding | None:
    names = [watch.series.names[at] for at in silence.rows]
    if silence.turn is not Turn.OPENED:
        episode = watch.open_silences.pop(silence.entity, None)
        return silenced(watch.tenant, names, silence, episode) if episode else None
    if silence.entity in watch.open_silences:
        return None
    finding = silenced(watch.tenant, names, silence, None)
    watch.open_silences[silence.entity] = _episode(finding, 0.0, silence.rows)
    weight = watch.series.rows["weight"][list(silence.rows)]
    admit(watch, finding, -1, urgent=bool((weight >= WEIGHT_FAULT).any()))
    return finding


def admit(watch: Watch, finding: Finding, row: int, *, urgent: bool) -> None:
    """Let the budget of `watch` pay for a finding; `row` is -1 where it is no single series'. Changes `watch`."""
    rows = watch.series.rows
    admission = Admission(
        finding.seen_ms, finding.dedup_key, finding.kind, int(finding.severity),
        int(rows["family"][row]) if row >= 0 else -1, (finding.entity.kind, finding.entity.name), row,
    )  # fmt: skip
    watch.budget = admitted(watch.budget, admission, rows, urgent=urgent)


def _episode(finding: Finding, expected: float, rows: tuple[int, ...]) -> Episode:
    return Episode(
        finding.dedup_key,
        finding.kind,
        finding.at_ms,
        finding.severity,
        finding.p_value,
        finding.effect,
        expected,
        rows,
    )


def _count(watch: Watch, judged: Judged) -> None:
    tally = watch.tally
    tally.judged += judged.judged_count
    tally.late += judged.late_count
    tally.refused += judged.refused_count
    tally.reset += judged.reset_count
    watch.budget = replace(watch.budget, test_count=watch.budget.test_count + judged.judged_count)
