"""Rows to test with: what clients send, and what SQL inserts."""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from geoalchemy2.shape import from_shape
from httpx2 import Response
from shapely.geometry.base import BaseGeometry

from {{ cookiecutter.package_name }} import geometry, samples
from {{ cookiecutter.package_name }}.crs import STORAGE, WGS84
from {{ cookiecutter.package_name }}.queries import (
    GEOMETRY,
    INDEXED_ROWS,
    TABLE,
)
from {{ cookiecutter.package_name }}.schemas import READ_ONLY

PATH = f"/{TABLE.name}/"

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

#: An id that no row has.
NO_ID = UUID(int=0) if isinstance(TABLE.c.id.type, sa.Uuid) else 2**62


def as_json(value: Any) -> Any:
    """A value as a client sends it."""
    if isinstance(value, BaseGeometry):
        return json.loads(shapely.to_geojson(value))
    return orjson.loads(orjson.dumps(value, default=str))


def body(number: int = 1, /, **members: Any) -> dict[str, Any]:
    """What a client sends of a row: no more than it must, and the members given."""
    place = {GEOMETRY.name: samples.geometries(GEOMETRY)[0]}
    values = samples.attributes(TABLE, number) | place | members
    return {name: as_json(value) for name, value in values.items()}


def full_body(number: int = 1) -> dict[str, Any]:
    """What a client sends of a row when it leaves nothing out."""
    return body(number, **{column.name: samples.value(column, number) for column in WRITABLE})


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
    kinds: Sequence[dict[str, Any]] | None = None,
) -> None:
    """Insert rows by plain SQL, as many as the unique columns tell apart.

    They lie on both sides of a predicate unless the kinds of rows are given.
    """
    kinds = KINDS if kinds is None else kinds
    seen: set[tuple[str, Any]] = set()
    batches: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for number, shape in enumerate(geometries):
        attributes = samples.attributes(TABLE, number)
        unique = {(name, attributes[name]) for name in UNIQUE & attributes.keys()}
        if unique & seen:
            continue
        seen |= unique
        kind = number % len(kinds)
        place = {GEOMETRY.name: from_shape(shape, srid=STORAGE.srid)}
        batches[kind].append(attributes | kinds[kind] | place)
    for batch in batches.values():
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


def _kinds() -> list[dict[str, Any]]:
    """Values for the columns that a partial index asks about: some that it holds, and some that it does not."""
    condition = str(INDEXED_ROWS)
    without_texts = re.sub(r"'(?:[^']|'')*'", "''", condition)
    choices = [
        [{}, *({column.name: value} for value in _values(column, condition))]
        for column in WRITABLE
        if re.search(rf"\b{column.name}\b", without_texts) and column.name not in UNIQUE
    ]
    kinds = [{name: each[name] for each in kind for name in each} for kind in product(*choices)]
    # Of a condition over many columns there would be hundreds.
    return kinds[:: len(kinds) // 32 + 1]


def _values(column: sa.Column[Any], condition: str) -> Iterator[Any]:
    """A sample of a column, NULL if it may be, and the values that a condition names."""
    yield samples.value(column)
    if column.nullable:
        yield None
    match column.type:
        case sa.Boolean():
            yield from (True, False)
        case sa.String():
            for text in re.findall(r"'((?:[^']|'')*)'", condition):
                yield text.replace("''", "'").replace("%", "")[: column.type.length]
        case sa.Integer() | sa.Float() | sa.Numeric():
            for number in re.findall(r"\b\d+\b", condition):
                yield from (int(number), int(number) + 1)


KINDS = _kinds()
