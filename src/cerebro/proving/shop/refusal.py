"""Why a service does not give what it was asked for."""


class Refused(Exception):
    """The answer is an HTTP status and a reason.

    Args:
        status: The HTTP status.
        reason: A few words, for the caller and for the log.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
