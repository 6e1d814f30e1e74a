"""Overviews: indexes of the few rows that come first where a tile has to choose.

A tile that has more rows than it may show takes the first of them in an order that does not depend on the tile. If an index of
the first rows of the table has enough of them in the tile, these are the very rows, and the others need not be read.

``python -m … overviews`` makes the indexes: the smallest has just the rows that the tile of zoom 0 needs, each of the others about
twice as many as the one before. A statement states its condition itself, so that an index that is gone, or is another one,
makes it slower and nothing else.
"""

import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.db.database import Database
from geotables.db.overview_names import key_ranges_name, overview_name, overview_share
from geotables.db.statements import literal
from geotables.geometry import in_srid
from geotables.identifiers import beside, qualified

log = logging.getLogger(__name__)

#: How many times more rows an overview has than the next smaller one.
RATIO = 2

#: How many times a tile's limit of rows the smallest overview has when it is made; with how many it is made anew; and with how
#: many it is still used, since all of them are read into memory.
SMALLEST, GROWN, OUTGROWN = 1.25, 2.5, 16

#: Sizes whose natural logarithms differ by less than about this are equal: PostGIS has them by boxes of single precision, whose
#: errors grow with the distance from (0, 0), so that of equal areas those at the edges of the world would come first.
SIZE_STEP = 0.25

#: The deepest zoom that tiles are counted at.
DEEPEST_ZOOM = 24


