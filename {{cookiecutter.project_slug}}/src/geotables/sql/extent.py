"""Where and when the rows of a collection are."""

import logging
import math
from typing import NamedTuple

import orjson
import sqlalchemy as sa

from geotables.crs import CRS84, Bounds
from geotables.sql import queries
from geotables.sql.kept import Kept

log = logging.getLogger(__name__)


class Extent(NamedTuple):
    """The box in WGS 84 that holds the rows, and the first and the last of their times."""

    box: Bounds
    interval: tuple[str | None, str | None]


class Extents(Kept[Extent | None]):
    """The extent of a collection; none if it has no rows, or one is at no place on the Earth."""

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
        # Outwards: answers round coordinates, and none may lie outside.
        unit = 10**CRS84.decimals
        if xmin is None or not all(math.isfinite(each * unit) for each in (xmin, ymin, xmax, ymax)):
            return None
        low = [math.floor(each * unit) / unit for each in (xmin, ymin)]
        high = [math.ceil(each * unit) / unit for each in (xmax, ymax)]
        return Extent(Bounds(*low, *high), (_moment(first), _moment(last)))


def _moment(text: str | None) -> str | None:
    """A time as the OGC writes it; none for an infinite one."""
    value: str | None = orjson.loads(text) if text else None
    if value is None or value.endswith("infinity"):
        return None
    return value if "T" in value else f"{value}T00:00:00Z"
