"""Who may spend which part of the noise budget: the one place that says so.

Every test that can make a finding spends one of these parts, and they add up to the whole: at most `noise_budget` false
findings a week are expected of a tenant over everything that could fire. Parts are fixed, so that a replay gives the
same findings whatever else is sent; what a tenant does not send leaves its part unspent.
"""

from dataclasses import dataclass
from math import fsum

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of a tenant's noise budget that one state spends.

    Args:
        series: Single series, what their silence tells included.
        joint: Entities unlike themselves.
        concert: Entities of which several measures move at once.
        peers: The odd ones among their peers.
        novel: What nobody has seen before: templates of log lines, edges between entities.
        newcomers: The same of what comes along within a trace: operations, paths of errors.
    """

    series: float
    joint: float = 0.0
    concert: float = 0.0
    peers: float = 0.0
    novel: float = 0.0
    newcomers: float = 0.0

    @property
    def whole(self) -> float:
        """All that the state may spend."""
        return fsum((self.series, self.joint, self.concert, self.peers, self.novel, self.newcomers))

    def of(self, part: float) -> float:
        """One of the parts as a share of the whole."""
        return part / self.whole


METRICS = Parts(series=0.445, joint=0.02, concert=0.07, peers=0.02)
LINES = Parts(series=0.12, novel=0.1)
SPANS = Parts(series=0.12, novel=0.1, newcomers=0.005)
DETECTORS = {"metrics": METRICS, "lines": LINES, "spans": SPANS}  # all that spend
ALONE = Parts(
    series=0.8, joint=0.04, concert=0.12, peers=0.04
)  # metrics where nothing else is watched: in a bench, in a replay


def check_shares(detectors: dict[str, Parts]) -> None:
    """Refuse parts that add up to more than the whole.

    >>> check_shares({"metrics": Parts(0.7, joint=0.3), "lines": Parts(0.1)})
    Traceback (most recent call last):
        ...
    ValueError: The parts of the noise budget add up to 1.1.
    """
    total = fsum(parts.whole for parts in detectors.values())
    if total > 1.0 + TOLERANCE:
        raise ValueError(f"The parts of the noise budget add up to {total:g}.")


check_shares(DETECTORS)
