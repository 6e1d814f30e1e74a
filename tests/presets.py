"""Presets: sets of parameters with names, which a platform team keeps in a YAML file of its own.

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

A preset gives what differs from `defaults`, which all presets share and which is no preset itself, or from another preset (`<<`); what
neither gives is as the template has it. `make variants PRESETS=FILE` proves them all, `make presets PRESETS=FILE` only reads them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import yaml
from rendering import TEMPLATE, WrongParameters, complete

from parameters import CHOICES, NAMES, PRIVATE, problems, unknown
from scripts.render_diff import checkout, differing, render

#: The parameters of presets, by their names.
Presets = dict[str, dict[str, str]]

#: The name of what all presets share.
SHARED = "defaults"


class WrongPresets(ValueError):
    """The file is not as it has to be; the message has a line for each thing that is wrong."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a file, with the line that it stands in."""

    text: str
    line: int


def load(file: Path) -> Presets:
    """The presets of a file, of which every value is one that the template takes.

    Raises:
        WrongPresets: The file cannot be read, or has what the template does not take.
    """
    try:
        presets = _read(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongPresets(f"{file}: {error}") from error
    wrong: dict[tuple[int, str], list[str]] = {}
    for name, (line, values) in presets.items():
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
    return _texts(presets)


def changed(
    presets: Presets, before: Presets, commit: str | None, folder: Path
) -> dict[str, list[str]]:
    """The files of each preset that render otherwise than at a commit of the template with earlier presets.

    Raises:
        WrongPresets: There is no such commit.
    """
    if commit:
        _require(TEMPLATE, commit)
    files = {}
    with checkout(commit, folder / "template") if commit else nullcontext(TEMPLATE) as template:
        for number, (name, values) in enumerate(presets.items()):
            old, new = folder / f"{number}-before", folder / f"{number}-now"
            render(TEMPLATE, new, _arguments(values))
            # All files are new where the preset is, or where the template did not take its values then.
            old.mkdir()
            with suppress(subprocess.CalledProcessError):
                if name in before:
                    render(template, old, _arguments(before[name]))
            files[name] = differing(old, new)
    return files


def is_of_the_template(file: Path) -> bool:
    """Whether a file is tracked in the template's repository."""
    command = ["git", "ls-files", "--error-unmatch", "--", file.resolve()]
    return not subprocess.run(command, cwd=TEMPLATE, capture_output=True).returncode


def load_at(file: Path, commit: str) -> Presets:
    """The presets that a file had at a commit of its repository, not judged; none if they cannot be read.

    Raises:
        WrongPresets: There is no such commit.
    """
    _require(file.parent, commit)
    command = ["git", "show", f"{commit}:./{file.name}"]
    shown = subprocess.run(command, cwd=file.parent, capture_output=True, text=True)
    try:
        return _texts(_read(shown.stdout))
    except yaml.YAMLError:
        return {}


def _require(folder: Path, commit: str) -> None:
    command = ["git", "rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}"]
    if subprocess.run(command, cwd=folder, capture_output=True).returncode:
        where = "the template" if folder == TEMPLATE else f"the repository of {folder.resolve()}"
        raise WrongPresets(f"{where} has no commit {commit}: fetch its history, or name another")


def _texts(presets: dict[str, tuple[int, dict[str, Value]]]) -> Presets:
    return {
        name: {parameter: value.text for parameter, value in values.items()}
        for name, (_, values) in presets.items()
    }


def _arguments(values: dict[str, str]) -> list[str]:
    return [f"{parameter}={value}" for parameter, value in values.items()]


def _read(text: str) -> dict[str, tuple[int, dict[str, Value]]]:
    """The presets with their lines and all their values.

    Raises:
        yaml.YAMLError: The file has another shape.
    """
    loader = _Loader(text)
    root = loader.get_single_node()
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise yaml.YAMLError("presets are expected, each below its name")
    entries = list(_entries(root, root.start_mark))
    for key, node in entries:
        if isinstance(node, yaml.MappingNode):
            list(_entries(node, key.start_mark))
        elif node.value:
            raise _error(key, f"{key.value}: parameters are expected, each with its value")
    presets = {}
    for key, node in entries:
        values = {}
        if isinstance(node, yaml.MappingNode):
            loader.flatten_mapping(node)
            for parameter, value in node.value:
                if not isinstance(value, yaml.ScalarNode):
                    what = f"the value of {parameter.value} is not a text or a number"
                    raise _error(parameter, f"{key.value}: {what}")
                values[parameter.value] = Value(value.value, parameter.start_mark.line + 1)
        presets[key.value] = (key.start_mark.line + 1, values)
    _, shared = presets.pop(SHARED, (0, {}))
    if not presets:
        raise yaml.YAMLError(f"there are no presets besides {SHARED}")
    return {name: (line, shared | values) for name, (line, values) in presets.items()}


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
    """What is wrong with a preset, each with the line of the value, or of the preset for what it does not give."""
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

    # Of all plain words, << alone is more than a text: it takes over what another preset has.
    yaml_implicit_resolvers: ClassVar[dict[str, list[object]]] = {
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Read a file of presets; print their names as JSON."
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
