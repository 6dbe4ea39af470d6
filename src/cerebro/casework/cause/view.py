"""A picture with what was made of it: what tells a cause and names its kind looks at this."""

from dataclasses import dataclass

from cerebro.casework.cause.clues import Clues
from cerebro.casework.cause.fuse import Fused
from cerebro.casework.cause.picture import Picture


@dataclass(frozen=True, slots=True)
class View:
    """All three together."""

    picture: Picture
    found: Clues
    fused: Fused
