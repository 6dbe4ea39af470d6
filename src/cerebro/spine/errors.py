"""What can fail, by stable code. A refusal is a value; a bug is an `assert`; this is the rest."""

from typing import ClassVar


class CerebroError(Exception):
    """A failure with a stable code, one sentence of what happened and one of what to do.

    Args:
        detail: What happened, in the reader's words, with the names and limits concerned.
        mend: What to do about it; empty when trying again is all there is to do.
    """

    code: ClassVar[str] = "internal"
    retry: ClassVar[bool] = False  # the same call may succeed later, unchanged

    def __init__(self, detail: str, mend: str = "") -> None:
        super().__init__(f"{detail} {mend}".strip())
        self.detail = detail
        self.mend = mend


class Invalid(CerebroError):
    """The input is wrong: the same call can never succeed."""

    code = "invalid"


class TooLarge(Invalid):
    """The input is larger than the limit that the detail names."""

    code = "too_large"


class Unauthenticated(CerebroError):
    """No credential, or one that is wrong or has expired."""

    code = "unauthenticated"


class Forbidden(CerebroError):
    """A good credential that may not do this."""

    code = "forbidden"


class NotFound(CerebroError):
    """Nothing of that name in this tenant."""

    code = "not_found"


class Conflict(CerebroError):
    """Someone else changed it first. Load again, decide again."""

    code = "conflict"


class LimitReached(CerebroError):
    """A stated limit is reached: slow down and try again."""

    code = "limit_reached"
    retry = True


class Unavailable(CerebroError):
    """An engine does not answer now; what was asked may be asked again."""

    code = "unavailable"
    retry = True
