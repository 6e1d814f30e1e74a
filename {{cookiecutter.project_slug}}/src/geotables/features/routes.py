"""OGC API - Features, parts 1 and 2: a collection's features, a page at a time, and each by its id."""

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
from geotables.features import cql, csv_tables, downloads, pages, streams
from geotables.features.items_query import FeatureQuery, ItemsQuery, queries_of
from geotables.features.json_schemas import name_of
from geotables.http import etags, formats, openapi
from geotables.http.formats import (
    CSV,
    FLATGEOBUF,
    GEOJSON,
    HTML,
    JSON,
    PARQUET,
    SEQUENCE,
    Format,
    link,
    link_header,
)
from geotables.http.ids import id_convertor, in_path, path_id_type
from geotables.http.methods import HEADERS_ONLY
from geotables.http.parameters import (
    clamped,
    counts_of,
    database_of,
    documented,
    parsed,
    settings_of,
)
from geotables.sql import paging, queries, row_formats, stream
from geotables.sql.row_formats import Feature, Selection

CONFORMANCE = (
    *cql.CONFORMANCE,
    *(
        f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}"
        for name in ("core", "geojson", "html", "oas30")
    ),
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    # A draft (24-019): it may change.
    "http://www.opengis.net/spec/ogcapi-features-6/1.0/conf/properties",
    "http://www.opengis.net/spec/ogcapi-features-6/1.0/conf/properties-features",
)

#: The relation of what features can be sorted by.
SORTABLES = "http://www.opengis.net/def/rel/ogc/1.0/sortables"


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
        # Clients send OPTIONS for made-up ids, whatever the type of the key: any text without a slash is an id here.
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
                HTTPStatus.NOT_ACCEPTABLE,
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
                    openapi.path_parameter("id", "The id of the feature.", {"type": "string"}),
                    *documented(self._queries.feature),
                    *openapi.headers("If-None-Match"),
                ]
            },
        )(self.read_feature)

    def read_features(self, request: Request) -> Response:
        """Features of the collection, a page at a time.

        GeoParquet (``f=parquet``), FlatGeobuf (``f=fgb``) and a GeoJSON sequence (``f=jsonseq``) without ``limit``, ``offset``
        or ``token`` are streams of all the features that the other parameters ask for: in the order of ``sortby``, or as they
        are stored. Of GeoParquet and FlatGeobuf ``limit`` has no maximum, and coordinates are x, y in any CRS.
        """
        query = parsed(request, self._queries.items)
        chosen = formats.negotiated(request, query.f, formats.FEATURES)
        record = self._record(query, is_wkt=chosen in (CSV, HTML))
        sortables = formats.url(request, f"{self._parent}/sortables")
        headers = {
            "Content-Crs": f"<{query.crs.uri}>",
            "Vary": "Accept",
            # Clients look for it in the headers (part 8).
            "Link": f'<{sortables}>; rel="{SORTABLES}"',
        }
        wanted = self._queries.conditions(query)
        # A page for people has the number beside the features.
        is_count = query.result_type == "hits" and chosen is not HTML
        is_page = is_count or query.model_fields_set & {"limit", "offset", "token"}
        if chosen in (PARQUET, FLATGEOBUF) or (chosen is SEQUENCE and not is_page):
            return self._stream(request, query, chosen, record, wanted, headers)
        limit = clamped(query.limit, settings_of(request))
        # One row more than asked for tells whether there is a next page.
        rows = (
            []
            if is_count
            else paging.find(
                database_of(request),
                record,
                wanted,
                order=query.sortby,
                after=query.token,
                limit=limit + 1,
                offset=query.offset,
            )
        )
        counts = self._counts(request, query, wanted, None if is_count else rows, limit)
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
        return _written(record, rows[:limit], links, counts, chosen, headers)

    def read_feature(self, request: Request) -> Response:
        """One feature."""
        id, query = request.path_params["id"], parsed(request, self._queries.feature)
        chosen = formats.negotiated(request, query.f, formats.FEATURE)
        record = self._record(query)
        row = queries.find(database_of(request), record, self.known(id))
        if row is None:
            raise missing(id)
        headers = described(row, chosen, query.crs, query.properties)
        if chosen is HTML:
            # It shows more than the feature, which may have changed where the feature has not.
            return pages.feature(request, record, row, query.crs, headers)
        if etags.is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        links = formats.own_links(request, chosen, formats.FEATURE)
        parent = formats.url(request, self._parent)
        links.append(link(parent, "collection", JSON.media_type, "The collection"))
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

    def _record(self, query: FeatureQuery, *, is_wkt: bool = False) -> Feature:
        """What the features of an answer are made of."""
        if query.properties is None:
            return (self.wkt if is_wkt else self.geojson)[query.crs.uri]
        written = row_formats.wkt if is_wkt else row_formats.geojson
        return written(self.collection, query.crs, query.properties)

    def _stream(
        self,
        request: Request,
        query: ItemsQuery,
        chosen: Format,
        record: Feature,
        wanted: Sequence[Condition],
        headers: dict[str, str],
    ) -> Response:
        """All the features that a client asks for, or none where it asks how many there are."""
        is_count, is_sent = query.result_type == "hits", HEADERS_ONLY not in request.scope
        counts = self._counts(request, query, wanted)
        links = formats.own_links(request, chosen, formats.FEATURES)
        headers = _told_in_headers(headers, counts, links, returned=0 if is_count else None)
        database = database_of(request)
        if chosen is SEQUENCE:
            parts = streams.sequence(database, record, query, wanted, is_sent=is_sent)
        else:
            headers |= downloads.disposition(self.collection, chosen)
            parts = downloads.file(
                request.app.state.downloads,
                database,
                record,
                query,
                wanted,
                chosen,
                is_empty=is_count,
                is_sent=is_sent,
            )
        return streams.Stream(parts, headers, chosen.media_type)

    def _counts(
        self,
        request: Request,
        query: ItemsQuery,
        conditions: Sequence[Condition],
        rows: Sequence[Row] | None = None,
        limit: int = 0,
    ) -> dict[str, int]:
        """How many features there are; only an exact number is ``numberMatched``.

        Args:
            request: The request.
            query: What it asks for.
            conditions: Which features.
            rows: The page, with one row more if others follow; None: not a page.
            limit: The rows of a page.
        """
        how = query.count or settings_of(request).count
        if query.result_type == "hits":
            how = "exact"
        elif query.count == "none":
            return {}
        if how == "estimated":
            return self._estimated(database_of(request), conditions)
        least = 0 if rows is None else query.offset + len(rows)
        is_last = rows is not None and len(rows) <= limit and (rows or not query.offset)
        if is_last and query.token is None:
            # It is known how many came before.
            return {"numberMatched": least}
        counts, number = counts_of(request, self.collection), None
        if len(conditions) == 1:
            # Every row that the collection has for this caller.
            number = counts.now() if how == "exact" else counts.at_hand(least)
        elif how == "exact":
            number = self._counted(database_of(request), conditions)
        return {} if number is None else {"numberMatched": number}

    def _counted(self, database: Database, conditions: Sequence[Condition]) -> int:
        rows = together(conditions)
        with database.read() as connection:
            count = queries.count(self.collection, rows.expression)
            number: int = connection.execute(count, rows.values).scalar_one()
            return number

    def _estimated(self, database: Database, conditions: Sequence[Condition]) -> dict[str, int]:
        # The planner's statistics are of every row: from estimates a caller could learn the values of rows that it may not see.
        if self.collection.where is not None:
            return {"numberEstimated": self._counted(database, conditions)}
        rows = together(conditions)
        return {"numberEstimated": queries.estimate(database, self.collection, rows)}


