"""The landing page, the conformance classes and the collections as pages for people."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import psycopg2
import sqlalchemy as sa
from fastapi import Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import Response

from geotables.collection import Collection
from geotables.http import html_pages, html_values
from geotables.http.faces import has_face
from geotables.http.formats import PAGES, url
from geotables.http.html_pages import COLLECTIONS, HOME, other_formats
from geotables.http.parameters import database_of, settings_of
from geotables.sql import sizes
from geotables.sql.extent import Extent

#: What the OGC calls its standards, by the names in their URIs.
STANDARDS = {
    "cql2": "Common Query Language (CQL2)",
    "ogcapi-common-1": "OGC API – Common, part 1: Core",
    "ogcapi-common-2": "OGC API – Common, part 2: Geospatial data",
    "ogcapi-common-3": "OGC API – Common, part 3: Schemas",
    "ogcapi-features-1": "OGC API – Features, part 1: Core",
    "ogcapi-features-2": "OGC API – Features, part 2: Coordinate reference systems",
    "ogcapi-features-3": "OGC API – Features, part 3: Filtering",
    "ogcapi-features-4": "OGC API – Features, part 4: Create, replace, update and delete",
    "ogcapi-features-5": "OGC API – Features, part 5: Schemas",
    "ogcapi-features-6": "OGC API – Features, part 6: Property selection (draft)",
    "ogcapi-features-8": "OGC API – Features, part 8: Sorting (draft)",
    "ogcapi-tiles-1": "OGC API – Tiles, part 1: Core",
    "tms": "Two Dimensional Tile Matrix Set",
}


def landing(request: Request, collections: Sequence[Collection]) -> Response:
    """What the service is, and its collections."""
    return html_pages.respond(
        request,
        "ogc/templates/landing.html",
        title=settings_of(request).title,
        description=settings_of(request).description,
        collections=_listed(request, collections),
        mapped=html_pages.mapped(request, collections),
        others=other_formats(request, PAGES),
    )


def collections(request: Request, collections: Sequence[Collection]) -> Response:
    """The collections of the service."""
    return html_pages.respond(
        request,
        "ogc/templates/collections.html",
        title="Collections",
        crumbs=[HOME],
        collections=_listed(request, collections),
        others=other_formats(request, PAGES),
    )


def conformance(request: Request, classes: Sequence[str]) -> Response:
    """The conformance classes, by the standard that they are of."""
    standards = defaultdict(list)
    for uri in classes:
        standard, _, name = uri.partition("/conf/")
        named = standard.partition("/spec/")[2]
        standards[STANDARDS.get(named.partition("/")[0], named)].append((name, uri))
    return html_pages.respond(
        request,
        "ogc/templates/conformance.html",
        title="Standards",
        crumbs=[HOME],
        standards=dict(standards),
        others=other_formats(request, PAGES),
    )


def collection(
    request: Request, collection: Collection, extent: Extent | None, *, is_closed: bool
) -> Response:
    """A collection: where it is, its columns, and how to ask for its features."""
    unique = {
        column.name
        for constraint in collection.table.constraints
        if isinstance(constraint, sa.UniqueConstraint) and len(constraint.columns) == 1
        for column in constraint.columns
    }
    columns = [
        {
            "name": column.name,
            "type": html_values.geometry_type(collection)
            if column is collection.geometry
            else html_values.type_of(column),
            "notes": _notes(collection, column, unique),
        }
        for column in collection.columns
    ]
    return html_pages.respond(
        request,
        "ogc/templates/collection.html",
        title=collection.title,
        crumbs=[HOME, COLLECTIONS],
        collection=collection,
        columns=columns,
        shapes=html_values.shapes(collection),
        size=_sizes(request, [collection]).get(collection.name, ""),
        bounds=list(extent.box) if extent else None,
        interval=_interval(extent) if collection.time is not None else None,
        root=url(request, ""),
        is_closed=is_closed and settings_of(request).asks_who,
        mapped=html_pages.mapped(request, [collection]),
        others=other_formats(request, PAGES),
    )


def _notes(collection: Collection, column: sa.Column[Any], unique: set[str]) -> list[str]:
    """What else there is to say of a column, in a few words."""
    notes = []
    if column is collection.key:
        notes.append("the id")
    if column.name in unique:
        notes.append("unique")
    if column.nullable:
        notes.append("may be empty")
    if column.foreign_keys:
        notes.append(f"of {next(iter(column.foreign_keys)).column.table.name}")
    if column.comment:
        notes.append(column.comment)
    return notes


def _interval(extent: Extent | None) -> tuple[str, str] | None:
    """The days of the first and the last time."""
    if extent is None or not any(extent.interval):
        return None
    first, last = (
        "…" if moment is None else moment.partition("T")[0] for moment in extent.interval
    )
    return first, last


def _listed(request: Request, collections: Sequence[Collection]) -> list[dict[str, Any]]:
    """What a list says of each collection."""
    # Whether the caller may read the rows of the others is for their own routes to ask.
    known = _sizes(request, [each for each in collections if not each.readers])
    return [
        {
            "name": collection.name,
            "title": collection.title,
            "description": collection.description,
            "shapes": html_values.shapes(collection),
            "size": known.get(collection.name, ""),
            "has_items": has_face(request.app, "features"),
        }
        for collection in collections
    ]


def _sizes(request: Request, collections: Sequence[Collection]) -> dict[str, str]:
    """How many rows collections have, in words; nothing while the database is unavailable: pages do without."""
    try:
        found = sizes.find(database_of(request), collections)
    except (DBAPIError, PoolTimeout, psycopg2.Error):
        return {}
    prefix = {"exactly": "", "about": "about ", "more than": "more than "}
    return {name: f"{prefix[size.how]}{size.rows:,} " for name, size in found.items()}
