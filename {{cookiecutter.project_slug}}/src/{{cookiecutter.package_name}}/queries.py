"""Every SELECT that the service sends, and how its rows become JSON."""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from . import bbox, spatial
from .crs import WGS84, Bounds, Reference
from .geometry import GeometryFormat, in_srid
from .models import Base

TABLE = Base.metadata.tables["{{ cookiecutter.table_name }}"]
GEOMETRY = spatial.geometry_column(TABLE)

#: The rows that every answer over many rows is about, as the geometry's index holds them.
INDEXED_ROWS = spatial.indexed_rows(GEOMETRY)
EVERY_ROW = sa.true()

#: Which state of a row it is: PostgreSQL's number of the transaction that wrote it.
VERSION = sa.cast(sa.literal_column(f"{TABLE.name}.xmin"), sa.Text())

#: Rows that are few: all of them are found and sorted in some milliseconds.
FEW = 20_000


class Record:
    """A row as a flat JSON object, with its geometry in a format of the caller's choice."""

    def __init__(self, geometry: GeometryFormat) -> None:
        self.columns: list[sa.ColumnElement[Any]] = []
        self._members: list[tuple[str, bool]] = []
        for column in TABLE.columns:
            if column is GEOMETRY:
                value, is_json = geometry.select(), geometry.is_json
            else:
                value, is_json = _written(column)
            self.columns.append(value.label(column.name))
            self._members.append((column.name, is_json))
        self.by_id = _by_id(self.columns)

    def encode(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row that begins with these columns, as a value for ``orjson``."""
        return {
            name: orjson.Fragment(value) if is_json and value is not None else value
            for (name, is_json), value in zip(self._members, row, strict=False)
        }


class Feature:
    """A row as a GeoJSON feature: its id, its geometry as text, and the other columns as its properties."""

    #: The columns that are the properties.
    properties: Sequence[sa.Column[Any]] = [
        column for column in TABLE.columns if column is not GEOMETRY and not column.primary_key
    ]

    def __init__(self, geometry: sa.ColumnElement[str]) -> None:
        written = [_written(column) for column in self.properties]
        self.columns: list[sa.ColumnElement[Any]] = [
            TABLE.c.id,
            geometry.label(GEOMETRY.name),
            *(
                value.label(column.name)
                for column, (value, _) in zip(self.properties, written, strict=True)
            ),
        ]
        self._members = [
            (column.name, is_json)
            for column, (_, is_json) in zip(self.properties, written, strict=True)
        ]
        self.by_id = _by_id(self.columns)

    def encode(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row that begins with these columns, as a value for ``orjson``."""
        id, geometry, *values = row
        return {
            "type": "Feature",
            "id": id,
            "geometry": orjson.Fragment(geometry),
            "properties": {
                name: orjson.Fragment(value) if is_json and value is not None else value
                for (name, is_json), value in zip(self._members, values, strict=False)
            },
        }


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
    """What to select of a column, and whether it comes as JSON."""
    if _is_written_by_postgresql(column):
        return sa.cast(sa.func.to_json(column), sa.Text()), True
    return column, False


def _is_written_by_postgresql(column: sa.Column[Any]) -> bool:
    """Whether PostgreSQL has values of the type that Python or orjson has not: infinite times, exact numbers."""
    return isinstance(column.type, sa.Date | sa.DateTime | sa.Numeric | JSONB)


def find(connection: sa.Connection, record: Record | Feature, id: Any) -> sa.Row[Any] | None:
    """One row, of all that the table has, with its version at the end; none if there is no such id."""
    return connection.execute(record.by_id, {"id": id}).one_or_none()


def _by_id(columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """The statement that finds one row. To make it anew for each request would take as long as to send it."""
    return sa.select(*columns, VERSION).where(TABLE.c.id == sa.bindparam("id"))


def select(record: Record | Feature, rows: sa.ColumnElement[bool] = INDEXED_ROWS) -> sa.Select[Any]:
    """The rows that answers over many rows are about, in no order."""
    return sa.select(*record.columns).where(rows)


def page(
    rows: sa.Select[Any],
    *,
    limit: int,
    after: Any = None,
    box: Bounds | None = None,
    few: bool = False,
) -> sa.Select[Any]:
    """The rows that follow an id, in the order of their ids, ``limit`` at the most.

    A page begins where the one before it ended (a keyset), so that a deep page costs what the first one does.
    """
    query = rows.order_by(in_order_of_id(few=few)).limit(limit)
    if after is not None:
        query = query.where(TABLE.c.id > after)
    if box is not None:
        query = query.where(bbox.within(GEOMETRY, box))
    return query


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


def estimate(connection: sa.Connection, rows: sa.Select[Any]) -> int:
    """How many rows the planner expects of all the pages, which takes it a tenth of a millisecond."""
    everything = rows.with_only_columns(TABLE.c.id).order_by(None).limit(None)
    plan = connection.execute(_Explain(everything)).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


def are_few(connection: sa.Connection, rows: sa.Select[Any]) -> bool:
    """Whether it is quicker to find all the rows and sort them than to look for them in the order of the ids."""
    return estimate(connection, rows) <= FEW


def in_order_of_id(*, few: bool) -> sa.ColumnElement[Any]:
    """What to sort by, so that PostgreSQL finds few rows by their own index.

    Left to itself it walks the primary key until it has met a page of them, as if they were spread evenly: for rows
    near one another in a table that is sorted in space, a walk through all of it. An expression has no index to walk.
    """
    return sa.func.greatest(TABLE.c.id) if few else TABLE.c.id


class _Explain(sa.Executable, sa.ClauseElement):
    inherit_cache = False

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement


@compiles(_Explain)
def _explain(element: _Explain, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"
