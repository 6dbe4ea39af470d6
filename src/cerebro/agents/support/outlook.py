"""Where a metric is going, in its own time: history on a grid, the calendar, the forecast."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cerebro.agents.support.nature import FORECAST
from cerebro.algorithms.forecast import QUANTILES, Outlook, foresee, hours_of_week
from cerebro.spine.errors import Invalid
from cerebro.spine.telemetry import SERIES_SCHEMA, SampleBatch, SeriesType, series_id

METRIC = "cerebro.forecast"

MOMENT_MS_MAX = 4_102_444_800_000  # 2100: a clock may be wrong by more than a calendar knows
MINUTES_5_MS, HOUR_MS, DAY_MS = 300_000, 3_600_000, 86_400_000
FINE_MS_MAX = 3 * DAY_MS  # a longer horizon is foreseen by the hour
FINE_HISTORY_MS, COARSE_HISTORY_MS = 21 * DAY_MS, 84 * DAY_MS
HORIZON_MS_MIN, HORIZON_MS_MAX = MINUTES_5_MS, 92 * DAY_MS


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far to look, and so how finely and from how much."""

    horizon_ms: int
    step_ms: int
    history_ms: int

    @property
    def steps(self) -> int:
        """Steps of the grid that lie ahead."""
        return max(1, -(-self.horizon_ms // self.step_ms))


@dataclass(frozen=True, slots=True)
class Foreseen:
    """History and outlook on one grid; `outlook` is `None` where there is too little history."""

    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    ahead_ms: NDArray[np.int64]
    outlook: Outlook | None

    def peak(self, quantile: float) -> float:
        """The most that is needed from now on: the newest value, or more where more is expected.

        Raises:
            Invalid: The outlook has no such quantile.
        """
        if quantile not in QUANTILES:
            raise Invalid(f"There is no quantile {quantile:g}.", f"Choose from: {', '.join(map(str, QUANTILES))}.")
        newest = float(self.value[np.isfinite(self.value)][-1])
        if self.outlook is None:
            return newest
        return max(newest, float(self.outlook.values[self.outlook.quantiles.index(quantile)].max()))


def horizon_of(horizon_s: float) -> Horizon:
    """The grid for a horizon.

    Raises:
        Invalid: It is shorter than five minutes, or longer than a quarter of a year.
    """
    ms = round(horizon_s * 1000)
    if not HORIZON_MS_MIN <= ms <= HORIZON_MS_MAX:
        raise Invalid("A horizon lies between 5 minutes and 92 days.", "Ask for 300 to 7948800 seconds.")
    fine = ms <= FINE_MS_MAX
    return Horizon(ms, MINUTES_5_MS if fine else HOUR_MS, FINE_HISTORY_MS if fine else COARSE_HISTORY_MS)


def look_ahead(
    at_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    horizon: Horizon,
    *,
    zone: str = "UTC",
    country: str = "",
) -> Foreseen:
    """Foresee a metric from its history.

    Args:
        at_ms: Starts of the grid's steps that hold a value, rising, int64, (n,).
        value: Mean of each step, float64, (n,).
        horizon: Of `horizon_of`.
        zone: Whose days and weeks count.
        country: ISO 3166 code whose public holidays are Sundays; empty for none.
    """
    step = horizon.step_ms
    if not len(at_ms):
        return Foreseen(at_ms, value, np.empty(0, np.int64), None)
    places = (at_ms - at_ms[0]) // step
    grid = np.full(int(places[-1]) + 1, np.nan)
    grid[places] = value
    times = at_ms[0] + step * np.arange(len(grid) + horizon.steps)
    local = times + _offsets(times, zone)
    keys = hours_of_week(local, _are_holidays(local, country) if country else None)
    none_below = bool(np.nanmin(grid) >= 0.0)
    outlook = foresee(grid, keys, steps_a_day=DAY_MS / step, low=0.0 if none_below else -np.inf)
    return Foreseen(times[: len(grid)], grid, times[len(grid) :], outlook)


def as_samples(selector: str, found: Foreseen, horizons_s: Sequence[float], now_ms: int) -> SampleBatch:
    """What is expected at each horizon and quantile, as series that are named with their samples."""
    assert found.outlook is not None  # the caller has looked
    rows, values = [], []
    for ahead_s in horizons_s:
        place = int(np.searchsorted(found.ahead_ms, found.at_ms[-1] + round(ahead_s * 1000)))
        for quantile, expected in zip(found.outlook.quantiles, found.outlook.values, strict=True):
            labels = {"ahead_s": f"{ahead_s:g}", "quantile": f"{quantile:g}", "selector": selector}
            hi, lo = series_id(METRIC, labels)
            rows.append(
                {
                    "hi": hi, "lo": lo, "metric": METRIC, "labels": list(labels.items()), "type": SeriesType.GAUGE,
                    "unit": "", "entity_kind": FORECAST, "entity_name": selector[:200],
                }
            )  # fmt: skip
            values.append(float(expected[min(place, len(expected) - 1)]))
    series = pa.Table.from_pylist(rows, schema=SERIES_SCHEMA)
    his, los = (np.array([row[part] for row in rows], np.uint64) for part in ("hi", "lo"))
    return SampleBatch(his, los, np.full(len(rows), now_ms, np.int64), np.array(values), series)


def check_calendar(zone: str, country: str) -> None:
    """Say so when a zone or a country is not known.

    Raises:
        Invalid: With the setting to change.
    """
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(f"There is no time zone {zone!r}.", "Write it as Europe/Moscow or UTC.") from error
    if country:
        _calendar(country)


def wall_ms(at_ms: NDArray[np.int64], zone: str, country: str = "") -> NDArray[np.int64]:
    """What the clock on the wall says at each moment, milliseconds; on a public holiday it is Sunday of that week.

    Args:
        at_ms: Unix time, int64, (n,).
        zone: Whose days and weeks count, daylight saving included.
        country: ISO 3166 code whose public holidays are Sundays; empty for none.
    """
    local = at_ms + _offsets(np.clip(at_ms, 0, MOMENT_MS_MAX), zone)
    if not country or not len(at_ms):
        return local
    known = _are_holidays(np.clip(local, 0, MOMENT_MS_MAX), country)
    weekday = (local // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    return np.where(known, local + (6 - weekday) * DAY_MS, local)


def offset_ms(zone: str, at_ms: int) -> int:
    """What the zone adds to Unix time at that moment, milliseconds, daylight saving included."""
    return _offset(ZoneInfo(zone), min(max(at_ms, 0), MOMENT_MS_MAX) // HOUR_MS)


def _offsets(times: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """What the zone adds to each moment, milliseconds, daylight saving included; looked up once an hour."""
    if len(times) and times.min() // HOUR_MS == times.max() // HOUR_MS:
        return np.full(len(times), offset_ms(zone, int(times[0])), np.int64)
    hours, place = np.unique(times // HOUR_MS, return_inverse=True)
    name = ZoneInfo(zone)
    return np.array([_offset(name, int(hour)) for hour in hours], np.int64)[place]


@lru_cache(maxsize=65_536)
def _offset(zone: ZoneInfo, hour: int) -> int:
    found = datetime.fromtimestamp(hour * 3600, zone).utcoffset()
    return round(found.total_seconds() * 1000) if found else 0


def _are_holidays(local: NDArray[np.int64], country: str) -> NDArray[np.bool_]:
    known = _calendar(country)
    if len(local) and local.min() // DAY_MS == local.max() // DAY_MS:
        return np.full(len(local), _date(int(local[0] // DAY_MS)) in known)
    days, place = np.unique(local // DAY_MS, return_inverse=True)
    return np.array([_date(int(day)) in known for day in days])[place]


@lru_cache(maxsize=16)
def _calendar(country: str) -> Container[str]:
    from holidays import country_holidays  # noqa: PLC0415  few set a country, and everyone would wait

    try:
        found = country_holidays(country)
    except NotImplementedError as error:
        raise Invalid(
            f"The holidays of {country!r} are not known.", "Write an ISO 3166 code such as RU, DE or US."
        ) from error
    return cast(Container[str], found)


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))
