"""numba where it is installed; without it the same functions run as plain Python, slowly but rightly."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

try:
    from numba import njit
except ImportError:  # an installation without numba decodes with upb
    njit = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., object])

COMPILED: bool = njit is not None
"""Whether numba is here. What decodes takes this as the default of its `compiled` argument."""


def kernel(function: Function) -> Function:
    """Compile a function of columns: kept on disk between starts, and the interpreter's lock is free while it runs."""
    return _compiled(function, forceinline=False)


def inlined(function: Function) -> Function:
    """The same for a small function of kernels: its code goes into theirs."""
    return _compiled(function, forceinline=True)


def _compiled(function: Function, *, forceinline: bool) -> Function:
    if not COMPILED:
        return function
    dispatcher: Any = njit(cache=True, nogil=True, error_model="numpy", forceinline=forceinline)(function)
    # numba looks at the age of a function's own file only, but keeps the code of those it calls with it.
    file = dispatcher._cache._cache_file
    file._source_stamp = (file._source_stamp, _sources())
    return cast(Function, dispatcher)


@cache
def _sources() -> str:
    """A digest of every file that kernels are made of."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
