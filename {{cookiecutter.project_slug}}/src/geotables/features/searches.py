"""The spatial queries that pages of features send, for the checks."""

from collections.abc import Iterator

import sqlalchemy as sa

from geotables.collection import Collection
from geotables.crs import Bounds
from geotables.db.statements import Condition
from geotables.features import cql
from geotables.geometry import metadata, samples
from geotables.http.faces import Search
from geotables.sql import bbox, keyset, paging, row_formats


def searches(collection: Collection) -> Iterator[Search]:
    """Each kind of spatial query, its values, and the index that is meant for it."""
    column, rows = collection.geometry, collection.rows()
    lon, lat = samples.middle(column)
    box = Bounds(lon, lat, lon + 0.001, lat + 0.001)
    inside = cql.compile_filter(collection, f"S_WITHIN({column.name}, BBOX{(*box,)})", "cql2-text")
    record = row_formats.geojson(collection, collection.default_crs)
    indexes = list(metadata.gist_indexes(column))[:1]
    page = {"limit": 10, "offset": 0, "size": 1000}
    for name, condition in (
        ("a page in a box", bbox.within(column, box)),
        ("a filtered page", Condition(inside)),
    ):
        expressions = [rows.expression, condition.expression]
        pages = paging.Pages(record, keyset.by_id(collection), expressions, sa.true())
        values = {**rows.values, **condition.values}
        for statement in (pages.sorted_few, pages.sorted_all):
            yield Search(name, statement, {**values, **page}, indexes)
