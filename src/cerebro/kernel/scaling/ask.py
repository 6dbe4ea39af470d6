"""What an autoscaler asks, without the protocol it asks by."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from cerebro.spine.errors import Invalid


@dataclass(frozen=True, slots=True)
class Need:
    """What is needed now and soon, in the unit of the metric."""

    value: float


# Who asks (the value of an `Authorization` header) and what it says (text by name), to what is needed.
Ask = Callable[[str, Mapping[str, str]], Awaitable[Need]]


def number_of(said: Mapping[str, str], name: str, default: float | None = None) -> float:
    """A number among what was said.

    Raises:
        Invalid: It is missing, or none.
    """
    text = said.get(name, "" if default is None else str(default))
    try:
        return float(text)
    except ValueError as error:
        raise Invalid(
            f"`{name}` must be a number, not {text[:40]!r}.", "Set it in the metadata of the trigger."
        ) from error
