"""Vector tiles: which rows a tile shows, and how PostGIS makes them a Mapbox Vector Tile, in one statement."""

import math
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from geotables.collection import Collection
from geotables.column_types import AsText, text_of
from geotables.crs import MERCATOR, RADIUS, WORLD, Bounds
from geotables.db.database import Database
from geotables.db.statements import OWN, Statement
from geotables.geometry import in_srid
from geotables.sql import bbox, overviews
from geotables.sql.overviews import Overview

#: The side of the world in metres of Web Mercator, the CRS of the tiles.
WORLD_SIZE = 2 * math.pi * RADIUS

#: The zooms of the tile matrix set, and the last one that a map has to fetch: its grid is 2 mm wide at the equator.
ZOOMS = range(25)
LAST_ZOOM = 22

#: The side of a tile, in units of its own grid.
EXTENT = 4096

#: How far beyond its edges a tile shows features, in the same units: without it, outlines would follow the edges.
BUFFER = 64

#: A pixel in the same units, where 512 pixels show a tile: what would vanish in the grid is drawn of this size.
PIXEL = 8

#: Features smaller than this are simplified, in the same units.
SIMPLIFIED = 8 * PIXEL

#: The subquery of the features, and its column with their ids.
FEATURES, FEATURE_ID = f"{OWN}features", f"{OWN}id"

#: The dimension of points, lines and areas. A column of another type may mix them, a feature of a tile may not.
DIMENSIONS = {
    "POINT": 0,
    "MULTIPOINT": 0,
    "LINESTRING": 1,
    "MULTILINESTRING": 1,
    "POLYGON": 2,
    "MULTIPOLYGON": 2,
}


class Tile(NamedTuple):
    """A tile of the tile matrix set WebMercatorQuad: column x from the west, row y from the north."""

    z: int
    x: int
    y: int

    @classmethod
    def at(cls, lon: float, lat: float, z: int) -> "Tile":
        """The tile of a place."""
        y = 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)
        return cls(z, math.floor((lon + 180) / 360 * 2**z), math.floor(y * 2**z))

    @property
    def exists(self) -> bool:
        """Whether the tile matrix set has it."""
        return self.z in ZOOMS and 0 <= self.x < 2**self.z and 0 <= self.y < 2**self.z

    @property
    def box(self) -> Bounds:
        """What the tile and its buffer show, in WGS 84."""
        margin = BUFFER / EXTENT
        west, east = self._longitude(self.x - margin), self._longitude(self.x + 1 + margin)
        north, south = self._latitude(self.y - margin), self._latitude(self.y + 1 + margin)
        if self.z == 0:
            return Bounds(-180, south, 180, north)
        return Bounds(west + 360 * (west < -180), south, east - 360 * (east > 180), north)

    def _longitude(self, x: float) -> float:
        return x / float(2**self.z) * 360 - 180

    def _latitude(self, y: float) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / 2**self.z))))


class Content(NamedTuple):
    """A tile as a Mapbox Vector Tile, empty where no row lies in it, and whether there are more rows than it may show."""

    content: bytes
    is_full: bool


def find(
    database: Database,
    collection: Collection,
    tile: Tile,
    limit: int,
    likely: Iterable[Overview] = (),
) -> Content:
    """What a tile holds, of ``limit`` rows at the most.

    Where there are more, it shows the largest; of points, a sample that does not depend on where they lie. The order
    is the same in all tiles, so what one tile shows is also shown at every further zoom. Overviews that are likely to
    hold as many are asked first: they give the same rows.
    """
    for overview in likely:
        ((content, is_full),) = database.fetch(*statement(collection, tile, limit, overview))
        if is_full:
            return Content(bytes(content or b""), True)
    ((content, is_full),) = database.fetch(*statement(collection, tile, limit))
    return Content(bytes(content or b""), is_full)


def statement(
    collection: Collection, tile: Tile, limit: int, overview: Overview | None = None
) -> tuple[Statement, dict[str, Any]]:
    """The statement that finds a tile, and the values of its parameters; with an overview, of its rows alone."""
    rows, inside = collection.rows(), bbox.overlapping(collection.geometry, tile.box)
    first, worlds = None if overview is None else overview.rows, _worlds(collection, tile)
    is_repeated = len(worlds) > 1
    return _statement(collection, rows.expression, inside.expression, first, is_repeated), {
        **rows.values,
        **inside.values,
        **tile._asdict(),
        **({"worlds": worlds} if is_repeated else {}),
        "margin": WORLD_SIZE / 2**tile.z * BUFFER / EXTENT,
        "pixel": WORLD_SIZE / 2**tile.z * PIXEL / EXTENT,
        # In degrees, the others in metres.
        "unit": 360 / 2**tile.z / EXTENT,
        "limit": limit,
    }


