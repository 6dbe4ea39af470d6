"""What rules of correlation would have done: the findings of the past, brought into cases by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from cerebro.casework.correlate import Docket, Limits, Ties
from cerebro.casework.decide import decide
from cerebro.spine.cases import Case
from cerebro.spine.findings import Finding
from cerebro.spine.identity import CaseId

JOINS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class WouldJoin:
    """A join that the rules would have made."""

    finding: str
    title: str
    entity: str
    at_ms: int
    case_title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the findings."""

    finding_count: int
    case_count: int
    joins: Sequence[WouldJoin]  # across entities, the latest; those of one entity go without saying

    @property
    def findings_per_case(self) -> float:
        """How many findings one case stands for."""
        return round(self.finding_count / max(1, self.case_count), 2)


def replayed(findings: Sequence[Finding], ties: Ties, limits: Limits) -> Outcome:
    """Bring findings into cases by these ties, in the order they were seen.

    Times of rest are cut short: a case that nothing was heard of for as long as it takes to resolve and to be reopened
    is over.
    """
    docket, cases, ids, joins = Docket(), dict[CaseId, Case](), count(1), list[WouldJoin]()
    rest_ms = limits.hold_ms + limits.reopen_ms
    opened = 0
    for finding in sorted(findings, key=lambda each: (each.seen_ms, each.id)):
        if finding.cleared:
            continue
        for line in list(docket.lines.values()):
            if max(spot.last_ms for spot in line.spots.values()) < finding.at_ms - rest_ms:
                docket.drop(line.id)
        joining = docket.joining(finding, limits, ties)
        found = [cases[case_id] for case_id in joining.cases]
        made = decide(finding, found, joining.reason, (), now_ms=finding.seen_ms, new_id=lambda: f"case {next(ids)}")
        opened += 1 - len(found)
        if found and any(finding.entity not in {spot.entity for spot in case.spots} for case in found):
            first = found[0]
            joins.append(
                WouldJoin(finding.id, finding.title, finding.entity.text, finding.at_ms, first.title, joining.reason)
            )
        for case in made.changed:
            cases[case.id] = case
            if case.id in joining.cases[1:]:
                docket.drop(case.id)
            else:
                docket.put(case)
    return Outcome(sum(not each.cleared for each in findings), opened, joins[::-1][:JOINS_SHOWN])
