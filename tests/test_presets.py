"""The sets of parameters of a platform team: how they are read, and what is refused."""

import subprocess
import sys
from pathlib import Path

import presets
import pytest
from presets import WrongPresets
from rendering import TEMPLATE
from variants import Variant


def load(folder: Path, text: str) -> list[Variant]:
    file = folder / "presets.yaml"
    file.write_text(text, encoding="utf-8")
    return presets.load(file)


def test_the_documented_example(tmp_path: Path) -> None:
    example = (presets.__doc__ or "").split("\n\n")[1]
    assert [variant.name for variant in load(tmp_path, example)] == [
        "facilities",
        "parcels",
        "parcels by uuid",
    ]


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    (variant,) = load(
        tmp_path,
        "no:\n  srid: 04326\n  project_name: Yes\n  pool_size: 1e1\n  description: 2020-01-01\n",
    )
    assert variant.name == "no"
    assert variant.parameters == {
        "srid": "04326",
        "project_name": "Yes",
        "pool_size": "1e1",
        "description": "2020-01-01",
    }


def test_a_set_may_be_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "default:\nother: {}\n") == [Variant("default", {}), Variant("other", {})]


def test_a_set_may_take_over_what_others_have(tmp_path: Path) -> None:
    text = "a: &a {srid: 3857, auth: none}\nb: &b {<<: *a, srid: 27700}\nc:\n  <<: [*b, *a]\n  ci: none\n"
    assert [variant.parameters for variant in load(tmp_path, text)] == [
        {"srid": "3857", "auth": "none"},
        {"srid": "27700", "auth": "none"},
        {"srid": "27700", "auth": "none", "ci": "none"},
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "sets of parameters are expected"),
        ("- POINT", "sets of parameters are expected"),
        ("a: POINT", "a: parameters are expected"),
        ("a:\n  sird: 4326", "a: the template has no parameter sird: project_name, "),
        ("a:\n  srid: [4326]", "a: the value of srid is not a text"),
        ("a:\n  srid: 1\n  srid: 2", "srid given twice"),
        ("a: {}\na: {}", "a given twice"),
        ("a:\n\tsrid: 4326", "found character"),
        ("a: *b", "undefined alias"),
        ("a: {<<: b}", "expected a mapping"),
        ("a: &a {sird: 1}\nb: {<<: *a}", "b: the template has no parameter sird"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(WrongPresets, match=reason) as error:
        load(tmp_path, text)
    assert "presets.yaml" in str(error.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongPresets) as error:
        load(tmp_path, "a:\n  one: 1\n  two: 2\nb:\n  three: 3\n")
    assert len(str(error.value).splitlines()) == 3


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongPresets, match="missing"):
        presets.load(tmp_path / "missing.yaml")


def test_the_command_refuses_them(tmp_path: Path) -> None:
    """It says what is wrong, and runs nothing."""
    file = tmp_path / "presets.yaml"
    file.write_text("a:\n  sird: 4326\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "tests/test_variants.py", "--presets", file]
    run = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True)
    assert run.returncode != 0
    assert "a: the template has no parameter sird: project_name, " in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