def _worlds(collection: Collection, tile: Tile) -> list[int]:
    """By how many worlds to the east a feature is moved to be seen: the next ones begin at the antimeridian."""
    crosses = _crosses_antimeridian(collection)
    west = [-1] if crosses or tile.x == 0 else []
    return [*west, 0, *([1] if crosses or tile.x == 2**tile.z - 1 else [])]


@cache
def _crosses_antimeridian(collection: Collection) -> bool:
    """Whether a geometry of the table can lie across the antimeridian or around a pole.

    In degrees, and in projections of the whole world, the antimeridian is where the coordinates end.
    """
    domain = collection.crs.domain
    return not collection.crs.geographic and (
        domain.xmin > domain.xmax or (domain.ymin == WORLD.ymin) != (domain.ymax == WORLD.ymax)
    )


@lru_cache(maxsize=256)
def _statement(
    collection: Collection,
    rows: sa.ColumnElement[bool],
    inside: sa.ColumnElement[bool],
    first: sa.ColumnElement[bool] | None,
    is_repeated: bool,
) -> Statement:
    geometry = collection.geometry
    limit = sa.bindparam("limit", type_=sa.Integer())
    attributes = [column for column in collection.columns if column is not geometry]
    found = (
        sa.select(*attributes, _mercator(collection).label(geometry.name))
        .where(rows, inside, *([] if first is None else [first]))
        .order_by(*overviews.order(collection))
        .limit(limit)
        .subquery("found")
    )
    features, source, is_first = _features(collection, found, is_repeated=is_repeated)
    names = [collection.name, EXTENT, geometry.name]
    if FEATURE_ID in features.c:
        names.append(FEATURE_ID)
    mvt = sa.func.ST_AsMVT(features.table_valued(), *names, type_=sa.LargeBinary())
    # All in one pass: PostgreSQL would have to keep rows that are read twice.
    is_full = sa.func.count().filter(*is_first) == limit
    columns: list[sa.ColumnElement[Any]] = [mvt.label("content"), is_full.label("is_full")]
    query = sa.select(*columns).select_from(source.join(features, sa.true()))
    # A map asks for several tiles at once.
    return Statement(query, needs_work_mem=True, single_process=True)


def _features(
    collection: Collection, found: sa.Subquery, *, is_repeated: bool
) -> tuple[NamedFromClause, sa.FromClause, list[sa.ColumnElement[bool]]]:
    """The rows in the tile's own grid: one for each dimension that it has and, where the tile shows several, each world.

    Beside what they are made from, and which of a row's features is the first, of which every row has one.
    """
    z, x, y = (sa.bindparam(name, type_=sa.Integer()) for name in Tile._fields)
    envelope: sa.ColumnElement[Any] = sa.func.ST_TileEnvelope(z, x, y)
    margin: sa.BindParameter[float] = sa.bindparam("margin", type_=sa.Double())
    geometry_name, key = collection.geometry.name, collection.key
    geometry: sa.ColumnElement[Any] = found.c[geometry_name]
    in_view: sa.ColumnElement[Any] = sa.func.ST_Expand(envelope, margin)
    source: sa.FromClause = found
    is_first: list[sa.ColumnElement[bool]] = []
    if is_repeated:
        numbers = _values("numbers", "world", sa.bindparam("worlds"))
        to_the_west = -numbers.c.world * sa.cast(WORLD_SIZE, sa.Double())
        # Behind an offset PostgreSQL computes a world's views once, not for each row.
        world = (
            sa.select(
                numbers.c.world,
                _moved(envelope, to_the_west).label("envelope"),
                _moved(in_view, to_the_west).label("view"),
            )
            .offset(0)
            .subquery("worlds")
        )
        envelope, in_view = world.c.envelope, world.c.view
        is_first = [world.c.world == 0]
        source = source.join(world, sa.or_(*is_first, geometry.bool_op("&&")(in_view)))
    dimension: int | sa.ColumnElement[int] = DIMENSIONS.get(collection.geometry_type, -1)
    if collection.geometry_type not in DIMENSIONS:
        # Of a mixture MVT would show only the parts of the highest dimension. PostGIS counts them from 1.
        parts = _values("parts", "dimension", [1, 2, 3])
        geometry = sa.func.ST_CollectionExtract(geometry, parts.c.dimension)
        source = source.join(parts, sa.true())
        dimension = parts.c.dimension - 1
        is_first.append(dimension == 0)
    columns = [
        # As plain text: SQLAlchemy would shorten a name of more than 57 letters.
        _property(column, is_key=column.name == key.name).label(str(column.name))
        for column in found.columns
        if column.name != geometry_name
    ]
    if isinstance(key.type, sa.Integer):
        columns.append(found.c[key.name].label(FEATURE_ID))
    in_tile = sa.func.ST_AsMVTGeom(geometry, envelope, EXTENT, BUFFER)
    if collection.geometry_type not in ("POINT", "MULTIPOINT"):
        # PostgreSQL computes the second only where the first is NULL.
        enlarged = _enlarged(geometry, in_view, dimension)
        in_tile = sa.func.coalesce(
            in_tile, sa.func.ST_AsMVTGeom(enlarged, envelope, EXTENT, BUFFER)
        )
    # Behind LATERAL every column of the source is at hand for the count, too.
    features = sa.select(in_tile.label(geometry_name), *columns).correlate_except()
    return features.lateral(FEATURES), source, is_first


