"""Rows to test with: what clients send, and what SQL inserts."""

import datetime
import functools
import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from geoalchemy2.shape import from_shape
from httpx2 import Response
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects.postgresql import JSONB

from geotables import geometry
from geotables.crs import WGS84
from geotables.geometry import samples

from {{ cookiecutter.package_name }}.cli import SERVICE
from {{ cookiecutter.package_name }}.tables import COLLECTIONS

#: The project's package, and the folder that it lies in.
PACKAGE = SERVICE.package
SOURCES = Path(__file__).parents[1] / "src"

COLLECTION = COLLECTIONS[0]
TABLE, GEOMETRY, STORAGE = COLLECTION.table, COLLECTION.geometry, COLLECTION.crs
STORED, DEFAULT, REFERENCES = (
    COLLECTION.storage_crs,
    COLLECTION.default_crs,
    COLLECTION.references,
)
INDEXED_ROWS, EVERY_ROW = COLLECTION.indexed_rows, sa.true()
CREATE, READ, READ_ONLY = COLLECTION.create, COLLECTION.read, COLLECTION.read_only

#: What a query can ask about, by name: every column but the geometry; and the column that ``datetime`` asks about.
COLUMNS = {column.name: column for column in COLLECTION.columns if column is not GEOMETRY}
TIME = COLLECTION.time

PATH = f"/{COLLECTION.name}/"

#: The columns that a client writes, without the geometry.
WRITABLE = [
    column for column in TABLE.columns if column is not GEOMETRY and column.name not in READ_ONLY
]

UNIQUE = {
    column.name
    for constraint in TABLE.constraints
    if isinstance(constraint, sa.UniqueConstraint)
    for column in constraint.columns
}

#: The columns that a client must give, without the geometry.
REQUIRED = {
    column.name for column in WRITABLE if not column.nullable and column.server_default is None
}

#: The columns that a partial index asks about, without those that tell rows apart.
ASKED = [
    column.name
    for column in WRITABLE
    if re.search(rf"\b{column.name}\b", re.sub(r"'(?:[^']|'')*'", "''", str(INDEXED_ROWS)))
    and column.name not in UNIQUE
]

#: An id that no row has.
NO_ID = UUID(int=0) if isinstance(TABLE.c.id.type, sa.Uuid) else 2**62


def as_json(value: Any) -> Any:
    """A value as a client sends it."""
    if isinstance(value, BaseGeometry):
        return json.loads(shapely.to_geojson(value))
    return orjson.loads(orjson.dumps(value, default=str))


def body(number: int = 1, /, **members: Any) -> dict[str, Any]:
    """What a client sends of a row: no more than it must, and the members given."""
    values = {name: value for name, value in COLLECTION.example(number).items() if name in REQUIRED}
    return _sent(values | members)


def full_body(number: int = 1, /, **members: Any) -> dict[str, Any]:
    """What a client sends of a row when it leaves nothing out, and the members given."""
    return _sent(COLLECTION.example(number) | members)


def _sent(values: Mapping[str, Any]) -> dict[str, Any]:
    place = {GEOMETRY.name: samples.geometries(GEOMETRY)[0]}
    return {name: as_json(value) for name, value in {**place, **values}.items()}


def asked_for(number: int) -> dict[str, Any]:
    """What a row has for the columns that a partial index asks about."""
    row = COLLECTION.example(number)
    return {name: row[name] for name in ASKED}


def _kinds() -> int:
    # Of a condition over many columns there would be hundreds.
    seen = [repr(asked_for(number)) for number in range(32)]
    return max(seen.index(each) for each in seen) + 1


#: How many rows, from number 0 on, have every combination of values that a partial index asks about.
KINDS = _kinds()


def in_wgs84(connection: sa.Connection, member: Any) -> BaseGeometry:
    """The geometry of an answer, whichever format it has."""
    given = geometry.read(member, default_srid=STORAGE.srid)
    transformed = sa.func.ST_AsEWKB(geometry.bind(given, WGS84), type_=sa.LargeBinary())
    return shapely.from_wkb(bytes(connection.scalar(sa.select(transformed))))


