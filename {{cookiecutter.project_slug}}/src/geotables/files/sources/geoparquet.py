"""GeoParquet (https://geoparquet.org), and Parquet of tables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.files.fields import Fields, of_arrow
from geotables.files.sources import arrow, wkb
from geotables.files.sources.base import BATCH, Batch, OpenOptions, SourceError
from geotables.files.sources.crs_names import stated_srid
from geotables.files.sources.places import Places


class GeoParquet:
    """GeoParquet; without its metadata, a table like that of CSV, in which WKB may be, too."""

    unit = " features"
    json_as_text = True

    def __init__(self, path: Path, collection: Collection | None, options: OpenOptions) -> None:
        self.path, self.progress = path, 0
        self._pyarrow, _ = arrow.packages(path)
        from pyarrow.parquet import ParquetFile

        try:
            self._file = ParquetFile(path)
            self._schema = self._file.schema_arrow
        except (OSError, ValueError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        try:
            about = json.loads((self._file.metadata.metadata or {}).get(b"geo", b"{}"))
            self._geometry = about.get("primary_column")
            column = about["columns"][self._geometry] if about else {}
            # The boxes of the geometries are no property.
            boxes = column.get("covering", {}).get("bbox", {}).get("xmin", [None])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{path}: its metadata, geo, is not GeoParquet's ({error!r}): write the file again with GDAL or geopandas"
            ) from error
        self.size: int | None = self._file.metadata.num_rows
        self._names = [name for name in self._schema.names if name != boxes[0]]
        self._places = None
        if not column:
            self._places = Places(path, collection, self._names, options)
        self._see_that_it_is_text_or_wkb(
            *(self._places.names if self._places else [self._geometry])
        )
        self.srid = options.srid or (self._places.srid if self._places else self._srid(column))
        columns = f"Parquet, {self._places.reading}" if self._places else "GeoParquet"
        self.reading = f"{columns} in EPSG:{self.srid} (--source-crs)"

    def _see_that_it_is_text_or_wkb(self, name: str, *others: str) -> None:
        """Refuse a column of geometries in GeoArrow's own types; with others, it is one of coordinates."""
        if name not in self._schema.names:
            raise SourceError(
                f"{self.path} has no column {name!r}, where its metadata, geo, has the geometries;"
                f" it has {', '.join(self._schema.names)}"
            )
        kind = str(self._schema.field(name).type)
        if not others and not re.search("string|binary|wkb|wkt", kind):
            raise SourceError(
                f"{self.path}: its column {name} has geometries as {kind:.60}; write them as WKB: GDAL with"
                " -lco GEOMETRY_ENCODING=WKB, geopandas with geometry_encoding='WKB'"
            )

    def _srid(self, column: dict[str, Any]) -> int:
        if "crs" not in column:
            return WGS84
        crs = column["crs"] or {}
        # Before GeoParquet 1.0 it was a text.
        name: Any = crs
        identifier = str(crs)
        if isinstance(crs, dict):
            about = crs.get("id") or {}
            name, identifier = crs.get("name"), f"{about.get('authority')}:{about.get('code')}"
        problem = f"its CRS, {name!s:.60}, is not of the EPSG" if crs else "it has no CRS"
        return stated_srid(self.path, identifier, problem)

    def batches(self) -> Iterator[Batch]:
        try:
            for rows in self._file.iter_batches(BATCH, columns=self._names):
                yield self._batch(rows)
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.path} is broken: {error}") from error

    def fields(self) -> Fields:
        taken = [self._geometry, *(self._places.names if self._places else ())]
        columns = [self._schema.field(name) for name in self._names if name not in taken]
        return Fields(of_arrow(columns))

    def _batch(self, rows: Any) -> Batch:
        values = {}
        for name in self._names:
            column = rows.column(name)
            if self._pyarrow.types.is_timestamp(column.type):
                # Python has no nanoseconds.
                column = column.cast(self._pyarrow.timestamp("us", column.type.tz), safe=False)
            values[name] = column.to_pylist()
        if self._places is None:
            geometries, unread = wkb.read(values.pop(self._geometry))
        else:
            geometries, unread = self._places.geometries(values, self.srid)
        first = self.progress + 1
        self.progress += rows.num_rows
        positions = list(range(first, self.progress + 1))
        return Batch(positions, geometries, arrow.rows(values, len(positions)), unread)
