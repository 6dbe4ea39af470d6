"""A stored series replayed: what fired is told and drawn; times and rows in many forms are read."""

import numpy as np
import pytest

from cerebro.agents.support.backtest import backtest
from cerebro.agents.support.band import replay as replayed
from cerebro.agents.support.model import SeriesName
from cerebro.agents.support.outlook import wall_ms
from cerebro.cli import backtest as command
from cerebro.spine.errors import Invalid

START_MS = 1_704_067_200_000
NAME = SeriesName(5, 6, "system.cpu.busy", (("cpu", "all"),), "gauge", "1", "host", "web-7")


@pytest.fixture(scope="module")
def replay():
    values = 0.2 + 0.02 * np.random.default_rng(1).standard_normal(600)
    values[400:430] = 0.95
    at_ms = START_MS + np.arange(600) * 60_000
    return backtest(NAME, at_ms, values, unit=0.5, warmup_count=36, from_ms=START_MS + 300 * 60_000)


def test_what_would_have_fired_is_told_with_its_band_and_end(replay):
    (fired,) = replay.fired

    assert START_MS + 400 * 60_000 <= fired.at_ms <= START_MS + 405 * 60_000
    assert fired.low < 0.2 < fired.high < fired.value
    assert fired.ended == "back"
    assert fired.ended_ms > START_MS + 430 * 60_000
    assert "95 %" in fired.sentence
    assert replay.judged_count > 500


def test_it_is_drawn(replay):
    lines = command.drawing(replay.band, replay.fired, START_MS + 300 * 60_000)

    assert len(lines) == command.HEIGHT + 1
    assert "^" in lines[-1]
    assert any("o" in line for line in lines)
    assert "0.95" in lines[0]


def test_a_selector_is_read_page_by_page(monkeypatch, capsys):
    class Asked:
        def get(self, path):
            return {"threshold_per_week": 0.5}

        def post(self, path, body):
            if "FROM series" in body["query"]:
                assert r"labels['cpu'] = 'a\'b'" in body["query"]
                row = ["5", "6", "system.cpu.busy", '{"cpu":"all"}', "gauge", "1", "host", "web-7"]
                columns = ["hi", "lo", "metric", "labels", "type", "unit", "entity_kind", "entity_name"]
                return {"columns": columns, "rows": [row]}
            start = int(body["query"].split("at >= fromUnixTimestamp64Milli(")[1].split(")")[0])
            rows = [
                [at, 0.2 + 0.001 * (at % 7)] for at in range(START_MS, START_MS + 90_000_000, 10_000) if at >= start
            ]
            return {"rows": rows[: command.PAGE_ROWS]}

    monkeypatch.setattr(command, "client", lambda url, key: Asked())

    command.run(
        'system.cpu.busy{cpu="a\'b"}', "2024-01-01T00:00:00Z", "2024-01-02T01:00:00Z", 0.0,
        plot=True, url="", key="", json=False,
    )  # fmt: skip

    assert "9000 samples, 0 would have fired" in capsys.readouterr().out


@pytest.mark.parametrize("rows", [[["x", 1]], [[1]], [["2024-01-01", "y"]]])
def test_rows_of_another_form_are_refused(rows):
    with pytest.raises(Invalid):
        command.columns_of(rows)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(Invalid):
        command.time_of("yesterday-ish", 0)


def test_a_holiday_that_is_like_a_sunday_is_in_its_band_where_the_calendar_knows_it():
    """Seven weeks to Wednesday, 1 May 2024; working days are busy, Sundays and the holiday are not."""
    day_ms, first_ms = 86_400_000, 1_711_929_600_000  # 1 April 2024, a Monday
    at_ms = np.arange(first_ms - 3 * 7 * day_ms, first_ms + 31 * day_ms, 600_000)
    noted = wall_ms(at_ms, "Europe/Berlin", "DE")
    weekday = (noted // day_ms + 3) % 7
    busy = (weekday < 6) & (noted // 3_600_000 % 24 >= 8) & (noted // 3_600_000 % 24 < 18)
    value = 0.1 + 0.5 * busy + 0.01 * np.random.default_rng(4).standard_normal(len(at_ms))
    holiday = at_ms >= first_ms + 30 * day_ms

    known, unknown = (
        replayed(NAME, at_ms, value, unit=0.5, warmup_count=36, wall_ms=clock) for clock in (noted, at_ms)
    )

    away = [float(np.abs(band.value - band.expected)[holiday].max()) for band in (known, unknown)]
    assert away[0] < 0.5 * away[1]
