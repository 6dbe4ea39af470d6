"""From a playbook's templates to the arguments of a call: typed, bounded, and never a program."""

import re
from collections.abc import Mapping

from cerebro.casework.playbooks.model import PLACE, Arguments, Parameter, Playbook
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}")


def parameters_of(playbook: Playbook, given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter's value: the given one, or its default.

    Raises:
        Invalid: One is missing, unknown, or not of its type.
    """
    if unknown := sorted(set(given) - {parameter.name for parameter in playbook.parameters}):
        raise Invalid(f"{playbook.name} has no parameter {unknown[0]!r}.", "See the playbook.")
    return {each.name: checked(each, given.get(each.name, each.default)) for each in playbook.parameters}


def checked(parameter: Parameter, value: str) -> str:
    """The value, when it is of the parameter's type.

    Raises:
        Invalid: It is not.
    """
    if not value and not parameter.default and parameter.type != "choice" and not parameter.required:
        return ""
    if parameter.type == "name" and not NAME.fullmatch(value):
        raise Invalid(f"{parameter.name}={value[:40]!r} is no name.", "Write letters, digits and . _ : @ -")
    if parameter.type == "choice" and value not in parameter.choices:
        raise Invalid(
            f"{parameter.name}={value[:40]!r} is no choice.", f"Write one of: {', '.join(parameter.choices)}."
        )
    if parameter.type in ("number", "integer"):
        return _number(parameter, value)
    return value


def _number(parameter: Parameter, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not parameter.min <= number <= parameter.max or (parameter.type == "integer" and number != int(number)):
        bounds = f"{parameter.min:g} to {parameter.max:g}"
        raise Invalid(f"{parameter.name}={value[:40]!r} does not fit.", f"Write a {parameter.type} of {bounds}.")
    return f"{int(number)}" if parameter.type == "integer" else f"{number:g}"


def filled(
    arguments: Arguments, target: EntityKey, parameters: Mapping[str, str], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The arguments with every place filled.

    A place becomes exactly its value, whatever stands in it; who receives it takes it as one value.

    Raises:
        Invalid: A value of the state before is not known.
    """
    known = {"target": target.name, "entity": target.text, **parameters}
    known |= {f"before.{name}": value for name, value in (before or {}).items()}

    def value_of(hit: re.Match[str]) -> str:
        name = hit.group(1)
        if name not in known:
            raise Invalid(f"{target.said} does not tell {name.removeprefix('before.')!r}.", "Use another playbook.")
        return known[name]

    values = {name: PLACE.sub(value_of, text) for name, text in arguments.items()}
    return {name: value for name, value in values.items() if value}
