"""What `cerebro detect backtest` does: read stored series, replay them, print and draw what would have fired."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cerebro.agents.support.backtest import Fired, Replay, backtest
from cerebro.agents.support.band import Band
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.outlook import wall_ms
from cerebro.agents.support.select import parse_selector
from cerebro.cli.ask import client, moment
from cerebro.cli.out import as_json, say, table
from cerebro.kernel.clock import SystemClock
from cerebro.spine.errors import Invalid, NotFound

AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(m|h|d|w)")
AGO_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
LEAD_MS = 86_400_000  # read before the window, so that the band is learned when it begins
SERIES_MAX, PAGE_ROWS, POINTS_MAX = 20, 5_000, 2_000_000
UNIT = 0.005  # where no budget has been noted yet
WARMUP_COUNT = 36
WIDTH, HEIGHT = 76, 10
NAMED = ("hi", "lo", "metric", "labels", "type", "unit", "entity_kind", "entity_name")
NAMES_SQL = (
    "SELECT toString(hi), toString(lo), anyLast(metric), toJSONString(anyLast(labels)), anyLast(type), anyLast(unit),"
    " anyLast(entity_kind), anyLast(entity_name) FROM series WHERE {clauses} GROUP BY hi, lo ORDER BY hi, lo"
    " LIMIT {limit}"
)
POINTS_SQL = (
    "SELECT toUnixTimestamp64Milli(at) AS at_ms, value FROM samples"
    " WHERE hour >= toStartOfHour(fromUnixTimestamp64Milli({start}))"
    " AND hour <= toStartOfHour(fromUnixTimestamp64Milli({end})) AND hi = {hi} AND lo = {lo}"
    " AND at >= fromUnixTimestamp64Milli({start}) AND at < fromUnixTimestamp64Milli({end}) ORDER BY at LIMIT {limit}"
)


def run(query: str, start: str, end: str, budget: float, *, plot: bool, url: str, key: str, json: bool) -> None:
    """Read, replay and print.

    Raises:
        Invalid: The window is empty, or a time or the query cannot be read.
        NotFound: Nothing was stored of it.
    """
    now_ms = SystemClock().now_ms()
    from_ms, to_ms = time_of(start, now_ms), time_of(end, now_ms) if end else now_ms
    if from_ms >= to_ms:
        raise Invalid("The window is empty.", "Choose --from before --to.")
    asked = client(url, key)
    standing = asked.get("/api/v1/budget")
    unit = budget or float(standing.get("threshold_per_week") or 0.0) or UNIT
    zone, country = str(standing.get("time_zone") or "UTC"), str(standing.get("holidays") or "")
    found = []
    for name, at_ms, value in _read(asked, query, from_ms, to_ms):
        replay = backtest(
            name, at_ms, value,
            unit=unit, warmup_count=WARMUP_COUNT, from_ms=from_ms, wall_ms=wall_ms(at_ms, zone, country),
        )  # fmt: skip
        found.append((name, replay))
    if json:
        as_json({"from_ms": from_ms, "to_ms": to_ms, "unit": unit, "items": [_told(*each) for each in found]})
        return
    for name, replay in found:
        _show(name, replay, from_ms, plot)


def time_of(text: str, now_ms: int) -> int:
    """Unix time of an ISO time, or of so long ago.

    Raises:
        Invalid: It is neither.

    >>> time_of("2h", 7_200_000), time_of("1970-01-01T00:01:00Z", 0)
    (0, 60000)
    """
    if ago := AGO.fullmatch(text.strip()):
        return now_ms - round(float(ago[1]) * AGO_MS[ago[2]])
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is no time.", "Write 24h, 7d or 2026-01-31T12:00:00Z.") from error
    return round((told if told.tzinfo else told.astimezone()).timestamp() * 1000)


def _read(
    asked: Any, query: str, from_ms: int, to_ms: int
) -> Iterator[tuple[SeriesName, NDArray[np.int64], NDArray[np.float64]]]:
    if re.match(r"\s*(select|with)\b", query, re.IGNORECASE):
        answer = asked.post("/api/v1/sql", {"query": query})
        if answer.get("truncated"):
            say(f"Only the first {len(answer['rows'])} rows came: narrow the query, or group it by minute.")
        yield SeriesName(1, 1, "query", (), "gauge", "", "query", "sql"), *columns_of(answer["rows"])
        return
    clauses, parameters = parse_selector(query).clauses()
    for name, value in parameters.items():
        clauses = clauses.replace("{" + name + ":String}", quoted(value))
    answer = asked.post("/api/v1/sql", {"query": NAMES_SQL.format(clauses=clauses, limit=SERIES_MAX)})
    if not answer["rows"]:
        raise NotFound(f"Nothing was stored of {query[:200]}.", "Look at /api/v1/series for what there is.")
    for row in answer["rows"]:
        known = dict(zip(NAMED, row, strict=True))
        yield _named(known), *_points(asked, known["hi"], known["lo"], max(0, from_ms - LEAD_MS), to_ms)


def _named(known: dict[str, Any]) -> SeriesName:
    labels = msgspec.json.decode(known["labels"].encode(), type=dict[str, str])
    words = (known[name] for name in ("type", "unit", "entity_kind", "entity_name"))
    return SeriesName(int(known["hi"]), int(known["lo"]), known["metric"], tuple(sorted(labels.items())), *words)


def _points(asked: Any, hi: str, lo: str, start_ms: int, end_ms: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All samples of a series in the window, page by page."""
    rows: list[Sequence[Any]] = []
    while start_ms < end_ms and len(rows) < POINTS_MAX:
        query = POINTS_SQL.format(start=start_ms, end=end_ms, hi=hi, lo=lo, limit=PAGE_ROWS)
        page = asked.post("/api/v1/sql", {"query": query})["rows"]
        rows += page
        if len(page) < PAGE_ROWS:
            break
        start_ms = int(page[-1][0]) + 1
    return columns_of(rows)


