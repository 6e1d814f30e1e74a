{% set crs = cookiecutter.srid | crs %}
"""Coordinate reference systems: the one that the table stores, and the one of GeoJSON."""

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

#: The CRS of the table.
STORAGE = CRS(
    srid={{ crs.code }},
    name={{ crs.name | literal }},
    swapped={{ crs.swapped }},
    geographic={{ crs.geographic }},
    domain=Bounds({{ crs.domain | join(', ') }}),
    extent=Bounds({{ crs.extent | join(', ') }}),
    core=Bounds({{ crs.core | join(', ') }}),
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


#: Longitude, latitude, as GeoJSON has them.
CRS84 = Reference("http://www.opengis.net/def/crs/OGC/1.3/CRS84", WGS84, False, 9)

#: What requests and answers are in unless the client says otherwise.
{% if cookiecutter.geometry_dimension == 'XYZ' %}
DEFAULT = CRS84._replace(uri="http://www.opengis.net/def/crs/OGC/0/CRS84h")
{% else %}
DEFAULT = CRS84
{% endif %}

_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"

STORED = Reference(
    f"{_EPSG}{STORAGE.srid}", STORAGE.srid, STORAGE.swapped, 9 if STORAGE.geographic else 4
)
LATLON = Reference(f"{_EPSG}4326", WGS84, True, 9)
MERCATOR = Reference(f"{_EPSG}3857", 3857, False, 4)

#: The radius of Web Mercator's sphere, in metres.
RADIUS = 6_378_137.0

#: The CRSs that requests and answers may be in, by their URIs.
REFERENCES = {each.uri: each for each in (DEFAULT, CRS84, STORED, LATLON, MERCATOR)}


def lonlat_of_mercator(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Web Mercator as longitude and latitude: the projection is undone by a formula, exact wherever it is defined."""
    x, y, *heights = coordinates.T
    # Beyond this y every latitude is a pole.
    latitude = np.arctan(np.sinh(np.clip(y / RADIUS, -40, 40)))
    return np.column_stack([np.degrees(x / RADIUS), np.degrees(latitude), *heights])
