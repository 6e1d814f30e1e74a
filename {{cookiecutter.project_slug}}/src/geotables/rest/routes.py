"""The routes of the plain REST resource: rows as flat JSON objects."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, Generic, NamedTuple

import orjson
import shapely
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.exceptions import HTTPException
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.db.statements import Condition, Row, together
from geotables.geometry import samples
from geotables.http import etags
from geotables.http.bodies import Bodies, bodies_of, documented_body
from geotables.http.changes import Changes
from geotables.http.column_queries import ColumnQueries
from geotables.http.faces import Face, Search, page_searches, register
from geotables.http.formats import JSON, url
from geotables.http.ids import id_convertor, id_type, in_path, path_id_type
from geotables.http.json_schemas import reference, row_example
from geotables.http.openapi import headers, refusals
from geotables.http.parameters import (
    BBox,
    Latitude,
    Limit,
    Longitude,
    Query,
    clamped,
    database_of,
    documented,
    parsed,
    settings_of,
)
from geotables.http.routing import CollectionRouter, typed
from geotables.rest import nearby
from geotables.rest.json_schemas import patch_name, row_schemas
from geotables.rest.point import QueryRow
from geotables.sql import bbox, keyset, paging, queries, row_formats, writes

#: Why a change may be refused, apart from what is wrong with its members.
REFUSED = refusals(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
)


class PageQuery(BaseModel):
    """Which rows to list, and in which order; ``_queries`` completes it for a collection."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = None
    sortby: Any
    token: Any
    after: Any = None
    bbox: BBox = Field(default=None, description="West, south, east, north in degrees.")


class NearbyQuery(BaseModel):
    """Where to look for rows; ``_queries`` completes it for a collection."""

    model_config = ConfigDict(extra="forbid")

    lon: Longitude
    lat: Latitude
    radius: float = Field(ge=0, allow_inf_nan=False, description="Metres on the spheroid.")
    limit: Limit = None


def install(
    app: FastAPI,
    collections: Sequence[Collection],
    *,
    readers: Sequence[Depends] = (),
    writers: Sequence[Depends] = (),
) -> None:
    """Serve each collection as ``/<name>/``."""
    for collection in collections:
        router = Resource(collection).router([*writers, *collection.writers])
        app.include_router(router, dependencies=[*readers, *collection.readers])
    register(app, Face("rest", searches=searches, schemas=row_schemas, examples=examples))