def missing(id: Any) -> HTTPException:
    """The error of an id that no row has."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no feature {id}")


def described(
    row: Sequence[Any], chosen: Format, reference: Reference, selection: Selection | None = None
) -> dict[str, str]:
    """The headers of one feature; its version is the last column."""
    representation = f"{chosen.name}-{reference.name}"
    if selection is not None:
        names = "\n".join(sorted(selection)).encode()
        representation += f"-{hashlib.blake2s(names, digest_size=8).hexdigest()}"
    return {
        "Content-Crs": f"<{reference.uri}>",
        "ETag": etags.etag(row[-1], representation),
        "Vary": "Accept",
    }


def _following(
    request: Request, record: Feature, query: ItemsQuery, rows: Sequence[Row], limit: int
) -> str | None:
    """The URL of the next page, if there is one."""
    if len(rows) <= limit:
        return None
    token = paging.token_after(record, query.sortby, rows[limit - 1])
    return f"{formats.address(request, without={'offset', 'token'})}token={token}"


def _told_in_headers(
    own: Mapping[str, str],
    counts: Mapping[str, int],
    links: Iterable[Mapping[str, Any]],
    *,
    returned: int | None = None,
) -> dict[str, str]:
    """The headers of features in a format that has no place for what a FeatureCollection says of them.

    How many features a stream has is not known when it begins: then ``returned`` is None.
    """
    numbers = {"Matched": counts.get("numberMatched"), "Returned": returned}
    told = {
        f"OGC-Number{name}": str(number) for name, number in numbers.items() if number is not None
    }
    return {**own, **told, "Link": f"{own['Link']}, {link_header(links)}"}


def _written(
    record: Feature,
    rows: Sequence[Row],
    links: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    chosen: Format,
    headers: dict[str, str],
) -> Response:
    """A page of features in the format that the client wants."""
    if chosen in (CSV, SEQUENCE):
        headers = _told_in_headers(headers, counts, links, returned=len(rows))
    if chosen is CSV:
        return csv_tables.csv_response(record, rows, headers)
    features = record.encode(rows)
    if chosen is SEQUENCE:
        text = stream.texts(features)
        return Response(text, headers=headers, media_type=SEQUENCE.media_type)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    collection = {
        "type": "FeatureCollection",
        "links": links,
        "timeStamp": now.replace("+00:00", "Z"),
        **counts,
        "numberReturned": len(features),
        "features": features,
    }
    return formats.json_response(collection, GEOJSON.media_type, headers=headers)
