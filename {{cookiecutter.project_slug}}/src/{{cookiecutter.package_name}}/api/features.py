"""OGC API - Features, parts 1 and 2: the collection's features, a page at a time, and each by its id."""

import datetime
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import cql, export, paging, queries, schemas
from ..crs import Reference
from ..database import Database
from ..keyset import Order
from ..queries import REFERENCES, TABLE, Feature
from ..statements import Condition, Row, together
from . import etags, formats, pages, tables
from .formats import CSV, GEOJSON, HTML, SEQUENCE, Format, link
from .methods import HEADERS_ONLY
from .openapi import answers, headers, in_path
from .parameters import clamped, database_of, documented, parsed, settings_of
from .search import ITEMS_QUERY, FeatureQuery, ItemsQuery, conditions

CONFORMANCE = (
    *cql.CONFORMANCE,
    *(
        f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}"
        for name in ("core", "geojson", "html", "oas30")
    ),
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
)

COLLECTION = f"/collections/{TABLE.name}"
ITEMS = f"{COLLECTION}/items"
ITEM = ITEMS + "/{id}"

#: What the features of an answer are made of, by the URI of its CRS.
GEOJSON_IN = {uri: queries.geojson(reference) for uri, reference in REFERENCES.items()}
WKT_IN = {uri: queries.wkt(reference) for uri, reference in REFERENCES.items()}

ID: TypeAdapter[Any] = TypeAdapter(schemas.Id)

router = APIRouter(tags=["Features"])


@dataclass(slots=True)
class Page:
    """Some features, and what their page says of them."""

    record: Feature
    rows: Sequence[Row]
    links: list[dict[str, Any]]
    following: str | None
    counts: dict[str, int]


@router.get(
    ITEMS,
    response_class=Response,
    responses=answers(HTTPStatus.BAD_REQUEST, formats=formats.FEATURES, schema="FeatureCollection"),
    openapi_extra={"parameters": documented(ITEMS_QUERY)},
)
def read_features(request: Request) -> Response:
    """Features of the collection, a page at a time.

    A GeoJSON sequence (``f=jsonseq``) without ``limit``, ``offset`` or ``token`` is a stream of all the features that the other
    parameters ask for: in the order of ``sortby``, or as they are stored.
    """
    query, settings = parsed(request, ITEMS_QUERY), settings_of(request)
    chosen = formats.negotiated(request, query.f, formats.FEATURES)
    record = (WKT_IN if chosen in (CSV, HTML) else GEOJSON_IN)[query.crs.uri]
    said = {"Content-Crs": f"<{query.crs.uri}>", "Vary": "Accept"}
    if chosen is SEQUENCE and not query.model_fields_set & {"limit", "offset", "token"}:
        is_sent = HEADERS_ONLY not in request.scope
        return tables.Stream(_all(database_of(request), record, query, is_sent), said)
    limit = clamped(query.limit, settings)
    wanted = conditions(query)
    # One row more than asked for tells whether there is a next page.
    found = paging.find(
        database_of(request),
        record,
        wanted,
        order=query.sortby,
        after=query.token,
        limit=limit + 1,
        offset=query.offset,
    )
    counts = _counts(database_of(request), wanted, query.count or settings.count)
    following = _following(request, record, query, found, limit)
    links = formats.own_links(request, chosen, formats.FEATURES)
    if following:
        links.append(link(following, "next", chosen.media_type, "The next page"))
    page = Page(record, found[:limit], links, following, counts)
    return _written(page, chosen, said)


@router.get(
    ITEM,
    response_class=Response,
    responses=answers(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_MODIFIED,
        formats=formats.FEATURE,
        schema="Feature",
    ),
    openapi_extra={
        "parameters": [
            in_path("id", "The id of the feature.", {"type": "string"}),
            *documented(FeatureQuery),
            *headers("If-None-Match"),
        ]
    },
)
def read_feature(request: Request) -> Response:
    """One feature."""
    id, query = request.path_params["id"], parsed(request, FeatureQuery)
    chosen = formats.negotiated(request, query.f, formats.FEATURE)
    record = GEOJSON_IN[query.crs.uri]
    row = queries.find(database_of(request), record, known(id))
    if row is None:
        raise missing(id)
    said = described(row, chosen, query.crs)
    if etags.is_known(request, said["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=said)
    links = formats.own_links(request, chosen, formats.FEATURE)
    collection = formats.url(request, COLLECTION)
    links.append(link(collection, "collection", "application/json", "The collection"))
    feature = record.encode_one(row) | {"links": links}
    if chosen is HTML:
        return pages.feature(feature, said)
    return formats.json(feature, GEOJSON.media_type, headers=said)


def known(id: str) -> Any:
    """An id of a path, as the column has it.

    Raises:
        HTTPException: No row can have it.
    """
    try:
        value = ID.validate_python(id)
    except ValidationError:
        raise missing(id) from None
    # One feature has one URL: "1.0" and "01" are not found.
    if str(value) != id.lower():
        raise missing(id)
    return value


def missing(id: str) -> HTTPException:
    """The error of an id that no row has."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no feature {id}")


def described(row: Sequence[Any], chosen: Format, reference: Reference) -> dict[str, str]:
    """The headers of one feature; its version is the last column."""
    return {
        "Content-Crs": f"<{reference.uri}>",
        "ETag": etags.etag(row[-1], f"{chosen.name}-{reference.name}"),
        "Vary": "Accept",
    }


def _all(
    database: Database, record: Feature, query: ItemsQuery, is_sent: bool
) -> Generator[bytes, None, None]:
    """All the features that a client asks for, some at a time."""
    if not is_sent:
        return
    order = query.sortby.by() if "sortby" in query.model_fields_set else ()
    wanted = together(conditions(query))
    with database.stream() as connection:
        texts = export.sequence(connection, wanted, feature=record, order=order)
        with closing(texts):
            yield from database.liveness.watched(connection, texts)


def _counts(database: Database, conditions: Sequence[Condition], how: str) -> dict[str, int]:
    """How many features there are; only an exact number is ``numberMatched``."""
    if how == "none":
        return {}
    rows = together(conditions)
    if how == "estimated":
        return {"numberEstimated": queries.estimate(database, rows)}
    with database.read() as connection:
        number = connection.execute(queries.count(rows.expression), rows.values)
        return {"numberMatched": number.scalar_one()}


def _following(
    request: Request, record: Feature, query: ItemsQuery, found: Sequence[Row], limit: int
) -> str | None:
    """The URL of the next page, if there is one."""
    if len(found) <= limit:
        return None
    order: Order = query.sortby
    id, *rest = found[limit - 1]
    before = len(record.columns) - 1
    token = order.token([*rest[before : before + len(order.columns)], str(id)])
    return f"{formats.address(request, without={'offset', 'token'})}token={token}"


def _written(page: Page, chosen: Format, said: dict[str, str]) -> Response:
    """A page of features in the format that the client wants."""
    if page.following and chosen in (CSV, SEQUENCE):
        # These formats have no place for links.
        said["Link"] = f'<{page.following}>; rel="next"; type="{chosen.media_type}"'
    if chosen is HTML:
        return pages.features(page.record, page.rows, page.links, said)
    if chosen is CSV:
        return tables.csv(page.record, page.rows, said)
    features = page.record.encode(page.rows)
    if chosen is SEQUENCE:
        return tables.sequence(features, said)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    collection = {
        "type": "FeatureCollection",
        "links": page.links,
        "timeStamp": now.replace("+00:00", "Z"),
        **page.counts,
        "numberReturned": len(features),
        "features": features,
    }
    return formats.json(collection, GEOJSON.media_type, headers=said)
