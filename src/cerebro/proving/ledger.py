"""The runs of a suite in a file, a line each, appended as they are done: so a suite that was stopped goes on.

What is published of them, for whoever wants to count again, is the same lines without their timelines, packed.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import msgspec

from cerebro.proving.drill import Plan, Run, recounted
from cerebro.spine.errors import Invalid

PACKED = ".gz"

_decoder = msgspec.json.Decoder(Run)


def append(path: Path, runs: Sequence[Run]) -> None:
    """Write the runs of one plan, all of its watchers at once."""
    lines = b"".join(msgspec.json.encode(run) + b"\n" for run in runs)
    with path.open("ab") as file:
        file.write(lines)


def load(path: Path) -> list[Run]:
    """The runs in the file; a last line that was cut off is left out, for its run was not finished.

    Raises:
        Invalid: It cannot be read, or a line before the last is none of ours.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes()
        return [recounted(_decoder.decode(line)) for line in _unpacked(path, text).split(b"\n")[:-1]]
    except msgspec.MsgspecError as error:
        raise Invalid(
            f"{path} holds a line that is no run: {error}.", "Name a file that `cerebro drill run` has written."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{path} cannot be read: {error}.", "Name a file of runs, packed with gzip or plain.") from error


def _unpacked(path: Path, text: bytes) -> bytes:
    return gzip.decompress(text) if path.suffix == PACKED else text


def load_each(paths: Iterable[Path]) -> list[Run]:
    """The runs of several files; one that stands in more than one counts once.

    Raises:
        Invalid: A file is not there or cannot be read, they are of both grounds, or one plan was run twice.
    """
    found: dict[tuple[str, Plan], tuple[Run, Path]] = {}
    for path in paths:
        if not path.exists():
            raise Invalid(f"There is no file {path}.", "Name one that `cerebro drill run --out FILE` has written.")
        for run in load(path):
            known, first = found.setdefault((run.watcher, _alone(run)), (run, path))
            if replace(known, notes=()) != replace(run, notes=()):
                what = f"{run.plan.kind}, seed {run.plan.seed}, watched by {run.watcher}"
                raise Invalid(f"{first} and {path} hold two runs of one plan: {what}.", "Score them apart.")
    runs = [run for run, _ in found.values()]
    if len({run.ground for run in runs}) > 1:
        raise Invalid("These runs are of the real shop and of simulated estates.", "Score them apart.")
    return sorted(runs, key=lambda run: (key_of(run.plan), run.watcher, msgspec.json.encode(run.plan)))


def _alone(run: Run) -> Plan:
    """The run's plan, wherever in its suite it stood: on the real shop only the first has a long quiet stretch."""
    return replace(run.plan, quiet_s=0.0) if run.ground == "real" else run.plan


def publish(path: Path, runs: Iterable[Run]) -> None:
    """Write the runs without their timelines; the same runs give the same bytes.

    Raises:
        Invalid: It cannot be written.
    """
    lines = b"".join(msgspec.json.encode(replace(run, notes=())) + b"\n" for run in runs)
    beside = path.with_name(f"{path.name}.part")  # the file may be one of those that were read
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(gzip.compress(lines, mtime=0) if path.suffix == PACKED else lines)
        beside.replace(path)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error}.", "Name a file that you may write.") from error


def prepare(path: Path, *, resume: bool) -> Path | None:
    """Make the file ready to be written on: without a last line that was cut off, or begun anew.

    Returns:
        Where the runs of before are kept, when it is begun anew; None when there were none.

    Raises:
        Invalid: It is packed, holds something else than runs, or cannot be written.
    """
    if path.suffix == PACKED:
        raise Invalid(
            f"{path} is packed, and runs are written on as they are done.",
            "Name a plain file: --out runs.jsonl; `cerebro drill score runs.jsonl --publish FILE.gz` packs it.",
        )
    if resume:
        load(path)  # what is no file of runs is refused before a byte of it is cut
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            return _set_aside(path)
        _cut(path)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error}.", "Name a file that you may write: --out FILE.") from error
    return None


def _cut(path: Path) -> None:
    """Take away what stands after the last whole line; the lines before it are not touched."""
    text = path.read_bytes() if path.exists() else b""
    if text and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)


def _set_aside(path: Path) -> Path | None:
    """Give runs of before the next free name beside the file, and begin an empty one."""
    kept = None
    if path.is_file() and path.stat().st_size:
        beside = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in count(1))
        kept = path.rename(next(each for each in beside if not each.exists()))
    path.write_bytes(b"")
    return kept


def missing(plans: Sequence[Plan], runs: Sequence[Run], ground: str) -> list[Plan]:
    """The plans that no run of this ground has played."""
    done = {key_of(run.plan) for run in runs if run.ground == ground}
    return [plan for plan in plans if key_of(plan) not in done]


def key_of(plan: Plan) -> tuple[str, int, int]:
    """What tells a plan of a suite from the others."""
    return plan.kind, plan.seed, plan.topology
