"""Sets of parameters that a platform team keeps in a YAML file of its own, each with a name.

    facilities:
      geometry_type: POINT
      index_predicate: status = 'active'
    parcels: &parcels
      resource_name: parcel
      geometry_type: MULTIPOLYGON
      srid: 27700
    parcels by uuid:
      <<: *parcels
      primary_key: uuid

A set gives what differs from the defaults of the template, or from another set (`<<`). `make variants PRESETS=FILE` proves them all.
"""

from pathlib import Path
from typing import ClassVar

import yaml
from rendering import DEFAULTS
from variants import Variant

from parameters import PRIVATE


class WrongPresets(ValueError):
    """The file is not as it has to be; the message has a line for each thing that is wrong."""


def load(file: Path) -> list[Variant]:
    """The sets of a file.

    Raises:
        WrongPresets: The file cannot be read, or has what the template has not.
    """
    try:
        presets = yaml.load(file.read_text(encoding="utf-8"), Loader=_Texts)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongPresets(f"{file}: {error}") from error
    if not isinstance(presets, dict) or not presets:
        raise WrongPresets(f"{file}: sets of parameters are expected, each below its name")
    if problems := [line for name, given in presets.items() for line in _problems(name, given)]:
        raise WrongPresets("\n".join(f"{file}: {problem}" for problem in problems))
    return [Variant(name, given or {}) for name, given in presets.items()]


def _problems(name: str, given: object) -> list[str]:
    if given and not isinstance(given, dict):
        return [f"{name}: parameters are expected, each with its value"]
    lines = []
    for parameter, value in (given or {}).items():
        if parameter not in (*DEFAULTS, *PRIVATE):
            lines.append(
                f"{name}: the template has no parameter {parameter}: {', '.join(DEFAULTS)}"
            )
        elif not isinstance(value, str):
            lines.append(f"{name}: the value of {parameter} is not a text or a number")
    return lines


class _Texts(yaml.SafeLoader):
    """Reads every value as the text that it is written as, and refuses a name that is given twice."""

    # Of all plain words, << alone is more than a text: it takes over what another set has.
    yaml_implicit_resolvers: ClassVar[dict[str, list[object]]] = {
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        names = [key.value for key, _ in node.value]
        if twice := {str(name) for name in names if names.count(name) > 1}:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(twice)} given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
