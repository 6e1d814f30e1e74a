"""The service's tiles, and a reader of Mapbox Vector Tiles (specification 2.1), which are Protocol Buffers."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi.testclient import TestClient
from rows import TABLE

from geotables.tiles.mvt import Tile

TILES = f"/collections/{TABLE.name}/tiles"
QUAD = f"{TILES}/WebMercatorQuad"

#: Units of a tile's grid along a side, and how many its buffer has.
GRID, BUFFER = 4096, 64


class Feature(NamedTuple):
    """A feature of a tile: its geometry as the positions in it, in units of the tile's grid, y to the south."""

    id: int | None
    type: str
    properties: dict[str, Any]
    positions: list[tuple[int, int]]


class Layer(NamedTuple):
    """A layer of a tile."""

    name: str
    extent: int
    features: list[Feature]


TYPES = ("Unknown", "Point", "LineString", "Polygon")


def path(tile: Tile) -> str:
    """Where the service has a tile: the row before the column."""
    return f"{QUAD}/{tile.z}/{tile.y}/{tile.x}"


def features(client: TestClient, tile: Tile) -> list[Feature]:
    """What the service shows in a tile."""
    response = client.get(path(tile))
    if response.status_code == 204:
        assert response.content == b""
        return []
    assert response.status_code == 200, response.text
    (layer,) = layers(response.content)
    assert (layer.name, layer.extent) == (TABLE.name, GRID)
    return layer.features


def ids(features: list[Feature]) -> set[str]:
    """The ids of the rows that are shown."""
    return {str(feature.properties["id"]) for feature in features}


def layers(tile: bytes) -> list[Layer]:
    """The layers of a tile."""
    return [_layer(layer) for layer in _message(tile)[3]]


def _layer(data: bytes) -> Layer:
    fields = _message(data)
    assert fields[15] == [2], "the version of the specification"
    keys = [key.decode() for key in fields[3]]
    values = [_value(value) for value in fields[4]]
    features = [_feature(feature, keys, values) for feature in fields[2]]
    return Layer(fields[1][0].decode(), (fields[5] or [4096])[0], features)


def _feature(data: bytes, keys: list[str], values: list[Any]) -> Feature:
    fields = _message(data)
    tags = _varints(b"".join(fields[2]))
    properties = {keys[key]: values[value] for key, value in zip(tags, tags, strict=True)}
    id = fields[1][0] if fields[1] else None
    return Feature(id, TYPES[fields[3][0]], properties, list(_positions(b"".join(fields[4]))))


def _value(data: bytes) -> Any:
    ((kind, (value,)),) = _message(data).items()
    match kind:
        case 1:
            return value.decode()
        case 2:
            return struct.unpack("<f", value)[0]
        case 3:
            return struct.unpack("<d", value)[0]
        case 4:
            return value - 2**64 if value >= 2**63 else value
        case 6:
            return _zigzag(value)
        case 7:
            return bool(value)
    return value


def _positions(data: bytes) -> Iterator[tuple[int, int]]:
    """The positions that the commands of a geometry move to, or draw a line to."""
    numbers = _varints(data)
    x = y = 0
    for command in numbers:
        # 1 and 2 move and draw, with two numbers each; 7 closes a ring.
        for _ in range(command >> 3 if command & 7 in (1, 2) else 0):
            x, y = x + _zigzag(next(numbers)), y + _zigzag(next(numbers))
            yield x, y


def _zigzag(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


def _varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0


def _message(data: bytes) -> dict[int, list[Any]]:
    """The fields of a message by their numbers."""
    fields: dict[int, list[Any]] = defaultdict(list)
    position = 0

    def varint() -> int:
        nonlocal position
        begin = position
        while data[position] >= 128:
            position += 1
        position += 1
        return next(_varints(data[begin:position]))

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            fields[key >> 3].append(varint())
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        fields[key >> 3].append(data[position : position + size])
        position += size
    return fields
