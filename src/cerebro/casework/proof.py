"""Nothing is said of a case that is not proved: a sentence cannot be made without evidence that anyone can ask again.

A proof is a question (an engine, a query that runs as it stands, a window) and the digest of what came back. Whoever
doubts a sentence asks again and compares: the same digest, or the data has changed, or it has expired.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from math import isfinite
from types import MappingProxyType
from typing import Any

import msgspec

from cerebro.spine.errors import Invalid
from cerebro.spine.findings import Evidence

CLICKHOUSE = "clickhouse"  # the query is a SELECT over the tenant's telemetry
RECORDS = "records"  # the query names what is kept: `findings/<id>`, `cases/<id>#assignee`, see `casework/reread.py`
ENGINES = frozenset({CLICKHOUSE, RECORDS, "postgres", "host"})
DIGEST_CHARS = 64
FIGURES = 12  # of a fraction: sums added up in another order differ only behind these
NOTHING: Mapping[str, str] = MappingProxyType({})


class Unproved(Invalid):
    """Something was to be said of a case that nothing proves."""

    code = "unproved"


class Part(StrEnum):
    """What a sentence is about, in the order in which a story is told."""

    HURTS = "hurts"
    SINCE = "since"
    OWNER = "owner"
    CAUSE = "cause"
    CHANGED = "changed"
    TRIED = "tried"
    UNKNOWN = "unknown"  # dead ends and gaps


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that is said of a case, and what proves it.

    Args:
        text: In English.
        evidence: At least one; each with a query, a window and the digest of its result.
        part: Where it stands in the story.
        texts: The same in other languages, by their code.

    Raises:
        Unproved: The text is empty, there is no evidence, or some of it cannot be asked again.

    >>> shown = Evidence("", "records", "findings/f1", 0, 1, digest({}))
    >>> Sentence("The load rose.", (shown,), texts={"ru": "Нагрузка выросла."}).said("ru")
    'Нагрузка выросла.'
    >>> Sentence("The load rose.", ())
    Traceback (most recent call last):
        ...
    cerebro.casework.proof.Unproved: Nothing proves the sentence “The load rose.” Give the query that shows it.
    """

    text: str
    evidence: tuple[Evidence, ...]
    part: Part = Part.CAUSE
    texts: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise Unproved("A sentence says nothing.")
        if not self.evidence:
            raise Unproved(f"Nothing proves the sentence “{self.text}”", "Give the query that shows it.")
        for each in self.evidence:
            if fault := fault_of(each):
                raise Unproved(f"The proof of “{self.text}” {fault}.", "Give the query that shows it.")

    def said(self, language: str) -> str:
        """The sentence in this language, or in English where it is not told in it."""
        return self.texts.get(language) or self.text


def fault_of(evidence: Evidence) -> str:
    """Why the evidence cannot be asked again; empty when it can."""
    if evidence.engine not in ENGINES:
        return f"names no engine that can be asked ({evidence.engine!r})"
    if not evidence.query.strip():
        return "has no query"
    if not 0 <= evidence.start_ms <= evidence.end_ms:
        return "has no window"
    if len(evidence.digest) != DIGEST_CHARS or not set(evidence.digest) <= set("0123456789abcdef"):
        return "has no digest of its result"
    return ""


def proof_id(evidence: Evidence) -> str:
    """The name of a proof: the same question has the same name, whatever came back."""
    asked = f"{evidence.engine}\0{evidence.query}\0{evidence.start_ms}\0{evidence.end_ms}"
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def digest(value: object) -> str:
    """SHA-256 of the value's canonical JSON: sorted names, no blanks, UTF-8, fractions to twelve figures."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def digest_of_rows(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The digest of a query's result, the same in whatever order an engine gives the rows."""
    lines = sorted(json.dumps(canonical(row), separators=(",", ":"), ensure_ascii=False) for row in rows)
    return digest({"columns": list(columns), "rows": lines})


def canonical(value: object) -> Any:  # noqa: PLR0911  one line a type
    """The value as JSON can hold it, in one way only.

    >>> canonical({"a": (1, 0.1 + 0.2, float("nan"))})
    {'a': [1, 0.3, None]}
    """
    if isinstance(value, Enum):
        return canonical(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{FIGURES}g}") if isfinite(value) else None
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=value.tzinfo or UTC).timestamp() * 1000)
    if isinstance(value, Decimal | date):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): canonical(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [canonical(inner) for inner in value]
    return canonical(msgspec.to_builtins(value))


def recorded(sentence: str, query: str, value: object, start_ms: int, end_ms: int) -> Evidence:
    """Evidence from what is kept: the query that `casework/reread.py` reads, and what it gives now."""
    sample = {"value": canonical(value)}
    return Evidence(sentence, RECORDS, query, max(start_ms, 0), max(end_ms, start_ms, 0), digest(value), sample)
