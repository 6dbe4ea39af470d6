"""Which of many changes could have done this: changes of code held against what the incident says of itself.

Nearness in time accuses nobody: the newest deploy is as a rule innocent. What counts is whether the lines that were
changed speak of what fails, and whether they change what the program does: a limit, a literal, a check, a call. Words
that many changes share say little (K. Spärck Jones, A Statistical Interpretation of Term Specificity and Its
Application in Retrieval, Journal of Documentation 28 (1972), 11-21); changes of tests, documents and looks say nothing.
Some incidents are no change's doing at all: more load, a supplier's failure, a bad record, an end of validity.

Text from outside is compared word by word, and never obeyed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
NUMBER = re.compile(r"\b\d+(?:\.\d+)*[a-z]{0,2}\b")
LITERAL = re.compile(r"\"([^\"]{2,})\"|'([^']{2,})'|`([^`]{2,})`")
CALL = re.compile(r"([A-Za-z_]\w+)\s*\(")
HARMLESS = re.compile(
    r"(_test\.|\.test\.|_spec\.|\.spec\.|(^|/)tests?/|testdata|\.md$|(^|/)docs?/|changelog|license|\.golangci|\.github"
    r"|codeowners|\.gitignore|\.editorconfig)",
    re.IGNORECASE,
)
SELDOM = re.compile(r"(\.css$|\.scss$|\.html$|\.[jt]sx$|\.svg$|theme|logging\.|/metrics?\.)", re.IGNORECASE)
SELDOM_PART = 0.3  # of the effect of a change of looks, or of what is only told: it seldom breaks a service, but it can
TURNED = re.compile(r"\b(true|false|enabled|disabled)\b|[<>=!]=|&&|\|\||(?<![-=<>])[<>](?![=<>])|\s+", re.IGNORECASE)
PINS = re.compile(r"(go\.(mod|sum)|package(-lock)?\.json|requirements.*\.txt|\.lock|pom\.xml|build\.gradle)$")
COMMON = frozenset(
    {
        "the",
        "and",
        "for",
        "with",
        "from",
        "that",
        "this",
        "not",
        "err",
        "error",
        "failed",
        "return",
        "func",
        "nil",
        "true",
    }
    | {
        "false",
        "string",
        "int",
        "new",
        "get",
        "set",
        "pkg",
        "services",
        "service",
        "svc",
        "data",
        "info",
        "warn",
        "log",
    }
    | {"request", "response"}
)
CHARS_MAX = 20_000  # of one diff
SUSPECT_MIN = 1.0  # a change that scores less is not named
OPERATIONAL = (  # what no change does, by what it says; and what helps
    (
        "capacity",
        "scale",
        re.compile(r"overload|shedding|saturat.*queue|pool saturated|desired replicas|pods? pending", re.I),
    ),
    (
        "external",
        "failover",
        re.compile(r"service ?unavailable|slow ?down|region=|provider|third[- ]party|throttl", re.I),
    ),
    ("data", "purge-bad-data", re.compile(r"poison|malformed|out of range|invalid record|redeliver|corrupt", re.I)),
    ("config", "rotate-cert", re.compile(r"certificate (has )?expired|x509|cert.*not ?after", re.I)),
    ("resource", "free-disk", re.compile(r"no space left|disk full|read-only file system", re.I)),
    ("external", "failover", re.compile(r"dns|no such host|name resolution|network unreachable|packet loss", re.I)),
    ("capacity", "raise-limit", re.compile(r"quota (was )?exceeded|rate limit|too many requests", re.I)),
)


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of code."""

    id: str
    at_ms: int
    files: tuple[str, ...]
    diff: str  # unified, as far as it is known


@dataclass(frozen=True, slots=True)
class Told:
    """What an incident says of itself.

    Args:
        lines: Texts with how often each was said more than usual; the loudest errors, the alert, the failing spans.
        onset_ms: When it began: what came later is innocent.
        load: How many times more was asked than usual, by service.
        stuck: The share of failing lines that are about one and the same thing, 0 … 1.
    """

    lines: Sequence[tuple[str, float]]
    onset_ms: int
    load: Sequence[float] = ()
    stuck: float = 0.0


@dataclass(frozen=True, slots=True)
class Suspect:
    """A change with how much speaks for it, and the words that do."""

    id: str
    score: float
    words: tuple[str, ...]


def suspects(patches: Sequence[Patch], told: Told) -> list[Suspect]:
    """The changes that could have done it, the likeliest first; empty when none could."""
    early = [patch for patch in patches if patch.at_ms <= told.onset_ms]
    heard = _heard(told)
    texts = {patch.id: _changed(patch) for patch in early}
    spread = Counter(word for words in texts.values() for word in set(words))
    found = [_suspect(patch, texts[patch.id], heard, spread, len(early)) for patch in early]
    return sorted((each for each in found if each.score >= SUSPECT_MIN), key=lambda each: (-each.score, each.id))


