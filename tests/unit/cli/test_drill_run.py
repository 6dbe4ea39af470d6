"""Suites from the command line: they go on where they were stopped, write their page, and refuse in one line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cerebro.cli import drill_simulated
from cerebro.cli.drill import drill
from cerebro.cli.drill_simulated import job_count
from cerebro.proving import report
from cerebro.spine.errors import Invalid

SUITE = """
title = "Two of two"
kinds = ["hang", "nothing"]
seeds = 2
services = 5
[simulated]
quiet_s = 60
fault_s = 45
after_s = 30
"""
PAGE = """# Drills

before

<!-- scores simulated -->
old
<!-- /scores simulated -->

after
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CEREBRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(report, "PAGE", tmp_path / "drills.md")
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "drills.md").write_text(PAGE)
    return tmp_path


def told(*words: str):
    return CliRunner().invoke(drill, ["run", *map(str, words)])


def test_a_run_that_was_stopped_goes_on_and_comes_to_the_same(place, monkeypatch):
    """What was done is not done again, half a line at the end is done again, and the scores are those of one run."""
    suite, out, played = place / "suite.toml", place / "runs.jsonl", []
    real_play = drill_simulated.play

    async def play(plan, settings):
        played.append((plan.kind, plan.seed))
        return await real_play(plan, settings)

    monkeypatch.setattr(drill_simulated, "play", play)
    whole = told("--suite", suite, "--out", out, "--json")
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:4]) + lines[4][:40])
    assert len(played) == 4
    again = told("--suite", suite, "--out", out, "--json", "--resume")

    assert whole.exit_code == again.exit_code == 0
    assert played[4:] == [("hang", 2), ("nothing", 2)]
    first, second = (json.loads(each.stdout) | {"took_s": 0} for each in (whole, again))
    assert first == second
    assert {"detected", "cause_top1", "resolved_unaided", "harmful", "false_cases_per_hour", "median_s"} <= set(first)


def test_a_suite_begun_anew_says_where_the_runs_of_before_are(place):
    """Whoever forgot --resume loses nothing, and one line says how to go on with them."""
    out = place / "runs.jsonl"
    out.write_text("what was played\n")
    again = told("--suite", place / "suite.toml", "--out", out, "--json")

    assert again.exit_code == 0
    assert again.stderr.splitlines() == [
        f"The runs of before are kept in {place}/runs.1.jsonl; to go on with them: --resume --out {place}/runs.1.jsonl"
    ]
    assert (place / "runs.1.jsonl").read_text() == "what was played\n"


def test_the_page_is_renewed_in_its_place(place, monkeypatch):
    """Only what stands between the marks; the HTML page has the timelines."""
    done = told("--suite", place / "suite.toml", "--write", "--html", place / "runs.html")
    page = (place / "drills.md").read_text()

    assert done.exit_code == 0, done.output
    assert page.startswith("# Drills\n\nbefore\n")
    assert page.endswith("<!-- /scores simulated -->\n\nafter\n")
    assert "| hang | 2 | " in page
    assert "alert rules" in page
    assert "old" not in page
    assert "<svg" in (place / "runs.html").read_text()


def test_kept_runs_are_scored_again(place):
    """From the published file as from the one that was played, with the page renewed in its place."""
    out, packed = place / "runs.jsonl", place / "runs.jsonl.gz"
    played = json.loads(told("--suite", place / "suite.toml", "--out", out, "--json").stdout)
    again = CliRunner().invoke(drill, ["score", str(out), "--publish", str(packed), "--json"])
    written = CliRunner().invoke(drill, ["score", str(packed), "--title", "Two kept ones", "--write"])
    none = CliRunner().invoke(drill, ["score", str(place / "none.jsonl")])

    assert json.loads(again.stdout)["by_kind"] == played["by_kind"]
    assert written.exit_code == 0, written.output
    assert "Two kept ones: `cerebro drill score" in (place / "drills.md").read_text()
    assert none.exit_code == 1
    assert "There is no file" in none.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--suite", "long"), "There is no suite long. Choose full"),
        (("--suite", "nowhere.toml"), "There is no suite nowhere.toml"),
        (("--seeds", "-3"), "--seeds -3 does not fit. Write a number"),
        (("--suite", "{place}/flood.toml"), "There is no kind 'flood'. Write one of: all, bad_config"),
        (("--suite", "{place}/torn.toml"), "torn.toml is not TOML"),
        (("--suite", "{place}/suite.toml", "--out", "{place}"), "cannot be written"),
        (("--suite", "{place}/suite.toml", "--out", "{place}/runs.jsonl.gz"), "Name a plain file"),
        (("--suite", "{place}/suite.toml", "--out", "{place}/runs.jsonl.gz", "--resume"), "Name a plain file"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(place, words, expected):
    """The line says what to write instead."""
    (place / "flood.toml").write_text(SUITE.replace('"hang"', '"flood"'))
    (place / "torn.toml").write_text("kinds = [")
    refused = told(*(word.format(place=place) for word in words))

    assert refused.exit_code == 1
    assert expected in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_page_without_the_place_is_refused(tmp_path):
    """Nothing is written anywhere else."""
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    with pytest.raises(Invalid, match="no place for verify"):
        report.renew("verify", "text", page)
    with pytest.raises(Invalid, match="cannot be read"):
        report.renew("verify", "text", tmp_path / "none.md")

    assert page.read_text() == "# Nothing\n"


def test_rows_are_known_by_their_first_cell(tmp_path):
    """So that one kind alone can be renewed."""
    page = tmp_path / "page.md"
    page.write_text("<!-- verify -->\n<!-- /verify -->\n")
    assert report.rows_in("verify", page) == {}
    report.renew("verify", "\n".join((*report.heading(("kind", "holds")), "| crash | yes |", "| hang | NO |")), page)

    assert report.rows_in("verify", page) == {"crash": "| crash | yes |", "hang": "| hang | NO |"}


def test_as_many_processes_as_pay():
    assert job_count(0, 1) == 1
    assert job_count(4, 12) == 2
    assert job_count(4, 1000) == 4
