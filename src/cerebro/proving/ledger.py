"""The runs of a suite in a file, a line each, appended as they are done: so a suite that was stopped goes on."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cerebro.proving.drill import Plan, Run
from cerebro.spine.errors import Invalid

_decoder = msgspec.json.Decoder(Run)


def append(path: Path, runs: Sequence[Run]) -> None:
    """Write the runs of one plan, all of its watchers at once."""
    lines = b"".join(msgspec.json.encode(run) + b"\n" for run in runs)
    with path.open("ab") as file:
        file.write(lines)


def load(path: Path) -> list[Run]:
    """The runs in the file; a last line that was cut off is left out, for its run was not finished.

    Raises:
        Invalid: A line before the last is none of ours.
    """
    if not path.exists():
        return []
    try:
        return [_decoder.decode(line) for line in path.read_bytes().split(b"\n")[:-1]]
    except msgspec.MsgspecError as error:
        raise Invalid(
            f"{path} holds a line that is no run: {error}.", "Name another --out, or leave out --resume."
        ) from error


def prepare(path: Path, *, resume: bool) -> None:
    """Make the file ready to be written on: without a last line that was cut off, or empty.

    Raises:
        Invalid: Its directory cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.write_bytes(b"")
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error}.", "Name a file that you may write: --out FILE.") from error
    if path.exists():
        text = path.read_bytes()
        path.write_bytes(text[: text.rfind(b"\n") + 1])


def missing(plans: Sequence[Plan], runs: Sequence[Run], ground: str) -> list[Plan]:
    """The plans that no run of this ground has played."""
    done = {key_of(run.plan) for run in runs if run.ground == ground}
    return [plan for plan in plans if key_of(plan) not in done]


def key_of(plan: Plan) -> tuple[str, int, int]:
    """What tells a plan of a suite from the others."""
    return plan.kind, plan.seed, plan.topology
