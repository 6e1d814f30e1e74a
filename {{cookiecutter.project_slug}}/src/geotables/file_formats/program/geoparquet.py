"""Writes GeoParquet (https://geoparquet.org)."""

import io
import json
from typing import Any

import numpy as np
import pyarrow
from pyarrow.parquet import ParquetWriter

from .table import Table, ValueRefused

#: Rows and bytes after which a row group ends: memory holds no more.
GROUP_ROWS = 50_000
GROUP_BYTES = 1 << 22

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class GeoParquet:
    """GeoParquet 1.1: geometries as WKB, with the box of each (https://geoparquet.org/releases/v1.1.0)."""

    def __init__(self, table: Table) -> None:
        self.table, schema = table, table.arrow_schema
        if table.geometry is not None:
            self._box = "bbox"
            while self._box in schema.names:
                self._box += "_"
            corners = pyarrow.struct([(corner, pyarrow.float64()) for corner in CORNERS])
            schema = schema.append(pyarrow.field(self._box, corners))
            self._least, self._most = np.full((2, 2 + table.has_z), [[np.inf], [-np.inf]])
        self._file = _Parts()
        # Other values than texts are seldom the same in many rows, and no reader looks for the least and the most WKB.
        texts = [field.name for field in schema if pyarrow.types.is_string(field.type)]
        compared = [name for name in schema.names if name != table.geometry]
        if table.geometry is not None:
            compared += [f"{self._box}.{corner}" for corner in CORNERS]
        self._writer = ParquetWriter(
            self._file, schema, compression="zstd", use_dictionary=texts, write_statistics=compared
        )
        self._group: list[Any] = []

    def add(self, rows: Any) -> bytes:
        if self.table.geometry is not None:
            boxes = self._boxes(rows, self.table.geometry)
            rows = rows.append_column(self._box, boxes)
        self._group.append(rows)
        number = sum(rows.num_rows for rows in self._group)
        if number >= GROUP_ROWS or sum(rows.nbytes for rows in self._group) >= GROUP_BYTES:
            self._end_group()
        return self._file.taken()

    def finish(self) -> bytes:
        self._end_group()
        if self.table.geometry is not None:
            self._writer.add_key_value_metadata({"geo": json.dumps(self._metadata())})
        self._writer.close()
        return self._file.taken()

    def _end_group(self) -> None:
        if self._group:
            self._writer.write_table(pyarrow.concat_tables(self._group), 2 * GROUP_ROWS)
            self._group.clear()

    def _boxes(self, rows: Any, geometry: str) -> Any:
        """The boxes of geometries, by which readers pass over row groups; of none, or of an empty one, there is none."""
        if (coordinates := self.table.points(rows)) is not None:
            boxes = np.hstack([coordinates, coordinates])
        else:
            # Memory that points do without.
            import shapely

            try:
                shapes = shapely.from_wkb(rows.column(geometry).to_numpy())
            except (NotImplementedError, shapely.GEOSException) as error:
                raise ValueRefused(geometry, str(error)) from error
            boxes = shapely.bounds(shapes)
            coordinates = shapely.get_coordinates(shapes, include_z=self.table.has_z)
        if len(coordinates):
            self._least = np.fmin(self._least, np.fmin.reduce(coordinates))
            self._most = np.fmax(self._most, np.fmax.reduce(coordinates))
        corners = [pyarrow.array(corner) for corner in boxes.T]
        mask = pyarrow.array(np.isnan(boxes[:, 0]))
        return pyarrow.StructArray.from_arrays(corners, CORNERS, mask=mask)

    def _metadata(self) -> dict[str, Any]:
        """What the file says of its geometries."""
        table, kind = self.table, self.table.geometry_type
        kinds = [f"{kind} Z" if table.has_z else kind] if kind else []
        about: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": kinds,
            "covering": {"bbox": {corner: [self._box, corner] for corner in CORNERS}},
        }
        if not table.is_lonlat:
            from pyproj import CRS

            # Without it longitude, latitude in WGS 84 is meant.
            about["crs"] = CRS.from_epsg(table.srid).to_json_dict()
        if np.isfinite(self._least).all():
            about["bbox"] = [*self._least.tolist(), *self._most.tolist()]
        columns = {table.geometry: about}
        return {"version": "1.1.0", "primary_column": table.geometry, "columns": columns}


class _Parts(io.RawIOBase):
    """A file to write, whose parts are taken out as they are written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        """What was written since it was asked for last."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
