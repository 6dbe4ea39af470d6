"""Actions as they are kept: what the hands write, and whoever asks for what Cerebro did itself reads."""

from dataclasses import dataclass

from cerebro.kernel.records.port import Collection
from cerebro.spine.actions import Action


@dataclass(frozen=True, slots=True)
class KeptAction(Action):
    """An action, with what it is looked for by."""

    open: bool = True
    under_way: bool = False


ACTIONS = Collection(
    "actions",
    KeptAction,
    ("case", "playbook", "target", "state", "open", "under_way", "due_ms", "made_ms", "started_ms"),
)
