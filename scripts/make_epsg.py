"""Makes epsg.csv.gz, the table of coordinate reference systems that parameters/epsg.py and geotables read.

    PYTHONPATH=. python scripts/make_epsg.py path/to/spatial_ref_sys.sql

The facts are the EPSG's, from pyproj. The SQL file is PostGIS's own and says which of the codes
PostGIS knows; it is installed with PostGIS, in share/postgresql/*/contrib/postgis-*/.
"""

import argparse
import contextlib
import csv
import gzip
import io
import math
import re
import warnings
from collections.abc import Mapping
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import TransformDirection
from pyproj.transformer import TransformerGroup

from parameters.epsg import TABLE

FIELDS = (
    *("code", "name", "kind", "unit", "axes", "swapped", "refused", "instead"),
    *("west", "south", "east", "north"),
    *("domain_west", "domain_south", "domain_east", "domain_north"),
    *("xmin", "ymin", "xmax", "ymax"),
    *("core_xmin", "core_ymin", "core_xmax", "core_ymax"),
)
KINDS = {
    "GEOGRAPHIC_2D_CRS": "geographic 2D",
    "GEOGRAPHIC_3D_CRS": "geographic 3D",
    "GEOCENTRIC_CRS": "geocentric",
    "PROJECTED_CRS": "projected",
    "VERTICAL_CRS": "vertical",
    "COMPOUND_CRS": "compound",
}
# The domain ends where the way to the system and back misses by more metres than this.
TOLERANCE = 1.0
# Degrees by which the domain exceeds the area of use, the most first. Data does: Norway keeps the
# whole country, 4 to 31 degrees east, in UTM zone 33, which is meant for 12 to 18 degrees east.
MARGINS = (15, 10, 8, 6, 5, 4, 3, 2, 1, 0.5, 0)
# Mercator's northing grows without end towards the poles; web maps end here.
MERCATOR_LATITUDE = 85.06
METRES_PER_DEGREE = 111_320
# The squares along a side of the grid in which the core is looked for, and how xmin, ymin, xmax
# and ymax move on it.
STEPS = 100
INWARD = (1, 1, -1, -1)
# How they are rounded.
OUTWARD = (math.floor, math.floor, math.ceil, math.ceil)

Numbers = NDArray[np.float64]


class Box(NamedTuple):
    """Degrees on WGS 84; east is less than west where the antimeridian lies between them."""

    west: float
    south: float
    east: float
    north: float

    @property
    def width(self) -> float:
        # Areas that go all around the Earth may leave out a seam of a few hundredths.
        width = self.east - self.west
        return 360.0 if width == 360 or -0.05 < width < 0 else width % 360

    def grown(self, margin: float, latitude: float) -> "Box":
        """The box with a margin on every side, up to the latitude north and south."""
        south = max(self.south - margin, -latitude)
        north = min(self.north + margin, latitude)
        if self.width + 2 * margin >= 360:
            return Box(-180, south, 180, north)
        return Box(_longitude(self.west - margin), south, _longitude(self.east + margin), north)

    def grid(self, columns: int, rows: int) -> tuple[Numbers, Numbers]:
        """The longitudes and latitudes of points over the box, its edges included."""
        longitudes = self.west + np.linspace(0, self.width, columns)
        longitudes[longitudes > 180] -= 360
        latitudes = np.linspace(self.south, self.north, rows)
        x, y = np.meshgrid(longitudes, latitudes)
        return x.ravel(), y.ravel()


def _longitude(degrees: float) -> float:
    return degrees if -180 <= degrees <= 180 else (degrees + 180) % 360 - 180


class System(NamedTuple):
    """What the EPSG's registry says of a system at first sight."""

    code: int
    name: str
    kind: str
    method: str
    area: Box | None
    deprecated: bool


def systems() -> list[System]:
    """All of the EPSG's systems of the kinds above, by code."""
    found = {
        int(info.code): System(
            int(info.code),
            info.name,
            KINDS[info.type.name],
            info.projection_method_name or "",
            Box(*info.area_of_use[:4]) if info.area_of_use else None,
            info.deprecated,
        )
        for info in query_crs_info(auth_name="EPSG", allow_deprecated=True)
        if info.type.name in KINDS
    }
    return [found[code] for code in sorted(found)]


def known_to_postgis(spatial_ref_sys: str) -> set[int]:
    """The EPSG codes that the SQL file inserts under their own number."""
    rows = re.finditer(r"^\s*\((\d+),\s*'EPSG',\s*(\d+),", spatial_ref_sys, re.MULTILINE)
    return {int(row[1]) for row in rows if row[1] == row[2]}


