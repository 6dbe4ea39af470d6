"""What a door refuses a whole request for, beyond what the spine names."""

from cerebro.spine.errors import CerebroError, LimitReached


class BadMethod(CerebroError):
    """The doors take POST and nothing else."""

    code = "method_not_allowed"


class Busy(LimitReached):
    """More bodies are on their way in than we hold at once."""

    code = "busy"
    retry_after_s = 1.0
