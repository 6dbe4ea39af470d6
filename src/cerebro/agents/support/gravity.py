"""How grave a log line is, from its words too: senders often say INFO of an error, or nothing at all.

The words of Russian and English that everyone uses for trouble are the beginning; what other words mean is learned from
lines whose level is told, as the log-odds of error against the rest. A template is grave when its level says so, or
when its words do. Words that deny ("0 errors", "no error", "без ошибок") take it back.

Source: the log-odds with a prior are those of naive Bayes; B. L. Monroe et al., Fightin' Words, Political Analysis 16
(2008), 372-403, for the prior.
"""

import re
from dataclasses import dataclass, field
from math import log

ERROR_LEVEL, WARN_LEVEL = 17, 13  # OpenTelemetry severity numbers
GRAVE = re.compile(
    r"error|fail|fatal|panic|exception|traceback|denied|refus|reject|crash|abort|corrupt|unreachable|unavailable"
    r"|timed? ?out|timeout|out of memory|oom|kill|segfault|deadlock|cannot|can't|could not|unable|invalid|lost"
    r"|exhaust|overflow|broken|disconnect|critical|emerg"
    r"|ошибк|отказ|исключени|сбой|сбо[ейя]|авари|критич|недоступ|паник|не удал|невозможн|прерван|потер|истек|отклон"
    r"|превышен|поврежд|запрещ",
    re.IGNORECASE,
)
DENIED = re.compile(r"\b(no|0|zero|without|<\*>) (error|fail)|without error|no error|без ошиб|успешно", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]{3,}")
WORDS_MAX = 5000
SURE = 3.0  # log-odds from which learned words make a line grave
SEEN_MIN = 20


@dataclass(slots=True)
class Lexicon:
    """How often each word stood in lines of level error or worse, and in the others. `learn` changes it."""

    words: dict[str, tuple[int, int]] = field(default_factory=dict)
    grave: int = 0
    other: int = 0


def learn(lexicon: Lexicon, text: str, level: int) -> None:
    """Take in one template whose lines told a level; 0 teaches nothing."""
    if level == 0:
        return
    is_grave = level >= ERROR_LEVEL
    lexicon.grave += is_grave
    lexicon.other += not is_grave
    for word in {each.lower() for each in WORD.findall(text)}:
        grave, other = lexicon.words.get(word, (0, 0))
        if word in lexicon.words or len(lexicon.words) < WORDS_MAX:
            lexicon.words[word] = (grave + is_grave, other + (not is_grave))


def is_grave(lexicon: Lexicon, text: str, level: int) -> bool:
    """Whether lines of this template tell of trouble.

    >>> plain = Lexicon()
    >>> [is_grave(plain, each, 9) for each in ("payment failed: <*>", "сбой связи с базой", "done with 0 errors", "ok")]
    [True, True, False, False]
    """
    if level >= ERROR_LEVEL:
        return True
    if DENIED.search(text):
        return False
    return bool(GRAVE.search(text)) or _odds(lexicon, text) >= SURE


def _odds(lexicon: Lexicon, text: str) -> float:
    """Log-odds of the gravest word, given what levels have taught; 0 before enough was seen."""
    if lexicon.grave < SEEN_MIN or lexicon.other < SEEN_MIN:
        return 0.0
    best = 0.0
    for word in {each.lower() for each in WORD.findall(text)}:
        grave, other = lexicon.words.get(word, (0, 0))
        if grave + other >= SEEN_MIN:
            odds = log((grave + 0.5) / (lexicon.grave + 1.0)) - log((other + 0.5) / (lexicon.other + 1.0))
            best = max(best, odds)
    return best
