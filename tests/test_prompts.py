"""Cookiecutter's prompts, as a person answers them."""

import json
from pathlib import Path

import pytest
from rendering import TEMPLATE
from templates import User

from parameters import problems

#: The answers to the first eight, in their order; a choice is given by its number.
FIRST = ("Wells", "well", "", "name:text", "1", "4326", "1", "1")


def prompted(folder: Path, *answers: str) -> tuple[str, dict[str, str]]:
    """What cookiecutter prints, and the answers that it has in the end, with Enter for those that are not given."""
    user = User(folder)
    command = ("cookiecutter", TEMPLATE, "--default-config", "--accept-hooks", "no")
    typed = "\n".join([*answers, *[""] * 40])
    ended = user.run(*command, "--output-dir", folder, given=typed)
    assert ended.returncode == 0, ended.stderr
    (record,) = folder.glob("*/.template.json")
    return ended.stdout, json.loads(record.read_text())["parameters"]


def test_a_wrong_answer_is_asked_for_again_at_once(tmp_path: Path) -> None:
    output, given = prompted(
        tmp_path, *FIRST[:3], "order:int depth:float", "", *FIRST[4:5], "EPSG:27700", "27700"
    )
    assert given["attributes"] == "order_value:int depth:float"
    assert given["srid"] == "27700"
    reason = "'order:int': 'order' is a word that PostgreSQL reserves; try 'order_value:int"
    assert output.index("[4/29]") < output.index(reason) < output.index("[5/29]")
    assert output.index("not an EPSG code in plain digits; try '27700'") < output.index("[7/29]")


def test_an_answer_is_asked_for_again_beside_the_others(tmp_path: Path) -> None:
    _, given = prompted(tmp_path, *FIRST, *[""] * 8, "name = 5", "name = 'x'")
    assert given["index_predicate"] == "name = 'x'"


@pytest.mark.parametrize(
    "first",
    [
        ("FastAPI", "bus", "buses", "location:text geom:text", "6", "27700", "3", "3"),
        ("123", "x" * 35, "y" * 45, "", "8", "4258", "2", "2"),
    ],
)
def test_enter_is_right_from_the_ninth_on(tmp_path: Path, first: tuple[str, ...]) -> None:
    output, given = prompted(tmp_path, *first)
    assert "; try" not in output
    assert problems(given) == []
    assert given["geometry_column"] != "location" or "location" not in first[3]
    assert output.index("Enter is right for") < output.index("[9/29]")