@dataclass(frozen=True)
class Overview:
    """An index of the first rows of a collection: one in ``share``, which come before ``bound`` in the order.

    The bound is a value of each expression of the order, as PostgreSQL's text.
    """

    collection: Collection
    share: int
    bound: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the index."""
        return overview_name(self.collection.geometry, self.share)

    @property
    def rows(self) -> sa.ColumnElement[bool]:
        """The rows that come before the bound, with the bound as it is written in the index."""
        return _first_rows(self.collection, self.bound)

    @property
    def condition(self) -> str:
        """The condition of the index, which is also its comment, by which it is known again."""
        return literal(sa.and_(self.collection.indexed_rows, self.rows))

    def index(self, *, concurrently: bool = False) -> sa.Index:
        """The index, of a copy of the table: the model itself has none."""
        table = self.collection.table.to_metadata(sa.MetaData())
        return sa.Index(
            self.name,
            table.columns[self.collection.geometry.name],
            postgresql_using="gist",
            postgresql_where=sa.literal_column(self.condition),
            postgresql_concurrently=concurrently,
        )


@cache
def order(collection: Collection) -> list[sa.ColumnElement[Any]]:
    """The order of rows in which tiles choose: the largest first; among those of a size, and of points, by a hash of the key.

    The hash has nothing to do with where the rows lie.
    """
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    shuffled: sa.ColumnElement[int]
    match collection.key.type:
        case sa.Uuid():
            shuffled = sa.func.uuid_hash_extended(collection.key, zero)
        case sa.Integer():
            shuffled = sa.func.hashint8extended(collection.key, zero)
        case _:
            shuffled = sa.func.hashtextextended(sa.cast(collection.key, sa.Text()), zero)
    if collection.geometry_type == "POINT":
        return [shuffled]
    size: sa.ColumnElement[float] = sa.func.ST_Length(
        sa.func.ST_BoundingDiagonal(collection.geometry), type_=sa.Double()
    )
    # Not as bound values, which match no index's condition. There is no logarithm of 0.
    least: sa.ColumnElement[float] = sa.literal_column("1e-9")
    step: sa.ColumnElement[float] = sa.literal_column(str(SIZE_STEP))
    steps = sa.func.ln(sa.func.greatest(size, least)) / step
    magnitude: sa.ColumnElement[float] = sa.func.round(steps, type_=sa.Double())
    return [-magnitude, shuffled]


@lru_cache(maxsize=256)
def _first_rows(collection: Collection, bound: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """The same object for the same bound, for which statements are kept."""
    # Not as bound values: under a generic plan these match no index's condition.
    kinds = ("double precision", "bigint")[-len(bound) :]
    values: list[sa.ColumnElement[Any]] = [
        sa.literal_column(f"CAST('{value}' AS {kind})")
        for value, kind in zip(bound, kinds, strict=True)
    ]
    expressions = order(collection)
    if len(expressions) == 1:
        # Otherwise PostgreSQL sees that larger overviews have these rows as well, and takes any of them; of tuples it does not.
        return (expressions[0] < values[0]).is_(sa.true())
    return sa.tuple_(*expressions) < sa.tuple_(*values)


def unfit(collection: Collection) -> str:
    """Why a collection can have no overviews, whatever its table is; empty: it can."""
    if isinstance(collection.key.type, sa.Date | sa.DateTime):
        return "its key is a time, whose text depends on settings, so that no index can have it in its condition"
    return ""


def example(collection: Collection) -> Overview | None:
    """An overview for checks, if the collection can have one."""
    bound = ("-1", "0")[-len(order(collection)) :]
    return None if unfit(collection) else Overview(collection, RATIO, bound)


def stored(connection: sa.Connection, collection: Collection) -> dict[str, Overview | None]:
    """The overviews in the database by their names, the smallest first; None for one that is of no use."""
    shares: dict[str, int] = {}
    found: dict[str, Overview | None] = {}
    rows = connection.execute(_INDEXES, {"table": qualified(collection.table)})
    for name, is_valid, comment in rows:
        share = overview_share(collection.geometry, name)
        if share is not None:
            shares[name] = share
            found[name] = _described(collection, share, comment or "") if is_valid else None
    return {name: found[name] for name in sorted(found, key=lambda name: -shares[name])}


def _described(collection: Collection, share: int, comment: str) -> Overview | None:
    """The overview that a comment describes, unless another version or another model has made it."""
    size = 0 if unfit(collection) else len(order(collection))
    bound = tuple(_BOUND.findall(comment)[-size:])
    if not size or len(bound) != size:
        return None
    overview = Overview(collection, share, bound)
    return overview if overview.condition == comment else None


#: A number as PostgreSQL writes it: the comment of an index could have anything, and becomes a part of statements.
_BOUND = re.compile(
    r"CAST\('(-?(?:[0-9.]+(?:e[-+][0-9]+)?|Infinity|NaN))' AS (?:double precision|bigint)\)"
)

_INDEXES = sa.text(
    "SELECT c.relname, i.indisvalid, obj_description(c.oid, 'pg_class')"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = to_regclass(:table) AND c.relname LIKE '%overview%'"
)


def key_ranges(connection: sa.Connection, collection: Collection) -> int | None:
    """Into how many ranges of pages the index of key ranges divides the table; 0: it is invalid; None: there is none.

    From it PostgreSQL knows where in the table keys are small enough for a page, and reads only those rows of a box that lie there.
    """
    name = key_ranges_name(collection.geometry)
    ranges: int | None = connection.scalar(_KEY_RANGES, {"name": beside(collection.table, name)})
    return ranges


_KEY_RANGES = sa.text(
    """
    SELECT CASE WHEN i.indisvalid THEN pg_relation_size(i.indrelid)
        / CAST(current_setting('block_size') AS int) / CAST(o.option_value AS int) + 1 ELSE 0 END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    CROSS JOIN pg_options_to_table(c.reloptions) o
    WHERE c.oid = to_regclass(:name) AND o.option_name = 'pages_per_range'
    """
)


class Overviews:
    """Chooses overviews to find the rows of a tile in. Which there are is looked up every ``lifetime`` seconds.

    The rows of the smallest one tell about how many the others have in a tile. For a tile with few rows there are none.
    """

    def __init__(
        self, database: Database, collection: Collection, lifetime: float, limit: int
    ) -> None:
        self._database, self._collection = database, collection
        self._lifetime, self._limit = lifetime, limit
        self._lock = threading.Lock()
        self._until = 0.0
        # Replaced as one, so that they belong together without the lock.
        self._known: tuple[list[Overview], Mapping[tuple[int, int, int], int]] = ([], {})

    def of(self, tile: tuple[int, int, int]) -> list[Overview]:
        """Those that are likely to have enough rows in a tile, given as zoom, column and row; the smallest first."""
        if time.monotonic() > self._until:
            self._look()
        overviews, numbers = self._known
        number = numbers.get(tile, 0)
        return [overview for overview in overviews if number >= overview.share * self._limit]

    def _look(self) -> None:
        """Ask the database what there is: one request at a time, and only the first look keeps others waiting."""
        is_first = not self._until
        if not self._lock.acquire(blocking=is_first):
            return
        try:
            if time.monotonic() > self._until:
                self._known = self._read()
                self._until = time.monotonic() + self._lifetime
        finally:
            self._lock.release()

    def _read(self) -> tuple[list[Overview], Mapping[tuple[int, int, int], int]]:
        known, numbers = self._known
        try:
            with self._database.read() as connection:
                found = stored(connection, self._collection).values()
                overviews = [overview for overview in found if overview]
                if overviews != known:
                    numbers = self._counted(connection, overviews) if overviews else {}
        except sa.exc.DBAPIError as error:
            # Tiles come without overviews, too.
            log.warning("%s: its overviews are not used: %s", self._collection.name, error.orig)
            return [], {}
        return overviews, numbers

    def _counted(
        self, connection: sa.Connection, known: Sequence[Overview]
    ) -> dict[tuple[int, int, int], int]:
        """About how many rows each tile has, of those with so many that an overview helps."""
        smallest, largest = known[0], known[-1]
        most = OUTGROWN * self._limit
        rows = connection.execute(_places(smallest).limit(most + 1)).all()
        if len(rows) > most:
            log.warning(
                "%s has outgrown its overviews, which are not used: run overviews again",
                self._collection.name,
            )
            return {}
        places = [tuple(row) for row in rows]
        least = largest.share * self._limit / smallest.share
        counts = crowded(np.array(places, dtype=float).reshape(-1, 2), least)
        # Less the error of such an estimate, since a tile with too few rows is made for nothing; and no less than that, since
        # of the next overview twice as many rows are read.
        return {tile: int(n - n**0.5) * smallest.share for tile, n in counts.items()}


def _places(overview: Overview) -> sa.Select[Any]:
    """Longitude and latitude of the rows of an overview."""
    collection = overview.collection
    middle = sa.func.ST_Centroid(sa.func.ST_Envelope(in_srid(collection.geometry, WGS84)))
    return sa.select(sa.func.ST_X(middle), sa.func.ST_Y(middle)).where(
        collection.indexed_rows, overview.rows
    )


def crowded(places: Any, least: float) -> dict[tuple[int, int, int], int]:
    """The tiles, as zoom, column and row, that have at least so many of some places, and how many they have.

    Args:
        places: Longitudes and latitudes; those that are no numbers are nowhere.
        least: The number.
    """
    lon, lat = places[np.isfinite(places).all(axis=1)].T
    x = (lon + 180) / 360 % 1
    y = 0.5 - np.arcsinh(np.tan(np.radians(np.clip(lat, -85, 85)))) / (2 * np.pi)
    found = {}
    for zoom in range(DEEPEST_ZOOM + 1):
        columns, rows = (np.floor(each * 2**zoom).astype(np.int64) for each in (x, y))
        tiles, counts = np.unique(columns << zoom | rows, return_counts=True)
        many = counts >= least
        if not many.any():
            break
        for tile, count in zip(tiles[many].tolist(), counts[many].tolist(), strict=True):
            found[zoom, tile >> zoom, tile & 2**zoom - 1] = count
    return found
