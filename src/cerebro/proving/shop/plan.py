"""What the shop consists of: its services, their replicas, versions, flags, configuration and limits."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

HOST, OUTSIDE = "host", "outside"  # the machine, and the supplier that is none of ours
GOOD_VERSION, NEXT_VERSION = "1.4.0", "1.4.1"
MEMORY_BYTES_MAX = 220 << 20  # a service above it is ended, as a container's limit would


@dataclass(frozen=True, slots=True)
class Build:
    """How a version behaves.

    Args:
        error_share: Of requests that it fails.
        wait_ms: That it needs on top for each request.
        leak_bytes: That it keeps for ever of each request.
    """

    error_share: float = 0.0
    wait_ms: float = 0.0
    leak_bytes: int = 0


BUILDS: Mapping[str, Build] = MappingProxyType(
    {
        GOOD_VERSION: Build(),
        NEXT_VERSION: Build(),
        "1.5.0": Build(error_share=0.45),
        "1.5.1": Build(wait_ms=280.0),
        "1.5.2": Build(leak_bytes=3 << 20),
    }
)
VERSION_ERRORS, VERSION_LATENCY, VERSION_LEAK = "1.5.0", "1.5.1", "1.5.2"


@dataclass(frozen=True, slots=True)
class Plan:
    """One service as it is meant to run.

    Args:
        replicas: Processes of it.
        config: Its settings by name. Time-outs and waits in milliseconds, counts as they are:
            `concurrency` requests worked at a time, `queue_max` more that may wait, `work_ms` a request's
            waiting for things that the shop has not, `miss_ms` that of a page which is not in the cache,
            `forget_ms` after which a cache forgets everything, again and again, 0 for never,
            `timeout_ms` for one call to another service,
            `retries` after a failed call, `impatience_ms` after which it is tried again though no answer has come
            (0 for never), `pool_size` connections to the database.
        flags: Features by name.
        experiment: The flag whose feature fails; `bad_flag` turns it on.
    """

    replicas: int = 1
    config: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    experiment: str = ""


COMMON: Mapping[str, float] = MappingProxyType(
    {
        "concurrency": 64,
        "queue_max": 128,
        "work_ms": 0,
        "timeout_ms": 2000,
        "retries": 1,
        "impatience_ms": 0,
        "pool_size": 6,
    }
)

SERVICES: Mapping[str, Plan] = MappingProxyType(
    {
        "cache": Plan(config={"concurrency": 256, "forget_ms": 0}),
        "outside": Plan(config={"concurrency": 256, "work_ms": 25}),
        "catalogue": Plan(
            2, {"concurrency": 2, "work_ms": 22, "miss_ms": 120, "queue_max": 60}, ("facets",), "new_ranking"
        ),
        "cart": Plan(2, {"concurrency": 8, "work_ms": 4}, ("notes",), "bundles"),
        "payment": Plan(2, {"concurrency": 16, "work_ms": 3, "timeout_ms": 2500, "retries": 0}, (), "saved_cards"),
        "recommendation": Plan(1, {"concurrency": 4, "work_ms": 8, "timeout_ms": 400}, (), "deep_model"),
        "checkout": Plan(1, {"concurrency": 16, "work_ms": 5, "timeout_ms": 3500, "retries": 0}, (), "express"),
        "worker": Plan(1, {"concurrency": 2, "work_ms": 15, "pool_size": 3, "dead_letter": 0}),
        "gateway": Plan(1, {"timeout_ms": 1500, "shed": 0, "concurrency": 250}, ("banner",), "personal_home"),
        "load": Plan(1, {"rate": 50, "surge": 1, "day_s": 86_400, "timeout_ms": 5000, "retries": 0}),
    }
)

# Who calls whom: the paths that a network fault can take.
EDGES: tuple[tuple[str, str], ...] = (
    ("gateway", "catalogue"), ("gateway", "cart"), ("gateway", "checkout"), ("checkout", "payment"),
    ("checkout", "cart"), ("payment", "outside"), ("catalogue", "cache"), ("gateway", "recommendation"),
    ("load", "gateway"),
)  # fmt: skip
STORED = ("catalogue", "cart", "checkout", "worker")  # those with connections to the database
ON_THE_WAY = ("catalogue", "cart", "payment", "checkout", "gateway")  # those that a user's request needs
PRODUCTS, MOVEMENTS, CATEGORIES = 20_000, 480_000, 100
SUBJECT, STREAM, CONSUMER = "shop.orders", "shop", "worker"


def config_of(name: str) -> dict[str, float]:
    """The service's whole configuration as planned."""
    return {**COMMON, **SERVICES[name].config}


def flags_of(name: str) -> dict[str, bool]:
    """The service's flags as planned: those that work are on, the experiment is off."""
    plan = SERVICES[name]
    return dict.fromkeys(plan.flags, True) | ({plan.experiment: False} if plan.experiment else {})


def entity_text(name: str) -> str:
    """What Cerebro calls a part of the shop: suppliers are outside, and the one machine has its own name."""
    if name == HOST:
        return f"host/{socket.gethostname()}"
    return f"external/{name}" if name == OUTSIDE else f"service/{name}"
