"""The table of coordinate reference systems."""

import csv
import gzip
import re

import pytest

from parameters import epsg
from parameters.epsg import Crs, crs, srid_candidates, why_refused


def system(code: int) -> Crs:
    found = crs(code)
    assert found is not None
    return found


def holds(crs: Crs, longitude: float, latitude: float) -> bool:
    west, south, east, north = crs.domain
    between = west <= longitude <= east if west <= east else not east < longitude < west
    return between and south <= latitude <= north


@pytest.mark.parametrize(
    ("code", "kind", "unit", "axes", "swapped"),
    [
        (4326, "geographic 2D", "degree", "NE", True),
        (4979, "geographic 3D", "degree", "NE", True),
        (27700, "projected", "metre", "EN", False),
        (2193, "projected", "metre", "NE", True),
        (3035, "projected", "metre", "NE", True),
        (2263, "projected", "US survey foot", "EN", False),
        (3031, "projected", "metre", "NN", False),
        (5041, "projected", "metre", "SS", False),
        (32661, "projected", "metre", "SS", True),
        (2053, "projected", "metre", "WS", False),
    ],
)
def test_facts(code: int, kind: str, unit: str, axes: str, swapped: bool) -> None:
    found = system(code)
    facts = (found.kind, found.unit, found.axes, found.swapped)
    assert facts == (kind, unit, axes, swapped)
    assert found.geographic == kind.startswith("geographic")


# Places that people keep in these systems, with their coordinates there, from PROJ 9.
@pytest.mark.parametrize(
    ("code", "longitude", "latitude", "x", "y"),
    [
        (27700, -1.54, 55.5, 429_157, 623_009),
        (2263, -73.9857, 40.7484, 988_215, 211_948),
        (3031, 0, -90, 0, 0),
        (3413, 0, 90, 0, 0),
        (3857, 180, 85.06, 20_037_508, 20_048_966),
        (2154, 2.35, 48.85, 652_302, 6_861_269),
        (2193, 174.78, -41.29, 1_749_055, 5_427_615),
        (2193, -176.5, -44.0, 2_450_000, 5_080_000),
        (3832, -150, 0, 6_679_169, 0),
        (32632, 13.4, 52.5, 798_741, 5_827_062),
        (25833, 5.3, 60.4, -32_000, 6_730_000),
        (32760, 179.99, -16, 820_000, 8_228_000),
        (32760, -179.9, -16, 831_000, 8_228_000),
        (6933, 180, 0, 17_367_530, 0),
        (3035, -25.6, 37.8, 943_000, 2_500_000),
    ],
)
def test_domain_and_extent(
    code: int, longitude: float, latitude: float, x: float, y: float
) -> None:
    found = system(code)
    assert holds(found, longitude, latitude)
    assert found.extent.xmin <= x <= found.extent.xmax
    assert found.extent.ymin <= y <= found.extent.ymax


@pytest.mark.parametrize(("code", "place"), [(27700, (116, 40)), (2263, (2, 48)), (3031, (0, 50))])
def test_a_domain_ends(code: int, place: tuple[float, float]) -> None:
    assert not holds(system(code), *place)


def test_web_mercator_ends_where_it_says() -> None:
    assert system(3857).domain == (-180, -85.06, 180, 85.06)


@pytest.mark.parametrize(
    ("code", "edge"),
    [(3857, 20_037_508.342789), (3395, 20_037_508.342789), (6933, 17_367_530.445161)],
)
def test_a_map_of_the_world_ends_at_the_antimeridian(code: int, edge: float) -> None:
    # Beyond it PROJ comes back on the other side.
    assert system(code).extent.xmin == pytest.approx(-edge, abs=1e-5)
    assert system(code).extent.xmax == pytest.approx(edge, abs=1e-5)


def test_no_world_map_goes_on_behind_the_poles() -> None:
    assert system(6933).extent.ymax == pytest.approx(7_342_230.136499, abs=1e-5)


def test_geographic_systems_cover_the_world() -> None:
    assert system(4326).domain == (-180, -90, 180, 90)
    assert system(4326).extent == (-180, -90, 180, 90)


@pytest.mark.parametrize(
    ("value", "reason", "suggestion"),
    [
        ("4978", "geocentric", "4979"),
        ("4807", "grads", "4275"),
        ("5773", "vertical", "4326"),
        ("7405", "compound", "27700"),
        ("22300", "projection", "4326"),
        ("900913", "spatial_ref_sys", "3857"),
        ("99999", "PostGIS knows", "4326"),
        ("urn:ogc:def:crs:EPSG::27700", "plain digits", "27700"),
        ("EPSG:4978", "plain digits", "4979"),
    ],
)
def test_refusals_say_why(value: str, reason: str, suggestion: str) -> None:
    assert reason in why_refused(value)
    assert next(c for c in srid_candidates(value) if not why_refused(c)) == suggestion
    assert crs(value) is None


def test_every_row_is_whole() -> None:
    with gzip.open(epsg.TABLE, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["code"] for row in rows}) == len(rows) > 7000
    for row in rows:
        found = crs(row["code"])
        assert (found is None) == bool(why_refused(row["code"])) == bool(row["refused"])
        if row["instead"]:
            assert crs(row["instead"])
        if found:
            assert re.fullmatch("[NESW]{2}", found.axes)
            assert -90 <= found.domain.south < found.domain.north <= 90
            assert found.extent.xmin < found.extent.xmax
            assert found.extent.ymin < found.extent.ymax


def test_the_table_is_small() -> None:
    assert epsg.TABLE.stat().st_size < 300_000


def test_one_lookup_reads_the_heading_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = csv.DictReader
    read: list[str] = []

    def counted(lines: list[str]) -> "csv.DictReader[str]":
        read.extend(lines)
        return reader(lines)

    monkeypatch.setattr(csv, "DictReader", counted)
    assert crs(32760)
    assert len(read) == 2
