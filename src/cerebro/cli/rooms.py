"""Write the rooms of a new agent, so that all agents look alike."""

import re
from pathlib import Path

from cerebro.cli.out import say
from cerebro.spine.errors import Invalid

ROOMS = {
    "__init__.py": '"""The {name} agent."""\n',
    "README.md": "# {name}\n\nWhat this agent watches, what it finds, and what it needs.\n",
    "model.py": '"""The nouns of the {name} agent."""\n',
    "metrics.py": '"""What the {name} agent counts."""\n',
    "flow.py": '"""The order in which the {name} agent\'s verbs run."""\n',
    "agent.py": '''"""The {name} agent's passport and what its role runs."""

from collections.abc import Sequence

from cerebro.kernel.kit import Kernel, Task
from cerebro.spine.manifest import AgentManifest


class Agent:
    """The entry point."""

    manifest = AgentManifest(name="{name}", purpose="", reads=frozenset(), emits=frozenset())

    def tasks(self, kernel: Kernel) -> Sequence[Task]:
        """What the role `{name}` runs."""
        return ()

    def router(self, kernel: Kernel) -> None:
        """No routes yet."""


AGENT = Agent()
''',
}


def write(name: str) -> None:
    """Make `src/cerebro/agents/<name>` with every room a new agent needs.

    Raises:
        Invalid: The name is no single lower-case word, is taken, or this is not a checkout of Cerebro.
    """
    home = Path("src/cerebro/agents")
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise Invalid(f"{name!r} is no name for an agent.", "Use one lower-case word of letters and digits.")
    if not home.is_dir():
        raise Invalid("This is not a checkout of Cerebro.", "Run it in the project's root.")
    if (home / name).exists():
        raise Invalid(f"There is an agent {name} already.", "Choose another name.")
    (home / name).mkdir()
    for room, text in ROOMS.items():
        (home / name / room).write_text(text.format(name=name))
    entry = f'{name} = "cerebro.agents.{name}.agent:AGENT"'
    say(f'Wrote {home / name}. Add to [project.entry-points."cerebro.agents"] in pyproject.toml:\n  {entry}')
