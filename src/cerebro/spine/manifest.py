"""What an agent asks for and offers. The kernel grants exactly this, and the console shows it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an agent in the console, as data: a title and the panels on it."""

    path: str  # "support/series"
    title: str
    panels: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class AgentManifest:
    """The agent's passport."""

    name: str
    purpose: str
    reads: frozenset[str]  # bus subjects
    emits: frozenset[str]
    tables: frozenset[str] = field(default_factory=frozenset)
    permissions: frozenset[str] = field(default_factory=frozenset)
    pages: tuple[Page, ...] = ()
    lag_s_max: float = 60.0  # how far behind it may fall before it is unhealthy
