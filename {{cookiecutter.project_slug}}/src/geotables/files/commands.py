"""The commands ``load`` and ``export``."""

import argparse
import codecs
import gc
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from geotables.collection import EVERY_ROW, Collection
from geotables.crs import Bounds
from geotables.db.statements import json_text, together

if TYPE_CHECKING:
    from geotables.files.sources import Source
    from geotables.service import Service

# What reads and writes files is imported by the command that does: the others need not wait for it.


def add_commands(commands: Any, service: "Service") -> None:
    """Add ``load`` and ``export`` to the command line."""
    _add_load(commands.add_parser("load", help="make rows of the features of a file"), service)
    _add_export(
        commands.add_parser("export", help="write rows to a file or to standard output"), service
    )


def _add_load(load: argparse.ArgumentParser, service: "Service") -> None:
    load.add_argument(
        "file",
        type=Path,
        help="GeoJSON, a sequence of it, CSV, GeoPackage, FlatGeobuf, Shapefile, XLSX, …",
    )
    _add_table(load, service.collections)
    load.add_argument(
        "--key",
        metavar="ATTRIBUTE",
        help="a unique attribute: change the row that has a feature's value, if there is one",
    )
    load.add_argument(
        "--map",
        type=_renamed,
        action="append",
        default=[],
        metavar="PROPERTY=ATTRIBUTE",
        help="where a property is not called as its attribute; may be repeated",
    )
    load.add_argument("--layer", help="which one, of a file that has several")
    load.add_argument(
        "--source-crs", type=_srid, metavar="EPSG:n", help="the CRS, whatever the file says"
    )
    load.add_argument(
        "--x", metavar="COLUMN", help="of a table without geometries: longitude or easting"
    )
    load.add_argument("--y", metavar="COLUMN", help="latitude or northing")
    load.add_argument("--z", metavar="COLUMN", help="height")
    load.add_argument(
        "--encoding",
        type=_encoding,
        help="of the texts, such as latin1 (default: as the file says)",
    )
    load.add_argument(
        "--empty",
        choices=["null", "default", "text"],
        help="what an empty text or cell stands for in a text attribute (default: an empty cell of"
        " CSV for NULL, an empty text in quotes or of another format for itself)",
    )
    load.add_argument(
        "--index-after",
        action="store_true",
        help="of an empty table, make the indexes after the rows: faster from a million on, but"
        " all others wait for the table until it ends",
    )
    load.add_argument("--id-to", metavar="ATTRIBUTE", help="takes the features' own ids")
    load.add_argument("--force-2d", action="store_true", help="drop z and m")
    load.add_argument("--linearize", action="store_true", help="make lines of curves")
    load.add_argument("--make-valid", action="store_true", help="repair invalid geometries")
    load.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be loaded and what would be refused, and load nothing",
    )
    load.add_argument(
        "--skip-invalid", action="store_true", help="load the others where features are refused"
    )
    load.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="for the features that are refused, with the reasons (default: NAME.rejects.geojsonl)",
    )
    load.set_defaults(run=partial(_load, service))


def _add_export(export: argparse.ArgumentParser, service: "Service") -> None:
    export.add_argument("file", type=Path, nargs="?", help="default: standard output")
    _add_table(export, service.collections)
    export.add_argument(
        "--format",
        choices=[
            "geojsonseq",
            "geojson",
            "flatgeobuf",
            "geopackage",
            "geoparquet",
            "csv",
            "shapefile",
        ],
        help="default: by the name of the file, else geojsonseq, a feature to a line",
    )
    export.add_argument(
        "--bbox",
        type=_box,
        metavar="W,S,E,N",
        help="what intersects a box, in degrees of WGS 84, such as --bbox=-1,50,2,52",
    )
    export.add_argument(
        "--all",
        action="store_true",
        help="every row, including those that a partial index or the collection's where leaves out",
    )
    export.add_argument(
        "--for-spreadsheets",
        action="store_true",
        help="write ' before texts in CSV that a spreadsheet would take for a formula, such as =1+1",
    )
    export.set_defaults(run=partial(_export, service))


def _add_table(parser: argparse.ArgumentParser, collections: Sequence[Collection]) -> None:
    parser.add_argument(
        "--table",
        type=partial(_named, collections),
        # A text, which argparse converts like any other value.
        default="",
        metavar="NAME",
        help="which one, of a service that has several",
    )


