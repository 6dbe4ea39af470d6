"""What the attributes of a resource, or the labels of a series, say of where a thing stands.

The names are OpenTelemetry's semantic conventions, with the underscores that Prometheus makes of their dots.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from cerebro.casework.topology.sighted import INSTANCE_OF, MEMBER_OF, RUNS_ON, Link, named
from cerebro.spine.entities import EntityKey

# Of a thing, these are worth keeping; everything else stays in the telemetry.
KEPT = (
    "service.namespace", "service.version", "deployment.environment.name", "deployment.environment", "host.name",
    "host.type", "os.type", "cloud.provider", "cloud.region", "cloud.availability_zone", "k8s.cluster.name",
    "k8s.namespace.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.node.name", "telemetry.sdk.language",
    "owner", "team", "service.owner",
)  # fmt: skip
OWNERS = ("owner", "service.owner", "team")
PLACES = ("host.name", "service.instance.id", "k8s.pod.name", "k8s.node.name", "k8s.namespace.name")
ASKED = tuple(dict.fromkeys((*KEPT, *PLACES, "container.id")))
VALUE_CHARS_MAX = 200


def spelled(name: str) -> tuple[str, str]:
    """The ways a sender may write an attribute's name."""
    return name, name.replace(".", "_")


def facts(entity: EntityKey, attributes: Mapping[str, str]) -> tuple[dict[str, str], tuple[Link, ...]]:
    """What is worth keeping of a thing's attributes, and the relations they tell of.

    >>> facts(EntityKey("service", "shop"), {"host_name": "web-7"})[1][0][1].text
    'host/web-7'
    """
    said = {name: text for name in ASKED for text in [_said(attributes, name)] if text}
    kept = {name: said[name] for name in KEPT if name in said}
    return kept, _links(entity, tuple((name, said.get(name, "")) for name in PLACES))


@lru_cache(maxsize=4_000)
def facts_again(
    entity: EntityKey, attributes: tuple[tuple[str, str], ...]
) -> tuple[Mapping[str, str], tuple[Link, ...]]:
    """The same, remembered: a sender says the same of itself with every span."""
    return facts(entity, dict(attributes))


def owner_of(attributes: Mapping[str, str]) -> str:
    """Whose the thing is by its attributes; empty when they do not say."""
    return next((attributes[name] for name in OWNERS if attributes.get(name)), "")


def group_of(entity: EntityKey, attributes: Mapping[str, str]) -> str:
    """What a map of many draws it together with: its namespace, else its host, else the first word of its name."""
    for name in ("k8s.namespace.name", "service.namespace"):
        if attributes.get(name):
            return attributes[name]
    if entity.kind in ("process", "disk", "interface", "container") and ":" in entity.name:
        return entity.name.rpartition(":")[0]
    head = entity.name.replace("_", "-").replace(".", "-").partition("-")[0]
    return head if entity.kind == "service" and head != entity.name else entity.kind


@lru_cache(maxsize=20_000)
def _links(entity: EntityKey, places: tuple[tuple[str, str], ...]) -> tuple[Link, ...]:
    return tuple(dict.fromkeys(_told(entity, dict(places))))


def _told(entity: EntityKey, at: Mapping[str, str]) -> Iterator[Link]:
    """A pod stands between a service and its node; an instance between a service and its host."""
    host = at["host.name"] or at["k8s.node.name"]
    if entity.kind == "process" and ":" in entity.name:
        yield entity, EntityKey("host", host or entity.name.rpartition(":")[0]), RUNS_ON
    on: EntityKey | None = EntityKey("host", host) if host and entity.kind != "host" else None
    if at["k8s.pod.name"] and entity.kind == "service":
        pod = EntityKey("pod", at["k8s.pod.name"])
        node = at["k8s.node.name"] or (host if host != at["k8s.pod.name"] else "")  # a pod's own name is no host
        if node:
            yield pod, EntityKey("host", node), RUNS_ON
        on = pod
    if on and entity.kind == "service":
        yield entity, on, RUNS_ON
    if at["service.instance.id"] and entity.kind == "service":
        instance = EntityKey("instance", f"{entity.name}:{at['service.instance.id']}"[:VALUE_CHARS_MAX])
        yield instance, entity, INSTANCE_OF
        if on:
            yield instance, on, RUNS_ON
    if at["k8s.namespace.name"]:
        yield entity, EntityKey("namespace", at["k8s.namespace.name"]), MEMBER_OF


def _said(attributes: Mapping[str, str], name: str) -> str:
    return next((text for way in spelled(name) if (text := named(attributes.get(way, "")))), "")
