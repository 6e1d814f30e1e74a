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
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SERVICE = os.environ["SERVICE"]
queries, nearby, crs, bbox, tiles = (
    import_module(f"{SERVICE}.{name}") for name in ("queries", "nearby", "crs", "bbox", "tiles")
)
DIALECT: sa.Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
TABLE, GEOMETRY = queries.TABLE, queries.GEOMETRY
FEATURE = queries.geojson(next(iter(crs.REFERENCES.values())))
RECORD = import_module(f"{SERVICE}.api.rest").RECORD


class Statement:
    """A statement of the service as text, compiled once; parameters that differ are given by name."""

    def __init__(self, statement: sa.Executable) -> None:
        compiled: Any = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
        self.text, self.defaults = str(compiled), dict(compiled.params)

    def __call__(self, pool: ThreadedConnectionPool, **values: object) -> list[tuple[Any, ...]]:
        connection = pool.getconn()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(self.text, self.defaults | values)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
        finally:
            pool.putconn(connection)


def parameter(name: str, type_: Any = None) -> sa.BindParameter[Any]:
    return sa.bindparam(name, None, type_, unique=False)


def in_box() -> sa.ColumnElement[bool]:
    corners = [parameter(name, sa.Double()) for name in ("west", "south", "east", "north")]
    return sa.func.ST_Intersects(GEOMETRY, sa.func.ST_MakeEnvelope(*corners, 4326))


ROWS = queries.select(FEATURE)
PAGE = ROWS.order_by(TABLE.c.id).limit(parameter("limit"))
ONE = Statement(FEATURE.by_id)
FIRST = Statement(PAGE)
DEEP = Statement(PAGE.where(TABLE.c.id > parameter("after")))
BOX = Statement(
    ROWS.where(in_box()).order_by(queries.in_order_of_id(few=True)).limit(parameter("limit"))
)
TILE = Statement(tiles.select())
NEAR = Statement(
    nearby.nearest(
        queries.select(RECORD),
        GEOMETRY,
        shapely.set_srid(shapely.Point(0, 0), 4326),
        parameter("radius", sa.Double()),
        parameter("limit"),
    )
)
#: The parameters that are the place: what was given there.
PLACES = [name for name, value in NEAR.defaults.items() if isinstance(value, bytes)]
FILTERED = Statement(PAGE.where(TABLE.c.status == parameter("status")))

NEW = {
    "name": parameter("new_name"),
    GEOMETRY.name: sa.func.ST_GeomFromGeoJSON(parameter("new_place")),
}
INSERT = Statement(sa.insert(TABLE).values(NEW).returning(*RECORD.columns))
UPDATE = Statement(
    sa.update(TABLE).where(TABLE.c.id == parameter("row")).values(NEW).returning(*RECORD.columns)
)


def items(request: Request) -> Response:
    query = request.query_params
    pool, limit = request.app.state.pool, int(query["limit"])
    if "bbox" in query:
        corners = dict(
            zip(("west", "south", "east", "north"), query["bbox"].split(","), strict=True)
        )
        rows = BOX(pool, limit=limit, **{name: float(value) for name, value in corners.items()})
    elif "status" in query:
        rows = FILTERED(pool, limit=limit, status=query["status"])
    elif "after" in query:
        rows = DEEP(pool, limit=limit, after=int(query["after"]))
    else:
        rows = FIRST(pool, limit=limit)
    features = FEATURE.encode(rows)
    return json({"type": "FeatureCollection", "features": features})


def item(request: Request) -> Response:
    (row,) = ONE(request.app.state.pool, id=int(request.path_params["id"]))
    return json(FEATURE.encode_one(row))


def near(request: Request) -> Response:
    query = request.query_params
    place = shapely.to_wkb(shapely.Point(float(query["lon"]), float(query["lat"])))
    radius, limit = float(query["radius"]), int(query["limit"])
    values = dict.fromkeys(PLACES, place)
    rows = NEAR(request.app.state.pool, **values, radius=radius, limit=limit)
    items = RECORD.encode(rows)
    for each, row in zip(items, rows, strict=True):
        each["distance"] = row[-1]
    return json({"items": items})


def tile(request: Request) -> Response:
    z, y, x = (int(request.path_params[name]) for name in "zyx")
    rows = TILE(request.app.state.pool, **tiles.parameters(tiles.Tile(z, x, y), 10_000))
    return Response(bytes(rows[0][0]), media_type="application/vnd.mapbox-vector-tile")


async def write(request: Request) -> Response:
    """Insert a row, or update the one that the path names."""
    new = orjson.loads(await request.body())
    values = {"new_name": new["name"], "new_place": orjson.dumps(new["location"]).decode()}
    statement = INSERT if request.method == "POST" else UPDATE
    values |= {"row": request.path_params.get("id")}
    (row,) = await run_in_threadpool(statement, request.app.state.pool, **values)
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
    app.state.pool = ThreadedConnectionPool(10, 45, os.environ["DATABASE_URL"])
    # As in the service: a long page has the garbage collector look through all modules otherwise.
    gc.collect()
    gc.freeze()
    return app
