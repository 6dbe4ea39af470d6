"""What a drill tells the console: the same story as the terminal's, kept whole and sent again at every look.

It is sent as often in the quiet stretch as in the fault, so that the bare fact of a message says nothing. A console
that cannot be reached is missed by nobody: the drill goes on, and the next look brings all of it.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from cerebro.cli.client import Client
from cerebro.cli.out import clean
from cerebro.proving.model import Injection, Look
from cerebro.spine.errors import CerebroError

STEPS_MAX, LOOKS_MAX = 140, 300
TEXT_CHARS_MAX, TITLE_CHARS_MAX = 600, 300


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was seen, and the finding or the case that it is of."""

    at_ms: int
    what: str
    text: str
    finding: str = ""
    case: str = ""


@dataclass(frozen=True, slots=True)
class Felt:
    """What users felt over one look."""

    at_ms: int
    error_share: float
    p95_ms: float


@dataclass(slots=True)
class Story:
    """A drill as far as it has come, as `PUT /drills/{id}` takes it."""

    began_ms: int
    until_ms: int
    kind: str = ""
    title: str = ""
    symptom: str = ""
    entity: str = ""
    phase: str = "quiet"
    fault_ms: int = 0
    steps: list[Step] = field(default_factory=list)
    felt: list[Felt] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)


class Board:
    """Keeps the story and sends it."""

    def __init__(self, client: Client, drill_id: str, story: Story) -> None:
        self._client, self._id, self.story = client, drill_id, story

    def inject(self, injection: Injection, until_ms: int) -> None:
        """The fault is in."""
        fault, story = injection.fault, self.story
        story.kind, story.title, story.symptom = fault.kind, fault.title[:TITLE_CHARS_MAX], fault.symptom
        story.entity, story.fault_ms = injection.target.text, injection.start_ms
        self.turn("fault", until_ms)

    def turn(self, phase: str, until_ms: int = 0) -> None:
        """Another part of the drill begins, or all of it is over."""
        self.story.phase, self.story.until_ms = phase, until_ms

    def note(self, step: Step) -> None:
        """Something was seen."""
        text = clean(step.text)[:TEXT_CHARS_MAX]
        self.story.steps = [*self.story.steps, Step(step.at_ms, step.what, text, step.finding, step.case)][:STEPS_MAX]

    def look(self, look: Look) -> None:
        """What users felt."""
        seen = Felt(look.end_ms, look.health.error_share, look.health.p95_ms)
        self.story.felt = [*self.story.felt, seen][-LOOKS_MAX:]

    async def send(self) -> None:
        """Tell all of it."""
        with suppress(CerebroError):
            await asyncio.to_thread(self._client.put, f"/api/v1/drills/{self._id}", asdict(self.story))
