"""The external metrics API of Kubernetes, so that a HorizontalPodAutoscaler follows what will be instead of what was.

An `APIService` for `v1beta1.external.metrics.k8s.io` points at Cerebro; see the guide. Written and tested after the
types of k8s.io/metrics; not tried with an API server's aggregation layer.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from cerebro.spine.errors import CerebroError, Forbidden, Invalid, NotFound, Unauthenticated

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
ROOT = f"/apis/{GROUP}/{VERSION}"
OURS = "cerebro_"  # labels of ours in a selector: cerebro_horizon_s=3600
REASONS: Mapping[type[CerebroError], tuple[int, str]] = {
    Unauthenticated: (401, "Unauthorized"),
    Forbidden: (403, "Forbidden"),
    NotFound: (404, "NotFound"),
    Invalid: (400, "BadRequest"),
}


def resources() -> dict[str, object]:
    """What there is, for an API server that discovers us: any metric may be named."""
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": []}


def value_list(metric: str, labels: Mapping[str, str], value: float, now_ms: int) -> dict[str, object]:
    """One value as an `ExternalMetricValueList`."""
    item = {
        "metricName": metric,
        "metricLabels": dict(labels),
        "timestamp": datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": quantity(value),
    }
    return {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": [item]}


def failure(error: CerebroError) -> tuple[int, dict[str, object]]:
    """The status and the body of an error, in the words of Kubernetes."""
    code, reason = next(
        (found for kind, found in REASONS.items() if isinstance(error, kind)), (503, "ServiceUnavailable")
    )
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, status | {"message": str(error), "reason": reason, "code": code}


def quantity(value: float) -> str:
    """A number as Kubernetes writes quantities, in thousandths where it is not whole.

    >>> quantity(12.0), quantity(0.25), quantity(1234567.8912)
    ('12', '250m', '1234567891m')
    """
    thousandths = round(Decimal(repr(float(value))) * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def parse_labels(selector: str) -> tuple[dict[str, str], dict[str, str]]:
    """The labels of a label selector, and what it says to us.

    >>> parse_labels("queue=orders,cerebro_horizon_s=3600")
    ({'queue': 'orders'}, {'horizon_s': '3600'})

    Raises:
        Invalid: It compares in another way than by `=`.
    """
    labels: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        name, sign, value = part.partition("=")
        if not sign or name.endswith("!") or not name:
            raise Invalid(f"{part[:60]!r} is not name=value.", "Only equality is understood in matchLabels.")
        labels[name.strip()] = value.lstrip("=").strip()
    ours = {name.removeprefix(OURS): value for name, value in labels.items() if name.startswith(OURS)}
    return {name: value for name, value in labels.items() if not name.startswith(OURS)}, ours
