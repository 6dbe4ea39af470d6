"""numba where it is installed; without it the same functions run as plain Python, slowly but rightly."""

from collections.abc import Callable
from typing import TypeVar, cast

try:
    from numba import njit
except ImportError:  # an installation without numba decodes with upb
    njit = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., object])

COMPILED: bool = njit is not None
"""Whether numba is here. What decodes takes this as the default of its `compiled` argument."""


def kernel(function: Function) -> Function:
    """Compile a function of columns: kept on disk between starts, and the interpreter's lock is free while it runs."""
    if not COMPILED:
        return function
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """The same for a small function of kernels: its code goes into theirs, which spares counting references a call."""
    if not COMPILED:
        return function
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function))