def transformer(code: int, area: Box) -> Transformer | None:
    """One operation from WGS 84 to the system, the same for every point; None if PROJ has none."""
    with warnings.catch_warnings():
        # Without the datum's grid the next best operation is within metres of the best.
        warnings.simplefilter("ignore")
        for interest in (AreaOfInterest(*area), None):
            # Where it finds no operation, pyproj raises an IndexError.
            with contextlib.suppress(IndexError):
                group = TransformerGroup(4326, code, always_xy=True, area_of_interest=interest)  # type: ignore[arg-type]
                return group.transformers[0]
    return None


def error(to_system: Transformer, box: Box) -> float:
    """The most metres by which the way to the system and back misses a point of the box."""
    longitudes, latitudes = box.grid(41, 41)
    x, y = to_system.transform(longitudes, latitudes)
    there, up = to_system.transform(x, y, direction=TransformDirection.INVERSE)
    across = ((there - longitudes + 180) % 360 - 180) * np.cos(np.radians(latitudes))
    metres = np.hypot(across, up - latitudes) * METRES_PER_DEGREE
    return float(np.where(np.isfinite(metres), metres, np.inf).max())


def domain(to_system: Transformer, area: Box, method: str) -> Box | None:
    """The area of use with the largest margin that the projection covers."""
    mercator = method.startswith(("Mercator", "Popular Visualisation"))
    limit = MERCATOR_LATITUDE if mercator else 90
    # World maps in Mercator state where they end.
    margins = (0,) if mercator and area.width == 360 else MARGINS
    boxes = (Box(*(round(side, 2) for side in area.grown(margin, limit))) for margin in margins)
    return next((box for box in boxes if error(to_system, box) < TOLERANCE), None)


def extent(to_system: Transformer, box: Box, metres: float) -> list[float]:
    """The x and y that the box takes up: xmin, ymin, xmax, ymax, with some room.

    The room is for what lies between the points of the grids, and for another PROJ whose datum
    shifts differ by metres. There is none where a map of the world ends: beyond its edge PROJ comes
    back on the other side, and a line across the edge would go around the Earth.
    """
    grids = (box.grid(721, 2), box.grid(2, 721), box.grid(73, 73))
    points = np.hstack([to_system.transform(*grid) for grid in grids])
    x, y = 1000 / metres + 0.002 * np.ptp(points, axis=1)
    edges = points[:, [*points.argmin(axis=1), *points.argmax(axis=1)]]
    beyond = edges + np.array([[-x, 0, x, 0], [0, -y, 0, y]])
    longitudes, latitudes = to_system.transform(
        beyond[0], beyond[1], direction=TransformDirection.INVERSE
    )
    again = np.array(to_system.transform(longitudes, latitudes))
    goes_on = np.isclose(again, beyond, rtol=0, atol=TOLERANCE).all(axis=0)
    # In the order of the fields. The edge is kept to a micrometre, in which versions of PROJ agree.
    sides = edges.ravel()[[0, 5, 2, 7]].tolist()
    rooms = beyond.ravel()[[0, 5, 2, 7]].tolist()
    return [
        rounded(room) if on or box.width < 360 else rounded(side * 1e6) / 1e6
        for rounded, on, room, side in zip(OUTWARD, goes_on, rooms, sides, strict=True)
    ]


def core(to_system: Transformer, area: Box, box: Box, extent: list[float]) -> list[float]:
    """A rectangle of the extent in which everything lies in the box: xmin, ymin, xmax, ymax.

    It is that of the area of use, less what lies outside, and then grown on every side as far as
    that stays true; empty if nothing is left.
    """
    columns, rows = (np.linspace(extent[low], extent[low + 2], STEPS + 1) for low in (0, 1))
    longitudes, latitudes = to_system.transform(
        *np.meshgrid(columns, rows), direction=TransformDirection.INVERSE
    )
    east = (longitudes - box.west) % 360 <= box.width
    inside = east & (box.south <= latitudes) & (latitudes <= box.north)

    def edges(sides: list[int]) -> list[NDArray[np.bool_]]:
        left, bottom, right, top = sides
        part = inside[bottom : top + 1, left : right + 1]
        return [part[:, 0], part[0], part[:, -1], part[-1]]

    x, y = to_system.transform(*area.grid(101, 101))
    left, right = np.searchsorted(columns, [x.min(), x.max()]).clip(0, STEPS).tolist()
    bottom, top = np.searchsorted(rows, [y.min(), y.max()]).clip(0, STEPS).tolist()
    sides = [left, bottom, right, top]
    while not all(edge.all() for edge in edges(sides)):
        worst = int(np.argmin([edge.mean() for edge in edges(sides)]))
        sides[worst] += INWARD[worst]
        if sides[0] >= sides[2] or sides[1] >= sides[3]:
            return [extent[0], extent[1], extent[0], extent[1]]
    grown = True
    while grown:
        grown = False
        for side, inward in enumerate(INWARD):
            wider = [each - inward * (side == n) for n, each in enumerate(sides)]
            if 0 <= wider[side] <= STEPS and edges(wider)[side].all():
                sides, grown = wider, True
    # What lies between the points of the grid is inside as well, a step away from the edge.
    left, bottom, right, top = (
        min(max(side + inward, 0), STEPS) for side, inward in zip(sides, INWARD, strict=True)
    )
    return [columns[left], rows[bottom], columns[right], rows[top]]


