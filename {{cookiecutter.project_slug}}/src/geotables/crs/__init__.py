"""Coordinate reference systems: what the EPSG says of them, and what the OGC calls those that clients may ask for."""

import csv
import gzip
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Bounds(NamedTuple):
    """A box of coordinates, x before y. In longitudes it crosses the antimeridian where xmin > xmax."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def __str__(self) -> str:
        return f"x {self.xmin:.10g} to {self.xmax:.10g}, y {self.ymin:.10g} to {self.ymax:.10g}"

    @property
    def spans(self) -> list[tuple[float, float]]:
        """The longitudes, west before east: two spans where the box crosses the antimeridian."""
        if self.xmin <= self.xmax:
            return [(self.xmin, self.xmax)]
        return [(self.xmin, 180.0), (-180.0, self.xmax)]

    def contain(self, coordinates: np.ndarray[Any, Any]) -> bool:
        """Whether all the coordinates, of shape (n, 2), lie inside or on the edge."""
        x, y = coordinates.T
        inside = np.logical_or.reduce([(west <= x) & (x <= east) for west, east in self.spans])
        return bool((inside & (self.ymin <= y) & (y <= self.ymax)).all())


class CRS(NamedTuple):
    """What PostGIS does not know of a coordinate reference system of the EPSG."""

    srid: int
    name: str
    #: Whether the authority's order of the axes, which the OGC's URI stands for, is y before x.
    swapped: bool
    #: Whether its coordinates are degrees of longitude and latitude.
    geographic: bool
    #: Where it is defined, in degrees of WGS 84.
    domain: Bounds
    #: The same in its own coordinates, which is all that the table stores.
    extent: Bounds
    #: A part of the extent that lies wholly in the domain; what is stored in the rest, at its edges, may lie outside.
    core: Bounds

    def __str__(self) -> str:
        return f"EPSG:{self.srid} ({self.name})"


#: The SRID of GeoJSON, longitude before latitude (RFC 7946, section 4).
WGS84 = 4326

WORLD = Bounds(-180, -90, 180, 90)


class UnknownCRS(LookupError):
    """An SRID that a table cannot store; the message says which."""


#: A line for each CRS of the EPSG, those that a table cannot store with the reason in ``refused``.
_EPSG = Path(__file__).with_name("epsg.csv.gz")


@cache
def facts(srid: int) -> CRS:
    """The CRS of an EPSG code.

    Raises:
        UnknownCRS: A table cannot store it.
    """
    with gzip.open(_EPSG, "rt", encoding="utf-8", newline="") as file:
        # Every process looks one up as it starts: to parse the other lines would take most of the time.
        header, *lines = (line for line in file if line.startswith(("code,", f"{srid},")))
    row = next(csv.DictReader([header, *lines]), None)
    if row is None or row["refused"]:
        raise UnknownCRS(f"its SRID is {srid}: not a CRS of the EPSG that a table can store")

    def bounds(*names: str) -> Bounds:
        return Bounds(*(float(row[name]) for name in names)) if row[names[0]] else WORLD

    return CRS(
        srid=srid,
        name=row["name"],
        swapped=row["swapped"] == "1",
        geographic=row["kind"].startswith("geographic"),
        domain=bounds("domain_west", "domain_south", "domain_east", "domain_north"),
        extent=bounds("xmin", "ymin", "xmax", "ymax"),
        core=bounds("core_xmin", "core_ymin", "core_xmax", "core_ymax"),
    )


class Reference(NamedTuple):
    """A CRS as the OGC names it: by a URI, which also fixes the order of the axes."""

    uri: str
    srid: int
    #: Whether y is before x, where PostGIS has x before y.
    swapped: bool
    #: Decimals of a coordinate: a tenth of a millimetre.
    decimals: int

    @property
    def name(self) -> str:
        """The last part of the URI, by which the service tells them apart."""
        return self.uri.rpartition("/")[2]


#: Longitude, latitude, as GeoJSON has them; the second with heights.
CRS84 = Reference("http://www.opengis.net/def/crs/OGC/1.3/CRS84", WGS84, False, 9)
CRS84H = CRS84._replace(uri="http://www.opengis.net/def/crs/OGC/0/CRS84h")

LATLON = Reference("http://www.opengis.net/def/crs/EPSG/0/4326", WGS84, True, 9)
MERCATOR = Reference("http://www.opengis.net/def/crs/EPSG/0/3857", 3857, False, 4)


def stored(crs: CRS) -> Reference:
    """How the OGC names the CRS that a table stores."""
    uri = f"http://www.opengis.net/def/crs/EPSG/0/{crs.srid}"
    return Reference(uri, crs.srid, crs.swapped, 9 if crs.geographic else 4)


#: The radius of Web Mercator's sphere, in metres.
RADIUS = 6_378_137.0


def lonlat_of_mercator(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Web Mercator as longitude and latitude: the projection is undone by a formula, exact wherever it is defined."""
    x, y, *heights = coordinates.T
    # Beyond this y every latitude is a pole.
    latitude = np.arctan(np.sinh(np.clip(y / RADIUS, -40, 40)))
    return np.column_stack([np.degrees(x / RADIUS), np.degrees(latitude), *heights])
