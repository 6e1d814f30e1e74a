"""The spatial queries that pages of features send, for the checks."""

from collections.abc import Iterator

import orjson

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
    within = {"op": "s_within", "args": [{"property": column.name}, {"bbox": [*box]}]}
    inside = cql.compile_filter(collection, orjson.dumps(within).decode(), "cql2-json")
    record = row_formats.geojson(collection, collection.default_crs)
    yield from page_searches("a page in a box", record, bbox.within(column, box))
    yield from page_searches("a filtered page", record, Condition(inside))
