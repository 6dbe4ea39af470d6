"""A draft tells what the case has kept, and nothing that came from outside becomes markup."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from cerebro.casework.phrases import Teller
from cerebro.casework.postmortem.draft import Record, draft, plain
from cerebro.casework.postmortem.typeset import to_pdf, to_typst
from cerebro.casework.proof import Part, Sentence, recorded
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
from cerebro.spine.cases import Case, CaseState, Cause, Entry
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
