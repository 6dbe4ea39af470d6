"""The agent's passport and what its role runs."""

from collections.abc import Sequence

from cerebro.agents.support import api
from cerebro.agents.support.flow import Detector, Foreseer
from cerebro.agents.support.flow_lines import LineDetector
from cerebro.agents.support.flow_spans import SpanDetector
from cerebro.kernel.access.guard import Guard
from cerebro.kernel.kit import Kernel, Task
from cerebro.kernel.scaling.ask import Ask
from cerebro.spine.manifest import AgentManifest


class SupportAgent:
    """Watches telemetry and tells, within the noise budget, what is not as it usually is."""

    manifest = AgentManifest(
        name="support",
        purpose="Watches metrics and tells, within the noise budget, what is not as it usually is.",
        reads=frozenset({"telemetry.*.metrics", "telemetry.*.logs", "telemetry.*.traces"}),
        emits=frozenset({"findings.*"}),
        tables=frozenset({"samples", "samples_5m", "series"}),
        permissions=frozenset({"read"}),
        lag_s_max=5.0,
    )

    def tasks(self, kernel: Kernel) -> Sequence[Task]:
        """What the role `detector` runs."""
        return (Detector(kernel), Foreseer(kernel), LineDetector(kernel), SpanDetector(kernel))

    def router(self, kernel: Kernel) -> object:
        """Its REST routes."""
        routes = api.router(kernel)
        routes.include_router(api.scaling_router(kernel))
        return routes

    def keda_asks(self, kernel: Kernel, guard: Guard) -> Ask:
        """What answers KEDA's scaler."""
        return api.keda_asks(kernel, guard)


AGENT = SupportAgent()
