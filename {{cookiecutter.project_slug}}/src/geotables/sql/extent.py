"""Where and when the rows of a collection are."""

import logging
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from geotables.crs import WORLD, Bounds
from geotables.sql import queries
from geotables.sql.kept import Kept

#: A centimetre or less.
UNIT = Decimal("0.0000001")

#: The most rows whose extent is quick to find: it takes some tenths of a second.
FEW = 500_000

#: Degrees that no transformation gives a place on the Earth.
NOWHERE = 1e9

log = logging.getLogger(__name__)


class Extent(NamedTuple):
    """The box in WGS 84 that holds the rows, and the first and the last of their times."""

    box: Bounds
    interval: tuple[str | None, str | None]


class Extents(Kept[Extent | None]):
    """The extent of a collection; none if it has no rows, or one is at no place on the Earth."""

    def at_hand(self) -> Extent | None:
        """The extent if it is known or quick to find; else None, for what would rather do without it than wait."""
        if not self._is_current:
            rows = self._collection.rows()
            if queries.estimate(self._database, self._collection, rows) > FEW:
                return None
        return self.get()

    def _read(self) -> Extent | None:
        rows = self._collection.rows()
        statement = queries.extent(self._collection, rows.expression)
        try:
            with self._database.read(fresh=self._is_shared) as connection:
                row = connection.execute(statement, rows.values).one()
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != "XX000":
                raise
            # One row may not take the list of all collections from everyone.
            log.warning("%s has no extent: %s", self._collection.name, str(error.orig).strip())
            return None
        xmin, ymin, xmax, ymax, first, last = row
        if xmin is None or not all(abs(each) < NOWHERE for each in (xmin, ymin, xmax, ymax)):
            return None
        box = Bounds(
            max(_rounded(xmin, ROUND_FLOOR), WORLD.xmin),
            max(_rounded(ymin, ROUND_FLOOR), WORLD.ymin),
            min(_rounded(xmax, ROUND_CEILING), WORLD.xmax),
            min(_rounded(ymax, ROUND_CEILING), WORLD.ymax),
        )
        return Extent(box, (_moment(first), _moment(last)))


def _rounded(degrees: float, rounding: str) -> float:
    """A coordinate with the digits that clients write when they ask for the box again."""
    # Not by a product of floats, which may round the other way.
    return float(Decimal(degrees).quantize(UNIT, rounding))


def _moment(text: str | None) -> str | None:
    """A time as the OGC writes it; none for an infinite one."""
    value: str | None = orjson.loads(text) if text else None
    if value is None or value.endswith("infinity"):
        return None
    return value if "T" in value else f"{value}T00:00:00Z"