def axes(system: CRS) -> str:
    """The directions of the first two axes in the EPSG's order: NE for latitude, longitude."""
    return "".join(axis.direction[0].upper() for axis in system.axis_info[:2])


def swapped(system: CRS) -> bool:
    """Whether the EPSG's order is not the one in which PostGIS stores: easting, northing."""
    directions = axes(system)
    # Where both axes point the same way from a pole, only their names tell.
    if directions in {"NN", "SS"}:
        return system.axis_info[0].name.lower().startswith("northing")
    return directions == "NE"


def instead(system: System, usable: Mapping[tuple[str, str], int]) -> int | None:
    """The code to take in its place: of the same datum in degrees, or the horizontal part."""
    horizontal = system.name.split(" + ")[0]
    greenwich = re.sub(r" \([^()]*\)$", "", horizontal)
    degrees = ["geographic 2D", "geographic 3D"]
    if system.kind == "geocentric":
        degrees.reverse()
    found = (
        usable.get((name, kind))
        for name in (horizontal, greenwich)
        for kind in ("projected", *degrees)
    )
    return next((code for code in found if code), None)


def row(system: System, known: bool) -> dict[str, object]:
    """What the table says of one system; of one that cannot serve, why."""
    facts = _facts(system)
    degrees = str(facts["unit"]).startswith("degree")
    if system.kind in {"geocentric", "vertical", "compound"}:
        return facts | {"refused": "kind"}
    if not known:
        return facts | {"refused": "unknown"}
    if system.kind != "projected":
        return facts | ({} if degrees else {"refused": "unit"}) | _sides("", system.area)
    if system.area is None:
        return facts | {"refused": "area"}
    to_system = transformer(system.code, system.area)
    box = to_system and domain(to_system, system.area, system.method)
    if not to_system or not box:
        return facts | {"refused": "projection"}
    metres = CRS.from_epsg(system.code).axis_info[0].unit_conversion_factor
    limits = extent(to_system, box, metres)
    whole = dict(zip(FIELDS[-8:-4], limits, strict=True))
    inner = (f"{side:.0f}" for side in core(to_system, system.area, box, limits))
    sides = _sides("", system.area) | _sides("domain_", box)
    return facts | sides | whole | dict(zip(FIELDS[-4:], inner, strict=True))


def _facts(system: System) -> dict[str, object]:
    crs = CRS.from_epsg(system.code)
    return {
        "code": system.code,
        "name": system.name,
        "kind": system.kind,
        "unit": crs.axis_info[0].unit_name,
        "axes": axes(crs),
        "swapped": int(swapped(crs)),
    }


def _sides(prefix: str, box: Box | None) -> dict[str, object]:
    sides = box._asdict() if box else {}
    return {prefix + side: f"{degrees:g}" for side, degrees in sides.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes epsg.csv.gz.")
    parser.add_argument("spatial_ref_sys", type=Path, help="PostGIS's spatial_ref_sys.sql")
    arguments = parser.parse_args()
    known = known_to_postgis(arguments.spatial_ref_sys.read_text(encoding="utf-8"))
    all_systems = systems()
    with Pool() as pool:
        tasks = ((system, system.code in known) for system in all_systems)
        rows = pool.starmap(row, tasks, chunksize=50)
    usable = {
        (system.name, system.kind): system.code
        for system, facts in zip(all_systems, rows, strict=True)
        if "refused" not in facts and not system.deprecated
    }
    for system, facts in zip(all_systems, rows, strict=True):
        if "refused" in facts:
            facts["instead"] = instead(system, usable)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Without the time of writing, the same rows make the same bytes.
    TABLE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main()
