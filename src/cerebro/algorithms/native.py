"""The one way a function is compiled here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def native(function: F) -> F:
    """Compile the function with numba at its first call; the machine code is kept for the next start.

    It runs without the interpreter's lock, and a division by zero gives infinity or NaN as numpy's does.
    The kept code is renewed when the file of the *function itself* changes, not when a file it calls into does.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def _emit_prefetch(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    place = builder.inttoptr(arguments[0], byte)
    shape = ir.FunctionType(ir.VoidType(), (byte, word, word, word))
    instruction = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
    builder.call(instruction, (place, ir.Constant(word, 1), ir.Constant(word, 3), ir.Constant(word, 1)))
    return ir.Constant(ir.IntType(1), 0)


def _type_prefetch(_context: Any, _address: Any) -> Any:
    return types.boolean(types.int64), _emit_prefetch


prefetch = cast(Callable[[int], bool], intrinsic(_type_prefetch))
"""Ask the processor for the cache line at an address, to be written soon. Compiled code only; the answer is nothing."""
