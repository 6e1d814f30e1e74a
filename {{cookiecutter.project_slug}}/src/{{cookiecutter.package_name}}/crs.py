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
    """What PostGIS does not tell of a coordinate reference system of the EPSG."""

    srid: int
    name: str
    #: The authority's order of the axes, which the OGC's URI of the CRS stands for.
    axes: str
    #: Whether its coordinates are degrees of longitude and latitude.
    geographic: bool
    #: Where it is defined, in degrees of WGS 84.
    domain: Bounds
    #: The same in its own coordinates.
    extent: Bounds

    def __str__(self) -> str:
        return f"EPSG:{self.srid} ({self.name})"


#: The SRID of GeoJSON, longitude before latitude (RFC 7946, section 4).
WGS84 = 4326

WORLD = Bounds(-180, -90, 180, 90)

#: The CRS of the table.
STORAGE = CRS(
    srid={{ crs.code }},
    name={{ crs.name | literal }},
    axes="{{ crs.axes }}",
    geographic={{ crs.geographic }},
    domain=Bounds({{ crs.domain | join(', ') }}),
    extent=Bounds({{ crs.extent | join(', ') }}),
)
