"""Example rows of a table, as the literals of its own tests (tests/test_<table>.py) have them."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from parameters import Relation
from parameters.attributes import TIMES, Attribute
from parameters.epsg import Crs

#: A place that most people find on a map, in degrees, for a CRS that covers it.
USUAL_PLACE = (10.0, 50.0)

#: Degrees between the examples: a few steps stay within the area of every CRS.
STEP = 0.01

HEIGHT = 12.5

#: A zoom level at which a tile is some kilometres wide.
ZOOM = 12

#: A shape of each type, in steps from a place.
SHAPES: dict[str, Any] = {
    "POINT": (0, 0),
    "LINESTRING": [(0, 0), (1, 1)],
    "POLYGON": [[(0, 0), (1, 0), (1, 1), (0, 0)]],
    "MULTIPOINT": [(0, 0), (1, 1)],
    "MULTILINESTRING": [[(0, 0), (1, 1)]],
    "MULTIPOLYGON": [[[(0, 0), (1, 0), (1, 1), (0, 0)]]],
}
NAMES = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an example is: longitude and latitude."""

    lon: float
    lat: float

    def moved(self, steps: int) -> Place:
        """A place to the north-east."""
        return Place(_moved(self.lon, steps), _moved(self.lat, steps))

    @property
    def box(self) -> list[float]:
        """West, south, east, north around what is drawn here."""
        return [_moved(value, steps) for steps in (-2, 2) for value in (self.lon, self.lat)]

    @property
    def tile(self) -> tuple[int, int, int]:
        """The tile in Web Mercator that the place is in: zoom level, row and column."""
        count = 2**ZOOM
        column = (self.lon + 180) / 360 * count
        row = (1 - math.asinh(math.tan(math.radians(self.lat))) / math.pi) / 2 * count
        return ZOOM, int(row), int(column)

    def geojson(self, kind: str, *, has_z: bool) -> dict[str, Any]:
        """A geometry of a type."""
        if kind == "GEOMETRYCOLLECTION":
            shapes = [self.geojson(name, has_z=has_z) for name in ("POINT", "LINESTRING")]
            return {"type": "GeometryCollection", "geometries": shapes}
        kind = "POINT" if kind == "GEOMETRY" else kind
        return {"type": NAMES[kind], "coordinates": self._drawn(SHAPES[kind], has_z)}

    def _drawn(self, shape: Any, has_z: bool) -> list[Any]:
        if isinstance(shape, list):
            return [self._drawn(part, has_z) for part in shape]
        x, y = shape
        return [_moved(self.lon, x), _moved(self.lat, y), *([HEIGHT] if has_z else [])]


def _moved(value: float, steps: int) -> float:
    return round(value + steps * STEP, 2)


def place_in(crs: Crs) -> Place:
    """A place in the area of a CRS, away from its edges: its middle, unless the usual place is in it."""
    west, south, east, north = crs.area or crs.domain
    if east <= west:
        # Over the antimeridian.
        east = 180.0
    lon, lat = USUAL_PLACE
    if not (west + 5 < lon < east - 5 and south + 5 < lat < north - 5):
        lon, lat = (west + east) / 2, (south * 2 + north) / 3
    # Web Mercator's tiles end at 85 degrees.
    lat = min(max(lat, -84.0), 84.0)
    return Place(round(lon, 2), round(lat, 2))


def value(attribute: Attribute, number: int, resource: str, *, is_key: bool = False) -> Any:
    """What a column has in an example row, 1 or 2, as a client sends it."""
    default = attribute.default
    if number == 1 and default and not default.function and attribute.type != "json":
        return as_sent(default.value)
    ordinal = ("No", "First", "Second")[number]
    match attribute.type:
        case "str" | "text" | "varchar" | "char":
            # A key stands in URLs.
            texts = [f"row-{number}" if is_key else f"{attribute.name} {number}", str(number)]
            if attribute.name in ("name", "title"):
                texts.insert(0, f"{ordinal} {resource.replace('_', ' ')}")
            return next(text for text in texts if len(text) <= min(attribute.length or 40, 40))
        case "bool":
            return number == 1
        case "float" | "real":
            return number + 0.5
        case "numeric" if attribute.precision == attribute.scale:
            return number / 10
        case "date":
            return f"202{number}-01-31"
        case "datetime":
            return f"202{number}-01-31T12:00:00+00:00"
        case "uuid":
            return f"0000000{number}-0000-4000-8000-000000000000"
        case "json" | "json_text":
            return {"number": number}
    return number


