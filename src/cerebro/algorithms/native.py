"""The one way a function is compiled here."""

from collections.abc import Callable
from fcntl import LOCK_EX, flock
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def native(function: F) -> F:
    """Compile the function with numba at its first call; the machine code is kept for the next start.

    It runs without the interpreter's lock, and a division by zero gives infinity or NaN as numpy's does.
    """
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    # numba renews kept code only when the file of the function itself changes, not when one that it calls does.
    kept = compiled._cache._cache_file
    kept._source_stamp = _stamp(Path(function.__code__.co_filename).parent)
    kept.save = partial(_save, kept)
    return cast(F, compiled)


def _save(kept: Any, key: Any, code: Any) -> None:
    """Keep compiled code as numba does, but one process after another, and the code before the index that names it.

    numba's own order lets another process that begins at that moment read the code of an older source under the new
    name, and two that compile at once give one name to the code of two signatures.
    """
    with (Path(kept._cache_path) / "numba.lock").open("a") as gate:
        flock(gate, LOCK_EX)
        known = kept._load_index()
        names = (kept._data_name(number) for number in count(1))
        name = known.get(key) or next(each for each in names if each not in known.values())
        kept._save_data(name, code)
        if key not in known:
            kept._save_index({**known, key: name})


@cache
def _stamp(folder: Path) -> tuple[float, int]:
    """When any file changed that compiled code of this folder is made of: its own, and the algorithms."""
    files = {*Path(__file__).parent.glob("*.py"), *folder.glob("*.py")}
    states = [file.stat() for file in sorted(files)]
    return max(state.st_mtime for state in states), sum(state.st_size for state in states)


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
