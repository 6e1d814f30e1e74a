"""Features as pages for people: a table that is sorted, filtered and paged by links and forms, and one feature."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from fastapi import Request
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import Reference
from geotables.db.statements import Row
from geotables.features import cql
from geotables.features.containing import is_text
from geotables.features.items_query import ItemsQuery, Queries, queries_of
from geotables.http import html_pages, html_values
from geotables.http.formats import CSV, FEATURE, FEATURES, GEOJSON, SCHEMAS, SEQUENCE, STREAMS
from geotables.http.html_pages import Crumb, other_formats, parents, query
from geotables.http.parameters import database_of
from geotables.sql import neighbours
from geotables.sql.keyset import Order
from geotables.sql.row_formats import Feature

#: How far pages are linked by offset; farther on they are by token, which leads forward only.
COUNTED = 10_000

#: Neighbours of a feature that its page names.
NEIGHBOURS = 5

#: Parameters that say where a page begins, and all that say how to write features, not which features there are.
PLACE = ("offset", "token")
PRESENTATION = {*PLACE, "f", "limit", "sortby", "crs", "count", "resultType", "properties"}


class Head(NamedTuple):
    """The head of a column of the table.

    Attributes:
        column: The column.
        is_number: Whether its values are numbers, which are aligned to the right.
        sorting: ``ascending`` or ``descending`` where the page is sorted by it.
        href: Sorts by it; nothing where features cannot be sorted by it.
        parameter: The query parameter that asks about its values; nothing where there is none.
        kind: How the parameter is asked for: by a text, what a text contains, a number, a date, an interval or a choice.
    """

    column: sa.Column[Any]
    is_number: bool
    sorting: str
    href: str
    parameter: str
    kind: str


def feature(
    request: Request, record: Feature, row: Row, reference: Reference, headers: Mapping[str, str]
) -> Response:
    """One feature: its properties, where it is, and what is near."""
    collection = record.collection
    id, (_, geometry, *values) = record.id_of(row), row[: len(record.columns)]
    label = html_values.label(collection)
    properties = list(zip(record.others, values, strict=True))
    name = next((value for column, value in properties if column is label and value), None)
    near = _near(request, record, label, row) if geometry else []
    items = Crumb("Items", f"/collections/{collection.name}/items")
    return html_pages.respond(
        request,
        "features/templates/item.html",
        headers=headers,
        title=str(name or f"{collection.title} {id}"),
        crumbs=[*parents(request, collection), items],
        last_crumb=id,
        collection=collection,
        id=id,
        properties=properties,
        geometry=geometry,
        geometry_type=html_values.geometry_type(collection),
        reference=reference,
        near=near,
        mapped=html_pages.mapped(request, [collection]),
        longest=html_values.LONGEST,
        others=other_formats(request, FEATURE),
    )


def _near(
    request: Request, record: Feature, label: sa.Column[Any] | None, row: Row
) -> list[tuple[str, str, str]]:
    """The ids of the nearest features, what people call them, and how far they are."""
    found = neighbours.find(database_of(request), record, label, row, NEIGHBOURS)
    return [
        (near.id, str(near.label or near.id), html_values.distance(near.distance)) for near in found
    ]


def features(
    request: Request,
    record: Feature,
    rows: Sequence[Row],
    asked: ItemsQuery,
    queries: Queries,
    *,
    limit: int,
    following: str | None,
    counts: Mapping[str, int],
    headers: Mapping[str, str],
) -> Response:
    """A page of features: a line for each, and the same on a map."""
    collection = record.collection
    label = html_values.label(collection)
    columns = [collection.key, *record.others]
    # The geometry is shown last, and what people call a row first.
    lines = [
        (record.id_of(row), row[1], list(zip(record.others, row[2:], strict=False))) for row in rows
    ]
    return html_pages.respond(
        request,
        "features/templates/items.html",
        headers=headers,
        title=f"{collection.title}: items",
        crumbs=parents(request, collection),
        last_crumb="Items",
        collection=collection,
        has_geometry=record.has_geometry,
        heads=[_head(request, column, asked, queries) for column in columns],
        lines=lines,
        label=label,
        filters=_filters(request),
        hidden=lambda name: _hidden(request, name),
        example=_example(queries, label),
        text=request.query_params.get("filter", ""),
        summary=_summary(rows, asked, counts, is_whole=following is None),
        previous=_previous(request, asked, limit),
        following=_next(request, asked, limit, following),
        is_first=asked.offset == 0 and asked.token is None,
        downloads=[
            (each.label, query(request, f=each.name, limit=limit))
            for each in (GEOJSON, CSV, SEQUENCE)
        ],
        everything=other_formats(request, STREAMS, (*PLACE, "limit")),
        mapped=html_pages.mapped(request, [collection]),
        geojson=query(request, ("crs", "properties"), f=GEOJSON.name, limit=limit),
        others=other_formats(request, FEATURES),
    )


def schema(
    request: Request, collection: Collection, title: str, content: Mapping[str, Any]
) -> Response:
    """A schema of the features: their properties, or those that conditions or ``sortby`` take."""
    queries, is_sortables = queries_of(collection), title == "Sortables"
    described = content["properties"].get("properties", content)
    required = described.get("required", ())
    properties = []
    for name, property in described["properties"].items():
        column = collection.table.columns[name]
        is_shape = column is collection.geometry
        type = html_values.geometry_type(collection) if is_shape else html_values.type_of(column)
        parameter = "bbox" if is_shape else name if _has_parameter(column, queries) else ""
        properties.append(
            {
                "name": name,
                "type": type,
                "parameter": "sortby" if is_sortables else parameter,
                "value": name if is_sortables else "…",
                "notes": _notes(property, is_required=name in required),
            }
        )
    return html_pages.respond(
        request,
        "features/templates/schema.html",
        title=title,
        crumbs=parents(request, collection),
        collection=collection,
        properties=properties,
        example=_example(queries, html_values.label(collection)),
        others=other_formats(request, SCHEMAS),
    )


def _notes(property: Mapping[str, Any], *, is_required: bool) -> list[str]:
    """What a schema says of a property besides its type, in a few words."""
    role, values = property.get("x-ogc-role"), property.get("enum", ())
    notes = {
        "the id": role == "id",
        "required": is_required,
        "read-only": property.get("readOnly", False),
        f"one of {', '.join(map(str, values))}": values,
    }
    return [note for note, holds in notes.items() if holds]


def _head(request: Request, column: sa.Column[Any], asked: ItemsQuery, queries: Queries) -> Head:
    order: Order = asked.sortby
    first = order.keys[0]
    sorting = ""
    if first.column is column and "sortby" in asked.model_fields_set:
        sorting = "descending" if first.descending else "ascending"
    href = ""
    if column.name in queries.columns:
        # Ascending, descending, and back to the order that there is without it.
        after = {"": column.name, "ascending": f"-{column.name}", "descending": None}[sorting]
        kept = (*PLACE, "sortby")
        href = query(request, kept) if after is None else query(request, kept, sortby=after)
    is_number = isinstance(column.type, sa.Integer | sa.Numeric | sa.Float)
    is_number &= not (column.primary_key or column.foreign_keys)
    return Head(column, is_number, sorting, href, *_asked(column, queries))


def _asked(column: sa.Column[Any], queries: Queries) -> tuple[str, str]:
    """The parameter that asks about a column, and how: by a value, or by what it contains."""
    if column is queries.time:
        return "datetime", "interval"
    if not _has_parameter(column, queries) or isinstance(column.type, sa.DateTime):
        return "", ""
    match column.type:
        case sa.Boolean():
            return column.name, "choice"
        case sa.Integer() | sa.Numeric() | sa.Float():
            return column.name, "number"
        case sa.Date():
            return column.name, "date"
    if is_text(column, queries):
        return column.name, "contains"
    return column.name, "text"


def _has_parameter(column: sa.Column[Any], queries: Queries) -> bool:
    """Whether a parameter of its own asks about a column."""
    return any(each is column for each in queries.parameters.values())


def _filters(request: Request) -> list[tuple[str, str, str]]:
    """What is asked about the features: names, values, and links that leave each out."""
    return [
        (name, value, query(request, (name, *PLACE)))
        for name, value in request.query_params.multi_items()
        if name not in PRESENTATION
    ]


def _hidden(request: Request, name: str) -> list[tuple[str, str]]:
    """What a form that asks about one parameter keeps of the others."""
    return [each for each in request.query_params.multi_items() if each[0] not in (name, *PLACE)]


def _example(queries: Queries, label: sa.Column[Any] | None) -> str:
    """A condition to begin with."""
    if label is None:
        return f"{cql.property_name(next(iter(queries.columns)))} IS NOT NULL"
    return f"{cql.property_name(label.name)} LIKE 'A%'"


def _summary(
    rows: Sequence[Row], asked: ItemsQuery, counts: Mapping[str, int], *, is_whole: bool
) -> str:
    """Which features the page has, of how many."""
    first, number = asked.offset, len(rows)
    if not rows:
        return "No items"
    if is_whole and not first and asked.token is None:
        return "1 item" if number == 1 else f"{number:,} items"
    for name, prefix in (("numberMatched", ""), ("numberEstimated", "about ")):
        if name in counts:
            shown = f"{number:,} items" if asked.token else f"{first + 1:,}–{first + number:,}"
            return f"{shown} of {prefix}{counts[name]:,}"
    if asked.token:
        return f"{number:,} items"
    return f"{first + 1:,}–{first + number:,}"


def _previous(request: Request, asked: ItemsQuery, limit: int) -> str | None:
    """The link to the page before; none on the first, and on one that begins with a token."""
    if asked.offset == 0:
        return None
    offset = asked.offset - limit
    return query(request, PLACE) if offset <= 0 else query(request, PLACE, offset=offset)


def _next(request: Request, asked: ItemsQuery, limit: int, following: str | None) -> str | None:
    """The link to the page after."""
    offset = asked.offset + limit
    if following is None or asked.token is not None or offset > COUNTED:
        return following
    return query(request, PLACE, offset=offset)
