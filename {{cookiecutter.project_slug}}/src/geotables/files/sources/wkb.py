"""Geometries of WKB, whose kinds are more than GeoJSON has."""

import struct

import numpy as np
import shapely

from geotables import geometry
from geotables.geometry.arrays import Geometries

#: WKB's number of it (OGC 06-103r4, table 7); it is a polygon in all but name.
_TRIANGLE = 17


def read(shapes: list[bytes | None]) -> tuple[Geometries, dict[int, str]]:
    """Geometries, and why some cannot be read: GeoJSON has no curves."""
    texts = np.array(shapes, dtype=object)
    problems: dict[int, str] = {}
    try:
        found = np.asarray(shapely.from_wkb(texts))
        geometry.verify_plain(found)
        return found, problems
    except (NotImplementedError, shapely.GEOSException):
        found = np.full(len(texts), None)
    for at, wkb in enumerate(shapes):
        if wkb is not None:
            try:
                found[at] = _without_curves(wkb)[0]
            except (ValueError, struct.error, shapely.GEOSException) as error:
                problems[at] = str(error)
    return found, problems


def _without_curves(wkb: bytes, start: int = 0) -> tuple[shapely.Geometry, int]:
    """A geometry of WKB, and where that ends; a MultiSurface of polygons, say, becomes a MultiPolygon.

    Raises:
        ValueError: A part of it is not plain.
    """
    order = "<" if wkb[start] else ">"
    (code,) = struct.unpack_from(f"{order}I", wkb, start + 1)
    # As ISO has it, and as GDAL and PostGIS had it before.
    has_z = bool(code & 1 << 31) or code % 10_000 // 1000 in (1, 3)
    has_m = bool(code & 1 << 30) or code % 10_000 // 1000 in (2, 3)
    kind = (code & 0xFFFF) % 1000
    size, at = 8 * (2 + has_z + has_m), start + 5

    def number() -> int:
        nonlocal at
        (found,) = struct.unpack_from(f"{order}I", wkb, at)
        at += 4
        return int(found)

    match kind:
        case 1:
            at += size
        case 2:
            positions = number()
            at += positions * size
        case 3 | 17:
            for _ in range(number()):
                positions = number()
                at += positions * size
        case 4 | 5 | 6 | 7 | 9 | 10 | 11 | 12 | 15 | 16:
            parts = []
            for _ in range(number()):
                part, at = _without_curves(wkb, at)
                parts.append(part)
            if has_m:
                raise ValueError("coordinates with a measure (M), which the column does not store")
            return _whole(kind, parts), at
        case 8:
            raise ValueError(
                "an arc (CircularString), which GeoJSON does not have (--linearize makes a line of it)"
            )
        case _:
            raise ValueError(f"a geometry of WKB's type {kind}, which GeoJSON does not have")
    plain = bytearray(wkb[start:at])
    if kind == _TRIANGLE:
        struct.pack_into(f"{order}I", plain, 1, code - _TRIANGLE + 3)
    return shapely.from_wkb(bytes(plain)), at


def _whole(kind: int, parts: list[shapely.Geometry]) -> shapely.Geometry:
    """A geometry of WKB's type of this number."""
    match kind:
        case 4:
            return shapely.MultiPoint(parts)
        case 5 | 11:
            return shapely.MultiLineString(parts)
        case 6 | 12 | 15 | 16:
            return shapely.MultiPolygon(parts)
        case 7:
            return shapely.GeometryCollection(parts)
        case 9:
            # Each line begins where the one before ends.
            lines = [shapely.get_coordinates(part, include_z=part.has_z) for part in parts]
            return shapely.LineString(
                np.concatenate([*lines[:1], *(line[1:] for line in lines[1:])])
            )
    return shapely.Polygon(parts[0], parts[1:])
