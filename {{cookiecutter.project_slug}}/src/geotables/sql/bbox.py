"""The rows that a box, or another geometry, in longitude and latitude meets.

Where the table stores another CRS the box is no box, and beyond the area of the CRS its corners may be nowhere at all: in a
national grid the world's box collapses. So the index is asked for the envelope of the part that the CRS covers, and the
rows that it finds are compared with the box itself.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry

from geotables.crs import CRS, WGS84, Bounds
from geotables.db.statements import Condition
from geotables.geometry import bind, boxes, ewkb, in_srid, intersecting, metadata, parameter
from geotables.geometry.metadata import GeometryColumn

#: Pieces into which an edge is cut before it is transformed, since a straight edge comes out curved.
PIECES = 32

#: The parameters of a statement for the parts of a box, one or two, and for those that the index is asked about.
PARTS = ("first_part", "second_part")
COVERED = ("first_covered", "second_covered")

#: The share of its size by which a part is enlarged: many times more than the curve of a piece bulges.
MARGIN = 0.01


def within(column: GeometryColumn, box: Bounds) -> Condition:
    """The rows whose geometry intersects a box in WGS 84, which may cross the antimeridian."""
    parts, covered = len(box.spans), _is_covered(column, box)
    exactly = _intersecting(column, parts, covered)
    found = _found(column, parts, covered)
    return Condition(exactly, _values(column, box), indexed=True, candidates=found)


def overlapping(column: GeometryColumn, box: Bounds) -> Condition:
    """The rows whose own box in WGS 84 overlaps another, which may cross the antimeridian."""
    parts, covered = len(box.spans), _is_covered(column, box)
    return Condition(_overlapping(column, parts, covered), _values(column, box), indexed=True)


def candidates(column: GeometryColumn, box: Bounds) -> Condition:
    """The rows that the index finds for a box in WGS 84: all that it holds, and some beside it."""
    parts, covered = len(box.spans), _is_covered(column, box)
    return Condition(_found(column, parts, covered), _values(column, box), indexed=True)


def compare(
    column: GeometryColumn, function: str, geometry: BaseGeometry
) -> sa.ColumnElement[bool]:
    """The rows whose geometry relates to another as a function of PostGIS says, such as ``ST_Within``.

    The other is in the CRS of the table or in WGS 84; they are compared in its CRS.
    """
    srid = int(shapely.get_srid(geometry))
    exactly: sa.ColumnElement[bool] = sa.Function(
        function, in_srid(column, srid), bind(geometry, srid), type_=sa.Boolean()
    )
    if srid == metadata.srid(column) or function == "ST_Disjoint":
        return exactly
    box = Bounds(*geometry.bounds)
    covered = (bind(part, WGS84) for part in _covered(metadata.crs(column), box))
    return _in_envelopes(column, covered, _is_covered(column, box)) & exactly


@cache
def _intersecting(column: GeometryColumn, parts: int, covered: bool) -> sa.ColumnElement[bool]:
    exactly = intersecting(in_srid(column, WGS84), PARTS[:parts], WGS84)
    if metadata.srid(column) == WGS84:
        return exactly
    return _found(column, parts, covered) & exactly


@cache
def _overlapping(column: GeometryColumn, parts: int, covered: bool) -> sa.ColumnElement[bool]:
    found = _found(column, parts, covered)
    return found if metadata.srid(column) == WGS84 else found & _own_boxes(column, parts)


@cache
def _found(column: GeometryColumn, parts: int, covered: bool) -> sa.ColumnElement[bool]:
    """The rows that the index finds for a box."""
    if metadata.srid(column) == WGS84:
        return _own_boxes(column, parts)
    covered_parts = [parameter(name, WGS84) for name in COVERED[:parts]]
    return _in_envelopes(column, covered_parts, covered)


def _own_boxes(column: GeometryColumn, parts: int) -> sa.ColumnElement[bool]:
    lonlat = in_srid(column, WGS84)
    return sa.or_(*(lonlat.bool_op("&&")(parameter(name, WGS84)) for name in PARTS[:parts]))


def _values(column: GeometryColumn, box: Bounds) -> dict[str, bytes]:
    parts = dict(zip(PARTS, boxes(box), strict=False))
    if metadata.srid(column) != WGS84:
        parts |= zip(COVERED, _covered(metadata.crs(column), box), strict=False)
    return {name: ewkb(part) for name, part in parts.items()}


def _in_envelopes(
    column: GeometryColumn, areas: Iterable[sa.ColumnElement[Any]], covered: bool
) -> sa.ColumnElement[bool]:
    """The rows in the envelopes that areas of WGS 84 have in the CRS of the table.

    Where the CRS does not cover all of a box, rows around its core may be in there as well.
    """
    srid = metadata.srid(column)
    found = [
        column.bool_op("&&")(sa.func.ST_Envelope(sa.func.ST_Transform(area, srid)))
        for area in areas
    ]
    return sa.or_(*found) if covered else sa.or_(*found, _outside_the_core(column))


def _outside_the_core(column: GeometryColumn) -> sa.ColumnElement[bool]:
    """The rows that may lie beyond the CRS's domain: all around its core, where hardly any are."""
    crs = metadata.crs(column)
    (xmin, ymin, xmax, ymax), core = crs.extent, crs.core
    strips = [
        (xmin, ymin, core.xmin, ymax),
        (core.xmax, ymin, xmax, ymax),
        (xmin, ymin, xmax, core.ymin),
        (xmin, core.ymax, xmax, ymax),
    ]
    return sa.or_(
        *(column.bool_op("&&")(sa.func.ST_MakeEnvelope(*strip, crs.srid)) for strip in strips)
    )


def _is_covered(column: GeometryColumn, box: Bounds) -> bool:
    """Whether the column's CRS is defined in all of the box."""
    corners = [(x, y) for span in box.spans for x in span for y in (box.ymin, box.ymax)]
    return metadata.crs(column).domain.contain(np.array(corners))


def _covered(crs: CRS, box: Bounds) -> list[BaseGeometry]:
    """The parts of a box, a little enlarged, where a CRS is defined; their edges are cut into pieces."""
    south, north = crs.domain.ymin, crs.domain.ymax
    domain = shapely.union_all(
        [shapely.box(west, south, east, north) for west, east in crs.domain.spans]
    )
    found = []
    for part in boxes(box):
        west, south, east, north = part.bounds
        size = max(east - west, north - south) * (1 + 2 * MARGIN) + 1e-6
        enlarged = shapely.box(*np.array(part.bounds) + size * MARGIN * np.array([-1, -1, 1, 1]))
        area = shapely.segmentize(shapely.intersection(enlarged, domain), size / PIECES)
        found.append(shapely.set_srid(area, WGS84))
    return found
