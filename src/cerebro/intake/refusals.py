"""What was refused and why, per tenant, so that whoever sends it can find the label that explodes.

Bounded: so many reasons and metrics are told apart, and of each body only a few refused series are
looked at. Counts are exact; labels and examples come from what was looked at.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.intake.entity import clean

METRICS_MAX = 32  # told apart in one tenant; the one refused longest ago makes room
LABELS_MAX = 16  # told apart of one metric
VALUES_MAX = 64  # different values remembered of one label: enough to see which one explodes
EXAMPLE_CHARS_MAX = 200
LOOKED_AT_MAX = 200  # refused series of one body whose labels are read


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused of one metric (or signal) for one reason."""

    reason: str
    metric: str
    label: str  # the one with most different values among what was refused; empty when there is none
    label_values: int  # how many, up to `VALUES_MAX`
    count: int  # samples, records or spans
    first_ms: int
    last_ms: int
    example: str


@dataclass(slots=True)
class _Entry:
    first_ms: int
    last_ms: int = 0
    count: int = 0
    example: str = ""
    values: dict[str, set[int]] = field(default_factory=dict)

    def learn(self, labels: Mapping[str, str]) -> None:
        """See one refused series."""
        for full_name, value in labels.items():
            name = full_name[:EXAMPLE_CHARS_MAX]
            if name not in self.values and len(self.values) >= LABELS_MAX:
                continue
            seen = self.values.setdefault(name, set())
            if len(seen) < VALUES_MAX:
                seen.add(hash(value))
        if not self.example:
            parts = (f'{clean(name)}="{clean(value)}"' for name, value in list(labels.items())[:LABELS_MAX])
            self.example = "{" + ", ".join(parts)[:EXAMPLE_CHARS_MAX] + "}"

    def worst(self) -> tuple[str, int]:
        """The label with most different values."""
        name = max(self.values, key=lambda each: len(self.values[each]), default="")
        return name, len(self.values.get(name, ()))


@dataclass(slots=True)
class Refusals:
    """The record of one tenant."""

    _entries: OrderedDict[tuple[str, str], _Entry] = field(default_factory=OrderedDict)

    def add(self, reason: str, metric: str, count: int, at_ms: int, series: tuple[Mapping[str, str], ...] = ()) -> None:
        """Count what was refused of a metric, and see some of its series."""
        key = (reason, clean(metric))
        entry = self._entries.pop(key, None) or _Entry(at_ms)
        self._entries[key] = entry
        if len(self._entries) > METRICS_MAX:
            self._entries.popitem(last=False)
        entry.count += count
        entry.last_ms = at_ms
        for labels in series:
            entry.learn(labels)

    def list(self) -> list[Refusal]:
        """What was refused, the latest first."""
        return [_shown(reason, metric, entry) for (reason, metric), entry in reversed(self._entries.items())]

    def worst(self, reason: str) -> Refusal | None:
        """The metric of which most was refused for the reason."""
        entries = [(key, entry) for key, entry in self._entries.items() if key[0] == reason]
        if not entries:
            return None
        (_, metric), entry = max(entries, key=lambda each: each[1].count)
        return _shown(reason, metric, entry)


def _shown(reason: str, metric: str, entry: _Entry) -> Refusal:
    label, values = entry.worst()
    return Refusal(reason, metric, clean(label), values, entry.count, entry.first_ms, entry.last_ms, entry.example)
