"""The post-mortems that people have written in."""

from dataclasses import dataclass

from cerebro.kernel.records.port import Collection
from cerebro.spine.identity import CaseId


@dataclass(frozen=True, slots=True)
class KeptPostMortem:
    """A post-mortem as someone left it; until someone writes in it, it is drafted anew each time."""

    case: CaseId
    markdown: str
    by: str
    saved_ms: int


POST_MORTEMS = Collection("post_mortems", KeptPostMortem)  # by the case's id
