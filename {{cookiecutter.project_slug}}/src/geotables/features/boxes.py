"""The parameter ``bbox`` in the CRSs that ``bbox-crs`` may name."""

from functools import cache
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.crs import MERCATOR, WGS84, Bounds, Reference, lonlat_of_mercator
from geotables.db.statements import Condition
from geotables.geometry import boxes, ewkb, intersecting
from geotables.http.parameters import flat, in_degrees, no_box, numbers
from geotables.sql import bbox

#: The parameters of a statement for the parts of a box in the CRS of the table.
PARTS = ("first_stored", "second_stored")


def inside(collection: Collection, value: Any, reference: Reference) -> list[Condition]:
    """The rows whose geometry meets a box of four numbers, or of six on a table that has heights.

    Raises:
        PydanticCustomError: It is no box of the CRS; the message has the reason.
    """
    try:
        box = numbers(value)
        meeting = _meeting(collection, flat(box), reference)
    except ValueError as error:
        raise no_box(str(error), _form(collection, reference)) from error
    if len(box) == 6 and collection.has_z:
        heights = {"lowest": min(box[2], box[5]), "highest": max(box[2], box[5])}
        return [meeting, Condition(_between_heights(collection), heights)]
    return [meeting]


def _form(collection: Collection, reference: Reference) -> str:
    """What a box in a CRS looks like, its axes in the order of the authority."""
    crs = collection.crs
    is_geographic = reference.srid == WGS84 or (reference.srid == crs.srid and crs.geographic)
    corners = "south,west,north,east" if reference.swapped else "west,south,east,north"
    return f"{corners} in {'degrees' if is_geographic else 'units'} of {reference.uri}"


def _meeting(collection: Collection, bounds: Bounds, reference: Reference) -> Condition:
    if reference.swapped:
        bounds = Bounds(bounds.ymin, bounds.xmin, bounds.ymax, bounds.xmax)
    if reference.srid == collection.crs.srid != WGS84:
        return _inside_stored(collection, bounds)
    if reference.srid == MERCATOR.srid:
        corners = lonlat_of_mercator(np.array(bounds).reshape(2, 2))
        bounds = Bounds(*corners.clip(-180, 180).ravel().tolist())
    return bbox.within(collection.geometry, in_degrees(bounds))


@cache
def _between_heights(collection: Collection) -> sa.ColumnElement[bool]:
    """The rows that reach into a range of heights."""
    return sa.and_(
        sa.func.ST_ZMax(collection.geometry) >= sa.bindparam("lowest", type_=sa.Double()),
        sa.func.ST_ZMin(collection.geometry) <= sa.bindparam("highest", type_=sa.Double()),
    )


def _inside_stored(collection: Collection, bounds: Bounds) -> Condition:
    """The rows that meet a box in the CRS of the table itself."""
    if collection.crs.geographic:
        in_degrees(bounds)
    elif bounds.xmin > bounds.xmax or bounds.ymin > bounds.ymax:
        raise ValueError("its first corner is east or north of the second")
    srid = collection.crs.srid
    parts = [ewkb(shapely.set_srid(part, srid)) for part in boxes(bounds)]
    values = dict(zip(PARTS, parts, strict=False))
    return Condition(_intersecting(collection, len(parts)), values, indexed=True)


@cache
def _intersecting(collection: Collection, parts: int) -> sa.ColumnElement[bool]:
    return intersecting(collection.geometry, PARTS[:parts], collection.crs.srid)
