"""The one way a function is compiled here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def native(function: F) -> F:
    """Compile the function with numba at its first call; the machine code is kept for the next start.

    It runs without the interpreter's lock, and a division by zero gives infinity or NaN as numpy's does.
    The kept code is renewed when the file of the *function itself* changes, not when a file it calls into does.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))
