"""Every SELECT that the service sends, and how its rows become JSON."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import orjson
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB

from . import models, spatial
from .crs import CRS84, CRS84H, LATLON, MERCATOR, WGS84, Reference, stored
from .database import Database
from .geometry import GeometryFormat, in_srid
from .statements import Condition, Row, Statement

TABLE = models.Base.metadata.tables[models.{{ cookiecutter.__class_name }}.__tablename__]
GEOMETRY = spatial.geometry_column(TABLE)

#: The CRS of the table, and how the OGC names it.
STORAGE = spatial.crs(GEOMETRY)
STORED = stored(STORAGE)

#: What requests and answers are in unless the client says otherwise.
DEFAULT = CRS84H if spatial.dimension(GEOMETRY) == 3 else CRS84

#: The CRSs that requests and answers may be in, by their URIs.
REFERENCES = {each.uri: each for each in (DEFAULT, CRS84, STORED, LATLON, MERCATOR)}

#: The rows that every answer over many rows is about, as the geometry's index holds them.
INDEXED_ROWS = spatial.indexed_rows(GEOMETRY)
EVERY_ROW = sa.true()

#: The version of a row: PostgreSQL's number of the transaction that wrote it.
VERSION = sa.cast(sa.literal_column(f"{TABLE.name}.xmin"), sa.Text())


class RowFormat(ABC):
    """How rows are written: what is selected of them, and the JSON values that this becomes."""

    def __init__(
        self,
        columns: Iterable[sa.Column[Any]],
        geometry: sa.ColumnElement[str],
        *,
        geometry_is_json: bool,
    ) -> None:
        self._names: list[str] = []
        self._is_json: list[bool] = []
        self.columns: list[sa.ColumnElement[Any]] = []
        for column in columns:
            value, is_json = _written(column)
            if column is GEOMETRY:
                value, is_json = geometry, geometry_is_json
            self._names.append(column.name)
            self._is_json.append(is_json)
            self.columns.append(value.label(column.name))
        one: sa.Select[Any] = sa.select(*self.columns, VERSION)
        #: The row with an id, and its version at the end.
        self.by_id = Statement(one.where(TABLE.c.id == sa.bindparam("id")))

    @abstractmethod
    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Rows that begin with the columns selected, as values for ``orjson``."""

    def encode_one(self, row: Sequence[Any]) -> dict[str, Any]:
        """The same of one row."""
        return self.encode([row])[0]


class Record(RowFormat):
    """A row as a flat JSON object, with its geometry in a format of the caller's choice."""

    def __init__(self, geometry: GeometryFormat) -> None:
        super().__init__(TABLE.columns, geometry.select(), geometry_is_json=geometry.is_json)

    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        return list(_objects(self._names, _columns(rows, self._is_json)))


class Feature(RowFormat):
    """A row as a GeoJSON feature: its id, its geometry as text, and the other columns as its properties."""

    #: The columns that are the properties.
    properties: Sequence[sa.Column[Any]] = [
        column for column in TABLE.columns if column is not GEOMETRY and not column.primary_key
    ]

    def __init__(self, geometry: sa.ColumnElement[str]) -> None:
        super().__init__([TABLE.c.id, GEOMETRY, *self.properties], geometry, geometry_is_json=True)

    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        if not rows:
            return []
        ids, geometries, *values = _columns(rows, self._is_json)
        properties = _objects(self._names[2:], values)
        return [
            {"type": "Feature", "id": id, "geometry": geometry, "properties": each}
            for id, geometry, each in zip(ids, geometries, properties, strict=True)
        ]


def _columns(rows: Sequence[Sequence[Any]], is_json: Sequence[bool]) -> list[Sequence[Any]]:
    """The values of rows, column by column; what PostgreSQL has written as JSON is not parsed."""
    return [
        [text and orjson.Fragment(text) for text in column] if each else column
        for each, column in zip(is_json, zip(*rows, strict=True), strict=False)
    ]


def _objects(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Columns put together to objects; in C, since a long page has thousands of them."""
    return map(dict, map(zip, repeat(names), zip(*columns, strict=True)))


def geojson(reference: Reference) -> Feature:
    """Features whose geometry is GeoJSON, in a CRS and its order of the axes."""
    coordinates = _in_reference(reference)
    # Options 0: without them PostGIS adds a "crs" member, which RFC 7946 has removed.
    return Feature(
        sa.func.ST_AsGeoJSON(coordinates, reference.decimals, 0, type_=sa.Text()),
    )


def wkt(reference: Reference) -> Feature:
    """Features whose geometry is WKT, in a CRS and its order of the axes."""
    coordinates = _in_reference(reference)
    return Feature(sa.func.ST_AsText(coordinates, reference.decimals, type_=sa.Text()))


def _in_reference(reference: Reference) -> sa.ColumnElement[Any]:
    coordinates = in_srid(GEOMETRY, reference.srid)
    if reference.swapped:
        return sa.func.ST_FlipCoordinates(coordinates, type_=Geometry(srid=reference.srid))
    return coordinates


def _written(column: sa.Column[Any]) -> tuple[sa.ColumnElement[Any], bool]:
    """What to select of a column, and whether it comes as JSON.

    PostgreSQL writes what Python or orjson has no values for: infinite times, exact numbers, NaN.
    """
    if isinstance(column.type, sa.Date | sa.DateTime | sa.Numeric | sa.Float | JSONB):
        return sa.cast(sa.func.to_json(column), sa.Text()), True
    return column, False


def find(database: Database, record: RowFormat, id: Any) -> Row | None:
    """One row, inside or outside of the index, with its version at the end; None if there is no such id."""
    rows = database.fetch(record.by_id, {"id": id})
    return rows[0] if rows else None


def select(record: RowFormat, rows: sa.ColumnElement[bool] = INDEXED_ROWS) -> sa.Select[Any]:
    """The rows that answers over many rows are about, in no order."""
    return sa.select(*record.columns).where(rows)


def count(rows: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """How many rows there are."""
    return sa.select(sa.func.count()).select_from(TABLE).where(rows)


def extent(time: sa.Column[Any]) -> sa.Select[Any]:
    """The box in WGS 84 that holds the rows, corner by corner, and the first and the last of their times.

    ST_EstimatedExtent would be quicker, and miss rows.
    """
    box = sa.func.ST_Extent(in_srid(GEOMETRY, WGS84))
    corners = [
        sa.func.ST_XMin(box),
        sa.func.ST_YMin(box),
        sa.func.ST_XMax(box),
        sa.func.ST_YMax(box),
    ]
    times = [
        sa.cast(sa.func.to_json(each), sa.Text()) for each in (sa.func.min(time), sa.func.max(time))
    ]
    return sa.select(*corners, *times).where(INDEXED_ROWS)


def estimate(database: Database, rows: Condition) -> int:
    """How many rows the planner expects, which takes it a tenth of a millisecond."""
    every: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(TABLE)
    wanted = Statement(every.where(rows.expression), explained=True)
    return int(plan(database, wanted, rows.values)["Plan Rows"])


def plan(database: Database, explained: Statement, values: Mapping[str, Any]) -> dict[str, Any]:
    """The outermost node of the plan of a statement that is explained (PostgreSQL: EXPLAIN, FORMAT JSON)."""
    ((plans,),) = database.fetch(explained, values)
    node: dict[str, Any] = plans[0]["Plan"]
    return node
