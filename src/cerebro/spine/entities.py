"""The things Cerebro watches, and how they hang together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerebro.spine.identity import TenantId
from cerebro.spine.quote import named

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class EntityKey:
    """A thing of one tenant: `service/checkout`, `host/web-7`, `process/web-7:nginx`.

    >>> EntityKey("host", "web-7").text
    'host/web-7'
    """

    kind: str  # service host process database queue domain repository module requirement campaign …
    name: str

    @property
    def text(self) -> str:
        """The key as people and addresses write it."""
        return f"{self.kind}/{self.name}"

    @property
    def said(self) -> str:
        """The key in a sentence of ours: a name that is more than one word stands in quotation marks.

        >>> EntityKey("service", "all is well").said
        'service/“all is well”'
        """
        return f"{self.kind}/{named(self.name)}"

    @classmethod
    def parse(cls, text: str) -> "EntityKey":
        """Read `kind/name`; the name may itself contain slashes."""
        kind, _, name = text.partition("/")
        return cls(kind, name)


@dataclass(frozen=True, slots=True)
class Entity:
    """One watched thing, with what is known of it."""

    tenant: TenantId
    key: EntityKey
    attributes: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    owner: str = ""
    first_seen_ms: int = 0
    last_seen_ms: int = 0


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed edge of the topology, with the time it has been seen and how strong it is."""

    tenant: TenantId
    source: EntityKey
    target: EntityKey
    kind: str  # calls runs_on stores_in publishes_to exposes implements owns
    weight: float = 1.0
    first_seen_ms: int = 0
    last_seen_ms: int = 0
