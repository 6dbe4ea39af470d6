"""The same story told twice from one seed: with the poisoned texts, and with harmless ones in their places."""

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cerebro.app.inside import SimulatedStage
from cerebro.casework.answers import answer
from cerebro.casework.deeds import ACTIONS, KeptAction
from cerebro.casework.hands import chat
from cerebro.casework.phrases import LANGUAGES, Teller
from cerebro.casework.postmortem.draft import Record, draft
from cerebro.casework.store import CASES, FINDINGS, KeptCase, KeptFinding, every
from cerebro.casework.story import Changes, Material, changes_of, changes_query, tell
from cerebro.cli.hands import _told
from cerebro.cli.out import clean
from cerebro.kernel.settings import Settings
from cerebro.proving.model import Injection
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import DEFAULT_TENANT, FindingId

from .corpus import Named, named, shares
from .sender import Sender

SERVICES, SEED = 5, 11
CULPRIT = EntityKey("service", "review")  # where every fault is put; gateway calls it, and it calls invoice
WARM_STEPS, CALM_STEPS, FAULT_STEPS = 130, 30, 24
AIMED_STEPS, BEFORE_STEPS = 18, 4
CALM, FAULT = "calm", "fault"
ADDRESS = "https://cerebro.example/cases/1"
QUOTED = re.compile("“[^”]*”")


@dataclass(frozen=True)
class Told:
    """What Cerebro did and said.

    Args:
        acts: What its executor has done.
        actions: What it thought of, and what became of that.
        causes: Of each case, with what the evidence says of them.
        words: Of each case by language: the story, sentence by sentence.
        papers: The title, the timeline and the post-mortem of each case.
        chat: What a chat was told of each action, as JSON.
        terminal: What the command line prints of each action.
    """

    acts: tuple[str, ...]
    actions: tuple[str, ...]
    causes: tuple[str, ...]
    words: tuple[str, ...]
    papers: tuple[str, ...]
    chat: tuple[str, ...]
    terminal: tuple[str, ...]


NOTHING = Told((), (), (), (), (), (), ())


@dataclass
class Played:
    """A play after its end: what was told, what was sent in each of its phases, and the stage it stood on."""

    stage: SimulatedStage
    told: Told
    sent: dict[str, dict[str, set[str]]]
    sender: Sender
    cases: list[KeptCase]
    findings: dict[FindingId, KeptFinding]


async def play(run: str, carriers: Sequence[str], fault: str = "", without: str = "") -> Played:
    """An estate in a calm time, then with a fault or none; these carriers bring every text of the run in both."""
    stage = await warm_stage()
    sender = Sender(stage._cerebro.kernel, stage.ground.topology.names)
    sent: dict[str, dict[str, set[str]]] = {}
    for phase, step_count in ((CALM, CALM_STEPS), (FAULT, FAULT_STEPS)):
        if phase == FAULT and fault:
            await break_it(stage, fault)
        sender.sent = sent[phase] = {}
        for chosen in shares(named(run, without), step_count):
            await step(stage, sender, dict.fromkeys(carriers, chosen))
    return await played(stage, sender, sent)


_warm: list[SimulatedStage] = []  # one to be copied: growing acquainted is the longest part of a play


async def warm_stage() -> SimulatedStage:
    """An estate that has been known and calm for long, and of which nothing poisoned was heard yet."""
    if not _warm:
        stage = SimulatedStage(SERVICES, SEED, Settings())
        await stage.open()
        for _ in range(WARM_STEPS):
            await stage.pass_time(stage.step_s)
        _warm.append(stage)
    return copy.deepcopy(_warm[0])


async def aimed(steps: Sequence[Mapping[str, Sequence[Named]]], fault: str = "", at: str = CULPRIT.name) -> Played:
    """A play in which all texts are brought to one service, step by step, from a minute before the fault."""
    stage = await warm_stage()
    sender = Sender(stage._cerebro.kernel, [at])
    for number, chosen in enumerate(steps):
        if number == BEFORE_STEPS and fault:
            await break_it(stage, fault)
        await step(stage, sender, chosen)
    return await played(stage, sender, {})


async def break_it(stage: SimulatedStage, fault: str) -> Injection:
    """The fault begins."""
    return await stage.ground.inject(fault, seed=4, target=CULPRIT)