def _named(collections: Sequence[Collection], name: str) -> Collection:
    """The collection of a name; of none, the only one."""
    for collection in collections:
        if collection.name == name or (not name and len(collections) == 1):
            return collection
    names = ", ".join(collection.name for collection in collections)
    if not name:
        raise argparse.ArgumentTypeError(f"say which of the tables: {names}")
    raise argparse.ArgumentTypeError(f"{name!r} is none of the tables: {names}")


def _box(text: str) -> Bounds:
    from geotables.http.parameters import BBox

    try:
        box: Bounds = TypeAdapter(BBox).validate_python(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(error.errors()[0]["msg"]) from None
    return box


def _renamed(text: str) -> tuple[str, str]:
    source, _, attribute = text.rpartition("=")
    if not source:
        raise argparse.ArgumentTypeError(f"{text!r} is not like PROPERTY=ATTRIBUTE")
    return source, attribute


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"no encoding is called {text!r}") from None


def _srid(text: str) -> int:
    from geotables.files.sources import srid_of

    try:
        return srid_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _engine(service: "Service") -> sa.Engine:
    url = service.settings().database_url
    return sa.create_engine(url, poolclass=sa.NullPool, json_serializer=json_text)


def _load(service: "Service", options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from geotables.files.load import Options, announce, load
    from geotables.files.refusals import LoadError, Rejects
    from geotables.files.sources import OpenOptions, SourceError, source

    # Batches have no cycles; looking for them would take a third of the time.
    gc.disable()
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    collection: Collection = options.table
    how = Options(
        key=options.key,
        renamed=dict(options.map),
        skip_invalid=options.skip_invalid,
        force_2d=options.force_2d,
        make_valid=options.make_valid,
        id_to=options.id_to,
        empty=options.empty,
        # What is rolled back needs no index, and should keep nobody waiting.
        index_after=options.index_after and not options.dry_run,
    )
    rejects = Rejects(options.rejects or Path(f"{options.file.stem}.rejects.geojsonl"))
    engine = _engine(service)
    file: Source | None = None
    try:
        if rejects.path.resolve() == options.file.resolve():
            raise SourceError(f"{options.file} cannot be read and take the refused features")
        file = source(
            options.file,
            collection,
            OpenOptions(
                srid=options.source_crs,
                layer=options.layer,
                encoding=options.encoding,
                linearize=options.linearize,
                x=options.x,
                y=options.y,
                z=options.z,
            ),
        )
        # Silent where standard error is no terminal.
        bar = tqdm(total=file.size, unit=file.unit, unit_scale=True, disable=None)

        def watch(progress: int) -> None:
            bar.update(progress - bar.n)

        with rejects, bar, engine.connect() as connection:
            result = load(connection, collection, file, how, rejects, watch)
            if not options.dry_run:
                connection.commit()
    except (LoadError, SourceError, OSError) as error:
        print(f"{_read_as(file)}{rejects}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was loaded", file=sys.stderr)
        return 130
    dry = "dry run: the table is as it was; without --dry-run:\n" if options.dry_run else ""
    print(f"{dry}{_read_as(file)}{rejects}{result}", file=sys.stderr)
    if not options.dry_run:
        announce(collection, result)
    return 0


def _read_as(file: "Source | None") -> str:
    """A line about how a file is read; of one that was not opened, none."""
    return f"read as {file.reading}\n" if file else ""


def _export(service: "Service", options: argparse.Namespace) -> int:
    from geotables.files.export import KINDS, SUFFIXES, ExportError, export
    from geotables.sql import bbox

    # Chunks have no cycles; looking for them would take a quarter of the time.
    gc.disable()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    collection: Collection = options.table
    # A command has no caller: without --all it writes what the service shows to a caller of whom nothing is known.
    conditions = [EVERY_ROW if options.all else collection.rows()]
    if options.bbox is not None:
        conditions.append(bbox.within(collection.geometry, options.bbox))
    suffix = options.file.suffix.lower() if options.file else ""
    kind = options.format or SUFFIXES.get(suffix, "" if suffix else "geojsonseq")
    if not kind:
        endings = ", ".join(SUFFIXES)
        print(
            f"{options.file}: no format has names that end with {suffix}: {endings} do."
            f" --format is one of {', '.join(KINDS)}",
            file=sys.stderr,
        )
        return 1
    try:
        with _engine(service).connect() as connection:
            number = export(
                connection,
                collection,
                together(conditions),
                kind,
                options.file,
                for_spreadsheets=options.for_spreadsheets,
            )
    except KeyboardInterrupt:
        print("interrupted: no file was written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has closed the pipe; discard what is still written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ExportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    else:
        # Standard output is for another program, which says what it has read.
        if options.file:
            print(f"{number:,} rows exported to {options.file}", file=sys.stderr)
    return 0
