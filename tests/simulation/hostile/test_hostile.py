"""Telemetry is hostile: poisoned texts in every place that telemetry has for one cause no action and change no word.

The same story is told twice on the same seed: once with the poisoned texts and once with harmless ones in their places.
What Cerebro does and says must be the same to the letter, but for what stands in quotation marks.
"""

from dataclasses import fields
from pathlib import Path

import pytest

from .corpus import CLASSES, TEXTS
from .plays import CALM, FAULT, NOTHING, Played, Told, play, unquoted
from .sender import AROUND

FAULT_OF = "hang"
NEW = {"quotes", "slack", "surrogate", "trigger", "imitation"}
SHELL_MARK = Path("/tmp/cerebro-pwned")  # what the texts for a shell would make


def test_there_are_hundreds_of_different_texts_of_every_class():
    assert len(set(TEXTS.values())) == len(TEXTS) >= 300
    assert {"prompt", "shell", "sql", "template", "ansi", "html", "unicode", "odd"} | NEW == set(CLASSES)
    assert min(map(len, CLASSES.values())) >= 10


@pytest.mark.parametrize("carriers", [AROUND, ("errors",), ("deploys",), ("metric_names",), ("strangers",)])
async def test_poisoned_telemetry_alone_opens_nothing_says_nothing_and_does_nothing(carriers):
    quiet = await play("poisoned", carriers)

    assert all_was_sent(quiet, carriers)
    assert quiet.told == NOTHING
    assert is_untouched()


@pytest.mark.parametrize("carriers", [AROUND, ("errors",), ("deploys",)])
async def test_what_is_done_and_said_of_a_fault_is_the_same_with_poison_around_it(carriers):
    harmless, poisoned = await play("harmless", carriers, FAULT_OF), await play("poisoned", carriers, FAULT_OF)

    assert harmless.told.acts and harmless.told.causes and harmless.told.words, "this would show nothing"
    assert all_was_sent(poisoned, carriers)
    assert differences(harmless.told, poisoned.told) == {}
    assert is_untouched()


async def test_poison_in_the_names_of_metrics_does_nothing_and_blames_nobody():
    carriers = ("metric_names",)
    harmless = await play("harmless", carriers, FAULT_OF, without="trigger")
    poisoned = await play("poisoned", carriers, FAULT_OF, without="trigger")

    assert harmless.told.acts and harmless.told.causes
    assert differences(harmless.told, poisoned.told) == {}


async def test_poison_in_the_names_of_things_does_nothing_and_blames_nobody():
    """What is told of such things has their names in it, and whose turn it is to be told goes by name."""
    carriers = ("strangers",)
    harmless, poisoned = await play("harmless", carriers, FAULT_OF), await play("poisoned", carriers, FAULT_OF)

    assert harmless.told.acts and harmless.told.causes
    assert all_was_sent(poisoned, carriers)
    assert differences(harmless.told, poisoned.told).keys() <= {"words", "papers"}
    assert is_untouched()


async def test_what_a_door_refuses_is_no_text():
    """A refusal is no way around the other tests: only what is no UTF-8 is refused."""
    poisoned = await play("poisoned", (*AROUND, "errors", "deploys", "metric_names", "strangers"))

    assert {refused.status for refused in poisoned.sender.refused} == {400}
    whys = [refused.why for refused in poisoned.sender.refused]
    assert [why for why in whys if "surrogate" not in why and "invalid_utf8" not in why] == []


def all_was_sent(told: Played, carriers: tuple[str, ...]) -> bool:
    """Every text by every carrier, in the calm and while something was broken."""
    return told.sent == {phase: {carrier: set(TEXTS) for carrier in carriers} for phase in (CALM, FAULT)}


def differences(harmless: Told, poisoned: Told) -> dict[str, list[tuple[str, str]]]:
    """What Cerebro did or said otherwise; digests of proofs are of what came, and seldom the same."""
    found = {}
    for each in fields(Told):
        left, right = (
            [line for line in unquoted(getattr(told, each.name)) if "SHA-256" not in line]
            for told in (harmless, poisoned)
        )
        if left != right:
            pairs = [(one, other) for one, other in zip(left, right, strict=False) if one != other]
            found[each.name] = pairs or [(f"{len(left)} lines", f"{len(right)} lines")]
    return found


def is_untouched() -> bool:
    """Nothing that the texts for a shell would make is there."""
    return not SHELL_MARK.exists()
