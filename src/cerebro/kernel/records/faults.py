"""PostgreSQL's errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from cerebro.spine.errors import CerebroError, Conflict, Invalid, LimitReached, Unavailable

CROSSED = (
    errors.UniqueViolation,
    errors.ExclusionViolation,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction, errors.TransactionTimeout)


@contextmanager
def postgres_faults() -> Iterator[None]:
    """Raise a child of `CerebroError` for what the database can fail with; let its bugs through."""
    try:
        yield
    except psycopg.Error as error:
        if (ours := _ours(error)) is None:
            raise
        raise ours from error


def _ours(error: psycopg.Error) -> CerebroError | None:
    if isinstance(error, CROSSED):
        return Conflict("Two changes crossed in the database.", "Load again, decide again.")
    if isinstance(error, errors.QueryCanceled):
        return Unavailable("The database took longer than a statement may.", "Try again; ask for less at once.")
    if isinstance(error, errors.DiskFull):
        return LimitReached("The database has no room on its disk.", "Free some: cerebro doctor says where.")
    if isinstance(error, psycopg.DataError):
        return Invalid(f"The database cannot store this value: {error.diag.message_primary}.")
    if isinstance(error, AWAY):
        return Unavailable(
            "The database does not answer.", "Try again in a moment; cerebro status shows whether it runs."
        )
    return None