def same_place(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Whether two geometries have the same coordinates, to a tenth of a metre."""
    if one.geom_type != other.geom_type:
        return False
    ours, theirs = (shapely.get_coordinates(each, include_z=True) for each in (one, other))
    return ours.shape == theirs.shape and np.allclose(
        ours, theirs, rtol=0, atol=1e-6, equal_nan=True
    )


def refused(response: Response, place: str, reason: str = "") -> None:
    """Assert that a request was refused as invalid, with the place and the reason."""
    assert response.status_code == 422, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert [error["location"] for error in errors] == [place], response.text
    assert reason in errors[0]["detail"]


def count(connection: sa.Connection) -> int:
    """How many rows there are."""
    return connection.scalar(sa.select(sa.func.count()).select_from(TABLE))


def indexed_ids(connection: sa.Connection) -> list[Any]:
    """The ids of the rows that answers over many rows are about, in their order."""
    return list(connection.scalars(sa.select(TABLE.c.id).where(INDEXED_ROWS).order_by(TABLE.c.id)))


def insert(
    connection: sa.Connection,
    geometries: Sequence[BaseGeometry],
    kinds: Sequence[Mapping[str, Any]] = ({},),
    names: Collection[str] = tuple(column.name for column in WRITABLE),
) -> None:
    """Insert example rows by plain SQL, as many as the unique columns tell apart, on both sides of a predicate.

    Args:
        connection: To the database.
        geometries: Of each row its own.
        kinds: Other values, which the rows have in turn: for the table that is not constrained.
        names: The columns that are not left out.
    """
    taken: set[tuple[str, Any]] = set()
    inserted: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for number, shape in enumerate(geometries):
        example = COLLECTION.example(number)
        row = {name: example[name] for name in names} | kinds[number % len(kinds)]
        unique = {(name, row[name]) for name in UNIQUE & row.keys()}
        if not unique & taken:
            taken |= unique
            place = {GEOMETRY.name: from_shape(shape, srid=STORAGE.srid)}
            inserted[frozenset(row)].append(row | place)
    for batch in inserted.values():
        connection.execute(sa.insert(TABLE), batch)


@functools.cache
def spread(number: int) -> list[BaseGeometry]:
    """Geometries all over the storage CRS, of every type that the column stores; always the same."""
    extent, random = STORAGE.extent, np.random.default_rng(1)
    # Up to a hundredth of the extent in size; the largest shape measures three units.
    sizes = (extent.xmax - extent.xmin) / 300 * random.random(number)
    # A datum's shift would carry what lies at the very edge across the antimeridian, and a line around the world.
    edge = 0.1 if STORAGE.geographic and STORAGE.srid != WGS84 else 0.0
    x = (
        extent.xmin
        + edge
        + random.random(number) * (extent.xmax - extent.xmin - 2 * edge - 3 * sizes)
    )
    y = extent.ymin + random.random(number) * (extent.ymax - extent.ymin - 3 * sizes)
    found = []
    for index, place in enumerate(zip(x, y, strict=True)):
        shapes = samples.geometries(GEOMETRY, place, sizes[index])
        found.append(shapely.set_srid(shapes[index % len(shapes)], STORAGE.srid))
    return found


def in_sql(condition: sa.ColumnElement[bool]) -> str:
    """A condition as a part of ``sa.text``, where a colon would begin the name of a parameter."""
    return str(condition).replace(":", r"\:")


def value(column: sa.Column[Any], number: int = 1) -> Any:
    """A value of a column's type, whatever the constraints of its table: for one that is not constrained."""
    match column.type:
        case sa.String():
            return str(number)[: column.type.length]
        case sa.Boolean():
            return number % 2 == 0
        case sa.Integer():
            return number
        case sa.Numeric():
            return Decimal(number % 10).scaleb(-(column.type.scale or 0))
        case sa.Float():
            return number + 0.5
        case sa.DateTime():
            return datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
                hours=number
            )
        case sa.Date():
            return datetime.date(2020, 1, 1) + datetime.timedelta(days=number)
        case sa.Uuid():
            return UUID(int=number)
        case JSONB():
            return {"number": number}
    raise NotImplementedError(f"no sample of the type of {column}")
