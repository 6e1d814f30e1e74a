"""Vector tiles of a collection, as GDAL reads them (Mapbox Vector Tile, version 2)."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyogrio
import shapely
from fastapi.testclient import TestClient
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.tiles.mvt import Tile

#: Units of a tile's grid along a side, and how many its buffer has.
GRID, BUFFER = 4096, 64

#: The side of the world in metres of Web Mercator.
WORLD = 2 * math.pi * 6378137

#: The types of features, by dimension.
TYPES = ("Point", "LineString", "Polygon")


class Feature(NamedTuple):
    """A feature of a tile: its geometry in units of the tile's grid, y to the south."""

    id: int | None
    type: str
    #: Those that have a value.
    properties: dict[str, Any]
    geometry: BaseGeometry


def path(collection: Collection, tile: Tile) -> str:
    """Where the service has a tile: the row before the column."""
    return f"/collections/{collection.name}/tiles/WebMercatorQuad/{tile.z}/{tile.y}/{tile.x}"


def features(client: TestClient, collection: Collection, tile: Tile) -> list[Feature]:
    """What the service shows in a tile."""
    response = client.get(path(collection, tile))
    if response.status_code == 204:
        assert response.content == b""
        return []
    assert response.status_code == 200, response.text
    layers = decode(response.content)
    assert layers.keys() == {collection.name}
    return layers[collection.name]


def ids(collection: Collection, features: Iterable[Feature]) -> set[str]:
    """The ids of the rows that are shown."""
    return {str(feature.properties[collection.key.name]) for feature in features}


def decode(content: bytes) -> dict[str, list[Feature]]:
    """The features of each layer of a tile, with all that its buffer has of them."""
    return {str(name): _layer(content, name) for name, _ in pyogrio.list_layers(content)}


def _layer(content: bytes, name: str) -> list[Feature]:
    _, table = pyogrio.read_arrow(content, layer=name, CLIP=False)
    found = []
    for row in table.to_pylist():
        id, wkb = row.pop("mvt_id", None), row.pop("wkb_geometry")
        # GDAL counts y from the south.
        geometry = affinity.affine_transform(shapely.from_wkb(wkb), [1, 0, 0, -1, 0, GRID])
        properties = {name: value for name, value in row.items() if value is not None}
        found.append(Feature(id, TYPES[shapely.get_dimensions(geometry)], properties, geometry))
    return found


def in_grid(geometry: BaseGeometry, tile: Tile, world: int = 0) -> BaseGeometry:
    """A geometry in Web Mercator, in the units of a tile's grid; moved to the east by so many worlds."""
    size = GRID * 2**tile.z
    west, north = size / 2 - tile.x * GRID + world * size, size / 2 - tile.y * GRID
    return affinity.affine_transform(geometry, [size / WORLD, 0, 0, -size / WORLD, west, north])
