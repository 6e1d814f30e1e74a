"""What the metadata of a table says about its geometry, so that no other module repeats the model."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from geoalchemy2 import Geometry, WKBElement

from geotables.crs import CRS, UnknownCRS, facts
from geotables.identifiers import quoted

#: A column of a geometry type, which GeoAlchemy2 loads as WKB.
GeometryColumn = sa.Column[WKBElement]


def geometry_columns(table: sa.Table) -> list[GeometryColumn]:
    """The geometry columns of a table, in the order of the model."""
    return [column for column in table.columns if isinstance(column.type, Geometry)]


def geometry_column(table: sa.Table, annotated: Sequence[str] = ()) -> GeometryColumn:
    """The geometry column of a table that is served: the only one, or the one of several that a schema annotates.

    Raises:
        LookupError: The table has no geometry column, or several of which none, or more than one, is annotated.
    """
    columns = geometry_columns(table)
    served = [column for column in columns if column.name in annotated]
    if len(columns) == 1:
        return columns[0]
    if len(served) == 1:
        return served[0]
    names = ", ".join(column.name for column in columns)
    if not columns:
        raise LookupError(f"{table.fullname} has 0 geometry columns, not one")
    raise LookupError(
        f"{table.fullname} has {len(columns)} geometry columns, {names}: annotate the one that is served in the schema"
        " of what is read with GeoJSON(…) or WKT(…), and no other"
    )


def is_view(table: sa.Table) -> bool:
    """Whether no revision makes a table: it is a view, a materialized view or a foreign table."""
    return bool(table.info.get("is_view"))


def geometry_type(column: GeometryColumn) -> str:
    """``POINT``, ``MULTIPOLYGON``, …: the type of the geometries, without their dimension."""
    return str(_type(column).geometry_type).upper().removesuffix("Z")


def dimension(column: GeometryColumn) -> int:
    """2 for x and y, 3 for x, y and z."""
    return int(_type(column).dimension)


def srid(column: GeometryColumn) -> int:
    """The SRID that the column stores."""
    return int(_type(column).srid)


def crs(column: GeometryColumn) -> CRS:
    """The CRS that the column stores.

    Raises:
        UnknownCRS: It has none that a table can store.
    """
    try:
        return facts(srid(column))
    except UnknownCRS as error:
        raise UnknownCRS(f"{column}: {error}") from None


def has_automatic_index(column: GeometryColumn) -> bool:
    """Whether GeoAlchemy2 makes an index of its own (``spatial_index=True``)."""
    return bool(_type(column).spatial_index)


def _type(column: GeometryColumn) -> Geometry:
    if not isinstance(column.type, Geometry):
        raise TypeError(f"{column} is no geometry column")
    return column.type


def gist_indexes(column: GeometryColumn) -> Iterator[sa.Index]:
    """The GiST indexes whose key is the column itself."""
    for index in column.table.indexes:
        method = index.dialect_options["postgresql"]["using"]
        if method == "gist" and list(index.columns) == [column]:
            yield index


def geography_indexes(column: GeometryColumn) -> Iterator[sa.Index]:
    """The GiST indexes whose key is the column as geography, which search in metres."""
    for index in column.table.indexes:
        keys = [str(key) for key in index.expressions]
        name = quoted(column.name)
        if keys in ([f"({name}::geography)"], [f"({name} :: geography)"], [f"geography({name})"]):
            yield index


def predicate(index: sa.Index) -> sa.ColumnElement[bool] | None:
    """The condition of a partial index."""
    where: sa.ColumnElement[bool] | None = index.dialect_options["postgresql"]["where"]
    return where


def conditions(table: sa.Table) -> str:
    """The conditions of a table's partial indexes, each with its index: PostgreSQL names neither when one fails for a row."""
    named = {str(index.name): predicate(index) for index in table.indexes}
    return "; ".join(
        f"{name}: {where}" for name, where in sorted(named.items()) if where is not None
    )


def indexed_rows(column: GeometryColumn) -> sa.ColumnElement[bool]:
    """The rows that the column's index holds: what every answer over many rows is about."""
    for index in gist_indexes(column):
        where = predicate(index)
        if where is not None:
            return where
    return sa.true()
