"""The plain REST resource: rows as flat JSON objects."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import orjson
import shapely
import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import bbox, nearby, paging, queries, schemas, writes
from ..crs import WGS84
from ..queries import GEOMETRY
from ..statements import Condition
from . import bodies, etags
from .auth import WRITER
from .bodies import JSON, RowBody, documented
from .formats import url
from .openapi import reference, refusals
from .parameters import (
    BBox,
    Latitude,
    Limit,
    Longitude,
    clamped,
    database_of,
    settings_of,
)
{% if cookiecutter.__is_point %}
from .point import QUERY_PARAMETERS, row_of_body_or_query
{% endif %}
from .problems import too_large

RECORD = queries.Record(schemas.GEOMETRY)

router = APIRouter(prefix=f"/{queries.TABLE.name}", tags=[queries.TABLE.name])

ROW_PATH = "/{id:id}"

#: A row in a body, as the document has it.
ROW = reference(bodies.ROW.__name__)

#: Why a change may be refused, apart from what is wrong with its members.
REFUSED = refusals(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
)


class PageQuery(BaseModel):
    """Which rows to list, in the order of their ids."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = None
    after: schemas.Id | None = Field(default=None, description="The last id of the page before.")
    bbox: BBox = Field(default=None, description="West, south, east, north in degrees.")
{% if cookiecutter.index_predicate %}
    all: bool = Field(
        default=False, description=f"Every row, not only those where {queries.INDEXED_ROWS}."
    )
{% endif %}


class NearbyQuery(BaseModel):
    """Where to look for rows."""

    model_config = ConfigDict(extra="forbid")

    lon: Longitude
    lat: Latitude
    radius: float = Field(ge=0, allow_inf_nan=False, description="Metres on the spheroid.")
    limit: Limit = None


@router.post(
    "/",
    status_code=HTTPStatus.CREATED,
    response_model=schemas.{{ cookiecutter.__class_name }}Out,
    responses=refusals(
        HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
    ),
{% if cookiecutter.__is_point %}
    openapi_extra=documented(ROW, [JSON], required=False) | {"parameters": QUERY_PARAMETERS},
{% else %}
    openapi_extra=documented(ROW, [JSON]),
{% endif %}
    dependencies=[WRITER],
)
def create(request: Request, body: RowBody) -> Response:
{% if cookiecutter.__is_point %}
    """Add a row, of a JSON body or of query parameters."""
    new = row_of_body_or_query(request, body)
{% else %}
    """Add a row."""
    new = bodies.row(body)
{% endif %}
    row = writes.insert(database_of(request), RECORD, new)
    created = RECORD.encode_one(row)
    headers = _tagged(row) | {"Location": url(request, f"{router.prefix}/{created['id']}")}
    return _json(created, HTTPStatus.CREATED, headers)


@router.get(
    "/",
    response_model=schemas.{{ cookiecutter.__class_name }}Page,
)
def read_page(
    request: Request,
    query: Annotated[PageQuery, Query()],
) -> Response:
    """Rows in the order of their ids{{ ': those that the spatial indexes hold, unless ``all`` is true' if cookiecutter.index_predicate else '' }}."""
{% if cookiecutter.index_predicate %}
    wanted = [Condition(queries.EVERY_ROW if query.all else queries.INDEXED_ROWS)]
{% else %}
    wanted = [Condition(queries.INDEXED_ROWS)]
{% endif %}
    if query.bbox is not None:
        wanted.append(bbox.within(queries.GEOMETRY, query.bbox))
    after = None if query.after is None else paging.BY_ID.after([str(query.after)])
    limit = clamped(query.limit, settings_of(request))
    # One row more than asked for tells whether there is a next page.
    found = paging.find(database_of(request), RECORD, wanted, after=after, limit=limit + 1)
    items, following = RECORD.encode(found[:limit]), None
    if len(found) > limit:
        following = str(request.url.include_query_params(after=items[-1]["id"]))
    return _json({"items": items, "next": following})


@router.get(
    "/nearby",
    response_model=schemas.{{ cookiecutter.__class_name }}Neighbours,
)
def read_nearby(request: Request, query: Annotated[NearbyQuery, Query()]) -> Response:
    """Rows within a radius of a place, nearest first{{ ': those that the spatial indexes hold' if cookiecutter.index_predicate else '' }}."""
    settings = settings_of(request)
    if settings.max_radius is not None and query.radius > settings.max_radius:
        raise too_large(("query", "radius"), f"{settings.max_radius:g} metres")
    place = shapely.set_srid(shapely.Point(query.lon, query.lat), WGS84)
    limit = clamped(query.limit, settings)
    found = nearby.search(database_of(request), RECORD, place, query.radius, limit)
    items = RECORD.encode(found)
    for item, row in zip(items, found, strict=True):
        item["distance"] = row[-1]
    return _json({"items": items})


@router.get(
    ROW_PATH,
    response_model=schemas.{{ cookiecutter.__class_name }}Out,
    responses=refusals(HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND),
)
def read(request: Request, id: schemas.Id) -> Response:
    """One row."""
    row = queries.find(database_of(request), RECORD, id)
    if row is None:
        raise _missing(id)
    headers = _tagged(row)
    if etags.is_known(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return _json(RECORD.encode_one(row), headers=headers)


@router.put(
    ROW_PATH,
    response_model=schemas.{{ cookiecutter.__class_name }}Out,
    responses=REFUSED,
    openapi_extra=documented(ROW, [JSON]),
    dependencies=[WRITER],
)
def replace(request: Request, id: schemas.Id, body: RowBody) -> Response:
    """Put another row in the place of one: what is left out goes back to its default."""
    new = bodies.row(body)
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        before = RECORD.encode_one(connection.execute(RECORD.by_id.query, {"id": id}).one())
        names = bodies.replaced(body[GEOMETRY.name], before[GEOMETRY.name])
        row = writes.update(connection, RECORD, id, new, names)
    return _json(RECORD.encode_one(row), headers=_tagged(row))


@router.patch(
    ROW_PATH,
    response_model=schemas.{{ cookiecutter.__class_name }}Out,
    responses=REFUSED,
    openapi_extra=documented({"type": "object"}, [JSON]),
    dependencies=[WRITER],
)
def change(request: Request, id: schemas.Id, body: RowBody) -> Response:
    """Change the members that a JSON merge patch (RFC 7396) names; null takes one back to its default."""
    patch = bodies.patch_of(body)
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        row = connection.execute(RECORD.by_id.query, {"id": id}).one()
        new, names = bodies.change(patch, RECORD.encode_one(row))
        if names is not None:
            row = writes.update(connection, RECORD, id, new, names)
    return _json(RECORD.encode_one(row), headers=_tagged(row))


@router.delete(
    ROW_PATH, status_code=HTTPStatus.NO_CONTENT, responses=REFUSED, dependencies=[WRITER]
)
def delete(request: Request, id: schemas.Id) -> None:
    """Remove a row."""
    with database_of(request).write() as connection:
        _lock(connection, request, id)
        connection.execute(writes.DELETE, {writes.ID: id})


def _lock(connection: sa.Connection, request: Request, id: Any) -> None:
    if not etags.lock(connection, request, id):
        raise _missing(id)


def _missing(id: Any) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no row {id}")


def _tagged(row: Sequence[Any]) -> dict[str, str]:
    """The header with the row's version, which is its last column."""
    return {"ETag": etags.etag(row[-1], "json")}


def _json(
    content: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
