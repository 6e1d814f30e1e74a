"""OGC API - Features, parts 1 and 2: a collection's features, a page at a time, and each by its id."""

import datetime
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import Reference
from geotables.db.database import Database
from geotables.db.statements import Condition, Row, together
from geotables.features import cql, pages, sequences
from geotables.features.items_query import ItemsQuery, queries_of
from geotables.http import etags, formats, openapi
from geotables.http.formats import CSV, GEOJSON, HTML, SEQUENCE, Format, link
from geotables.http.ids import id_convertor, in_path, path_id_type
from geotables.http.json_schemas import name_of
from geotables.http.methods import HEADERS_ONLY
from geotables.http.parameters import (
    clamped,
    database_of,
    documented,
    parsed,
    settings_of,
)
from geotables.sql import paging, queries, row_formats, stream
from geotables.sql.keyset import Order
from geotables.sql.row_formats import Feature

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

#: The relation of what features can be sorted by.
SORTABLES = "http://www.opengis.net/def/rel/ogc/1.0/sortables"


@dataclass(slots=True)
class Page:
    """Some features, and what their page says of them."""

    record: Feature
    rows: Sequence[Row]
    links: list[dict[str, Any]]
    following: str | None
    counts: dict[str, int]


class Items:
    """The features of a collection.

    Attributes:
        collection: The collection.
        items: The path of its features.
        item: The path of one of them.
        geojson: What the features of an answer are made of, by the URI of its CRS.
        wkt: The same where their geometry is WKT.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._parent = f"/collections/{collection.name}"
        self.items = f"{self._parent}/items"
        # Clients ask for the methods of made-up ids, whatever the type of the key: any text is one, as far as a slash.
        is_text = id_convertor(collection) == "text_id"
        self.item = self.items + ("/{id:text_id}" if is_text else "/{id}")
        references = collection.references.items()
        self.geojson = {
            uri: row_formats.geojson(collection, reference) for uri, reference in references
        }
        self.wkt = {uri: row_formats.wkt(collection, reference) for uri, reference in references}
        self._queries = queries_of(collection)
        self._id: TypeAdapter[Any] = TypeAdapter(path_id_type(collection))
        # A number and a UUID are written in one way only, a time in many.
        self._is_plain = isinstance(collection.key.type, sa.Integer | sa.Numeric | sa.Uuid)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes that read features to a router."""
        router.get(
            self.items,
            operation_id=f"list_features_of_{self.collection.name}",
            response_class=Response,
            responses=openapi.answers(
                HTTPStatus.BAD_REQUEST,
                formats=formats.FEATURES,
                schema=name_of(self.collection, "FeatureCollection"),
            ),
            openapi_extra={"parameters": documented(self._queries.items)},
        )(self.read_features)
        router.get(
            self.item,
            operation_id=f"get_feature_of_{self.collection.name}",
            response_class=Response,
            responses=openapi.answers(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.NOT_MODIFIED,
                formats=formats.FEATURE,
                schema=name_of(self.collection, "Feature"),
            ),
            openapi_extra={
                "parameters": [
                    openapi.in_path("id", "The id of the feature.", {"type": "string"}),
                    *documented(self._queries.feature),
                    *openapi.headers("If-None-Match"),
                ]
            },
        )(self.read_feature)

    def read_features(self, request: Request) -> Response:
        """Features of the collection, a page at a time.

        A GeoJSON sequence (``f=jsonseq``) without ``limit``, ``offset`` or ``token`` is a stream of all the features that the
        other parameters ask for: in the order of ``sortby``, or as they are stored.
        """
        query, settings = parsed(request, self._queries.items), settings_of(request)
        database = database_of(request)
        chosen = formats.negotiated(request, query.f, formats.FEATURES)
        record = (self.wkt if chosen in (CSV, HTML) else self.geojson)[query.crs.uri]
        sortables = formats.url(request, f"{self._parent}/sortables")
        headers = {
            "Content-Crs": f"<{query.crs.uri}>",
            "Vary": "Accept",
            # Clients look for it in the headers (part 8).
            "Link": f'<{sortables}>; rel="{SORTABLES}"',
        }
        if chosen is SEQUENCE and not query.model_fields_set & {"limit", "offset", "token"}:
            is_sent = HEADERS_ONLY not in request.scope
            return sequences.Stream(self._all(database, record, query, is_sent), headers)
        limit = clamped(query.limit, settings)
        wanted = self._queries.conditions(query)
        # One row more than asked for tells whether there is a next page.
        rows = paging.find(
            database,
            record,
            wanted,
            order=query.sortby,
            after=query.token,
            limit=limit + 1,
            offset=query.offset,
        )
        counts = self._counts(database, wanted, query.count or settings.count)
        following = _following(request, record, query, rows, limit)
        if chosen is HTML:
            return pages.features(
                request,
                record,
                rows[:limit],
                query,
                self._queries,
                limit=limit,
                following=following,
                counts=counts,
                headers=headers,
            )
        links = formats.own_links(request, chosen, formats.FEATURES)
        if following:
            links.append(link(following, "next", chosen.media_type, "The next page"))
        return _written(Page(record, rows[:limit], links, following, counts), chosen, headers)

    def read_feature(self, request: Request) -> Response:
        """One feature."""
        id, query = request.path_params["id"], parsed(request, self._queries.feature)
        chosen = formats.negotiated(request, query.f, formats.FEATURE)
        record = self.geojson[query.crs.uri]
        row = queries.find(database_of(request), record, self.known(id))
        if row is None:
            raise missing(id)
        headers = described(row, chosen, query.crs)
        if chosen is HTML:
            # It shows more than the feature, which may have changed where the feature has not.
            return pages.feature(request, record, row, query.crs, headers)
        if etags.is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        links = formats.own_links(request, chosen, formats.FEATURE)
        parent = formats.url(request, self._parent)
        links.append(link(parent, "collection", "application/json", "The collection"))
        feature = record.encode_one(row) | {"links": links}
        return formats.json_response(feature, GEOJSON.media_type, headers=headers)

    def known(self, id: str) -> Any:
        """An id of a path, as the column has it.

        Raises:
            HTTPException: No row can have it.
        """
        try:
            value = self._id.validate_python(id)
        except ValidationError:
            raise missing(id) from None
        # One feature has one URL: "1.0" and "01" are not found.
        if self._is_plain and str(value) != id.lower():
            raise missing(id)
        if isinstance(value, str) and in_path(value) != quote(id, safe=""):
            raise missing(id)
        return value

    def _all(
        self, database: Database, record: Feature, query: ItemsQuery, is_sent: bool
    ) -> Generator[bytes, None, None]:
        """All the features that a client asks for, some at a time."""
        if not is_sent:
            return
        order = query.sortby.by() if "sortby" in query.model_fields_set else ()
        wanted = together(self._queries.conditions(query))
        with database.stream() as connection:
            texts = stream.sequence(connection, wanted, feature=record, order=order)
            with closing(texts):
                yield from database.liveness.watched(connection, texts)

    def _counts(
        self, database: Database, conditions: Sequence[Condition], how: str
    ) -> dict[str, int]:
        """How many features there are; only an exact number is ``numberMatched``."""
        if how == "none":
            return {}
        rows, name = together(conditions), "numberMatched"
        if how == "estimated":
            name = "numberEstimated"
            # The planner's statistics are of every row: conditions would find out the values of those that are not shown.
            if self.collection.where is None:
                return {name: queries.estimate(database, self.collection, rows)}
        with database.read() as connection:
            count = queries.count(self.collection, rows.expression)
            return {name: connection.execute(count, rows.values).scalar_one()}


