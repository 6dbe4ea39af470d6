"""Steps on the outside world, described so that they can be shown, approved and undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import ActionId, CaseId, TenantId


class Risk(StrEnum):
    """What an action can break, which decides who must approve it."""

    READ = "read"
    SAFE = "safe"
    GUARDED = "guarded"
    DANGEROUS = "dangerous"


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a playbook on one target."""

    id: ActionId
    tenant: TenantId
    case: CaseId
    playbook: str
    target: EntityKey
    parameters: Mapping[str, str]
    risk: Risk
    predicted: str  # what will change, from the dry run
    undo: str  # the step that reverses it; empty only for READ
    expect: str  # the query and bound that will show it worked
    outcome: str = ""
