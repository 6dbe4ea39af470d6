"""What a door refuses a whole request for, beyond what the spine names."""

from cerebro.spine.errors import CerebroError, LimitReached


class BadMethod(CerebroError):
    """The doors take POST and nothing else."""

    code = "method_not_allowed"


class Overrun(LimitReached):
    """The sender is over a limit of its own: its rate, or the series its tenant may have.

    Args:
        detail: What happened.
        mend: What to do about it.
        wait_s: When trying again makes sense.
    """

    code = "overrun"

    def __init__(self, detail: str, mend: str = "", *, wait_s: float = 1.0) -> None:
        super().__init__(detail, mend)
        self.wait_s = wait_s


class Busy(LimitReached):
    """More bodies are on their way in than we hold at once."""

    code = "busy"
    wait_s = 1.0
