"""The troubles that one case has had, one after the other: it is diagnosed for the newest; those before are over."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cerebro.casework.quiet import EDGE_MS, Stretch
from cerebro.spine.cases import Case
from cerebro.spine.findings import Finding

# So long nothing may be off before what comes then is another trouble, unless the case was resolved meanwhile: signs of
# one trouble come and go. It is as long as signals stay clear, by default, before a case resolves itself.
CALM_MS = 60_000
NEVER_MS = 1 << 60


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is diagnosed.

    Args:
        case: As if it had been opened for this trouble alone.
        findings: That tell of it.
        before: The times of the troubles that the case had before, with their edges.
    """

    case: Case
    findings: Sequence[Finding]
    before: tuple[Stretch, ...] = ()


def newest_trouble(case: Case, findings: Sequence[Finding]) -> Trouble:
    """The trouble that a case is in, or was in last."""
    *earlier, newest = _parted(case, findings) or [[]]
    if not earlier:
        return Trouble(case, findings)
    signs = [sign for sign, _ in newest]
    began_ms, noticed_ms = min(sign.at_ms for sign in signs), min(sign.seen_ms for sign in signs)
    before = tuple(
        (min(sign.at_ms for sign, _ in part) - EDGE_MS, max(over_ms for _, over_ms in part) + EDGE_MS)
        for part in earlier
    )
    return Trouble(replace(case, began_ms=began_ms, opened_ms=noticed_ms), signs, before)


def _parted(case: Case, findings: Iterable[Finding]) -> list[list[tuple[Finding, int]]]:
    """The signs of each trouble with when they were over, the oldest first."""
    reopened = [entry.at_ms for entry in case.timeline if entry.kind == "reopened"]
    parts: list[list[tuple[Finding, int]]] = []
    calm_ms = 0  # since when nothing is off that was told until then
    for sign, over_ms in _lasting(case, findings):
        again = any(calm_ms < at_ms <= over_ms for at_ms in reopened) or sign.at_ms - calm_ms >= CALM_MS
        if not parts or (sign.seen_ms > calm_ms and again):
            parts.append([])
        parts[-1].append((sign, over_ms))
        calm_ms = max(calm_ms, over_ms)
    return parts


def _lasting(case: Case, findings: Iterable[Finding]) -> Iterator[tuple[Finding, int]]:
    """Every sign with when it was seen to be over, as they were noticed.

    What is neither seen to be over nor followed by the case any more tells of the moment in which it was noticed.
    """
    told = sorted(findings, key=lambda each: (each.seen_ms, each.id))
    for sign in told:
        if not sign.cleared:
            ends = (each.seen_ms for each in told if each.cleared and each.dedup_key == sign.dedup_key)
            still_ms = NEVER_MS if sign.dedup_key in case.active_keys else sign.seen_ms
            yield sign, min((at_ms for at_ms in ends if at_ms >= sign.seen_ms), default=still_ms)
