"""The coordinate reference systems that a table may store, from epsg.csv.gz.

The table holds every system of the EPSG, those that cannot serve with the reason. Where it comes
from is said in scripts/make_epsg.py.
"""

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Shared with geotables, which looks up the CRS of a table in it.
TABLE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}/src/geotables/crs/epsg.csv.gz"

REFUSALS = {
    "geocentric": "is geocentric: x, y, z from the centre of the Earth, which no map shows",
    "vertical": "is vertical: a height without a place",
    "compound": "is compound: its heights are a system of their own, which PostGIS leaves out",
    "unit": "is geographic in {unit}s: PostGIS measures as if they were degrees",
    "unknown": "is not in PostGIS's spatial_ref_sys",
    "area": "has no area of use, so nobody can say where its coordinates are right",
    "projection": "has a projection that PROJ cannot calculate",
}
# What other software calls systems of the EPSG.
ALIASES = {"900913": "3857", "102100": "3857", "102113": "3857", "3587": "3857"}
USUAL = "4326"


class Box(NamedTuple):
    """Degrees on WGS 84; east is less than west where the antimeridian lies between them."""

    west: float
    south: float
    east: float
    north: float


class Extent(NamedTuple):
    """Coordinates in the order in which PostGIS stores them: x is easting or longitude."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


WORLD = Box(-180.0, -90.0, 180.0, 90.0)


@dataclass(frozen=True, slots=True)
class Crs:
    """A coordinate reference system that PostGIS knows: geographic in degrees, or projected."""

    code: int
    name: str
    kind: str
    unit: str
    # The directions of the first two axes as the EPSG orders them: NE is latitude, longitude.
    axes: str
    # Whether that order is not the one in which PostGIS stores.
    swapped: bool
    # Where the EPSG says that the system is for; a few old ones do not say.
    area: Box | None
    # Where its coordinates can be trusted: the area with a margin, the world for degrees.
    domain: Box
    # What x and y the domain takes up.
    extent: Extent
    # A part of that in which everything lies in the domain.
    core: Extent

    @property
    def geographic(self) -> bool:
        """Whether x and y are longitude and latitude in degrees."""
        return self.kind.startswith("geographic")


def crs(srid: int | str) -> Crs | None:
    """The system of an EPSG code, None for one that a table cannot store."""
    row = _row(str(srid))
    if not row or row["refused"]:
        return None
    area, domain, extent, core = (
        _sides(row, names)
        for names in (
            Box._fields,
            [f"domain_{side}" for side in Box._fields],
            Extent._fields,
            [f"core_{side}" for side in Extent._fields],
        )
    )
    return Crs(
        int(row["code"]),
        row["name"],
        row["kind"],
        row["unit"],
        row["axes"],
        row["swapped"] == "1",
        Box(*area) if area else None,
        Box(*domain) if domain else WORLD,
        Extent(*(extent or WORLD)),
        Extent(*(core or WORLD)),
    )


def why_refused(value: str) -> str:
    """Why a table cannot store the system with this code; "" if it can."""
    if not _is_code(value):
        return "not an EPSG code in plain digits"
    row = _row(value)
    if not row:
        return "not an EPSG code that PostGIS knows"
    if not row["refused"]:
        return ""
    refusal = row["kind"] if row["refused"] == "kind" else row["refused"]
    return f"{row['name']} {REFUSALS[refusal].format(unit=row['unit'])}"


def srid_candidates(value: str) -> Iterator[str]:
    """Codes that may have been meant, the likeliest first; the last one is always usable."""
    for digits in reversed(re.findall(r"(?<!\d)\d{1,9}(?!\d)", value)):
        code = str(int(digits))
        yield code
        if code in ALIASES:
            yield ALIASES[code]
        if row := _row(code):
            yield row["instead"]
    yield USUAL


def _is_code(value: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,8}", value) is not None


@cache
def _text() -> str:
    return gzip.decompress(TABLE.read_bytes()).decode()


def _row(code: str) -> dict[str, str] | None:
    # One line is looked up, which is far quicker than reading the table row by row.
    text = _text()
    start = text.find(f"\n{code},") + 1 if _is_code(code) else 0
    if not start:
        return None
    heading = text[: text.index("\n")]
    line = text[start : text.index("\n", start)]
    return next(csv.DictReader([heading, line]))


def _sides(row: dict[str, str], names: tuple[str, ...] | list[str]) -> list[float]:
    return [float(row[name]) for name in names if row[name]]
