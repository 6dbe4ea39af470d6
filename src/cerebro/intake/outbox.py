"""Messages that wait for the bus, in order, at most so many."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from cerebro.intake import metrics
from cerebro.kernel.bus.port import Bus
from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import LimitReached, Unavailable

log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to come. It is encoded when it is sent, for it may then know more of what the bus has.

    Args:
        subject: Where to.
        dedup_key: The same for every attempt.
        encode: Gives the body, and what to do once the bus has it.
    """

    subject: str
    dedup_key: str
    encode: Callable[[], tuple[bytes, Callable[[], None]]]


@dataclass(slots=True)
class Outbox:
    """Keeps letters while the bus does not take them; drops the oldest when there are too many, and counts.

    Args:
        bus: Where they go.
        letters_max: How many may wait.
    """

    bus: Bus
    letters_max: int
    _waiting: deque[Letter] = field(default_factory=deque)
    _why: str = ""  # why the last attempt failed; empty while the bus takes what it is given

    def __len__(self) -> int:
        return len(self._waiting)

    def post(self, letter: Letter) -> None:
        """Put the letter last in the queue."""
        if len(self._waiting) >= self.letters_max:
            self._waiting.popleft()
            metrics.LETTERS_DROPPED.labels(self._why or "too_slow").inc()
        self._waiting.append(letter)

    async def send(self) -> None:
        """Send what waits, oldest first, until the bus refuses; the rest keeps its place."""
        while self._waiting:
            letter = self._waiting[0]
            body, stored = letter.encode()
            try:
                await self.bus.publish(letter.subject, body, dedup_key=letter.dedup_key)
            except (Unavailable, LimitReached) as error:
                self._refused(error)
                return
            stored()
            metrics.LETTERS_SENT.inc()
            if self._waiting and self._waiting[0] is letter:  # it may have been dropped while it was on its way
                self._waiting.popleft()
            self._taken()

    def _refused(self, error: Unavailable | LimitReached) -> None:
        if not self._why:
            log.warning("observer_messages_held", reason=error.code, waiting_count=len(self._waiting))
        self._why = error.code

    def _taken(self) -> None:
        if self._why:
            log.info("observer_messages_flow_again", waiting_count=len(self._waiting))
        self._why = ""
