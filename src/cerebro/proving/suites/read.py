"""A suite's file, read and checked: a fault in it gets a line that says what to write."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cerebro.proving.drill import QUIET, Plan
from cerebro.proving.faults import ALL, CONTROLS, FIRST_TWELVE
from cerebro.proving.model import CONTROL, Declared
from cerebro.proving.suites.own import declared_in
from cerebro.spine.errors import Invalid, NotFound

HERE = Path(__file__).parent
GROUPS: Mapping[str, tuple[str, ...]] = {
    "first_twelve": tuple(fault.kind for fault in FIRST_TWELVE),
    "all": tuple(fault.kind for fault in ALL.values() if fault.cause_kind != CONTROL),
    "controls": tuple(fault.kind for fault in CONTROLS),
}
SEEDS_MAX = 100_000
STRETCH_S_MAX = 30 * 86_400
SERVICES_MIN, SERVICES_MAX = 5, 500
TOPOLOGIES_MAX = 10_000
GOLDEN = (5**0.5 - 1) / 2
FIELDS = frozenset({"title", "kinds", "seeds", "services", "topologies", "simulated", "real", "faults"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """How long each part of a run lasts."""

    quiet_s: float
    fault_s: float
    after_s: float


@dataclass(frozen=True, slots=True)
class Suite:
    """Which drills are run, on either ground.

    Args:
        services: Of a simulated estate, the least and the most; one size where both are the same.
        topologies: Estates that the drills are spread over, each warmed up once; 0 for an estate of its own each.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    seeds: int
    services: tuple[int, int]
    topologies: int
    simulated: Stretch
    real: Stretch
    own: Mapping[str, Declared]

    def plans(self, ground: str, seeds: int = 0, topologies: int = 0) -> Iterator[Plan]:
        """Every run, seed by seed, so that whoever stops early has seen every kind."""
        stretch = self.real if ground == "real" else self.simulated
        count = 0 if ground == "real" else topologies or self.topologies
        drills = ((seed, kind) for seed in range(1, (seeds or self.seeds) + 1) for kind in self.kinds)
        around = math.lcm(len(self.kinds), count) if count else 1  # after so many, kinds would meet the same estates
        for number, (seed, kind) in enumerate(drills):
            topology = (number + number // around) % count + 1 if count else 0
            size = self.size(topology or number)
            yield Plan(
                kind, seed, stretch.quiet_s, stretch.fault_s, stretch.after_s, size, topology, self.own.get(kind)
            )

    def size(self, number: int) -> int:
        """How many services an estate has: any number of them, from the first on, is spread evenly over the sizes.

        Even on a scale of ratios, as estates are in life, by the golden section's sequence: H. Weyl, Über die
        Gleichverteilung von Zahlen mod. Eins, Mathematische Annalen 77 (1916), 313-352.
        """
        low, high = self.services
        share: float = number * GOLDEN % 1.0
        return round(low * math.pow(high / low, share))


def names() -> Sequence[str]:
    """The suites that come with Cerebro."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def read_suite(name: str) -> Suite:
    """The suite of that name, or of that file.

    Raises:
        NotFound: There is neither.
        Invalid: The file is not a suite; the mend says what to write.
    """
    path = Path(name) if name.endswith(".toml") else HERE / f"{name}.toml"
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise NotFound(f"There is no suite {name}.", f"Choose {', '.join(names())}, or name a file.toml.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}.", "Name a TOML file that you may read.") from error
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not TOML: {error}.", "docs/guides/drill.md shows a whole suite.") from error
    return suite_of(path.stem, found)


def suite_of(name: str, found: Mapping[str, Any]) -> Suite:
    """The suite that the file's content means.

    Raises:
        Invalid: See `read_suite`.
    """
    if unknown := sorted(set(found) - FIELDS):
        raise Invalid(f"A suite has no {unknown[0]!r}.", f"It has: {', '.join(sorted(FIELDS))}.")
    own = declared_in(found.get("faults", {}))
    return Suite(
        name=name,
        title=str(found.get("title", name)),
        kinds=_kinds(found.get("kinds"), own),
        seeds=_whole("seeds", found.get("seeds", 1), 1, SEEDS_MAX),
        services=_sizes(found.get("services", 12)),
        topologies=_whole("topologies", found.get("topologies", 0), 0, TOPOLOGIES_MAX),
        simulated=_stretch("simulated", found.get("simulated")),
        real=_stretch("real", found.get("real", found.get("simulated"))),
        own=own,
    )


def _kinds(found: Any, own: Mapping[str, Declared]) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        raise Invalid("A suite says which kinds it plays.", 'Write kinds = ["crash", "hang"], or ["all"].')
    known = {*ALL, QUIET, *own}
    kinds = [kind for word in found for kind in GROUPS.get(str(word), (str(word),))]
    if unknown := [kind for kind in kinds if kind not in known]:
        raise Invalid(f"There is no kind {unknown[0]!r}.", f"Write one of: {', '.join(sorted(known | set(GROUPS)))}.")
    return tuple(dict.fromkeys(kinds))


def _stretch(branch: str, found: Any) -> Stretch:
    example = f"Write [{branch}] with quiet_s = 1800, fault_s = 600 and after_s = 420 below it."
    if not isinstance(found, dict):
        raise Invalid(f"A suite says how long its runs are on the {branch} ground.", example)
    wanted = [field.name for field in fields(Stretch)]
    if odd := sorted(set(found) ^ set(wanted)):
        raise Invalid(f"[{branch}] has {'no' if odd[0] in wanted else 'an unknown'} {odd[0]!r}.", example)
    for name in wanted:
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= STRETCH_S_MAX:
            raise Invalid(f"{branch}.{name} = {value!r} is no stretch of time.", f"Write seconds, 0 … {STRETCH_S_MAX}.")
    return Stretch(*(float(found[name]) for name in wanted))


def _sizes(found: Any) -> tuple[int, int]:
    """One number of services, or the least and the most."""
    if not isinstance(found, list):
        found = [found, found]
    if len(found) != 2:
        raise Invalid(f"services = {found!r} does not fit.", "Write services = 30, or services = [5, 500].")
    low, high = (_whole("services", each, SERVICES_MIN, SERVICES_MAX) for each in found)
    if low > high:
        raise Invalid(f"services = {found!r} begins with the greater one.", f"Write services = [{high}, {low}].")
    return low, high


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Invalid(f"{name} = {value!r} does not fit.", f"Write a whole number, {least} … {most}.")
    return value