def columns_of(rows: Sequence[Sequence[Any]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times and values from rows whose first column is a time (ISO, or Unix seconds or milliseconds), in time order.

    Raises:
        Invalid: The rows are not of that form.

    >>> columns_of([["1970-01-01T00:00:02Z", 5], ["1970-01-01 00:00:01", None]])[0].tolist()
    [1000, 2000]
    """
    try:
        pairs = sorted((_moment_ms(row[0]), np.nan if row[1] is None else float(row[1])) for row in rows)
    except (IndexError, TypeError, ValueError) as error:
        raise Invalid("The query returns no time and value.", "SELECT a time first and a number second.") from error
    return np.array([at for at, _ in pairs], np.int64), np.array([value for _, value in pairs], np.float64)


def _moment_ms(told: object) -> int:
    if isinstance(told, str) and not told.strip().isdigit():
        at = datetime.fromisoformat(told)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    number = int(float(str(told)))
    return number if abs(number) > 100_000_000_000 else number * 1000


def quoted(text: str) -> str:
    r"""A string of ClickHouse's SQL.

    >>> print(quoted("it's"))
    'it\'s'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _told(name: SeriesName, replay: Replay) -> dict[str, object]:
    return {
        "series": f"{name.hi}-{name.lo}",
        "metric": name.metric,
        "labels": dict(name.labels),
        "sample_count": len(replay.band.at_ms),
        "judged_count": replay.judged_count,
        "fired": [asdict(each) for each in replay.fired],
    }


def _show(name: SeriesName, replay: Replay, from_ms: int, plot: bool) -> None:
    labels = ", ".join(f'{label}="{value}"' for label, value in name.labels)
    whose = f"{name.metric}{{{labels}}}" if labels else name.metric
    say(f"{whose}: {len(replay.band.at_ms)} samples, {len(replay.fired)} would have fired")
    if plot:
        for line in drawing(replay.band, replay.fired, from_ms):
            say("  " + line)
    if replay.fired:
        table(
            ["when", "what", "until", "why"],
            [
                [moment(f.at_ms), f.kind, f"{moment(f.ended_ms)} {f.ended}" if f.ended_ms else "now", f.sentence]
                for f in replay.fired
            ],
            "",
        )


def drawing(band: Band, fired: Sequence[Fired], from_ms: int) -> list[str]:
    """A chart of letters: `·` the band, `*` values in it, `o` values out of it, `^` below where something fired."""
    inside = np.flatnonzero((band.at_ms >= from_ms) & np.isfinite(band.value))
    if len(inside) < 2:
        return []
    runs = [run for run in np.array_split(inside, min(WIDTH, len(inside))) if len(run)]
    away = np.abs(np.nan_to_num(band.value - band.expected))
    picked = np.array([run[np.argmax(away[run])] for run in runs])
    value, low, high = band.value[picked], band.low[picked], band.high[picked]
    bottom, top = float(value.min()), float(value.max())
    spread = (top - bottom) or 1.0

    def line_of(numbers: NDArray[np.float32]) -> NDArray[np.int64]:
        shares = np.nan_to_num((numbers - bottom) / spread, nan=-1.0)
        return np.asarray(np.clip(np.round(shares * (HEIGHT - 1)), -1, HEIGHT), np.int64)

    at, floor, roof = line_of(value), line_of(low), line_of(high)
    canvas = [[" "] * len(picked) for _ in range(HEIGHT + 1)]
    for column in range(len(picked)):
        if np.isfinite(low[column]):
            for row in range(max(0, int(floor[column])), min(HEIGHT - 1, int(roof[column])) + 1):
                canvas[HEIGHT - 1 - row][column] = "·"
        out = bool(value[column] > high[column] or value[column] < low[column])
        canvas[HEIGHT - 1 - int(np.clip(at[column], 0, HEIGHT - 1))][column] = "o" if out else "*"
    firsts = np.array([int(band.at_ms[run[0]]) for run in runs])
    for each in fired:
        canvas[HEIGHT][max(0, int(np.searchsorted(firsts, each.at_ms, "right")) - 1)] = "^"
    edges = {0: f"{top:.6g}", HEIGHT - 1: f"{bottom:.6g}"}
    return [f"{edges.get(row, ''):>10} |{''.join(cells)}".rstrip() for row, cells in enumerate(canvas)]
