"""Stream rows through a server-side cursor, so that a table of any size takes the same memory."""

from collections.abc import Generator, Iterable, Sequence
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.crs import CRS84, WGS84
from geotables.db.statements import Condition
from geotables.sql import queries, row_formats
from geotables.sql.row_formats import Feature

#: Rows of a chunk.
CHUNK = 1_000

#: More decimals than a double has: PostGIS then writes as many as identify it.
DIGITS = 30

RECORD_SEPARATOR = b"\x1e"


@cache
def exact_feature(collection: Collection) -> Feature:
    """Features that give back what is stored, with all the digits that PostGIS writes, where that is WGS 84."""
    if collection.crs.srid == WGS84:
        return row_formats.geojson(collection, CRS84._replace(decimals=DIGITS))
    return row_formats.geojson(collection, CRS84)


def chunks(
    connection: sa.Connection, query: sa.Select[Any], rows: Condition
) -> Generator[Sequence[Sequence[Any]], None, None]:
    """The rows of a query, whose parameters have the values of a condition."""
    options = {"yield_per": CHUNK}
    with connection.execute(query, rows.values, execution_options=options) as result:
        yield from result.partitions()


def sequence(
    connection: sa.Connection,
    rows: Condition,
    *,
    feature: Feature,
    order: Sequence[sa.ColumnElement[Any]] = (),
) -> Generator[bytes, None, None]:
    """Rows as a GeoJSON text sequence (RFC 8142), in chunks of many features.

    Args:
        connection: In a transaction, whose time zone is UTC.
        rows: Which rows.
        feature: What to write of each.
        order: What to sort by; none: as they are stored, which is the quickest.
    """
    query = queries.select(feature, rows.expression).order_by(*order)
    for chunk in chunks(connection, query, rows):
        yield texts(feature.encode(chunk))


def texts(features: Iterable[dict[str, Any]], separator: bytes = RECORD_SEPARATOR) -> bytes:
    """GeoJSON texts, each on a line of its own and after a separator."""
    return b"".join([separator + orjson.dumps(feature) + b"\n" for feature in features])
