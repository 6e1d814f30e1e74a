"""Features out of files: GeoJSON by itself, CSV and Parquet by Arrow, every other format by GDAL.

A file is read a batch at a time, so that one of any size takes the same memory. Coordinates are x before y whatever
the CRS: longitude before latitude.
"""

import re
import zlib
from pathlib import Path

from geotables.collection import Collection
from geotables.files.sources import streams
from geotables.files.sources.base import Batch, OpenOptions, Source, SourceError
from geotables.files.sources.crs_names import srid_of
from geotables.files.sources.csv_files import CSV
from geotables.files.sources.gdal import Layer
from geotables.files.sources.geojson import GeoJSON
from geotables.files.sources.geoparquet import GeoParquet

__all__ = ["Batch", "OpenOptions", "Source", "SourceError", "source", "srid_of"]

_GEOJSON = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*(\x1e|{|$)")

#: What TopoJSON and Esri JSON have before their features, if they have any.
_OTHER_JSON = re.compile(
    rb'"type"\s*:\s*"Topology"|"(geometryType|displayFieldName|spatialReference)"\s*:'
)


def source(
    path: Path, collection: Collection | None = None, options: OpenOptions | None = None
) -> Source:
    """Open a file, by its content: GeoJSON, CSV, GeoParquet, or what GDAL reads.

    Args:
        path: The file, or the folder if the format is one.
        collection: Where the features go: its columns tell where the geometries of a table without any may be. None: it has
            yet to be made, and a table whose CRS is not said is taken to be in WGS 84.
        options: How to read it, whatever it says.

    Raises:
        SourceError: It cannot be opened, or its CRS or layer has to be said.
    """
    options = options or OpenOptions()
    if not path.exists():
        raise SourceError(f"there is no file {path}")
    # Of a pipe, which cannot be read twice, only GeoJSON can come.
    if not path.is_file() and not path.is_dir():
        return GeoJSON(path, options)
    head = b"a folder" if path.is_dir() else _head(path, options.encoding)
    if _GEOJSON.match(head) and not _OTHER_JSON.search(head.partition(b'"features"')[0]):
        if options.layer is not None:
            raise SourceError(f"{path} is GeoJSON, which has no layers")
        return GeoJSON(path, options)
    if path.is_file() and {".csv", ".tsv"} & set(map(str.lower, path.suffixes)):
        return CSV(path, collection, options)
    if head.startswith(b"PAR1"):
        return GeoParquet(path, collection, options)
    return Layer(path, collection, options)


def _head(path: Path, encoding: str | None) -> bytes:
    """How a file begins, in UTF-8 where its encoding is known."""
    with streams.opened(path) as file:
        try:
            head = file.read(4096)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path} is broken: {error}") from error
    return head.decode(encoding, "ignore").encode() if encoding else head