def missing(id: Any) -> HTTPException:
    """The error of an id that no row has."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no feature {id}")


def described(row: Sequence[Any], chosen: Format, reference: Reference) -> dict[str, str]:
    """The headers of one feature; its version is the last column."""
    return {
        "Content-Crs": f"<{reference.uri}>",
        "ETag": etags.etag(row[-1], f"{chosen.name}-{reference.name}"),
        "Vary": "Accept",
    }


def _following(
    request: Request, record: Feature, query: ItemsQuery, rows: Sequence[Row], limit: int
) -> str | None:
    """The URL of the next page, if there is one."""
    if len(rows) <= limit:
        return None
    order: Order = query.sortby
    last, before = rows[limit - 1], len(record.columns)
    token = order.token([*last[before : before + len(order.columns)], record.id_of(last)])
    return f"{formats.address(request, without={'offset', 'token'})}token={token}"


def _written(page: Page, chosen: Format, headers: dict[str, str]) -> Response:
    """A page of features in the format that the client wants."""
    if page.following and chosen in (CSV, SEQUENCE):
        # These formats have no place for links.
        headers["Link"] += f', <{page.following}>; rel="next"; type="{chosen.media_type}"'
    if chosen is CSV:
        return sequences.csv_response(page.record, page.rows, headers)
    features = page.record.encode(page.rows)
    if chosen is SEQUENCE:
        return sequences.sequence_response(features, headers)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    collection = {
        "type": "FeatureCollection",
        "links": page.links,
        "timeStamp": now.replace("+00:00", "Z"),
        **page.counts,
        "numberReturned": len(features),
        "features": features,
    }
    return formats.json_response(collection, GEOJSON.media_type, headers=headers)
