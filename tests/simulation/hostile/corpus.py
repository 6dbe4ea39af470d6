"""The poisoned texts by class, and for each a harmless twin, which the run that it is held against sends instead."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random

CLASSES: dict[str, list[str]] = json.loads((Path(__file__).parent / "corpus.json").read_text())
TEXTS = {f"{kind}-{number}": text for kind, texts in CLASSES.items() for number, text in enumerate(texts)}


def twin(number: int, text: str) -> str:
    """Twelve letters, always the same; what is no UTF-8 has a twin that is none either, for the doors refuse both."""
    letters = "".join(Random(number).choices("abcdefghiklmnoprstuv", k=12))
    return letters if kept(text) == text else f"{letters}\ud800"


def kept(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return text.encode("utf-8", "replace").decode()


CHOSEN = {"poisoned": TEXTS, "harmless": {name: twin(n, text) for n, (name, text) in enumerate(TEXTS.items())}}


Named = tuple[int, str, str]  # number, name, text


def named(run: str, without: str = "") -> list[Named]:
    """Every text of a run with its number and its name, but for those of a class."""
    every = [(number, name, text) for number, (name, text) in enumerate(CHOSEN[run].items())]
    return [each for each in every if not without or not each[1].startswith(f"{without}-")]


def shares(every: Sequence[Named], step_count: int) -> list[list[Named]]:
    """As many of the texts as each of so many steps has to send, so that all are sent at least once, and begun anew."""
    size = -(-len(every) // step_count)
    around = (every[place % len(every)] for place in range(size * step_count))
    return [list(islice(around, size)) for _ in range(step_count)]
