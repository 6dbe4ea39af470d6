"""Telemetry is hostile: 225 poisoned texts in logs, labels, spans, events, alerts cause no action and change no word.

The same story is told twice on the same seed: once with the poisoned texts and once with harmless ones in their places.
What Cerebro does and says must be the same to the letter, but for what stands in quotation marks.
"""

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from cerebro.app.inside import SimulatedStage
from cerebro.casework.phrases import Teller
from cerebro.casework.store import CASES, FINDINGS, every
from cerebro.casework.story import Material, tell, titled
from cerebro.kernel.settings import Settings
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import DEFAULT_TENANT, FindingId
from cerebro.spine.telemetry import EVENT_SCHEMA, LOG_SCHEMA, SERIES_SCHEMA, SPAN_SCHEMA, SampleBatch, series_id
from cerebro.spine.wire import Kind, encode_samples, encode_table

TEXTS = {
    f"{kind}-{number}": text
    for kind, texts in json.loads((Path(__file__).parent / "corpus.json").read_text()).items()
    for number, text in enumerate(texts)
}
POISON = [text.encode("utf-8", "replace").decode() for text in TEXTS.values()]
HARMLESS = ["".join(Random(n).choices("abcdefghiklmnoprstuv", k=12)) for n in range(len(POISON))]
SERVICES, SEED = 5, 11
QUIET_STEPS, FAULT_STEPS, A_STEP = 130, 40, 2
FAULT = "hang"


def is_untouched():
    """Nothing that the texts for a shell would make is there."""
    return not Path("/tmp/cerebro-pwned").exists()


@dataclass(frozen=True)
class Told:
    """What Cerebro did and said."""

    acts: tuple[str, ...]
    causes: tuple[tuple[str, str], ...]
    words: tuple[str, ...]


async def play(texts, fault):
    """An estate in a quiet time, then with a fault, these texts in everything it sends besides."""
    stage = SimulatedStage(SERVICES, SEED, Settings())
    await stage.open()
    names, numbers = sorted(stage.ground.topology.names), count()
    for step in range(QUIET_STEPS + FAULT_STEPS):
        if step == QUIET_STEPS and fault:
            await stage.ground.inject(fault, seed=3)
        chosen = [(number, texts[number % len(texts)]) for number, _ in zip(numbers, range(A_STEP), strict=False)]
        await send(stage, chosen, names)
        await stage.pass_time(stage.step_s)
    return await told(stage)


async def send(stage, chosen, names):
    """Each text in a log line, a label, a span, a change and their attributes."""
    bus, now_ms = stage._cerebro.kernel.bus, stage.now_ms()
    whose = [("service", names[number % len(names)]) for number, _ in chosen]
    pairs = list(zip(chosen, whose, strict=True))
    tables = {
        "logs": (Kind.LOGS, LOG_SCHEMA, [log(now_ms, text, key) for (_, text), key in pairs]),
        "traces": (Kind.SPANS, SPAN_SCHEMA, [a_span(now_ms, number, text, key) for (number, text), key in pairs]),
        "events": (Kind.EVENTS, EVENT_SCHEMA, [event(now_ms, number, text, key) for (number, text), key in pairs]),
    }
    for name, (kind, schema, rows) in tables.items():
        body = encode_table(kind, pa.Table.from_pylist(rows, schema=schema))
        await bus.publish(f"telemetry.{DEFAULT_TENANT}.{name}", body, dedup_key=f"{name}-{now_ms}")
    body = encode_samples(samples(now_ms, chosen, whose))
    await bus.publish(f"telemetry.{DEFAULT_TENANT}.metrics", body, dedup_key=f"samples-{now_ms}")


def log(now_ms, text, key):
    said = {"severity": 9, "severity_text": text[:20], "body": text, "service": key[1], "scope": text[:50]}
    ids = {"trace_id": "", "span_id": "", "attributes": [("note", text)], "resource": [("note", text)]}
    at = {"at_ns": now_ms * 10**6, "observed_ns": now_ms * 10**6}
    return {**at, **said, **ids, "entity_kind": key[0], "entity_name": key[1]}