def as_sent(value: object) -> Any:
    """A value of Python as a client sends it."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case UUID():
            return str(value)
    return value


#: The types of SQLite that compare as those of PostgreSQL do.
SQLITE_TYPES = {
    **dict.fromkeys(("smallint", "int", "bigint", "bool"), "INTEGER"),
    **dict.fromkeys(("float", "real"), "REAL"),
    **dict.fromkeys(("numeric", "decimal"), "NUMERIC"),
}

#: Values of two extremes, for columns that the database sets: where a predicate differs between them, only PostgreSQL can tell.
EXTREMES = {
    **dict.fromkeys(
        ("smallint", "int", "bigint", "float", "real", "numeric", "decimal"), (1, 2**62)
    ),
    "datetime": ("2024-01-01T00:00:00+00:00", "9000-01-01T00:00:00+00:00"),
}


class Predicate:
    """A partial index's condition, evaluated by SQLite before there is a PostgreSQL: it understands most conditions."""

    def __init__(self, text: str, table: Relation) -> None:
        self._text = text
        types = {each.name: each.type for each in (table.key, *table.attributes)}
        types |= dict.fromkeys(TIMES, "datetime") if table.has_times else {}
        self._types = {name: SQLITE_TYPES.get(kind, "TEXT") for name, kind in types.items()}
        self._others = [
            {name: EXTREMES[kind][end] for name, kind in types.items() if kind in EXTREMES}
            for end in (0, 1)
        ]

    def holds(self, row: Mapping[str, Any]) -> bool | None:
        """Whether it is true of a row; None where only PostgreSQL can tell."""
        try:
            answers = {self._ask({**others, **row}) for others in self._others}
        except (sqlite3.Error, OverflowError):
            return None
        # A backslash begins an escape in PostgreSQL's LIKE alone.
        escapes = "\\" in self._text and "like" in self._text.lower()
        return None if len(answers) > 1 or escapes else answers.pop()

    def _ask(self, row: Mapping[str, Any]) -> bool:
        quoted = {name.replace('"', '""'): kind for name, kind in self._types.items()}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in quoted.items())
        if unknown := [name for name in self._types.keys() - row.keys() if name in self._text]:
            raise sqlite3.Error(f"no value of {unknown[0]}")
        values = [row.get(name) for name in self._types]
        texts = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("PRAGMA case_sensitive_like = ON")
            connection.execute(f"CREATE TABLE example ({columns})")
            marks = ", ".join("?" * len(texts))
            connection.execute(f"INSERT INTO example VALUES ({marks})", texts)
            return bool(connection.execute(f"SELECT ({self._text}) FROM example").fetchone()[0])


def combinations(choices: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combinations of the columns' values, at most 500."""
    products = itertools.islice(itertools.product(*choices.values()), 500)
    return [dict(zip(choices, values, strict=True)) for values in products]


def wkt(geometry: Mapping[str, Any]) -> str:
    """A GeoJSON geometry as WKT."""
    name = geometry["type"].upper()
    if "geometries" in geometry:
        return f"{name} ({', '.join(map(wkt, geometry['geometries']))})"
    first = geometry["coordinates"]
    while isinstance(first[0], list):
        first = first[0]
    text = _wkt(geometry["coordinates"])
    return (
        f"{name}{' Z' if len(first) == 3 else ''} {text if text.startswith('(') else f'({text})'}"
    )


def _wkt(coordinates: Sequence[Any]) -> str:
    if isinstance(coordinates[0], list):
        return f"({', '.join(map(_wkt, coordinates))})"
    return " ".join(map(str, coordinates))