def operational(told: Told) -> tuple[str, str] | None:
    """The kind and the remedy of an incident that no change made; None when nothing says so."""
    surged = [each for each in told.load if each >= 2.0]
    if len(surged) >= 2 and len(surged) >= 0.75 * len(told.load):
        return "capacity", "scale"
    total = sum(weight for _, weight in told.lines) or 1.0
    for kind, remedy, words in OPERATIONAL:
        share = sum(weight for text, weight in told.lines if words.search(text)) / total
        if kind == "data" and share >= 0.25 and told.stuck >= 0.5:
            return kind, remedy
        if kind not in ("data", "capacity") and share >= 0.4:
            return kind, remedy
        if kind == "capacity" and share >= 0.6 and len(surged) >= 1:
            return kind, remedy
    return None


def words_of(text: str) -> list[str]:
    """Words of a text, identifiers taken apart as well as whole.

    >>> words_of("CatalogMapping title_field")
    ['catalogmapping', 'catalog', 'mapping', 'title_field', 'title', 'field']
    """
    found: list[str] = []
    for whole in re.findall(r"[A-Za-z][\w-]*", text):
        parts = [
            part for piece in re.split(r"[_\-]", whole) for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", piece)
        ]
        found += [whole.lower()] if len(parts) > 1 else []
        found += [part.lower() for part in parts]
    return [word for word in found if len(word) > 2 and word not in COMMON]


def _heard(told: Told) -> dict[str, float]:
    """The words of the incident, each with the weight of the loudest line that says it."""
    heard: dict[str, float] = {}
    for text, weight in told.lines:
        for word in set(words_of(text)):
            heard[word] = max(heard.get(word, 0.0), log(1.0 + weight))
    most = max(heard.values(), default=1.0) or 1.0
    return {word: weight / most for word, weight in heard.items()}


def _lines(patch: Patch) -> tuple[list[str], list[str]]:
    """What was taken away, and what was put in."""
    lines = patch.diff[:CHARS_MAX].splitlines()
    gone = [line[1:] for line in lines if line.startswith("-") and not line.startswith("---")]
    put = [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]
    return gone, put


def _changed(patch: Patch) -> list[str]:
    gone, put = _lines(patch)
    heads = [line for line in patch.diff.splitlines() if line.startswith("@@")]
    return words_of("\n".join((*gone, *put, *heads, *patch.files)))


def _suspect(patch: Patch, words: Sequence[str], heard: dict[str, float], spread: Counter[str], count: int) -> Suspect:
    shared = sorted(set(words) & heard.keys())
    weight = {word: heard[word] * log((1 + count) / (1 + spread[word])) * _telling(word) for word in shared}
    best = sorted(weight, key=lambda word: (-weight[word], word))[:8]
    match = sum(weight[word] for word in best)
    return Suspect(patch.id, round(match * effect_of(patch), 6), tuple(best))


def _telling(word: str) -> float:
    """A whole identifier says more than a common word."""
    return 2.0 if "_" in word or "-" in word or len(word) >= 12 else 1.0


def effect_of(patch: Patch) -> float:
    """How far a change can change what the program does: 0 for none, 1 for a tidying, more for each way.

    >>> effect_of(Patch("a", 0, ("docs/a.md",), "+ttl = 15"))
    0.0
    >>> effect_of(Patch("a", 0, ("cache.go",), "-ttl = 15m\\n+ttl = 15s")) > 1.0
    True
    """
    if not patch.diff.strip() or all(HARMLESS.search(name) for name in patch.files):
        return 0.0
    gone, put = _lines(patch)
    before, after = "\n".join(gone), "\n".join(put)
    effect = 0.6
    if not all(PINS.search(name) for name in patch.files):
        effect += 0.6 * bool(gone) * _differ(NUMBER, before, after)
        effect += 0.6 * _lost(_literals(before), _literals(after))
    effect += 0.5 * _lost(CALL.findall(before), CALL.findall(after)) * (len(gone) > len(put))
    effect += 0.5 * (before.count("if ") > after.count("if "))
    effect += 0.6 * _turned(gone, put)
    effect += 0.5 * bool(re.search(r"\b(for|range|while)\b", after) and re.search(r"select |query|get", after, re.I))
    effect += 0.4 * bool(re.search(r"\bselect\b|\bfrom\b \w+|create|insert", after, re.I) and not gone)
    seldom = all(SELDOM.search(name) or HARMLESS.search(name) for name in patch.files)
    return effect * (SELDOM_PART if seldom else 1.0)


def _turned(gone: Sequence[str], put: Sequence[str]) -> bool:
    """Whether a line became another that differs in a comparison or a truth value only.

    >>> _turned(["if used < limit {"], ["if used <= limit {"]), _turned(["a = b"], ["a  = b"])
    (True, False)
    """
    before = {TURNED.sub("", line): "".join(line.split()) for line in gone}
    return any(before.get(TURNED.sub("", line), "".join(line.split())) != "".join(line.split()) for line in put)


def _literals(text: str) -> list[str]:
    return ["".join(groups) for groups in LITERAL.findall(text)]


def _differ(pattern: re.Pattern[str], before: str, after: str) -> bool:
    return bool(pattern.findall(before)) and Counter(pattern.findall(before)) != Counter(pattern.findall(after))


def _lost(before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether something of before is nowhere after."""
    return bool(set(before) - set(after))