def a_span(now_ms, number, text, key):
    ids = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}", "parent_span_id": ""}
    said = {"name": text, "kind": 1, "status": 0, "status_message": text, "service": key[1], "scope": text[:50]}
    maps = {"attributes": [("note", text)], "resource": [("note", text)], "events": "[]", "links": "[]"}
    at = {"at_ns": now_ms * 10**6, "duration_ns": 5 * 10**6}
    return {**at, **ids, **said, **maps, "entity_kind": key[0], "entity_name": key[1]}


def event(now_ms, number, text, key):
    body = json.dumps({"note": text})
    said = {"kind": "note", "source": text[:50], "title": text, "body": body, "id": f"poison-{number}"}
    return {"at_ns": now_ms * 10**6, **said, "entity_kind": key[0], "entity_name": key[1]}


def samples(now_ms, chosen, whose):
    """A steady gauge a text, with the text as a label."""
    rows = []
    for (_, text), key in zip(chosen, whose, strict=True):
        labels = {"note": text or "-", "service.name": key[1]}
        hi, lo = series_id("poison.gauge", labels)
        rows.append(
            {
                "hi": hi, "lo": lo, "metric": "poison.gauge", "labels": list(labels.items()), "type": "gauge",
                "unit": "1", "entity_kind": key[0], "entity_name": key[1],
            }
        )  # fmt: skip
    ids = [np.array([row[part] for row in rows], np.uint64) for part in ("hi", "lo")]
    at_ms, values = np.full(len(rows), now_ms, np.int64), np.full(len(rows), 0.5)
    return SampleBatch(*ids, at_ms, values, pa.Table.from_pylist(rows, schema=SERIES_SCHEMA))


async def told(stage):
    """Actions, causes, and every sentence of every case."""
    kernel = stage._cerebro.kernel
    async with kernel.records.transaction() as transaction:
        cases = [record.value async for record in every(transaction, CASES, DEFAULT_TENANT)]
        findings = {r.value.id: r.value async for r in every(transaction, FINDINGS, DEFAULT_TENANT)}
    cases.sort(key=lambda case: (case.opened_ms, case.title))
    teller = Teller("en", stage.now_ms(), 0)
    acts = [f"{act.at_ms} {act.operation.name} {act.operation.target.text}" for act in stage._cerebro._acts]
    sentences = [
        re.sub("“[^”]*”", "“…”", each.text) for case in cases for each in tell(Material(case, findings), teller)
    ]
    causes = [(cause.entity.text, cause.kind) for case in cases for cause in case.causes]
    return Told(tuple(acts), tuple(causes), tuple(sentences))


def test_there_are_two_hundred_different_texts():
    assert len(set(TEXTS.values())) >= 200


async def test_poisoned_telemetry_alone_opens_nothing_and_does_nothing():
    said = await play(POISON, "")
    assert said.acts == ()
    assert is_untouched()


async def test_what_is_done_and_said_of_a_fault_is_the_same_with_poison_around_it():
    harmless, poisoned = await play(HARMLESS, FAULT), await play(POISON, FAULT)
    assert harmless.words, "the fault made no case: this would show nothing"
    assert poisoned.acts == harmless.acts
    assert poisoned.causes == harmless.causes
    assert poisoned.words == harmless.words
    assert is_untouched()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_poisoned_alert_is_shown_as_a_line_of_text(name):
    """What came in an alert's title is one line without a letter that steers a terminal or the way of reading."""
    proof = Evidence("It fired.", "records", "findings/f", 0, 1, "0" * 64)
    alert = Finding(
        FindingId("f"), DEFAULT_TENANT, "alertmanager", "alert", EntityKey("service", "pay"), 0, 1, Severity.MAJOR,
        1.0, 1.0, "alert", TEXTS[name], (proof,), "k",
    )  # fmt: skip
    shown = titled(alert, Teller("en", 1, 0))
    steering = [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")]
    assert steering == []
    assert len(shown) <= 500
    assert replace(alert, title=shown).title == titled(replace(alert, title=shown), Teller("en", 1, 0))
