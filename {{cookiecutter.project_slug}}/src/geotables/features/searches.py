"""The spatial queries that pages of features send, for the checks."""

from collections.abc import Iterator

from geotables.collection import Collection
from geotables.db.statements import Condition
from geotables.features import cql
from geotables.geometry import samples
from geotables.http.faces import Search, page_searches
from geotables.sql import bbox, row_formats


def searches(collection: Collection) -> Iterator[Search]:
    """Each kind of spatial query, its values, and the index that is meant for it."""
    column = collection.geometry
    box = samples.small_box(column)
    inside = cql.compile_filter(collection, f"S_WITHIN({column.name}, BBOX{(*box,)})", "cql2-text")
    record = row_formats.geojson(collection, collection.default_crs)
    yield from page_searches("a page in a box", record, bbox.within(column, box))
    yield from page_searches("a filtered page", record, Condition(inside))
