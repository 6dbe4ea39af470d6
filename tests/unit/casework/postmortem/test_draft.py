"""A draft tells what the case has kept, and nothing that came from outside becomes markup."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from cerebro.casework.api_story import numbered
from cerebro.casework.phrases import Teller
from cerebro.casework.postmortem.draft import PROOFS_TOLD, Record, draft, plain
from cerebro.casework.postmortem.timeline import LINES_TOLD, told
from cerebro.casework.postmortem.typeset import to_pdf, to_typst
from cerebro.casework.proof import CLICKHOUSE, Part, Sentence, proof_id, recorded
from cerebro.casework.seal import Seal
from cerebro.casework.story import Material, tell
from cerebro.spine.actions import (
    Action,
    ActionState,
    Call,
    Difference,
    Expectation,
    Level,
    Reason,
    Risk,
    Step,
)
from cerebro.spine.cases import Case, CaseState, Cause, Entry, Signal
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Severity
from cerebro.spine.identity import ActionId, CaseId, TenantId

PAY = EntityKey("service", "pay")
T0 = 1_780_000_000_000
PROOF = recorded("Version 2 came first.", "cases/c1#state", "open", T0, T0 + 1)
CASE = Case(
    CaseId("c1"), TenantId("t"), CaseState.RESOLVED, Severity.CRITICAL, "Errors of service pay rose", T0 + 400_000,
    T0 + 900_000, (PAY,), (), began_ms=T0, resolved_ms=T0 + 900_000,
    timeline=(Entry(T0 + 400_000, "cerebro", "opened", "Opened."), Entry(T0 + 500_000, "ann", "commented", "Hm.")),
    causes=(Cause(PAY, "deploy", 0.8, 1, "Version 2 came a minute before.", (PROOF,)),),
)  # fmt: skip
ACTION = Action(
    ActionId("a1"), CASE.tenant, CASE.id, "rollback", 1, "Roll pay back to version 1", PAY, "deploy", Risk.GUARDED,
    Level.ASK, ActionState.HELPED, {},
    (Step(Call("process", "rollback", PAY), (Difference("version of pay", "2", "1"),), "k"),),
    "Errors fall to what they were.", Expectation(), "d", T0, T0, T0, approved_by="ann", outcome="It helped.",
)  # fmt: skip
HOSTILE = [
    "# heading", "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>", "| a | b |", "`code` **bold**",
    "line\nbreak\n- item", "\x1b[31mred\x1b[0m", '#import "@preview/x": *', '#read("/etc/passwd")', "$x$ @cite <label>",
    "\u202eright to left", "https://evil.example/", "![i](http://evil.example/p.png)",
]  # fmt: skip


def record(case=CASE, actions=(ACTION,)):
    teller = Teller("en", T0 + 10**6, 0)
    return Record(case, tell(Material(case, {}), teller), actions, "http://here/cases/c1")


@pytest.mark.parametrize(("language", "said"), [("en", "Roll pay back"), ("ru", "Разбор")])
def test_it_tells_what_is_kept(language, said):
    text = draft(record(), Teller(language, T0 + 10**6, 0))
    assert said in text
    for part in ("Version 2 came a minute before", "80", "version of pay: 2 → 1", "It helped", "SHA-256", "cases/c1"):
        assert part in text, part


def test_its_follow_ups_come_from_what_happened():
    text = draft(record(), Teller("en", T0, 0))
    follow_ups = text[text.index("## What to do") : text.index("## Proofs")]
    assert "Which check would have stopped this release of service pay" in follow_ups
    assert "to be noticed" in follow_ups and "Name an owner for service pay" in follow_ups
    assert "without asking" in follow_ups
    harmed = draft(record(actions=(replace(ACTION, harmful=True),)), Teller("en", T0, 0))
    alone = draft(record(actions=(replace(ACTION, approved_by="cerebro"),)), Teller("en", T0, 0))
    assert "made it worse" in harmed
    assert "without asking" not in alone and "service/pay, by itself" in alone
    bare = draft(record(replace(CASE, causes=()), ()), Teller("en", T0, 0))
    assert "Find the cause" in bare and "Cerebro did nothing by itself" in bare


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_outside_becomes_markup(text):
    tame = draft(record(replace(CASE, title="a", timeline=())), Teller("en", T0, 0))
    hostile = replace(CASE, title=text, impact=text, assignee=text, timeline=(Entry(T0, text, "commented", text),))
    made = draft(record(hostile, (replace(ACTION, title=text, outcome=text, predicted=text),)), Teller("en", T0, 0))

    def shape(markdown):
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
        inner = [child.type for token in tokens for child in token.children or ()]
        return {kind: inner.count(kind) for kind in ("link_open", "image", "html_inline", "code_inline")} | {
            "headings": sum(token.type == "heading_open" for token in tokens),
            "html": sum(token.type == "html_block" for token in tokens),
        }

    assert shape(made) == shape(tame)
    commands = re.sub(r'"(?:[^"\\]|\\.)*"', '""', to_typst(made))  # what is left are ours
    assert "import" not in commands and "read" not in commands and "evil" not in commands
    assert "\x1b" not in plain(text) and "\u202e" not in plain(text)


def test_it_becomes_a_pdf_whatever_people_write():
    odd = "# T\n\n" + "\n\n".join(HOSTILE) + "\n\n1. a\n\n   b\n\n> q\n\n---\n\n```\ncode\n```\n"
    assert to_pdf(odd).startswith(b"%PDF")
    assert to_pdf(draft(record(), Teller("ru", T0, 0))).startswith(b"%PDF")


def test_no_proof_of_many_becomes_markup():
    """Ten and more have a number of two digits, and what stands under them is still theirs."""
    query = "SELECT '[click](https://evil.example/)'\n\n# heading"
    proofs = [recorded(f"Proof {number}.", f"cases/c1#{number}", query, T0, T0 + 1) for number in range(1, 13)]
    told = [
        Sentence("It.", (replace(each, query=f"{query}\n-- {number}"),), Part.UNKNOWN)
        for number, each in enumerate(proofs)
    ]
    text = draft(replace(record(), sentences=told), Teller("en", T0, 0))
    tokens = MarkdownIt("commonmark").parse(text[text.index("## Proofs") :])

    assert sum(token.type == "list_item_open" for token in tokens) >= 12
    assert not [child for token in tokens for child in token.children or () if child.type == "link_open"]
    assert sum(token.type == "heading_open" for token in tokens) == 1


def test_what_cannot_be_set_is_told_in_a_line():
    with pytest.raises(Invalid, match="cannot be set"):
        to_pdf(f"[x](https://here.example/{'a' * 9000})")


def test_its_impact_is_what_was_measured_until_someone_writes_it():
    felt = Reason("users", "Requests to service/pay: 12.0% fail (usually 0.1%), 900 ms each (usually 40 ms).", 1.0)
    text = draft(record(actions=(replace(ACTION, reasons=(felt,), started_ms=T0),)), Teller("en", T0, 0))
    impact = text[text.index("## Impact") : text.index("## Timeline")]
    assert "12.0% fail" in impact and "It lasted 15 min" in impact and "Add who they were" in impact
    assert "Nobody has written" in draft(record(), Teller("en", T0, 0))
    assert "12.0% fail" not in draft(record(replace(CASE, impact="Half of all cards."), ()), Teller("en", T0, 0))


def test_a_case_that_a_person_closed_is_over():
    """It was never resolved by itself: what counts is when its last signal cleared."""
    shut = replace(CASE, state=CaseState.CLOSED, resolved_ms=0, cleared_ms=T0 + 600_000)
    assert "after 10 min" in draft(record(shut), Teller("en", T0, 0))
    assert "It is not over" in draft(record(replace(shut, state=CaseState.OPEN)), Teller("en", T0, 0))


def storm(count, *others, kind="finding_joined"):
    """A timeline of so many signals, with other lines at its end."""
    signals = [Entry(T0 + number, "cerebro", kind, f"signal {number}") for number in range(count)]
    return (Entry(T0 - 1, "cerebro", "opened", "Opened."), *signals, *others)


def test_a_storm_of_signals_hides_nothing_that_was_done():
    others = [
        Entry(T0 + 10**4 + number, "cerebro", kind, f"{kind} {number}")
        for number, kind in enumerate(["action_proposed", "action_approved", "action_ended", "resolved"] * 10)
    ]
    lines = storm(150, *others)
    text = draft(record(replace(CASE, timeline=lines)), Teller("en", T0, 0))
    timeline = text[text.index("## Timeline") : text.index("## Causes")]

    assert all(plain(entry.text) in timeline for entry in others)
    assert "signal 0 " in timeline and "signal 149 " in timeline and "signal 75 " not in timeline
    assert f"Of 191 lines {191 - LINES_TOLD} are left out here, {191 - LINES_TOLD} of them of signals" in timeline
    assert "left out" not in draft(record(), Teller("en", T0, 0))


def test_of_too_many_other_lines_the_first_and_the_last_are_told():
    """What is left of the signals then is their beginning and their end."""
    others = [Entry(T0 + 10**4 + number, "ann", "commented", f"word {number}") for number in range(200)]
    found = told(storm(150, *others))

    assert len(found.lines) == LINES_TOLD
    assert (found.left_count, found.left_signal_count) == (351 - LINES_TOLD, 130)
    assert [found.lines[0].kind, found.lines[1].text, found.lines[-1].text] == ["opened", "signal 0", "word 199"]
    assert told(storm(LINES_TOLD - 1)).left_count == 0


def test_its_end_is_when_nothing_hurt_and_not_when_that_had_held():
    held = replace(CASE, cleared_ms=T0 + 600_000)
    assert "after 10 min" in draft(record(held), Teller("en", T0, 0))
    shut = replace(held, state=CaseState.CLOSED)
    assert "after 10 min" in draft(record(shut), Teller("en", T0, 0))
    burning = replace(shut, cleared_ms=0, resolved_ms=0, timeline=(Entry(T0 + 60_000, "ann", "closed", "Closed."),))
    assert "after 1 min" in draft(record(burning), Teller("en", T0, 0))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_became_part_of_another_case_went_on_there(language):
    """It is closed, but its signals are still off: nothing ended."""
    line = Entry(T0 + 60_000, "cerebro", "merged", "Merged into “b”.", reference="c2")
    gone = replace(
        CASE, state=CaseState.CLOSED, resolved_ms=0, labels={"merged_into": "c2"}, timeline=(line,),
        updated_ms=T0 + 10**7,
    )  # fmt: skip
    felt = Reason("users", "12.0% fail.", 1.0)
    acted = replace(ACTION, reasons=(felt,), started_ms=T0)
    text = draft(record(gone, (acted,)), Teller(language, T0, 0))
    (row,) = [line for line in text.splitlines() if "[c2](http://here/cases/c2)" in line]

    assert "2026-05-28 20:27:40" in row
    assert "after" not in row and "спустя" not in row and "It lasted" not in text and "Длилось" not in text


def noticed(case, seen_ms=0):
    text = draft(replace(record(case), seen_ms=seen_ms), Teller("en", T0, 0))
    (row,) = [line for line in text.splitlines() if line.startswith("| Noticed")]
    return row.rpartition(", ")[2], "to be noticed" in text


def test_what_was_known_before_a_merge_or_a_split_was_noticed_then():
    """A case that was taken out is as new as that; one that took in an older one is younger than its trouble."""
    hours = 3 * 3_600_000
    late = Entry(T0 + hours, "cerebro", "opened", "Pay. New.", reference="f2")
    young = replace(CASE, opened_ms=T0 + hours, timeline=(Entry(T0 + 5000, "cerebro", "opened", "Old."), late))
    assert noticed(young) == ("5 s later |", False)
    assert noticed(replace(young, timeline=(late,))) == ("3 h later |", True)

    line = Entry(T0 + hours, "ann", "opened", "ann took it out of “a”.", reference="c0")
    signal = Signal("k", "f1", PAY, Severity.MAJOR, "Pay", T0, T0 + 8000)
    apart = replace(CASE, opened_ms=T0 + hours, timeline=(line,), signals=(signal,))
    assert noticed(apart) == ("8 s later |", False)
    assert noticed(apart, T0 + 4000) == ("4 s later |", False)

    rest = replace(CASE, opened_ms=T0 - hours, signals=(signal,), timeline=(
        Entry(T0 - hours, "cerebro", "opened", "Other."), replace(line, kind="split"),
    ))  # fmt: skip
    assert noticed(rest) == ("8 s later |", False)


def test_its_numbers_and_digests_are_those_of_explain():
    """Also where sentences that it does not tell have proofs of their own, and where the store's answer was sealed."""
    asked = replace(recorded("Slow.", "SELECT 1", "drawn", T0, T0 + 1), engine=CLICKHOUSE)
    owner, gap = (recorded(name, f"cases/c1#{name}", name, T0, T0 + 1) for name in ("assignee", "gap"))
    story = [
        Sentence("Ann has it.", (owner,), Part.OWNER),
        Sentence("It hurts.", (asked,), Part.HURTS),
        Sentence("Who knows.", (gap, asked), Part.UNKNOWN),
    ]
    sealed = Seal("5" * 64, 1, T0)
    text = draft(replace(record(), sentences=story, seals={proof_id(asked): sealed}), Teller("en", T0, 0))

    assert [line.proofs for line in numbered(story)[0]] == [(1,), (2,), (3, 2)]
    assert "It hurts. \\[2\\]" in text and "Who knows. \\[3, 2\\]" in text
    assert "2. clickhouse" in text and sealed.digest in text and asked.digest not in text
    assert owner.digest in text and "Here are the first" not in text


def test_a_list_of_proofs_that_is_cut_says_so():
    count = PROOFS_TOLD + 7
    proofs = [recorded("It.", f"cases/c1#{number}", number, T0, T0 + 1) for number in range(count)]
    story = [Sentence("It.", (each,), Part.UNKNOWN) for each in proofs]
    text = draft(replace(record(), sentences=story), Teller("en", T0, 0))

    assert f"Here are the first {PROOFS_TOLD} of {count}; that command shows them all." in text
    assert f"{PROOFS_TOLD}. records" in text and f"{PROOFS_TOLD + 1}. records" not in text
