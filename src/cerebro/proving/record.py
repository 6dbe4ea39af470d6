"""What is kept of a drill, so that anyone can count it again, by another rule too: numbers and names, no words.

All times are milliseconds after the fault began, negative before it; of a quiet stretch, after that began.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from cerebro import __version__
from cerebro.proving.model import Health, Look
from cerebro.proving.watch import Act, Seen
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey

GIT_TIMEOUT_S = 5.0
SHARE_DIGITS, TIME_DIGITS = 5, 1
NOBODY_THERE = Health(0, 0, 0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Felt:
    """What users felt from the start of the fault on, a column each, (look,)."""

    end_ms: tuple[int, ...] = ()
    request_count: tuple[int, ...] = ()
    error_share: tuple[float, ...] = ()
    p95_ms: tuple[float, ...] = ()

    def looks(self) -> list[Look]:
        """The same, look by look."""
        rows = zip(self.end_ms, self.request_count, self.error_share, self.p95_ms, strict=True)
        return [Look(end_ms, Health(0, end_ms, count, share, 0.0, p95_ms)) for end_ms, count, share, p95_ms in rows]


@dataclass(frozen=True, slots=True)
class Blamed:
    """A cause that a case names."""

    entity: EntityKey
    kind: str
    rank: int
    share: float


@dataclass(frozen=True, slots=True)
class CaseTold:
    """A case that was opened.

    Args:
        causes: As they stood when the drill was about to end the fault; of a case opened later, when all was over.
        named: Whom it has named as the likeliest, and when, in the order of time.
        merged_into: The case that it has become a part of; empty for none.
    """

    id: str
    opened_ms: int
    causes: tuple[Blamed, ...] = ()
    named: tuple[tuple[int, str], ...] = ()
    merged_into: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A run as it was seen.

    Args:
        code: Version that played it, with its commit where that is known.
        usual: What users were used to before the fault.
        felt: What they felt from then on.
        until_ms: The end of the last look while the drill had not ended the fault.
        finding_ms: When the first finding was published; -1 for never.
        cases: In the order of their opening, those before the fault included.
        acts: In the order of their beginning, those before the fault included.
    """

    code: str
    usual: Health = NOBODY_THERE
    felt: Felt = field(default_factory=Felt)
    until_ms: int = 0
    finding_ms: int = -1
    cases: tuple[CaseTold, ...] = ()
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True, slots=True)
class Watched:
    """What a stage showed of one fault.

    Args:
        usual: What users were used to.
        during: Looks while the drill had not ended it.
        after: Looks after that.
    """

    usual: Health = NOBODY_THERE
    during: Sequence[Look] = ()
    after: Sequence[Look] = ()


def recorded(start_ms: int, watched: Watched, seen: Seen, then: Seen) -> Record:
    """What is kept of a run.

    Args:
        start_ms: When the fault began.
        watched: What users felt.
        seen: By the watcher, when all was over.
        then: By the same, when the drill was about to end the fault.
    """
    found = (each.seen_ms - start_ms for each in seen.findings if each.seen_ms >= start_ms and not each.cleared)
    before = {case.id: case for case in then.cases}
    return Record(
        code_played(),
        watched.usual,
        _felt([*watched.during, *watched.after], start_ms),
        watched.during[-1].end_ms - start_ms if watched.during else 0,
        min(found, default=-1),
        tuple(_told(case, before.get(case.id, case), start_ms) for case in seen.cases),
        tuple(replace(act, at_ms=act.at_ms - start_ms) for act in seen.acts),
    )


def _felt(looks: Sequence[Look], start_ms: int) -> Felt:
    return Felt(
        tuple(look.end_ms - start_ms for look in looks),
        tuple(look.health.request_count for look in looks),
        tuple(round(look.health.error_share, SHARE_DIGITS) for look in looks),
        tuple(round(look.health.p95_ms, TIME_DIGITS) for look in looks),
    )


def _told(case: Case, then: Case, start_ms: int) -> CaseTold:
    causes = (Blamed(each.entity, each.kind, each.rank, round(each.share, SHARE_DIGITS)) for each in then.causes)
    named = ((line.at_ms - start_ms, line.reference) for line in case.timeline if line.kind == "cause_named")
    return CaseTold(case.id, case.opened_ms - start_ms, tuple(causes), tuple(named), case.labels.get("merged_into", ""))


@cache
def code_played() -> str:
    """The version of this code, with its commit where it is a checkout that git can tell of."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        return f"{__version__}+{_git('describe', '--always', '--dirty', '--exclude=*')}"
    except (OSError, subprocess.SubprocessError):
        return __version__


def _git(*words: str) -> str:
    asked = ["git", "-C", str(Path(__file__).parent), *words]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True)  # noqa: S603  our own words
    return done.stdout.strip()
