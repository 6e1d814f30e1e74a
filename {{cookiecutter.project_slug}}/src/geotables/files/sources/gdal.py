"""What GDAL reads: GeoPackage, FlatGeobuf, Shapefile, spreadsheets and many more."""

import json
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.files.fields import Fields, stated
from geotables.files.sources import arrow, wkb
from geotables.files.sources.base import BATCH, BATCH_SIZE, Batch, OpenOptions, SourceError
from geotables.files.sources.crs_names import stated_srid
from geotables.files.sources.places import Places


class Layer:
    """A layer of a file that GDAL reads: GeoPackage, FlatGeobuf, Shapefile and many more."""

    unit = " features"
    json_as_text = True

    def __init__(self, path: Path, collection: Collection | None, options: OpenOptions) -> None:
        self.path = path
        self.progress = 0
        self._encoding = options.encoding
        self._pyarrow, self._pyogrio = arrow.packages(path)
        # So that a batch of large geometries has fewer of them.
        self._pyogrio.set_gdal_config_options({"OGR_ARROW_MEM_LIMIT": BATCH_SIZE})
        self._opened = str(path)
        # Where all cells are texts, GDAL would take the header for a row.
        is_sheet = path.suffix.lower() in (".xlsx", ".ods")
        self._gdal_options = {"HEADERS": "FORCE"} if is_sheet else {}
        errors = self._pyogrio.errors
        try:
            self._open(linearize=options.linearize)
            self.layer, about = self._layer(options.layer)
        except (errors.DataSourceError, errors.DataLayerError, errors.GeometryError) as error:
            raise SourceError(f"{path} cannot be read: {_without_advice(error)}") from error
        self._places: Places | None = None
        if about["geometry_type"] is None:
            names = list(map(str, about["fields"]))
            self._places = Places(path, collection, names, options)
        # Of what GDAL makes as it reads, the number is not known before.
        self.size = about["features"] if about["features"] >= 0 else None
        self.srid = options.srid or self._srid(about)
        #: As GDAL names it: Point, 3D MultiPolygon, Unknown.
        self.geometry_type: str = about["geometry_type"] or ""
        self.driver: str = about["driver"]
        kinds = zip(about["fields"], about["ogr_types"], strict=True)
        self._times = [str(name) for name, kind in kinds if kind == "OFTDateTime"]
        layer_of = f", layer {self.layer} (--layer)" if self.layer else ""
        columns = f", {self._places.reading}" if self._places else ""
        self.reading = f"{self.driver}{layer_of}{columns} in EPSG:{self.srid} (--source-crs)"

    def _open(self, *, linearize: bool) -> None:
        """Have GDAL make lines of curves, and take layers whose type pyogrio does not know."""
        steps = ["set-geom-type --linear"] if linearize else []
        try:
            self._pyogrio.list_layers(self.path)
        except self._pyogrio.errors.GeometryError:
            steps.append("set-geom-type --geometry-type=GEOMETRY")
        if steps:
            name = str(self.path.resolve()).replace("\\", "\\\\").replace('"', '\\"')
            pipeline = " ! ".join(["gdal vector pipeline", f'read "{name}"', *steps])
            self._folder = tempfile.TemporaryDirectory()
            made = Path(self._folder.name, "pipeline.gdalg.json")
            made.write_text(
                json.dumps({"type": "gdal_streamed_alg", "command_line": pipeline}),
                encoding="utf-8",
            )
            self._opened = str(made)

    def _layer(self, layer: str | None) -> tuple[str, dict[str, Any]]:
        """The layer to read, and what GDAL says of it."""
        found = {str(name): kind for name, kind in self._pyogrio.list_layers(self._opened)}
        layers = [name for name, kind in found.items() if kind is not None] or list(found)
        if layer is None and len(layers) == 1:
            layer = layers[0]
        if not layers:
            raise SourceError(f"{self.path} has no geometries")
        if layer not in found:
            raise SourceError(
                f"{self.path} has the layers {', '.join(found)}: say which one with --layer"
            )
        about = self._pyogrio.read_info(
            self._opened,
            layer=layer,
            force_feature_count=self._opened == str(self.path),
            **self._gdal_options,
        )
        return layer, about

    def _srid(self, about: dict[str, Any]) -> int:
        crs = about["crs"]
        if not crs and self._places is not None:
            return self._places.srid
        # https://github.com/topojson/topojson-specification: like GeoJSON, unless it says otherwise.
        if not crs and about["driver"] == "TopoJSON":
            return WGS84
        problem = f"its CRS is not of the EPSG: {crs!r:.200}" if crs else "it has no CRS"
        return stated_srid(self.path, crs or "", problem)

    def _reading(self) -> Any:
        return self._pyogrio.raw.open_arrow(
            self._opened,
            layer=self.layer,
            batch_size=BATCH,
            use_pyarrow=False,
            # So that offsets from UTC are kept.
            datetime_as_string=True,
            # Without it GDAL goes by what the shapefile says; other formats are decoded here.
            encoding=self._encoding if self.driver == "ESRI Shapefile" else None,
            **self._gdal_options,
        )

    def batches(self) -> Iterator[Batch]:
        try:
            with self._reading() as (about, stream):
                stream = iter(self._pyarrow.RecordBatchReader.from_stream(stream))
                while (columns := _next(stream)) is not None:
                    yield self._batch(columns, about["geometry_name"] or "wkb_geometry")
        except (OSError, self._pyogrio.errors.DataLayerError) as error:
            raise SourceError(f"{self.path} is broken: {error}") from error

    def fields(self) -> Fields:
        with self._reading() as (about, stream):
            schema = self._pyarrow.RecordBatchReader.from_stream(stream).schema
        found = stated(about, schema)
        for name in self._places.names if self._places else ():
            del found[name]
        return Fields(found)

    def _batch(self, columns: Any, geometry_name: str) -> Batch:
        encoding = None if self.driver == "ESRI Shapefile" else self._encoding
        problems: dict[int, str] = {}
        values = {
            name: arrow.cells(name, columns.column(name), encoding, problems)
            for name in columns.schema.names
            if name != geometry_name
        }
        for name in self._times:
            values[name] = [text if text is None else with_offset(text) for text in values[name]]
        if self._places is None:
            try:
                shapes = columns.column(geometry_name).to_pylist()
            except SystemError as error:
                # GDAL's reader of FlatGeobuf gives such a feature a negative length.
                reason = "it has features without a geometry, which GDAL cannot read: make a GeoPackage of it"
                raise SourceError(f"{self.path}: {reason} (ogr2ogr)") from error
            geometries, unread = wkb.read(shapes)
        else:
            geometries, unread = self._places.geometries(values, self.srid)
        first = self.progress + 1
        self.progress += len(geometries)
        positions = list(range(first, self.progress + 1))
        return Batch(positions, geometries, arrow.rows(values, len(positions)), unread | problems)


def _next(stream: Iterator[Any]) -> Any:
    """The next batch; what GDAL warns of, such as an unusual way to write a time, is read all the same."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return next(stream, None)


def _without_advice(error: Exception) -> str:
    """What GDAL says, without the advice that only its own tools can follow."""
    return str(error).partition("; It might help")[0]


def with_offset(text: str) -> str:
    """A time with its offset from UTC, or a date; these formats mean UTC where they do not say."""
    return text if _COMPLETE.search(text) else f"{text}Z"


_COMPLETE = re.compile(r"(Z|[+-]\d\d:?\d\d|^\d{4}-\d\d-\d\d)$")
