"""What the hands' commands print: words from outside cannot steer the terminal, and a backtest tells its time."""

from datetime import UTC, datetime

import pytest

from cerebro.casework.playbooks.read import shipped_text
from cerebro.cli import hands
from cerebro.spine.errors import NotFound, Unauthenticated, Unavailable

EVIL = "all is well\x1b[2J\x1b[1;1H\r\n\u202eapproved\x9b31m"
CALL = {
    "executor": EVIL, "operation": EVIL, "target": {"kind": "service", "name": EVIL}, "arguments": {EVIL: EVIL},
    "door": EVIL,
}  # fmt: skip
ACTION = {
    "id": "a1", "playbook": EVIL, "playbook_version": 1, "expect": {"of": "users", "within_s": 120.0, "hold_s": 20.0},
    "title": EVIL, "target": {"kind": EVIL, "name": EVIL}, "state": "awaiting_approval", "risk": "safe",
    "predicted": EVIL, "digest": "d", "held": EVIL, "expires_ms": 5, "needs": "operate", "started_ms": 0, "ended_ms": 0,
    "steps": [{"call": CALL, "undo": [CALL], "state": "planned",
               "changes": [{"what": EVIL, "before": EVIL, "after": EVIL}]}],
    "story": [{"at_ms": 0, "actor": EVIL, "text": EVIL}],
}  # fmt: skip
SWITCHES = {"stopped": True, "stopped_by": EVIL, "stopped_reason": EVIL, "stopped_ms": 5, "frozen": False}
POLICY = {"policy": SWITCHES, "items": []}
TRIED = {
    "case_count": 4, "days": 3, "from_ms": 86_400_000, "to_ms": 3 * 86_400_000, "ran": 2, "out_of_reach": 0,
    "helped": 1, "not_helped": 0, "untried": 1,
}  # fmt: skip