def _enlarged(
    geometry: sa.ColumnElement[Any],
    in_view: sa.ColumnElement[Any],
    dimension: int | sa.ColumnElement[int],
) -> sa.ColumnElement[Any]:
    """A line or an area that vanishes in the grid, as one that does not: lines stay lines, and areas areas.

    What has no more than a pixel becomes one; of a longer area, which is a sliver, a pixel around it. What is not in
    the tile is still not there.
    """
    pixel: sa.BindParameter[float] = sa.bindparam("pixel", type_=sa.Double())
    box = sa.func.ST_Expand(geometry, pixel / 2)
    # Of an area that simplification has made invalid PostGIS may take all of the view for the part in it.
    outline = sa.func.ST_ClipByBox2D(sa.func.ST_Boundary(geometry), in_view)
    sliver = sa.func.ST_Buffer(outline, pixel / 2, sa.literal_column("'quad_segs=1'"))
    # By the coordinates: the box that PostGIS keeps with them is of single precision, which is metres at the antimeridian.
    diagonal = sa.func.ST_BoundingDiagonal(geometry, sa.true())
    is_small = sa.func.ST_Length(diagonal) < pixel
    area = sa.case((is_small, box), else_=sliver)
    line = sa.case((is_small, sa.func.ST_BoundingDiagonal(box)))
    if isinstance(dimension, int):
        return area if dimension == 2 else line
    return sa.case((dimension == 2, area), (dimension == 1, line))


def _moved(geometry: sa.ColumnElement[Any], x: sa.ColumnElement[float]) -> sa.ColumnElement[Any]:
    """A geometry moved to the east; ST_Translate is a function in SQL, which takes longer to plan."""
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    return sa.func.ST_Affine(geometry, *map(sa.literal_column, "100010001"), x, zero, zero)


def _mercator(collection: Collection) -> sa.ColumnElement[Any]:
    """The geometry in the CRS of the tiles.

    What crosses the antimeridian comes out torn, each vertex on its own side. To mend that, the western vertices are
    moved behind the eastern ones, beyond the edge of the world.
    """
    torn = in_srid(_simplified(collection), MERCATOR.srid)
    if collection.has_z:
        # A tile has no heights, and of some lines with heights PostGIS cannot clip one that leaves the tile and comes back.
        torn = sa.func.ST_Force2D(torn)
    if not _crosses_antimeridian(collection):
        return torn
    degrees = 360 / WORLD_SIZE
    mended = sa.func.ST_Scale(
        sa.func.ST_ShiftLongitude(sa.func.ST_Scale(torn, degrees, 1)), 1 / degrees, 1
    )
    width = sa.func.ST_XMax(torn) - sa.func.ST_XMin(torn)
    return sa.case((width > WORLD_SIZE / 2, mended), else_=torn)


def _simplified(collection: Collection) -> sa.ColumnElement[Any]:
    """The geometry, if it has a few pixels without vertices that no pixel tells apart: each takes long to transform.

    Of a larger one even these may matter: what is straight in degrees is curved in the tile. An area may become invalid.
    """
    geometry = collection.geometry
    if collection.geometry_type == "POINT" or not collection.crs.geographic:
        return geometry
    unit: sa.BindParameter[float] = sa.bindparam("unit", type_=sa.Double())
    size = sa.func.ST_Length(sa.func.ST_BoundingDiagonal(geometry))
    simplified = sa.func.ST_Simplify(geometry, unit / 2, sa.true())
    return sa.case((size < unit * SIMPLIFIED, simplified), else_=geometry)


def _values(name: str, column: str, values: Any) -> sa.TableValuedAlias:
    """Numbers as a table."""
    array = sa.cast(values, sa.ARRAY(sa.Integer()))
    return sa.func.unnest(array).table_valued(column, name=name).render_derived()


def _property(column: sa.ColumnElement[Any], *, is_key: bool) -> sa.ColumnElement[Any]:
    """A column as tiles can have it: a text, a number or a boolean.

    Without the casts an exact number would become a text, a time would have PostgreSQL's own spelling, and the members
    of a JSON object would become properties.
    """
    match column.type:
        case sa.Numeric() if is_key:
            # It leads to the feature, and a double may be another number.
            return sa.cast(column, sa.Text())
        case sa.Numeric():
            return sa.cast(column, sa.Double())
        case sa.Date() | sa.DateTime():
            return sa.func.to_jsonb(column).op("#>>")(sa.literal_column("'{}'"))
        case AsText() | sa.JSON() | sa.Uuid():
            return sa.cast(column, sa.Text())
    return text_of(column)
