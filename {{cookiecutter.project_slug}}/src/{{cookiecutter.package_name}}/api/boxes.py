"""The parameter ``bbox`` in the CRSs that ``bbox-crs`` may name."""

from functools import cache
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa

from .. import bbox, spatial
from ..crs import MERCATOR, WGS84, Bounds, Reference, lonlat_of_mercator
from ..geometry import boxes, ewkb, intersecting
from ..queries import GEOMETRY, STORAGE, STORED
from ..statements import Condition
from .parameters import flat, in_degrees, no_box, numbers

#: The parameters of a statement for the parts of a box in the CRS of the table.
PARTS = ("first_stored", "second_stored")


def inside(value: Any, reference: Reference) -> list[Condition]:
    """The rows whose geometry meets a box of four numbers, or of six on a table that has heights.

    Raises:
        PydanticCustomError: It is no box of the CRS; the message has the reason.
    """
    try:
        box = numbers(value)
        found = _meeting(flat(box), reference)
    except ValueError as error:
        raise no_box(str(error), _form(reference)) from error
    if len(box) == 6 and spatial.dimension(GEOMETRY) == 3:
        heights = {"lowest": min(box[2], box[5]), "highest": max(box[2], box[5])}
        return [found, Condition(BETWEEN_HEIGHTS, heights)]
    return [found]


def _form(reference: Reference) -> str:
    """What a box in a CRS looks like, its axes in the order of the authority."""
    is_geographic = reference.srid == WGS84 or (
        reference.srid == STORAGE.srid and STORAGE.geographic
    )
    corners = "south,west,north,east" if reference.swapped else "west,south,east,north"
    return f"{corners} in {'degrees' if is_geographic else 'units'} of {reference.uri}"


def _meeting(bounds: Bounds, reference: Reference) -> Condition:
    if reference.swapped:
        bounds = Bounds(bounds.ymin, bounds.xmin, bounds.ymax, bounds.xmax)
    if reference.srid == STORAGE.srid != WGS84:
        return _inside_stored(bounds)
    if reference.srid == MERCATOR.srid:
        corners = lonlat_of_mercator(np.array(bounds).reshape(2, 2))
        bounds = Bounds(*corners.clip(-180, 180).ravel().tolist())
    return bbox.within(GEOMETRY, in_degrees(bounds))


#: The rows that reach into a range of heights.
BETWEEN_HEIGHTS = sa.and_(
    sa.func.ST_ZMax(GEOMETRY) >= sa.bindparam("lowest", type_=sa.Double()),
    sa.func.ST_ZMin(GEOMETRY) <= sa.bindparam("highest", type_=sa.Double()),
)


def _inside_stored(bounds: Bounds) -> Condition:
    """The rows that meet a box in the CRS of the table itself."""
    if STORAGE.geographic:
        in_degrees(bounds)
    elif bounds.xmin > bounds.xmax or bounds.ymin > bounds.ymax:
        raise ValueError("its first corner is east or north of the second")
    parts = [ewkb(shapely.set_srid(part, STORED.srid)) for part in boxes(bounds)]
    values = dict(zip(PARTS, parts, strict=False))
    return Condition(_intersecting(len(parts)), values, indexed=True)


@cache
def _intersecting(parts: int) -> sa.ColumnElement[bool]:
    return intersecting(GEOMETRY, PARTS[:parts], STORED.srid)
