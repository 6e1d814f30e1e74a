"""The floor: the service's own statements by a psycopg2 pool, behind bare Starlette routes.

No session, no ping, no limits, no middleware, no validation: what nobody can go below without another driver. Rows become JSON as
they do in the service.
"""

import gc
import os
from importlib import import_module
from typing import Any

import orjson
import shapely
import sqlalchemy as sa
from psycopg2.pool import ThreadedConnectionPool
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SERVICE = os.environ["SERVICE"]
queries, row_formats, nearby, tiles, statements, lifecycle = (
    import_module(f"geotables.{name}")
    for name in (
        "sql.queries",
        "sql.row_formats",
        "rest.nearby",
        "tiles.mvt",
        "db.statements",
        "http.lifecycle",
    )
)
(COLLECTION,) = import_module(f"{SERVICE}.tables").COLLECTIONS
TABLE, GEOMETRY = COLLECTION.table, COLLECTION.geometry
FEATURE = row_formats.geojson(COLLECTION, COLLECTION.default_crs)
RECORD = row_formats.record(COLLECTION)

Pool = ThreadedConnectionPool


def fetch(pool: Pool, statement: Any, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement of the service, which was compiled once; parameters that differ are given by name."""
    connection = pool.getconn()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement.text, statement.values(values))
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows
    finally:
        pool.putconn(connection)


def parameter(name: str, type_: Any = None) -> sa.BindParameter[Any]:
    return sa.bindparam(name, None, type_, unique=False)


def in_box() -> sa.ColumnElement[bool]:
    corners = [parameter(name, sa.Double()) for name in ("west", "south", "east", "north")]
    return sa.func.ST_Intersects(GEOMETRY, sa.func.ST_MakeEnvelope(*corners, 4326))


ROWS = queries.select(FEATURE, COLLECTION.rows().expression).limit(parameter("limit"))
PAGE = ROWS.order_by(TABLE.c.id)
FIRST = statements.Statement(PAGE)
DEEP = statements.Statement(PAGE.where(TABLE.c.id > parameter("after")))
BOX = statements.Statement(ROWS.where(in_box()).order_by(sa.func.greatest(TABLE.c.id)))
FILTERED = statements.Statement(PAGE.where(TABLE.c.status == parameter("status")))

NEW = {
    "name": parameter("new_name"),
    GEOMETRY.name: sa.func.ST_GeomFromGeoJSON(parameter("new_place")),
}
INSERT = statements.Statement(sa.insert(TABLE).values(NEW).returning(*RECORD.columns))
UPDATE = statements.Statement(
    sa.update(TABLE).where(TABLE.c.id == parameter("row")).values(NEW).returning(*RECORD.columns)
)


def items(request: Request) -> Response:
    query = request.query_params
    pool, limit = request.app.state.pool, int(query["limit"])
    if "bbox" in query:
        corners = dict(
            zip(("west", "south", "east", "north"), query["bbox"].split(","), strict=True)
        )
        values = {name: float(value) for name, value in corners.items()}
        rows = fetch(pool, BOX, values | {"limit": limit})
    elif "status" in query:
        rows = fetch(pool, FILTERED, {"limit": limit, "status": query["status"]})
    elif "after" in query:
        rows = fetch(pool, DEEP, {"limit": limit, "after": int(query["after"])})
    else:
        rows = fetch(pool, FIRST, {"limit": limit})
    features = FEATURE.encode(rows)
    return json({"type": "FeatureCollection", "features": features})


def item(request: Request) -> Response:
    values = {"id": int(request.path_params["id"])}
    (row,) = fetch(request.app.state.pool, FEATURE.by_id, values)
    return json(FEATURE.encode_one(row))


def near(request: Request) -> Response:
    query = request.query_params
    place = shapely.set_srid(shapely.Point(float(query["lon"]), float(query["lat"])), 4326)
    limits = float(query["radius"]), int(query["limit"])
    found = nearby.statement(RECORD, COLLECTION.rows(), place, *limits)
    rows = fetch(request.app.state.pool, *found)
    items = RECORD.encode(rows)
    for each, row in zip(items, rows, strict=True):
        each["distance"] = row[-1]
    return json({"items": items})


def tile(request: Request) -> Response:
    z, y, x = (int(request.path_params[name]) for name in "zyx")
    ((content, _),) = fetch(
        request.app.state.pool, *tiles.statement(COLLECTION, tiles.Tile(z, x, y), 10_000)
    )
    return Response(bytes(content), media_type="application/vnd.mapbox-vector-tile")


async def write(request: Request) -> Response:
    """Insert a row, or update the one that the path names."""
    new = orjson.loads(await request.body())
    values = {"new_name": new["name"], "new_place": orjson.dumps(new["location"]).decode()}
    statement = INSERT if request.method == "POST" else UPDATE
    values |= {"row": request.path_params.get("id")}
    (row,) = await run_in_threadpool(fetch, request.app.state.pool, statement, values)
    return json(RECORD.encode_one(row))


def json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/geo+json")


def create_app() -> Starlette:
    path = f"/collections/{TABLE.name}"
    app = Starlette(
        routes=[
            Route(f"{path}/items", items),
            Route(f"{path}/items/{{id:int}}", item),
            Route(f"/{TABLE.name}/nearby", near),
            Route(f"/{TABLE.name}/", write, methods=["POST"]),
            Route(f"/{TABLE.name}/{{id:int}}", write, methods=["PUT"]),
            Route(f"{path}/tiles/WebMercatorQuad/{{z:int}}/{{y:int}}/{{x:int}}", tile),
        ]
    )
    app.state.pool = Pool(10, 45, os.environ["DATABASE_URL"])
    # As in the service: a long page has the garbage collector look through all modules otherwise.
    gc.collect()
    gc.freeze()
    gc.set_threshold(lifecycle.GC_THRESHOLD)
    return app
