"""Who a series is: which facts are labels, how their values are written, and the two hashes.

The one home of the rules; the kernels repeat them in numba and are tested against this page.

* A series is named by `hi`, the hash of its metric's name, and `lo`, the hash of its labels.
* Labels are sorted by the bytes of their names. A label with an empty value is no label.
* `__name__` is the metric and never a label.
* OTLP: the labels are the attributes of the data point and those attributes of the resource that tell
  one sender from another (`RESOURCE_LABELS`); where both have a name, the data point's value holds.
  The scope is no label.
* One list that has a name twice is refused: there is no telling which value was meant.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from math import isinf, isnan
from typing import TypeAlias

from cerebro.spine.telemetry import NAME, SEPARATOR, SeriesType, canonical, series_id

__all__ = [
    "COUNTER_SUFFIXES", "HISTOGRAM_SUFFIX", "NAME", "RESOURCE_LABELS", "SEPARATOR", "Value", "canonical", "number_text",
    "series_id", "type_by_name", "type_codes", "value_text",
]  # fmt: skip

RESOURCE_LABELS = frozenset(
    {
        "cloud.account.id",
        "cloud.availability_zone",
        "cloud.region",
        "container.id",
        "container.name",
        "deployment.environment",
        "deployment.environment.name",
        "faas.instance",
        "faas.name",
        "host.id",
        "host.name",
        "k8s.cluster.name",
        "k8s.container.name",
        "k8s.cronjob.name",
        "k8s.daemonset.name",
        "k8s.deployment.name",
        "k8s.job.name",
        "k8s.namespace.name",
        "k8s.node.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "k8s.replicaset.name",
        "k8s.statefulset.name",
        "process.executable.name",
        "process.pid",
        "service.instance.id",
        "service.name",
        "service.namespace",
    }
)
"""The attributes of a resource that become labels of its metrics; names of OpenTelemetry's semantic conventions.

The rest (SDK versions, command lines, operating system …) says what a sender is like, not who it is: on
logs and spans it is kept whole, on metrics it is left out, or a new kernel version would rename every series.
"""

COUNTER_SUFFIXES = ("_total", "_sum", "_count")
HISTOGRAM_SUFFIX = "_bucket"

type_codes: tuple[SeriesType, ...] = tuple(SeriesType)  # a series' type in columns is its place here


def type_by_name(metric: str) -> SeriesType:
    """How to read a series of which the sender said nothing: by the suffix that Prometheus' naming rules give it.

    >>> [type_by_name(name).value for name in ("http_requests_total", "rpc_seconds_bucket", "rpc_seconds_sum", "up")]
    ['counter', 'histogram', 'counter', 'unknown']
    """
    if metric.endswith(HISTOGRAM_SUFFIX):
        return SeriesType.HISTOGRAM
    return SeriesType.COUNTER if metric.endswith(COUNTER_SUFFIXES) else SeriesType.UNKNOWN


def number_text(number: float) -> str:
    """A double as label text: the shortest digits that give it back, written as ECMAScript writes numbers.

    Source: ECMA-262, Number::toString; infinities as Prometheus writes them.

    >>> [number_text(x) for x in (0.005, 10.0, 1e20, 1e21, 1e-7, float("inf"))]
    ['0.005', '10', '100000000000000000000', '1e+21', '1e-7', '+Inf']
    """
    if isnan(number):
        return "NaN"
    if isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    if "e" not in text:
        return text.removesuffix(".0") if text != "-0.0" else "0"
    digits, _, exponent = text.partition("e")
    power = int(exponent)
    digits = digits.removesuffix(".0")
    if not -7 < power < 21:
        return f"{digits}e{power:+d}"
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    whole, _, part = digits.partition(".")
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{whole}{part}"
    return f"{sign}{whole}{part.ljust(power, '0')}"


Value: TypeAlias = "str | bool | int | float | bytes | Sequence[Value] | Mapping[str, Value] | None"


def value_text(value: Value) -> str:  # noqa: PLR0911  one line a kind
    """An attribute's value as text: strings as they are, numbers and truth values in words, the rest as JSON.

    >>> [value_text(v) for v in ("x", True, -3, 0.5, [1, "a"], {"k": None}, b"\\x00")]
    ['x', 'true', '-3', '0.5', '[1,"a"]', '{"k":null}', 'AA==']
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number_text(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case _:
            return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Value) -> object:
    match value:
        case float() if isnan(value) or isinf(value):
            return number_text(value)
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Mapping():
            return {key: _plain(part) for key, part in value.items()}
        case Sequence() if not isinstance(value, str):
            return [_plain(part) for part in value]
        case _:
            return value
