"""Sets of parameters that a platform team keeps in a YAML file of its own, each with a name.

    defaults:
      auth: oidc
      license: Proprietary
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

A set gives what differs from `defaults`, which all sets share and which is no set itself, or from another set (`<<`); what
neither gives is as the template has it. `make variants PRESETS=FILE` proves them all, `make presets PRESETS=FILE` only reads them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import yaml
from rendering import TEMPLATE, WrongParameters, complete

from parameters import CHOICES, NAMES, PRIVATE, problems, unknown
from scripts.render_diff import checkout, differing, render

#: The sets, by their names.
Sets = dict[str, dict[str, str]]

#: The name of what all sets share.
SHARED = "defaults"


class WrongPresets(ValueError):
    """The file is not as it has to be; the message has a line for each thing that is wrong."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a file, with the line that it stands in."""

    text: str
    line: int


def load(file: Path) -> Sets:
    """The sets of a file, of which every value is one that the template takes.

    Raises:
        WrongPresets: The file cannot be read, or has what the template does not take.
    """
    try:
        sets = _sets(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongPresets(f"{file}: {error}") from error
    wrong: dict[tuple[int, str], list[str]] = {}
    for name, (line, values) in sets.items():
        for place, problem in _problems(line, values):
            wrong.setdefault((place, problem), []).append(name)
    if wrong:
        # What is wrong in the defaults is said once.
        raise WrongPresets(
            "\n".join(
                f"{file}:{line}: {', '.join(names)}: {problem}"
                for (line, problem), names in sorted(wrong.items())
            )
        )
    return {
        name: {parameter: value.text for parameter, value in values.items()}
        for name, (_, values) in sets.items()
    }


def changed(sets: Sets, commit: str, folder: Path) -> dict[str, list[str]]:
    """The files of each set that render otherwise than at a commit of the template.

    Raises:
        WrongPresets: There is no such commit.
    """
    if subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=TEMPLATE).returncode:
        raise WrongPresets(
            f"the template has no commit {commit}: fetch its history, or name another"
        )
    files = {}
    with checkout(commit, folder / "template") as template:
        for number, (name, values) in enumerate(sets.items()):
            given = [f"{parameter}={value}" for parameter, value in values.items()]
            before, now = folder / f"{number}-before", folder / f"{number}-now"
            render(TEMPLATE, now, given)
            try:
                render(template, before, given)
            except subprocess.CalledProcessError:
                # The template did not take these values then: all files are new.
                before.mkdir(exist_ok=True)
            files[name] = differing(before, now)
    return files


def _sets(text: str) -> dict[str, tuple[int, dict[str, Value]]]:
    """The sets with their lines and all their values.

    Raises:
        yaml.YAMLError: The file has another shape.
    """
    loader = _Loader(text)
    root = loader.get_single_node()
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise yaml.YAMLError("sets of parameters are expected, each below its name")
    entries = list(_entries(root, root.start_mark))
    for key, node in entries:
        if isinstance(node, yaml.MappingNode):
            list(_entries(node, key.start_mark))
        elif node.value:
            raise _error(key, f"{key.value}: parameters are expected, each with its value")
    sets = {}
    for key, node in entries:
        values = {}
        if isinstance(node, yaml.MappingNode):
            loader.flatten_mapping(node)
            for parameter, value in node.value:
                if not isinstance(value, yaml.ScalarNode):
                    what = f"the value of {parameter.value} is not a text or a number"
                    raise _error(parameter, f"{key.value}: {what}")
                values[parameter.value] = Value(value.value, parameter.start_mark.line + 1)
        sets[key.value] = (key.start_mark.line + 1, values)
    _, shared = sets.pop(SHARED, (0, {}))
    if not sets:
        raise yaml.YAMLError(f"there are no sets besides {SHARED}")
    return {name: (line, shared | values) for name, (line, values) in sets.items()}


def _entries(
    node: yaml.MappingNode, mark: yaml.Mark
) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """The entries of a mapping, whose names are texts that differ."""
    names = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _error(key, "a name is expected")
        if key.value in names:
            raise _error(key, f"{key.value} given twice")
        names.add(key.value)
        yield key, value


def _error(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _problems(line: int, values: dict[str, Value]) -> Iterator[tuple[int, str]]:
    """What is wrong with a set, each with the line of the value, or of the set for what it does not give."""
    known = {name: value.text for name, value in values.items() if name in (*NAMES, *PRIVATE)}
    for name in values.keys() - known.keys():
        yield values[name].line, str(unknown(name, values[name].text))
    # Of cookiecutter, which derives the others, a wrong choice is an error by itself.
    choices = {name: text for name, text in known.items() if text in CHOICES.get(name, (text,))}
    try:
        context = complete(choices)
    except WrongParameters as error:
        yield line, str(error)
        return
    for problem in problems(context | known):
        place = values.get(problem.parameter)
        yield (place.line if place else line), str(problem)


class _Loader(yaml.SafeLoader):
    """Reads every value as the text that it is written as."""

    # Of all plain words, << alone is more than a text: it takes over what another set has.
    yaml_implicit_resolvers: ClassVar[dict[str, list[object]]] = {
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Read a file of presets; print the names of its sets as JSON."
    )
    parser.add_argument("file", type=Path)
    try:
        print(json.dumps(list(load(parser.parse_args().file))))
    except WrongPresets as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
