"""What CONTRIBUTING.md asks of a new parameter has been done for each that there is."""

import json
import re

import pytest
from rendering import TEMPLATE, complete
from variants import FACTORS, NAMED

from parameters import NAMES, problems

TEMPLATE_JSON = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_has_a_prompt(name: str) -> None:
    prompt, default = TEMPLATE_JSON["__prompts__"][name], TEMPLATE_JSON[name]
    if isinstance(prompt, dict):
        assert prompt.keys() == {"__prompt__", *default}
    else:
        assert prompt.strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_has_a_rule(name: str) -> None:
    assert name in {problem.parameter for problem in problems(complete({}) | {name: "\0"})}


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_has_a_row_in_the_readme(name: str) -> None:
    lines = (TEMPLATE / "README.md").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `") and f"`{name}`" in line.split("|")[1]]


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_is_varied(name: str) -> None:
    varied = [values for factor in FACTORS.values() for values in factor.values()]
    varied += [variant.parameters for variant in NAMED]
    assert any(name in parameters for parameters in varied)


def test_the_version_is_described() -> None:
    """In the changelog, below what is not released at most, and where it says which versions get fixes."""
    source = TEMPLATE / "{{cookiecutter.project_slug}}"
    version = (source / "src/geotables/VERSION").read_text("utf-8").strip()
    headings = re.findall(
        r"^## (\S+)", (TEMPLATE / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert next(heading for heading in headings if heading != "Unreleased") == version
    major = version.partition(".")[0]
    assert f"| {major}.x, " in (TEMPLATE / "SECURITY.md").read_text("utf-8")
    assert f"{major}.0" in (TEMPLATE / "docs/upgrading.md").read_text("utf-8")
