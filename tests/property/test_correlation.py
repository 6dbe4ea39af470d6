"""Laws of correlation: order, repetition and delay of findings do not change the cases they make."""

from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.casework import life
from cerebro.casework.correlate import Docket, Limits, NoTies, Tie
from cerebro.casework.decide import decide
from cerebro.spine.cases import LIVE, MOVES, CaseState
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Finding, Severity

LIMITS = Limits(join_ms=300_000, hold_ms=60_000, reopen_ms=1_800_000)
ENTITIES = [
    EntityKey("host", "a"),
    EntityKey("process", "a:nginx"),
    EntityKey("host", "b"),
    EntityKey("service", "shop"),
    EntityKey("service", "payment"),
    EntityKey("database", "money"),
]


class Chain:
    """The shop calls the payment, which calls the database; a host runs the shop. Some ties reach further in time."""

    def __init__(self, within_ms):
        self.within_ms = within_ms

    def of(self, entity):
        pairs = ((3, 4), (4, 5), (3, 5), (2, 3))
        near = {}
        for number, (one, other) in enumerate(pairs):
            for mine, theirs in ((one, other), (other, one)):
                if ENTITIES[mine] == entity:
                    near[ENTITIES[theirs]] = Tie("is near it", self.within_ms * (1 + number % 2))
        return near


@st.composite
def findings(draw):
    """Troubles that begin, come back and clear on a few entities within an hour."""
    made = []
    for number in range(draw(st.integers(1, 14))):
        key = draw(st.integers(0, 8))
        at_ms = draw(st.integers(0, 3600)) * 1000
        seen_ms = at_ms + draw(st.integers(0, 60)) * 1000
        made.append(
            Finding(
                id=f"f{number:02}", tenant="t", agent="support", kind="spike", entity=ENTITIES[key % len(ENTITIES)],
                at_ms=at_ms, seen_ms=seen_ms, severity=Severity(draw(st.integers(1, 4))), p_value=1e-6, effect=3.0,
                signal="cpu", title=f"trouble {number}", evidence=(), dedup_key=f"k{key}", cleared=draw(st.booleans()),
            )
        )  # fmt: skip
    return made


class Book:
    """The cases of one tenant, kept in dictionaries: what the store does, without one."""

    def __init__(self, ties=None):
        self.cases, self.seen, self.waiting = {}, set(), {}
        self.ties = ties or NoTies()
        self.ids = count()

    def tell(self, finding, now_ms=0):
        mark = (finding.dedup_key, finding.cleared, finding.seen_ms)
        if mark in self.seen:
            return
        self.seen.add(mark)
        docket = Docket(c for c in self.cases.values() if c.state != "closed")
        waiting, reason = self.waiting.get(finding.dedup_key, []), ""
        if finding.cleared:
            ids, waiting = docket.holding(finding.dedup_key), []
        else:
            joining = docket.joining(finding, LIMITS, self.ties)
            ids, reason = joining.cases, joining.reason
            assert reason
        cases = [self.cases[case_id] for case_id in ids]
        made = decide(finding, cases, reason, waiting, now_ms=now_ms, new_id=lambda: f"c{next(self.ids)}")
        if finding.cleared and not made.case:
            self.waiting.setdefault(finding.dedup_key, []).append(finding)
        if made.claimed:
            del self.waiting[finding.dedup_key]
        for case in made.changed:
            before = self.cases.get(case.id)
            assert before is None or before.state == case.state or case.state in MOVES[before.state]
            self.cases[case.id] = case

    def picture(self):
        """What must be the same: which troubles hang together, and how each of these stories stands."""
        stories = [
            (
                c.severity,
                c.entities,
                c.active_keys,
                c.signals,
                c.cleared_ms,
                c.began_ms,
                c.last_ms,
                c.title,
                sorted(c.spots, key=lambda spot: spot.entity),
            )
            for c in self.cases.values()
            if c.state in LIVE
        ]
        return sorted(stories, key=repr)


def told(sequence, ties=None):
    book = Book(ties)
    for finding in sequence:
        book.tell(finding)
    return book


@settings(max_examples=400, deadline=None)
@given(findings(), st.randoms(use_true_random=False), st.sampled_from([0, 30_000, 120_000, 600_000]))
def test_any_order_gives_the_same_cases(made, chance: Random, within_ms):
    """Late, early and shuffled findings end in the same stories, with ties of a map and without."""
    unlike = {(f.dedup_key, f.cleared, f.seen_ms): f for f in made}  # two with one mark are the same finding
    made = list(unlike.values())
    shuffled = chance.sample(made, len(made))

    ties = Chain(within_ms) if within_ms else None
    assert told(made, ties).picture() == told(shuffled, ties).picture()


@settings(max_examples=200, deadline=None)
@given(findings(), st.randoms(use_true_random=False))
def test_repetition_changes_nothing(made, chance: Random):
    """A finding that is delivered again, whenever, leaves every case as it was."""
    again = list(made)
    for finding in made:
        again.insert(chance.randint(again.index(finding) + 1, len(again)), finding)

    once, twice = told(made), told(again)

    assert once.cases == twice.cases


@settings(max_examples=200, deadline=None)
@given(findings())
def test_severity_is_the_worst_that_is_active(made):
    """A case is as bad as the worst of what has not cleared; with nothing active, as bad as it was."""
    for case in told(made).cases.values():
        if case.state is CaseState.CLOSED:
            continue
        telling = [s for s in case.signals if not s.cleared] or case.signals
        assert case.severity == max(signal.severity for signal in telling)
        assert set(case.active_keys) == {signal.key for signal in case.signals if not signal.cleared}
        assert (case.cleared_ms == 0) == bool(case.active_keys)


@settings(max_examples=200, deadline=None)
@given(findings(), st.lists(st.integers(1, 400), min_size=14, max_size=14))
def test_time_moves_cases_only_along_the_moves(made, gaps_s):
    """Resolving and reopening between findings never leaves the map of states, and no case is in two."""
    book, now_ms = Book(), 0
    for finding, gap_s in zip(sorted(made, key=lambda f: f.seen_ms), gaps_s, strict=False):
        now_ms = max(now_ms, finding.seen_ms) + gap_s * 1000
        for case in list(book.cases.values()):
            after = life.settled(case, now_ms, LIMITS)
            assert after.state == case.state or after.state in MOVES[case.state]
            book.cases[case.id] = after
        book.tell(finding, now_ms)

    live = [case for case in book.cases.values() if case.state in LIVE]
    keys = [signal.key for case in live for signal in case.signals]
    assert len(keys) == len(set(keys))
    for case in book.cases.values():
        assert list(case.timeline) == sorted(case.timeline, key=lambda entry: entry.at_ms)
