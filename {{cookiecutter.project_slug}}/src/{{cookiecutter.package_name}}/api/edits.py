"""OGC API - Features, part 4: features are created, replaced, updated and deleted, and no change undoes another."""

from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from .. import queries, writes
from ..queries import DEFAULT
from . import bodies, etags, formats
from .bodies import FEATURES, PATCHES, ContentCrs, FeatureBody, PatchBody, documented
from .features import GEOJSON_IN, ITEM, ITEMS, described, known, missing
from .formats import GEOJSON
from .openapi import answers, headers, reference
from .parameters import database_of

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/{name}"
    for name in ("create-replace-delete", "update", "features", "optimistic-locking-etags")
)

router = APIRouter(tags=["Features"])

#: Why a change may be refused, apart from what every route may answer.
REFUSED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@router.post(
    ITEMS,
    response_class=Response,
    status_code=HTTPStatus.CREATED,
    responses=answers(
        *REFUSED, success=HTTPStatus.CREATED, formats=[GEOJSON], schema="FeatureOrCollection"
    ),
    openapi_extra=documented(reference("NewFeatureOrCollection"), FEATURES, "Content-Crs"),
)
def create_features(request: Request, body: FeatureBody, crs: ContentCrs) -> Response:
    """Add a feature, or all the features of a collection: every one, or none if one is refused."""
    record = GEOJSON_IN[DEFAULT.uri]
    if not (isinstance(body, dict) and body.get("type") == "FeatureCollection"):
        new = bodies.row_of(body, crs)
        row = writes.insert(database_of(request), record, new)
        created = record.encode_one(row)
        said = described(row, GEOJSON, DEFAULT)
        said["Location"] = formats.url(request, f"{ITEMS}/{created['id']}")
        return formats.json(created, GEOJSON.media_type, HTTPStatus.CREATED, said)
    features = body.get("features")
    if not isinstance(features, list):
        raise bodies.refused("the features of a FeatureCollection are an array", "features")
    news = bodies.rows_of(features, crs, "features")
    with database_of(request).write() as connection:
        rows = writes.insert_all(connection, record, news)
    collection = {"type": "FeatureCollection", "features": record.encode(rows)}
    said = {"Content-Crs": f"<{DEFAULT.uri}>"}
    return formats.json(collection, GEOJSON.media_type, HTTPStatus.CREATED, said)


@router.put(
    ITEM,
    response_class=Response,
    responses=answers(*REFUSED, formats=[GEOJSON], schema="Feature"),
    openapi_extra=documented(reference("NewFeature"), FEATURES, "Content-Crs", "If-Match"),
)
def replace_feature(request: Request, id: str, body: FeatureBody, crs: ContentCrs) -> Response:
    """Put another feature in the place of one; its id stays, and what is left out goes back to its default."""
    record, before = GEOJSON_IN[DEFAULT.uri], GEOJSON_IN[crs.uri]
    new = bodies.row_of(body, crs)
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        row = connection.execute(before.by_id.query, {"id": known(id)}).one()
        names = bodies.replaced(body["geometry"], before.encode_one(row)["geometry"])
        row = writes.update(connection, record, row.id, new, names)
    return _changed(record, row)


@router.patch(
    ITEM,
    response_class=Response,
    responses=answers(*REFUSED, formats=[GEOJSON], schema="Feature"),
    openapi_extra=documented(reference("FeaturePatch"), PATCHES, "Content-Crs", "If-Match"),
)
def change_feature(request: Request, id: str, body: PatchBody, crs: ContentCrs) -> Response:
    """Change the members that a JSON merge patch (RFC 7396) names; null takes one back to its default."""
    if not isinstance(body, dict):
        raise bodies.refused("a patch of a feature is an object")
    record = GEOJSON_IN[DEFAULT.uri]
    # A patch of the geometry applies to it in the CRS of the request.
    before = GEOJSON_IN[crs.uri] if "geometry" in body else record
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        row = connection.execute(before.by_id.query, {"id": known(id)}).one()
        new, names = bodies.change_of(body, before.encode_one(row), crs)
        if names is not None:
            row = writes.update(connection, record, row.id, new, names)
    return _changed(record, row)


@router.delete(
    ITEM,
    response_class=Response,
    status_code=HTTPStatus.NO_CONTENT,
    openapi_extra={"parameters": headers("If-Match")},
    responses=answers(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        success=HTTPStatus.NO_CONTENT,
    ),
)
def delete_feature(request: Request, id: str) -> Response:
    """Remove a feature."""
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        connection.execute(writes.DELETE, {writes.ID: known(id)})
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _lock(connection: sa.Connection, request: Request, id: str) -> None:
    if not etags.lock(connection, request, known(id)):
        raise missing(id)


def _changed(record: queries.Feature, row: sa.Row[Any]) -> Response:
    said = described(row, GEOJSON, DEFAULT)
    return formats.json(record.encode_one(row), GEOJSON.media_type, headers=said)
