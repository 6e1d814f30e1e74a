"""The columns that are found for a file's values."""

import sys
from typing import Any

import pytest
from rendering import TEMPLATE

sys.path.insert(0, str(TEMPLATE / "{{cookiecutter.project_slug}}" / "src"))

from geotables.files.fields import Fields


def declared(values: list[Any], *, as_text: bool = False) -> str:
    fields = Fields({}, as_text=as_text)
    # A batch each: what one has shown, the next may refute.
    for value in values:
        fields.add([{"a": value}])
    (field,) = fields.all()
    return field.declaration("a")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2], "a:int?"),
        ([1, 2**31], "a:bigint?"),
        ([2**63], "a:numeric(19,0)?"),
        ([1, 2.5], "a:float?"),
        ([True, False], "a:bool?"),
        ([1, "x"], "a:text?"),
        ([{"b": 1}], "a:json?"),
        ([["x"]], "a:json?"),
        (["2020-01-31", "2020/02/01"], "a:date?"),
        (["2020-01-31", "2020-01-31T12:00:00Z"], "a:datetime?"),
        (["2020-02-30"], "a:text?"),
        (["12"], "a:text?"),
        (["0190d1a5-0000-7000-8000-000000000000"], "a:uuid?"),
        ([None], "a:text?"),
    ],
)
def test_values_of_json(values: list[Any], expected: str) -> None:
    assert declared(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "", "-2"], "a:int?"),
        (["1", "3000000000"], "a:bigint?"),
        (["9824657365274852000001"], "a:numeric(22,0)?"),
        (["1", "2.50"], "a:float?"),
        (["0.30000000000000004"], "a:float?"),
        (["12345678901234567.5", "1"], "a:numeric(18,1)?"),
        (["true", "False"], "a:bool?"),
        (["01067", "99999"], "a:text?"),
        (["1,5"], "a:text?"),
        (["1", "n/a"], "a:text?"),
        (["2020-01-31"], "a:date?"),
        (["31.01.2020"], "a:text?"),
        (["", None], "a:text?"),
    ],
)
def test_texts_of_csv(values: list[Any], expected: str) -> None:
    assert declared(values, as_text=True) == expected
