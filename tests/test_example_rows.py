"""The rows that a table's own tests are written with: where they are, and on which side of a predicate."""

import json

import pytest
import shapely

from example_rows import NAMES, Place, Predicate, place_in, wkt
from local_extensions import Example
from parameters import epsg, relation
from python_code import asserted, laid_out

PARAMETERS = {
    "attributes": "name:str(100) status:str(20)=active rank:int?",
    "table_name": "facilities",
    "geometry_column": "location",
    "geometry_type": "POINT",
    "geometry_dimension": "XY",
    "srid": "4326",
    "index_name": "idx_facilities_location_gist",
    "index_predicate": "",
    "output_format": "geojson",
    "resource_name": "facility",
}


def example(**parameters: str) -> Example:
    return Example(PARAMETERS | parameters)


def test_a_row_has_a_value_of_each_column() -> None:
    assert example().row == {
        "name": "First facility",
        "status": "active",
        "rank": 1,
        "location": {"type": "Point", "coordinates": [10.0, 50.0]},
    }


@pytest.mark.parametrize(
    "srid", ["4326", "2193", "2263", "2154", "27700", "3031", "3413", "32601", "4979", "5514"]
)
def test_every_row_is_in_the_area_of_its_crs(srid: str) -> None:
    crs = epsg.crs(srid)
    assert crs is not None
    west, south, east, north = crs.domain
    for place in (example(srid=srid).place, example(srid=srid).elsewhere):
        xmin, ymin, xmax, ymax = place.box
        assert south <= ymin < ymax <= north
        assert xmin < xmax
        # The antimeridian may lie in the area.
        assert west <= xmin and xmax <= east if west < east else west <= xmin or xmax <= east


def test_a_place_away_from_the_usual_one() -> None:
    crs = epsg.crs("27700")
    assert crs is not None
    assert place_in(crs) == Place(-3.5, 53.5)


@pytest.mark.parametrize("kind", [*NAMES, "GEOMETRYCOLLECTION"])
@pytest.mark.parametrize("has_z", [False, True])
def test_wkt_is_the_geometry_that_geojson_is(kind: str, has_z: bool) -> None:
    geometry = Place(10, 50).geojson(kind, has_z=has_z)
    same = shapely.from_geojson(json.dumps(geometry))
    assert same.geom_type.upper() == kind
    assert shapely.equals_identical(shapely.from_wkt(wkt(geometry)), same)


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ("status = 'active'", True),
        ("status <> 'active'", False),
        ("status LIKE 'A%'", False),
        ("rank > '0' AND NOT rank IS NULL", True),
        ("id > 0", True),
        # Of the rows to come it is true of some only.
        ("id < 100", None),
        ("created_at > '2024-06-01'", None),
        ("status ~ '^a'", None),
        ("ST_IsValid(location)", None),
        ("status LIKE 'a\\_%'", None),
    ],
)
def test_what_a_predicate_is_of_a_row(predicate: str, holds: bool | None) -> None:
    condition = Predicate(predicate, relation(PARAMETERS))
    assert condition.holds(example().row) is holds


def test_rows_on_both_sides_of_a_predicate() -> None:
    partial = example(index_predicate="status = 'it''s open' AND rank > 5")
    assert partial.listed
    assert (partial.row["status"], partial.row["rank"]) == ("it's open", 6)
    assert partial.outside == {"status": "it's open", "rank": -1}


def test_a_predicate_that_only_postgresql_reads() -> None:
    partial = example(index_predicate="status ~ '^a'")
    assert (partial.listed, partial.outside) == (False, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "a"], 'x = [1, "a"]'),
        (["a" * 50, "b" * 50], f'x = [\n    "{"a" * 50}",\n    "{"b" * 50}",\n]'),
        ({"a": ["b" * 99]}, f'x = {{\n    "a": [\n        "{"b" * 99}",\n    ],\n}}'),
        ({"b" * 60, "a" * 60}, f'x = {{\n    "{"a" * 60}",\n    "{"b" * 60}",\n}}'),
    ],
)
def test_literals_are_laid_out_as_the_formatter_leaves_them(value: object, text: str) -> None:
    assert laid_out(value, "x = ") == text


def test_an_assertion_that_is_too_long_for_a_line_is_none() -> None:
    assert asserted("open", True) == '    assert row["open"] is True'
    assert asserted("n" * 63, "x" * 30) == ""