class Resource:
    """The rows of a collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._record = row_formats.record(collection)
        self._changes = Changes(self._record, _missing)
        self._path = f"/{collection.name}"
        self._geometry = collection.geometry.name
        self._one_path = "/{id:" + id_convertor(collection) + "}"
        self._distance = distance_name(collection)
        self._page, self._near = _page_query(collection), _nearby_query(collection)
        takes_query = collection.is_writable and collection.geometry_type == "POINT"
        self._query_row = QueryRow(collection) if takes_query else None

    @cached_property
    def _bodies(self) -> Bodies:
        return bodies_of(self._collection)

    def router(self, writers: Sequence[Depends]) -> APIRouter:
        """The routes, those that write with dependencies of their own; a read-only collection has none of these."""
        collection, name = self._collection, self._collection.name
        page, neighbours = _models(collection)
        listed, near = (
            "Rows in the order of ``sortby``, or of their ids",
            "Rows within a radius of a place, nearest first",
        )
        if collection.is_partial:
            listed += ": those that the spatial indexes hold, unless ``all`` is true"
            near += ": those that the spatial indexes hold"
        router = CollectionRouter(f"{self._path}/", prefix=self._path, tags=[name])
        router.get(
            "/",
            response_model=page,
            description=f"{listed}.",
            responses=refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
            openapi_extra={"parameters": documented(self._page.model)},
            operation_id=f"list_{name}",
        )(self.read_page)
        router.get(
            "/nearby",
            response_model=neighbours,
            description=f"{near}.",
            responses=refusals(HTTPStatus.UNPROCESSABLE_ENTITY),
            openapi_extra={"parameters": documented(self._near.model)},
            operation_id=f"find_nearby_{name}",
        )(self.read_nearby)
        router.get(
            self._one_path,
            response_model=collection.read,
            responses=refusals(HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND),
            openapi_extra={"parameters": headers("If-None-Match")},
            operation_id=f"get_{_row_name(collection)}",
        )(typed(self.read, id=path_id_type(collection)))
        if collection.is_writable:
            self._add_writes(router, writers)
        return router

    def _add_writes(self, router: APIRouter, writers: Sequence[Depends]) -> None:
        collection, one_path, row_id = self._collection, self._one_path, _row_name(self._collection)
        id, body = path_id_type(collection), self._bodies.row_body
        row = collection.read
        new = reference(self._bodies.model.__name__)
        taken: dict[str, Any] = documented_body(new, [JSON.media_type])
        add = "Add a row."
        if self._query_row:
            taken = documented_body(new, [JSON.media_type], required=False)
            taken["parameters"] = self._query_row.documented
            add = "Add a row, of a JSON body or of query parameters."
        router.post(
            "/",
            status_code=HTTPStatus.CREATED,
            response_model=row,
            description=add,
            responses=refusals(
                HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
            ),
            openapi_extra=taken,
            operation_id=f"create_{row_id}",
            dependencies=writers,
        )(typed(self.create, body=body))
        router.put(
            one_path,
            response_model=row,
            responses=REFUSED,
            openapi_extra=documented_body(new, [JSON.media_type], "If-Match"),
            operation_id=f"replace_{row_id}",
            dependencies=writers,
        )(typed(self.replace, id=id, body=body))
        router.patch(
            one_path,
            response_model=row,
            responses=REFUSED,
            openapi_extra=documented_body(
                reference(patch_name(collection)), [JSON.media_type], "If-Match"
            ),
            operation_id=f"update_{row_id}",
            dependencies=writers,
        )(typed(self.change, id=id, body=body))
        router.delete(
            one_path,
            status_code=HTTPStatus.NO_CONTENT,
            responses=REFUSED,
            openapi_extra={"parameters": headers("If-Match")},
            operation_id=f"delete_{row_id}",
            dependencies=writers,
        )(typed(self.delete, id=id))

    def create(self, request: Request, body: Any) -> Response:
        """Add a row."""
        if self._query_row:
            new = self._query_row.of_body_or_query(request, body)
        else:
            new = self._bodies.row(body)
        row = writes.insert(database_of(request), self._record, new)
        created = self._record.encode_one(row)
        location = url(request, f"{self._path}/{in_path(self._record.id_of(row))}")
        return _json(created, HTTPStatus.CREATED, _tagged(row) | {"Location": location})

    def read_page(self, request: Request) -> Response:
        """Rows in an order."""
        query = parsed(request, self._page.model, RequestValidationError)
        # The query has this only where the spatial indexes leave rows out.
        every = getattr(query, "all", False)
        conditions = [self._collection.visible() if every else self._collection.rows()]
        if query.bbox is not None:
            conditions.append(bbox.within(self._collection.geometry, query.bbox))
        conditions += self._page.columns.column_conditions(query)
        order: keyset.Order = query.sortby
        after: Condition | None = query.token
        if query.after is not None:
            _check_after(order, after)
            after = order.after([str(query.after)])
        limit = clamped(query.limit, settings_of(request))
        # One row more than asked for tells whether there is a next page.
        rows = paging.find(
            database_of(request),
            self._record,
            conditions,
            order=order,
            after=after,
            limit=limit + 1,
        )
        items, following = self._record.encode(rows[:limit]), None
        if len(rows) > limit:
            following = self._following(request, order, rows[limit - 1])
        return _json({"items": items, "next": following})

    def _following(self, request: Request, order: keyset.Order, last: Row) -> str:
        """The URL of the page after a row."""
        if order.is_by_id:
            place = {"after": self._record.id_of(last)}
        else:
            place = {"token": paging.token_after(self._record, order, last)}
        return str(request.url.include_query_params(**place))

    def read_nearby(self, request: Request) -> Response:
        """Rows within a radius of a place, nearest first."""
        query = parsed(request, self._near.model, RequestValidationError)
        settings = settings_of(request)
        if settings.max_radius is not None and query.radius > settings.max_radius:
            message = f"Input should be at most {settings.max_radius:g} metres"
            raise RequestValidationError([{"loc": ("query", "radius"), "msg": message}])
        place = shapely.set_srid(shapely.Point(query.lon, query.lat), WGS84)
        limit = clamped(query.limit, settings)
        wanted = [self._collection.rows(), *self._near.columns.column_conditions(query)]
        rows = nearby.search(
            database_of(request), self._record, together(wanted), place, query.radius, limit
        )
        items = self._record.encode(rows)
        for item, row in zip(items, rows, strict=True):
            item[self._distance] = row[-1]
        return _json({"items": items})

    def read(self, request: Request, id: Any) -> Response:
        """One row."""
        row = queries.find(database_of(request), self._record, id)
        if row is None:
            raise _missing(id)
        headers = _tagged(row)
        if etags.is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return _json(self._record.encode_one(row), headers=headers)

    def replace(self, request: Request, id: Any, body: Any) -> Response:
        """Put another row in the place of one: what is left out goes back to its default."""
        new = self._bodies.row(body, replaces=id)
        shape = body.get(self._geometry)

        def change(stored: Any) -> Any:
            return new, self._bodies.replaced(new, shape, stored, self._geometry)

        return self._changed(self._changes.update(request, id, change, shape=shape))

    def change(self, request: Request, id: Any, body: Any) -> Response:
        """Change the members that a JSON merge patch (RFC 7396) names; null takes one back to its default."""
        patch = self._bodies.patch_of(body)
        row = self._changes.update(
            request,
            id,
            lambda stored: self._bodies.change(patch, stored, id),
            shape=patch.get(self._geometry),
            merges=self._bodies.merges(patch),
        )
        return self._changed(row)

    def delete(self, request: Request, id: Any) -> None:
        """Remove a row."""
        self._changes.delete(request, id)

    def _changed(self, row: Sequence[Any]) -> Response:
        return _json(self._record.encode_one(row), headers=_tagged(row))


class Parameters(NamedTuple, Generic[Query]):
    """The query parameters of a route, and those of them that ask about columns."""

    model: type[Query]
    columns: ColumnQueries


def _page_query(collection: Collection) -> Parameters[PageQuery]:
    """The parameters of a page: with a partial index, ``all`` asks for the rows beyond it."""
    after = Field(
        default=None, description="The last id of the page before, in the order of the ids."
    )
    fields: dict[str, Any] = {"after": (id_type(collection) | None, after)}
    if collection.is_partial:
        described = f"Every row, not only those where {collection.indexed_rows}."
        fields["all"] = (bool, Field(default=False, description=described))
    columns = ColumnQueries(collection, {*PageQuery.model_fields, *fields})
    fields |= columns.order_fields() | columns.fields()
    return Parameters(create_model("PageQuery", __base__=PageQuery, **fields), columns)


def _nearby_query(collection: Collection) -> Parameters[NearbyQuery]:
    columns = ColumnQueries(collection, NearbyQuery.model_fields)
    model = create_model("NearbyQuery", __base__=NearbyQuery, **columns.fields())
    return Parameters(model, columns)


def _check_after(order: keyset.Order, token: Condition | None) -> None:
    """Check that nothing but an id says where a page begins.

    Raises:
        RequestValidationError: Something else does.
    """
    if token is not None or not order.is_by_id:
        message = "it goes with the order of the ids: with sortby, take the token of the link to the next page"
        raise RequestValidationError([{"loc": ("query", "after"), "msg": message}])


def _models(collection: Collection) -> tuple[type[BaseModel], type[BaseModel]]:
    """A page of rows and the rows nearest to a place, as the OpenAPI document describes them."""
    name, row = collection.model.__name__, collection.read
    following = Field(description="The URL of the next page; null on the last.")
    page: Any = {"items": (list[row], ...), "next": (str | None, following)}  # type: ignore[valid-type]
    metres = Field(description="Metres on the spheroid.", alias=distance_name(collection))
    # No column's field has this name.
    distance: Any = {f"distance_of_{name.lower()}": (float, metres)}
    neighbour = create_model(
        f"{name}Neighbour",
        __base__=row,
        __doc__="A row with its distance from the place that was asked for.",
        **distance,
    )
    neighbours: Any = {"items": (list[neighbour], ...)}
    return (
        create_model(f"{name}Page", __doc__="Rows, and where the next page is.", **page),
        create_model(f"{name}Neighbours", __doc__="Rows, nearest first.", **neighbours),
    )


def _row_name(collection: Collection) -> str:
    """What ids of operations call a row: ``land_parcel``, of the model ``LandParcel``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", collection.model.__name__).lower()


def distance_name(collection: Collection) -> str:
    """The member that has a row's distance; a column may have its name."""
    return "distance" if "distance" not in collection.shown else "distance_in_metres"


def searches(collection: Collection) -> Iterator[Search]:
    """The spatial queries of a collection: a page of the rows in a box, and the nearest rows."""
    record, geometry = row_formats.record(collection), collection.geometry
    box = samples.small_box(geometry)
    yield from page_searches("a page in a box", record, bbox.within(geometry, box))
    place = shapely.set_srid(shapely.Point(samples.middle(geometry)), WGS84)
    yield from nearby.searches(record, place, 100.0, 10)


def examples(collection: Collection) -> dict[str, Any]:
    """A row for the bodies of a collection's routes; none of a read-only collection."""
    if not collection.is_writable:
        return {}
    row = row_example(collection)
    return {f"/{collection.name}/": row, f"/{collection.name}/{{id}}": row}


def _missing(id: Any) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no row {id}")


def _tagged(row: Sequence[Any]) -> dict[str, str]:
    """The header with the row's version, which is its last column."""
    return {"ETag": etags.etag(row[-1], "json")}


def _json(
    content: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type=JSON.media_type)
