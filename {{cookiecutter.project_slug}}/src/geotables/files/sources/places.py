"""The columns that say where the rows of a table without geometries lie."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.files.sources.base import OpenOptions, SourceError
from geotables.geometry.arrays import Geometries


class Places:
    """Where the rows of a table without geometries lie: in a column of WKT, or in columns of coordinates."""

    #: Names of such columns, without their case.
    WKT = ("wkt", "geometry", "geom", "the_geom", "wkb_geometry", "shape")
    XY = (
        ("longitude", "latitude"),
        ("long", "lat"),
        ("lon", "lat"),
        ("lng", "lat"),
        ("x", "y"),
    )

    def __init__(
        self,
        path: Path,
        collection: Collection | None,
        names: list[str],
        options: OpenOptions,
    ) -> None:
        self._path = path
        self._collection = collection
        known = {name.strip().casefold(): name for name in names}
        self.names: list[str] = []
        x, y = options.x, options.y
        given = [each for each in (x, y, options.z) if each is not None]
        if missing := [each for each in given if each.casefold() not in known]:
            raise SourceError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
        if (x is None) != (y is None):
            raise SourceError("give both --x and --y, the columns of the coordinates")
        own = (collection.geometry.name.casefold(),) if collection else ()
        texts = [known[name] for name in (*own, *self.WKT) if name in known]
        self._in_degrees = False
        if x is None and texts:
            self.names = texts[:1]
        elif x is None:
            x, y = next((pair for pair in self.XY if known.keys() >= {*pair}), (None, None))
            self._in_degrees = y is not None and y.startswith("lat")
        if x is not None and y is not None:
            has_z = (collection is None or collection.has_z) and "z" in known
            z = options.z or ("z" if has_z else None)
            self.names = [known[each.casefold()] for each in (x, y, z) if each is not None]
        if not self.names:
            listed = f": its columns are {', '.join(names)}" if names else ""
            raise SourceError(
                f"{path} has no geometries{listed}. They come in a column WKT, or in lon and lat,"
                " or in those that --x and --y name"
            )

    @property
    def reading(self) -> str:
        """The columns of the geometries, and the options that name others."""
        if len(self.names) == 1:
            return f"geometries from {self.names[0]}"
        return f"points from {', '.join(self.names)} (--x, --y)"

    @property
    def srid(self) -> int:
        """The SRID of the coordinates, if there can be only one."""
        srid = self._collection.crs.srid if self._collection else WGS84
        if self._in_degrees or srid == WGS84:
            return WGS84
        raise SourceError(
            f"{self._path}: it has no CRS; say which with --source-crs EPSG:n: export writes CSV in"
            f" EPSG:{srid}, the service in EPSG:{WGS84} unless it is asked for another"
        )

    def geometries(
        self, values: dict[str, list[Any]], srid: int
    ) -> tuple[Geometries, dict[int, str]]:
        """The geometries of the rows, whose columns are dropped unless they are attributes as well."""
        columns = [values[name] for name in self.names]
        kept: set[str] = set()
        if self._collection is not None:
            kept = {*self._collection.table.columns.keys()} - {self._collection.geometry.name}
        for name in self.names:
            if name not in kept:
                del values[name]
        make = _from_text if len(columns) == 1 else _from_numbers
        found = np.full(len(columns[0]), None)
        problems = {}
        for at, cells in enumerate(zip(*columns, strict=True)):
            if any(cell not in (None, "") for cell in cells):
                try:
                    found[at] = make(srid, *cells)
                except ValueError as error:
                    problems[at] = f"{', '.join(self.names)}: {error}"
        return found, problems


def _from_text(srid: int, text: Any) -> shapely.Geometry:
    """A geometry of WKT, of EWKT in the CRS of the file, or of WKB, also in hexadecimal digits, as PostGIS writes it."""
    if isinstance(text, bytes) or re.fullmatch(r"0[01][0-9A-Fa-f]{16,}", str(text)):
        try:
            shape = shapely.from_wkb(text)
            geometry.verify_plain(shape)
        except (shapely.GEOSException, NotImplementedError) as error:
            raise ValueError(f"malformed WKB: {error}") from error
    else:
        shape = geometry.read(text if text is None else str(text), default_srid=srid)
    if shapely.get_srid(shape) not in (0, srid):
        raise ValueError(f"it is in SRID {shapely.get_srid(shape)}, the file in {srid}")
    return shapely.set_srid(shape, 0)


def _from_numbers(_srid: int, *cells: Any) -> shapely.Geometry:
    """A point of its coordinates."""
    try:
        return shapely.Point(*map(float, cells))
    except (TypeError, ValueError):
        listed = ", ".join(f"{cell!r:.40}" for cell in cells)
        # Spreadsheets write 50,93 in many languages.
        hint = ": decimals follow a point" if any("," in str(cell) for cell in cells) else ""
        raise ValueError(f"{listed} are not the numbers of a place{hint}") from None