class Asked:
    """A Cerebro with one answer, that keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def get(self, path, **query):
        self.asked.append((path, query))
        return self.answer

    def post(self, path, body):
        self.asked.append((path, body))
        return self.answer


@pytest.fixture
def asked(monkeypatch):
    def made(answer):
        found = Asked(answer)
        monkeypatch.setattr(hands, "client", lambda url, key: found)
        return found

    return made


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        (ACTION, lambda: hands.show("a1")),
        (ACTION, lambda: hands.approve("a1", yes=True)),
        (ACTION, lambda: hands.propose("c1", "restart", "service/cart")),
        ([EVIL, EVIL], lambda: hands.why("a1")),
        (POLICY, lambda: hands.show_autonomy(type("Context", (), {"invoked_subcommand": ""})())),
    ],
)
def test_words_from_outside_are_text_and_nothing_else(asked, capsys, answer, command):
    asked(answer)
    command()
    said = capsys.readouterr().out

    assert "all is well" in said
    assert all(mark.isprintable() or mark == "\n" for mark in said)
    assert not [line for line in said.splitlines() if line.lstrip().startswith("approved")]  # a line of its own making


@pytest.mark.parametrize("name", ["restart-service", "mine.yaml"])
def test_a_backtest_tells_the_time_that_it_looked_at(asked, capsys, tmp_path, name):
    (tmp_path / "mine.yaml").write_text("name: mine")
    way = asked(TRIED | {"backtest": TRIED, "faults": []})
    hands.backtest(str(tmp_path / name) if name.endswith(".yaml") else name, days=7)
    said = capsys.readouterr().out
    first, last = (datetime.fromtimestamp(day * 86_400, UTC).astimezone() for day in (1, 3))

    assert way.asked[0][1]["days"] == 7
    assert f"Of 4 cases, opened from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}, it would" in said
    assert "more" not in said


def test_a_backtest_tells_what_is_out_of_reach_and_that_there_was_nothing(asked, capsys):
    asked(TRIED | {"out_of_reach": 5})
    hands.backtest("restart-service")
    asked(TRIED | {"case_count": 0, "from_ms": 0, "to_ms": 0})
    hands.backtest("restart-service")
    said = capsys.readouterr().out

    assert "It fits 5 more" in said and "No past case of that time has a cause" in said
    assert "1970-01-01 00" not in said.splitlines()[-1]


def test_what_a_text_alone_does_not_tell_is_said_to_be_unchecked(capsys, tmp_path):
    files = [tmp_path / f"{name}.yaml" for name in ("rollback-deploy", "ssh-free-disk", "k8s-scale-out")]
    for file in files:
        file.write_text(shipped_text(file.stem))
    hands.validate(files)
    hands.validate(files[2:])
    said = capsys.readouterr().out.splitlines()

    doors = "deploy (process), free_journal (ssh), rollback (process)"
    assert said == [
        "3 playbooks can be used as written.",
        f"Not checked, for only a running Cerebro knows what its doors can do: {doors}.",
        "1 playbook can be used as written.",
    ]


def test_a_level_that_a_rule_lowers_now_says_so(asked, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    row = {"risk": "safe", "level": "act", "why": "the default of a safe action"}
    lowered = row | {"playbook": "k8s-scale-out", "bound": "*: suggest (nobody is there at night)"}
    asked({"policy": SWITCHES | {"stopped": False}, "items": [lowered, row | {"playbook": "scale-out", "bound": ""}]})
    hands.show_autonomy(type("Context", (), {"invoked_subcommand": ""})())
    k8s, other = [line for line in capsys.readouterr().out.splitlines() if "scale-out" in line]

    assert "a safe action; lowered now: *: suggest (nobody is there at night)" in k8s
    assert "lowered" not in other


class Library:
    """A Cerebro with the playbooks that are named with their texts; it refuses what says no name."""

    def __init__(self, **texts):
        self.texts, self.kept = {name.replace("_", "-"): text for name, text in texts.items()}, []

    def get(self, path, **query):
        name, *rest = path.removeprefix("/api/v1/playbooks/").split("/")
        if name not in self.texts:
            raise NotFound(f"There is no playbook {name!r}.")
        return {"text": self.texts[name]} if rest == ["text"] else {"name": name, "version": 3, "own": True}

    def post(self, path, body):
        name = body["text"].removeprefix("name: ").split("\n")[0]
        if path.endswith("/check"):
            fault = {"line": 1, "text": "No name.", "mend": "Add it."}
            return {"faults": [] if name else [fault], "name": name}
        self.kept.append(body)
        return {"name": name, "version": 4, "level": "ask"}


THEIRS, MINE = "name: restart-service\nversion: 3\n", "name: restart-service\nversion: 4\n"


@pytest.fixture
def library(monkeypatch, tmp_path):
    def made(**texts):
        found = Library(**texts)
        monkeypatch.setattr(hands, "client", lambda url, key: found)
        return found

    (tmp_path / "mine.yaml").write_text(MINE)
    return made


def test_the_text_that_is_read_is_the_one_that_counts_here(library, capsys):
    """Not the shipped one that another took the place of; and nothing is added to it."""
    library(restart_service=THEIRS)
    hands.read("restart-service")

    assert capsys.readouterr() == (THEIRS, "")


@pytest.mark.parametrize("error", [Unavailable("No Cerebro answers."), Unauthenticated("No key.")])
def test_without_a_cerebro_the_shipped_text_is_read_and_said_to_be_that(monkeypatch, capsys, error):
    def away(*_):
        raise error

    monkeypatch.setattr(hands, "client", away)
    hands.read("restart-service")
    said = capsys.readouterr()

    assert said.out == shipped_text("restart-service")
    assert error.detail in said.err and "comes with Cerebro" in said.err


def test_without_a_cerebro_a_name_of_ones_own_is_not_said_to_be_none(monkeypatch, capsys):
    monkeypatch.setattr(hands, "client", lambda *_: (_ for _ in ()).throw(Unavailable("No Cerebro answers.")))

    with pytest.raises(SystemExit):
        hands.read("../shipped/restart-service")
    assert capsys.readouterr() == ("", "cerebro: No Cerebro answers.\n")


def test_a_key_that_is_refused_reads_nothing(monkeypatch, capsys):
    monkeypatch.setattr(hands, "client", lambda *_: (_ for _ in ()).throw(Unauthenticated("No such key.")))

    with pytest.raises(SystemExit):
        hands.read("restart-service", key="wrong")
    assert capsys.readouterr() == ("", "cerebro: No such key.\n")


def test_whose_place_a_playbook_takes_is_asked_first(library, capsys, tmp_path):
    there = library(restart_service=THEIRS)

    with pytest.raises(SystemExit):
        hands.add(tmp_path / "mine.yaml")
    said = capsys.readouterr().err
    assert "It would take the place of your restart-service, version 3." in said
    assert "--replace" in said and "another `name`" in said
    assert there.kept == []


def test_what_takes_the_place_of_another_names_its_text_and_says_so(library, capsys, tmp_path):
    """Whoever signed off a third one meanwhile is not written over."""
    there = library(restart_service=THEIRS)
    hands.add(tmp_path / "mine.yaml", replace=True)

    assert there.kept == [{"text": MINE, "replaces": THEIRS}]
    assert "takes the place of your restart-service, version 3." in capsys.readouterr().out


@pytest.mark.parametrize(("texts", "before"), [({}, ""), ({"restart_service": MINE}, MINE)])
def test_a_playbook_that_takes_the_place_of_no_other_is_signed_off_at_once(library, capsys, tmp_path, texts, before):
    there = library(**texts)
    hands.add(tmp_path / "mine.yaml")

    assert there.kept == [{"text": MINE, "replaces": before}]
    assert capsys.readouterr().out == "restart-service version 4 is signed off; its level is ask.\n"


def test_a_bad_playbook_is_refused_with_its_first_fault(library, capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("")
    there = library()

    with pytest.raises(SystemExit):
        hands.add(tmp_path / "mine.yaml")
    assert capsys.readouterr().err == "cerebro: Line 1: No name. Add it.\n"
    assert there.kept == []


def call(operation, target, executor="process", door="deployer", **arguments):
    kind, _, name = target.partition("/")
    there = {"kind": kind, "name": name}
    return {"executor": executor, "operation": operation, "target": there, "arguments": arguments, "door": door}


def shown(**otherwise):
    """What is said of an action that promotes an index, and is taken back elsewhere."""
    step = {"call": call("promote", "index/new"), "undo": [call("demote", "index/old", door="", share="0.5")],
            "state": "planned", "changes": []}  # fmt: skip
    plain = {"title": "Promote", "target": {"kind": "index", "name": "new"}, "predicted": "Faster.", "held": ""}
    said = list(hands._told(ACTION | plain | {"playbook": "promote-index", "steps": [step], "story": []} | otherwise))
    return "\n".join(said)


def test_what_was_proposed_says_how_it_is_approved(asked, capsys):
    asked(ACTION)
    hands.propose("c1", "restart", "service/cart")

    assert capsys.readouterr().out.splitlines()[-1] == "Approve it: cerebro actions approve a1"


def test_all_that_is_approved_is_shown():
    """Which playbook, who does what to whom, how it is checked; of a call that changes nothing, just that."""
    said = shown()

    assert said.startswith("a1: Promote, index/new:")
    assert "promote-index, version 1" in said
    assert "process@deployer.promote  (planned; undone by process.demote of index/old share=0.5)" in said
    assert "    changes nothing as it is now" in said
    assert "Checked: users must be served as before within 2 min 0 s, and for 20 s." in said


def test_signals_are_checked_in_their_own_words():
    said = shown(expect={"of": "signals", "within_s": 5.0, "hold_s": 0.0})

    assert "Checked: the case's own signals must be over within 5 s." in said