async def step(stage: SimulatedStage, sender: Sender, chosen: Mapping[str, Sequence[Named]]) -> None:
    """One interval, in which each carrier brings its texts."""
    for carrier, texts in chosen.items():
        await sender.send(carrier, texts)
    await stage.pass_time(stage.step_s)


async def played(stage: SimulatedStage, sender: Sender, sent: dict[str, dict[str, set[str]]]) -> Played:
    """What came of it."""
    await sender.close()
    async with stage._cerebro.kernel.records.transaction() as transaction:
        cases = [record.value async for record in every(transaction, CASES, DEFAULT_TENANT)]
        findings = {r.value.id: r.value async for r in every(transaction, FINDINGS, DEFAULT_TENANT)}
        actions = [record.value async for record in every(transaction, ACTIONS, DEFAULT_TENANT)]
    cases.sort(key=lambda case: (case.opened_ms, case.entities, case.id))
    told = Told(
        acts=tuple(f"{a.at_ms} {a.operation.name} {a.operation.target.text}" for a in stage._cerebro._acts),
        actions=tuple(sorted(line_of(action) for action in actions)),
        causes=tuple(line for case in cases for line in causes_of(case)),
        words=tuple(
            f"{language}: {line}" for language in LANGUAGES for line in story(stage, cases, findings, language)
        ),
        papers=tuple(line for case in cases for line in papers_of(stage, case, findings, actions)),
        chat=tuple(said_in_chat(action) for action in actions),
        terminal=tuple(line for action in actions for line in printed(action)),
    )
    return Played(stage, told, sent, sender, cases, findings)


def line_of(action: KeptAction) -> str:
    """What was thought of, and what became of it."""
    given = " ".join(f"{name}={value}" for name, value in sorted(action.parameters.items()))
    return f"{action.playbook} {action.target.text} {action.level} {action.state} {given}".strip()


def causes_of(case: KeptCase) -> list[str]:
    """Whom a case blames, for what kind of trouble, and what the evidence says of it."""
    return [f"{c.rank} {c.entity.text} {c.kind} {' '.join(mark.word for mark in c.marks)}".strip() for c in case.causes]


def story(
    stage: SimulatedStage, cases: Sequence[KeptCase], findings: dict[FindingId, KeptFinding], language: str
) -> list[str]:
    """Every sentence of every case, with what changed around it."""
    teller = Teller(language, stage.now_ms(), 0)
    told = [tell(Material(case, findings, changes(stage, case)), teller) for case in cases]
    return [f"{each.part}: {each.text}" for sentences in told for each in sentences]


def changes(stage: SimulatedStage, case: KeptCase) -> Changes:
    """What a store would answer to the story's question, from the events that came."""
    _, start_ms, end_ms = changes_query(case, DEFAULT_TENANT)
    tables = [table for _, table in stage._cerebro._window._tables["events"]]
    rows = [row | {"at_ms": row["at_ns"] // 10**6} for table in tables for row in table.to_pylist()]
    near = [row for row in rows if start_ms <= row["at_ms"] < end_ms]
    return changes_of(case, DEFAULT_TENANT, sorted(near, key=lambda row: row["at_ms"])[:200])


def papers_of(
    stage: SimulatedStage, case: KeptCase, findings: dict[FindingId, KeptFinding], actions: Sequence[KeptAction]
) -> list[str]:
    """What else is written of a case."""
    found = [case.title, case.impact, *(f"{entry.kind}: {entry.text}" for entry in case.timeline)]
    own = [action for action in actions if action.case == case.id]
    for language in LANGUAGES:
        teller = Teller(language, stage.now_ms(), 0)
        sentences = tell(Material(case, findings, changes(stage, case)), teller)
        found += draft(Record(case, sentences, own, ADDRESS), teller).splitlines()
    return found


def said_in_chat(action: KeptAction) -> str:
    """Every message that a chat may get of it."""
    messages = [chat.asked(action, "token", ADDRESS), chat.over(action), chat.answered(action, "anna")]
    return json.dumps(messages, ensure_ascii=False)


def printed(action: KeptAction) -> list[str]:
    """What the command line prints of it: from the API's own JSON."""
    return [clean(line) for line in _told(json.loads(answer(action).body))]


def unquoted(texts: Iterable[str]) -> list[str]:
    """The words of Cerebro's own: each text without what stands in quotation marks."""
    return [QUOTED.sub("“…”", text) for text in texts]
