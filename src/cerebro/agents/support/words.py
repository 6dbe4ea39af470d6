"""Numbers and metric names as people say them."""

from math import isfinite

from cerebro.agents.support.model import Reading, SeriesName
from cerebro.agents.support.nature import FAILING, PERCENT, SHARE, kind_of, reading_of
from cerebro.spine.quote import named, quoted, unit_named

SAID = {
    "system.cpu.busy": "CPU utilisation",
    "system.cpu.utilization": "CPU utilisation",
    "system.memory.utilization": "memory utilisation",
    "system.paging.utilization": "swap utilisation",
    "system.disk.utilization": "disk utilisation",
    "system.filesystem.utilization": "file system utilisation",
    "system.filesystem.inode.utilization": "inode utilisation",
    "system.linux.psi.utilization": "stall pressure",
    "system.linux.context_switches": "context switches",
    "system.network.io": "network traffic",
    "system.disk.io": "disk traffic",
    "process.cpu.utilization": "CPU utilisation",
    "process.memory.usage": "memory",
}
IDENTITY = (
    "service.",
    "service_",
    "host.",
    "host_",
    "k8s.",
    "container.",
    "deployment.",
    "telemetry.",
    "process.executable",
)
DERIVED = {
    "error_ratio": "share of failures, {}",
    "mean": "mean of {}",
    "unserved_ratio": "share left undone, {}",
    "shift_ratio": "share that lies elsewhere than usual, {}",
}
PREFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
BINARY = (("Ti", 2.0**40), ("Gi", 2.0**30), ("Mi", 2.0**20), ("Ki", 2.0**10))
LABEL_CHARS_MAX, LABELS_MAX = 40, 3
WORDS_MAX = 8  # of a metric, from which on it is left as it is written


def subject_of(name: SeriesName) -> str:
    """What is measured, without whose it is: "disk traffic (sda, read)"."""
    metric, _, derived = name.metric.rpartition(":")
    if derived not in DERIVED:
        metric = name.metric
    said = SAID.get(metric) or _in_words(metric)
    said = DERIVED.get(derived, "{}").format(said)
    told = [
        named(value[:LABEL_CHARS_MAX])
        for label, value in name.labels
        if value and not label.startswith(IDENTITY) and label not in ("job", "instance", "__name__")
    ]
    told = list(dict.fromkeys(told))  # a status code is often the kind of the error too: once is enough
    return f"{said} ({', '.join(told[:LABELS_MAX])})" if told else said


def thing_of(kind: str, name: str) -> str:
    """Whose something is: "service checkout"."""
    return f"{kind} {named(name)}"


def first_up(text: str) -> str:
    """The text as a sentence begins."""
    return text[:1].upper() + text[1:]


def _in_words(metric: str) -> str:
    """The name of a metric as people say it; what is no such name stays a quotation."""
    words = metric.replace("_", " ").replace(".", " ").removesuffix(" total").strip()
    return words if words and named(metric) == metric and words.count(" ") < WORDS_MAX else quoted(metric)


def amount(value: float, name: SeriesName) -> str:  # noqa: PLR0911  one line a unit
    """The value with its unit.

    >>> cpu = SeriesName(0, 0, "system.cpu.busy", (), "gauge", "1", "host", "web-7")
    >>> amount(0.0415, cpu), amount(0.97, cpu)
    ('4.2 %', '97 %')
    >>> amount(5 * 2**30, SeriesName(0, 0, "process.memory.usage", (), "gauge", "By", "host", "web-7"))
    '5 GiB'
    """
    if not isfinite(value):
        return "no number"
    reading = reading_of(name)
    kind = kind_of(name, reading)
    if kind in (SHARE, FAILING):
        return f"{_digits(value * 100.0)} %"
    if kind == PERCENT:
        return f"{_digits(value)} %"
    unit = unit_named(name.unit)
    per = "/s" if reading is Reading.RATE else ""
    if unit == "By" or name.metric.removesuffix("_total").endswith("_bytes"):
        return _scaled(value, BINARY, "B") + per
    if unit == "s" or name.metric.endswith("_seconds"):
        return (_digits(value) + " s" if abs(value) >= 1 else _digits(value * 1000.0) + " ms") + per
    if unit in ("", "1"):
        return _scaled(value, PREFIXES, "").strip() + per
    return _scaled(value, PREFIXES, "").strip() + f" {unit}{per}"


def rarity(weekly: float) -> str:
    """An expected count a week as people say it.

    >>> rarity(0.5), rarity(1e-5)
    ('about once in 2 weeks', 'less than once in a century')
    """
    if weekly >= 0.9:
        return f"about {weekly:.0f} times a week"
    weeks = 1.0 / max(weekly, 1e-300)
    if weeks < 9:
        return f"about once in {weeks:.0f} weeks"
    if weeks < 5200:
        return f"about once in {weeks / 4.35:.0f} months" if weeks < 104 else f"about once in {weeks / 52.2:.0f} years"
    return "less than once in a century"


def lasting(duration_s: float) -> str:
    """A duration in its largest fitting unit.

    >>> lasting(42.0), lasting(600.0), lasting(7200.0)
    ('42 s', '10 min', '2 h')
    """
    if duration_s < 120:
        return f"{duration_s:.0f} s"
    return f"{duration_s / 60:.0f} min" if duration_s < 7200 else f"{_digits(duration_s / 3600)} h"


def _scaled(value: float, prefixes: tuple[tuple[str, float], ...], unit: str) -> str:
    for prefix, size in prefixes:
        if abs(value) >= size:
            return f"{_digits(value / size)} {prefix}{unit}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    """Two or three digits that say something, and no needless zeros."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.2g}"
