"""What the schemas of a collection say of a table's columns, and what GDAL makes of them where the table is empty."""

import sys
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import sqlalchemy as sa
from clusters import Service
from conftest import Bake
from rendering import TEMPLATE

sys.path.insert(0, str(TEMPLATE / "{{cookiecutter.project_slug}}" / "src"))

from geotables.column_types import integer_bits
from geotables.features import constraints


@pytest.mark.parametrize(
    ("check", "type", "expected"),
    [
        ("a IN ('x', 'it''s')", sa.Text(), {"enum": ["x", "it's"]}),
        ("(a)::text = ANY (ARRAY['x'::text, 'y::z'::text])", sa.Text(), {"enum": ["x", "y::z"]}),
        ("""a = ANY ('{x,y}'::text[])""", sa.Text(), {}),
        (sa.column("a").in_(["50%", "x"]), sa.String(8), {"enum": ["50%", "x"]}),
        (sa.column("a").in_(["50%%", "x"]), sa.String(8), {"enum": ["50%%", "x"]}),
        ("a <> ':x' OR a IN ('x')", sa.Text(), {}),
        ("NOT (a IN ('x'))", sa.Text(), {}),
        ("lower(a) IN ('x')", sa.Text(), {}),
        ("b IN ('x')", sa.Text(), {}),
        ("a IN (1, -2)", sa.Double(), {"enum": [1, -2]}),
        ("a >= 0 AND a < 1.5", sa.Numeric(5, 2), {"minimum": 0, "exclusiveMaximum": 1.5}),
        ("((a >= 0) AND (a <= (100)::numeric))", sa.Double(), {"minimum": 0, "maximum": 100}),
        ("a BETWEEN 1 AND 5", sa.Double(), {"minimum": 1, "maximum": 5}),
        ("a > 0 OR a < -5", sa.Double(), {}),
        ("a > 0 AND b < 5", sa.Double(), {}),
        ("a > 3", sa.Text(), {}),
        ("true", sa.SmallInteger(), {"minimum": -32768, "maximum": 32767}),
        ("a > 0", sa.Integer(), {"minimum": 1 - 2**31 - 1, "maximum": 2**31 - 1}),
    ],
)
def test_what_a_check_says_of_a_column(check: Any, type: Any, expected: dict[str, Any]) -> None:
    column: sa.Column[Any] = sa.Column("a", type)
    sa.Table("t", sa.MetaData(), column, sa.Column("b", type), sa.CheckConstraint(check))
    found = constraints.of(column)
    if check == "a > 0":
        expected = expected | {"exclusiveMinimum": 0}
    assert found == expected


@pytest.mark.parametrize(
    ("type", "bits"),
    [(sa.SmallInteger(), 16), (sa.Integer(), 32), (sa.BIGINT(), 64), (sa.Numeric(), 0)],
)
def test_the_bits_of_a_type(type: Any, bits: int) -> None:
    assert integer_bits(type) == bits


ATTRIBUTES = (
    "name:str(40)? note:text? number:int? area:bigint? depth:float? price:numeric(8,2)? is_open:bool? "
    "day:date? moment:datetime? code:uuid? tags:json?"
)
FIELDS = {
    "name": "OFTString",
    "note": "OFTString",
    "number": "OFTInteger",
    "area": "OFTInteger64",
    "depth": "OFTReal",
    "price": "OFTReal",
    "is_open": "OFTInteger",
    "day": "OFTDate",
    "moment": "OFTDateTime",
    "code": "OFTString",
    "tags": "OFTString",
    "created_at": "OFTDateTime",
    "updated_at": "OFTDateTime",
}


@pytest.mark.parametrize(
    ("parameters", "geometry_type"),
    [
        ({}, "Point"),
        ({"geometry_type": "MULTIPOLYGON", "srid": "27700"}, "MultiPolygon"),
    ],
)
def test_gdal_knows_the_fields_of_an_empty_table(
    bake_once: Bake,
    server: Any,
    tmp_path: Path,
    parameters: dict[str, str],
    geometry_type: str,
) -> None:
    project = bake_once(attributes=ATTRIBUTES, **parameters)
    with server.database() as database_url:
        project.service("migrate", DATABASE_URL=database_url).passed()
        with Service(project, tmp_path, DATABASE_URL=database_url) as service:
            empty = f"OAPIF:{service.url}/"
            found = pyogrio.read_info(empty, layer="facilities")
    fields = {
        name.removesuffix("_value"): kind
        for name, kind in zip(found["fields"], found["ogr_types"], strict=True)
    }
    assert fields == FIELDS
    assert found["geometry_type"] == geometry_type
