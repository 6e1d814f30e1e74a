"""Vector tiles: each shows the rows that transforming every row and looking finds in it."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.crs import CRS
from geotables.tiles.mvt import Tile

import mvt
from mvt import BUFFER, GRID, WORLD
from rows import Rows

#: The tile with its buffer, and by how much it may be smaller or larger because coordinates are rounded.
BOX = shapely.box(-BUFFER, -BUFFER, GRID + BUFFER, GRID + BUFFER)
TOLERANCE = 2


class Part(NamedTuple):
    """A point, line or area of a row, in Web Mercator."""

    id: str
    geometry: BaseGeometry


@pytest.fixture(scope="module")
def _parts() -> dict[str, list[Part]]:
    """What tiles show of each collection, by its name."""
    return {}


@pytest.fixture
def parts(spread: TestClient, rows: Rows, _parts: dict[str, list[Part]]) -> list[Part]:
    """What tiles show, transformed row by row, without the service's queries."""
    name = rows.collection.name
    if name not in _parts:
        transformed = f"ST_AsBinary(ST_Transform(ST_Force2D({rows.geometry_sql}), 3857))"
        query = sa.text(
            f"SELECT {rows.id_sql}, {transformed} FROM {rows.sql} WHERE {rows.indexed_sql}"
        )
        with spread.app.state.database.read() as connection:
            found = connection.execute(query).all()
        _parts[name] = [
            Part(id, part)
            for id, wkb in found
            for part in simple(mended(shapely.from_wkb(bytes(wkb)), rows.collection.crs))
        ]
    return _parts[name]


def mended(geometry: BaseGeometry, crs: CRS) -> BaseGeometry:
    """A geometry that lay across the antimeridian, put together again: no row is as large as half the world."""
    west, _, east, _ = geometry.bounds
    if crs.geographic or east - west < WORLD / 2:
        return geometry
    return shapely.transform(geometry, lambda xy: xy + np.array([WORLD, 0]) * (xy[:, :1] < 0))


def simple(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    """The points, lines and areas that a geometry is made of."""
    for part in shapely.get_parts(geometry):
        if hasattr(part, "geoms"):
            yield from simple(part)
        else:
            yield part


def brute_force(parts: list[Part], tile: Tile) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What a tile must show and what it may show, as ids and types: little pieces may vanish in its grid."""
    inner, outer = BOX.buffer(-TOLERANCE), BOX.buffer(TOLERANCE)
    boxes = shapely.box(*shapely.bounds([part.geometry for part in parts]).T)
    must, may = set(), set()
    for world in (-1, 0, 1):
        size = WORLD / 2**tile.z
        west, north = tile.x * size - WORLD / 2 - world * WORLD, WORLD / 2 - tile.y * size
        seen = shapely.box(west, north - size, west + size, north).buffer(size / 10)
        for index in np.flatnonzero(shapely.intersects(boxes, seen)):
            id, geometry = parts[index]
            found = mvt.in_grid(geometry, tile, world)
            kind = (id, mvt.TYPES[shapely.get_dimensions(geometry)])
            if found.envelope.intersects(outer):
                may.add(kind)
            # What goes around a pole is no valid area in Mercator: whatever it comes out as will do.
            if found.is_valid and is_visible(found.intersection(inner)):
                must.add(kind)
    return must, may


def is_visible(piece: BaseGeometry) -> bool:
    """Whether it is large enough for the grid."""
    match int(shapely.get_dimensions(piece)):
        case 0:
            return not piece.is_empty
        case 1:
            return piece.length > TOLERANCE * 2
    return not piece.buffer(-TOLERANCE).is_empty


def some_tiles(parts: list[Part], zoom: int) -> list[Tile]:
    """Tiles of a zoom: all if there are few, else some where rows are, at the antimeridian too; always the same."""
    if zoom < 3:
        return [Tile(zoom, x, y) for x, y in itertools.product(range(2**zoom), repeat=2)]
    x, y = shapely.get_coordinates(shapely.centroid([part.geometry for part in parts])).T
    tiles = [
        Tile(zoom, *(int((each / WORLD + 0.5) * 2**zoom) for each in at))
        for at in zip(x, -y, strict=True)
    ]
    found = sorted({tile for tile in tiles if tile.exists})
    return sorted({*found[:2], *found[-2:], *found[:: len(found) // 6 + 1]})


@pytest.mark.parametrize("zoom", range(7))
def test_a_tile_shows_the_rows_that_brute_force_finds(
    spread: TestClient, collection: Collection, parts: list[Part], zoom: int
) -> None:
    shown = 0
    for tile in some_tiles(parts, zoom):
        features = mvt.features(spread, collection, tile)
        key = collection.key.name
        found = {(str(feature.properties[key]), feature.type) for feature in features}
        must, may = brute_force(parts, tile)
        assert must <= found <= may, tile
        shown += len(found)
    assert shown or not parts
