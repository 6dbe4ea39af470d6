"""The metrics of this process, for whoever scrapes `/metrics` and for Cerebro's own tenant."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, Info
from prometheus_client.exposition import choose_encoder

STARTED = Gauge("cerebro_process_started_seconds", "Unix time at which the roles of this process began.", ["roles"])
BUILD = Info("cerebro_build", "The version that runs.")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric now. `kind` is counter, gauge, histogram, summary, info or unknown."""

    name: str
    kind: str
    labels: dict[str, str]
    value: float


def expose(accept: str = "application/openmetrics-text", registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """Every metric of this process as text, and its content type: OpenMetrics, or what `accept` asks for instead."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def readings(registry: CollectorRegistry = REGISTRY) -> Iterator[Reading]:
    """Every value of this process, without the creation times that OpenMetrics adds to counters."""
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                yield Reading(sample.name, family.type, dict(sample.labels), float(sample.value))


def say_started(roles: str, version: str, now_ms: int) -> None:
    """Note that this process runs these roles since now."""
    STARTED.labels(roles).set(now_ms / 1000)
    BUILD.info({"version": version})
