"""One measured figure, beside what was asked and what is wanted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement with its unit. Whether more or less is better follows from `floor` and `goal`."""

    name: str
    value: float
    unit: str
    floor: float
    goal: float

    @property
    def verdict(self) -> str:
        """`goal`, `floor` or `missed`.

        >>> Figure("start", 70, "s", floor=120, goal=60).verdict
        'floor'
        """
        more = self.goal >= self.floor
        if (self.value >= self.goal) if more else (self.value <= self.goal):
            return "goal"
        return "floor" if ((self.value >= self.floor) if more else (self.value <= self.floor)) else "missed"
