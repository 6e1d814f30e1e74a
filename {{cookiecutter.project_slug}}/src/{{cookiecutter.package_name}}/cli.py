"""The command line: ``python -m <package> check | serve | migrate | load | export``."""

import argparse
import codecs
import ctypes
import gc
import logging
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import DBAPIError

from . import access
from .crs import Bounds, UnknownCRS
from .settings import Settings, UnsafeProduction

#: The parameter of mallopt(3).
M_ARENA_MAX = -8

#: What stands in the way of PostGIS, by PostgreSQL's error code, and how to remove it.
POSTGIS_MISSING = {
    "42501": "PostGIS is not in the database and this role may not add it: have a superuser run CREATE EXTENSION postgis",
    "58P01": "the database server has no PostGIS: install it there",
    "0A000": "the database server has no PostGIS: install it there",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    options = _parser().parse_args(arguments)
    # Of every connection: what is loaded and exported is bytes that PostgreSQL reads and writes.
    os.environ["PGCLIENTENCODING"] = "utf8"
    try:
        code: int = options.run(options)
        return code
    except ValidationError as error:
        for each in error.errors():
            name = "_".join(map(str, each["loc"])).upper()
            print(": ".join(filter(None, [name, each["msg"]])), file=sys.stderr)
    except DBAPIError as error:
        print(_reason(error), file=sys.stderr)
    except (FileNotFoundError, UnknownCRS, UnsafeProduction) as error:
        print(error, file=sys.stderr)
    except Exception as error:
        # Alembic is imported where it is needed: to load and to export need not wait for it.
        from alembic.util import CommandError

        if not isinstance(error, CommandError):
            raise
        print(error, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="see that models, migrations and queries agree")
    check.add_argument("--database", action="store_true", help="and that the database does")
    check.add_argument("--ddl", action="store_true", help="and that PostGIS takes the tables")
    check.set_defaults(run=_check)
    serve = commands.add_parser("serve", help="serve the application")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    serve.set_defaults(run=_serve)
    migrate = commands.add_parser("migrate", help="bring the database to the newest revision")
    migrate.add_argument("revision", nargs="?", default="head")
    migrate.set_defaults(run=_migrate)
    _add_load(commands.add_parser("load", help="make rows of the features of a file"))
    _add_export(commands.add_parser("export", help="write rows to a file or to standard output"))
    access.add_commands(commands)
    return parser


def _add_load(load: argparse.ArgumentParser) -> None:
    load.add_argument(
        "file",
        type=Path,
        help="GeoJSON, a sequence of it, CSV, GeoPackage, FlatGeobuf, Shapefile, XLSX, …",
    )
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
    load.add_argument("--id-to", metavar="ATTRIBUTE", help="takes the features' own ids")
    load.add_argument("--force-2d", action="store_true", help="drop z and m")
    load.add_argument("--linearize", action="store_true", help="make lines of curves")
    load.add_argument("--make-valid", action="store_true", help="repair invalid geometries")
    load.add_argument(
        "--skip-invalid", action="store_true", help="load the others where features are refused"
    )
    load.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="for the features that are refused, with the reasons (default: NAME.rejects.geojsonl)",
    )
    load.set_defaults(run=_load)


def _add_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("file", type=Path, nargs="?", help="default: standard output")
    export.add_argument(
        "--format",
        choices=["geojsonseq", "geojson", "flatgeobuf", "geopackage", "csv", "shapefile"],
        help="default: by the name of the file, else geojsonseq, a feature to a line",
    )
    export.add_argument(
        "--bbox", type=_box, metavar="W,S,E,N", help="what intersects a box, in degrees of WGS 84"
    )
    export.add_argument(
        "--all", action="store_true", help="also the rows that a partial index leaves out"
    )
    export.add_argument(
        "--for-spreadsheets",
        action="store_true",
        help="write ' before texts in CSV that a spreadsheet would take for a formula, such as =1+1",
    )
    # A box may begin with a negative number, which is no option.
    export._negative_number_matcher = re.compile(r"-[\d.]")
    export.set_defaults(run=_export)


def _box(text: str) -> Bounds:
    from .api.parameters import BBox

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
    from .sources import srid_of

    try:
        return srid_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _check(options: argparse.Namespace) -> int:
    # Imported here because it builds the application, which the other commands need not wait for.
    from . import checks

    findings = list(checks.check_models())
    agreed = "models, migrations, schemas and queries agree"
    for chosen, check, said in (
        (options.ddl, checks.check_ddl, "; PostGIS takes the tables"),
        (options.database, checks.check_database, "; the database agrees with them"),
    ):
        if chosen and not findings:
            engine = sa.create_engine(Settings().database_url, poolclass=sa.NullPool)
            findings, agreed = list(check(engine)), agreed + said
    if findings:
        print(*(f"- {finding}" for finding in findings), sep="\n", file=sys.stderr)
        print(f"check: {len(findings)} found wrong", file=sys.stderr)
        return 1
    print(f"check: {agreed}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    import uvicorn

    from .observation import logging_config
    from .protocol import Protocol

    # Each process makes its own; here, what is wrong is said once.
    settings = Settings()
    settings.refuse_unsafe_production()
    if "processes" not in settings.model_fields_set:
        os.environ["PROCESSES"] = str(options.workers)
    _limit_arenas()
    protocol = partial(Protocol, timeout=settings.request_timeout, max_body=settings.max_body_size)
    with _metrics_folder(options.workers):
        uvicorn.run(
            f"{__package__}.main:create_app",
            factory=True,
            host=options.host,
            port=options.port,
            workers=options.workers,
            http=protocol,  # type: ignore[arg-type]
            # On a busy machine a process takes longer than uvicorn's 5 seconds to start, and would be killed each time.
            timeout_worker_healthcheck=30,
            # The service logs requests itself, with their ids.
            access_log=False,
            log_config=logging_config(settings),
            server_header=False,
            # The application believes proxies itself (FORWARDED_ALLOW_IPS), about more than uvicorn does.
            proxy_headers=False,
            timeout_graceful_shutdown=settings.shutdown_timeout,
        )
    return 0


@contextmanager
def _metrics_folder(workers: int) -> Iterator[None]:
    """A folder in which several processes add up their metrics, unless the environment names one.

    It is in memory where there is /dev/shm, which containers have even if their file system is read-only.
    """
    from .observation import METRICS_FOLDER

    if workers == 1 or METRICS_FOLDER in os.environ:
        yield
        return
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="metrics-", dir=memory) as folder:
        os.environ[METRICS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[METRICS_FOLDER]


def _limit_arenas() -> None:
    """Have glibc keep two heaps, not eight for each processor: large bodies leave gaps in the heap of each thread.

    After 10,000 mixed requests the process has 271 MB then, instead of 624.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        # For the processes that this one starts, and for itself.
        os.environ["MALLOC_ARENA_MAX"] = "2"
        if sys.platform == "linux":
            with suppress(AttributeError):
                ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def _migrate(options: argparse.Namespace) -> int:
    from . import migrations

    migrations.upgrade(options.revision)
    return 0


def _load(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .load import LoadError, Options, Rejects, load
    from .sources import Coordinates, SourceError, source

    # A batch is free when nobody refers to it; to look for cycles in it would take a third of the time.
    gc.disable()
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    how = Options(
        key=options.key,
        renamed=dict(options.map),
        skip_invalid=options.skip_invalid,
        force_2d=options.force_2d,
        make_valid=options.make_valid,
        id_to=options.id_to,
        empty=options.empty,
    )
    rejects = Rejects(options.rejects or Path(f"{options.file.stem}.rejects.geojsonl"))
    engine = sa.create_engine(Settings().database_url, poolclass=sa.NullPool)
    try:
        if rejects.path.resolve() == options.file.resolve():
            raise SourceError(f"{options.file} cannot be read and take the refused features")
        file = source(
            options.file,
            options.source_crs,
            options.layer,
            encoding=options.encoding,
            linearize=options.linearize,
            coordinates=Coordinates(options.x, options.y, options.z),
        )
        # Silent where standard error is no terminal.
        bar = tqdm(total=file.size, unit=file.unit, unit_scale=True, disable=None)
        with rejects, bar, engine.begin() as connection:
            result = load(connection, file, how, rejects, lambda done: bar.update(done - bar.n))
    except (LoadError, SourceError, OSError) as error:
        print(f"{rejects}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was loaded", file=sys.stderr)
        return 130
    print(f"{rejects}{result}", file=sys.stderr)
    return 0


def _export(options: argparse.Namespace) -> int:
    from . import bbox
    from .export import KINDS, SUFFIXES, ExportError, export
    from .queries import EVERY_ROW, GEOMETRY, INDEXED_ROWS
    from .statements import Condition, together

    # No chunk has cycles; to look for them would take a quarter of the time.
    gc.disable()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = [Condition(EVERY_ROW if options.all else INDEXED_ROWS)]
    if options.bbox is not None:
        rows.append(bbox.within(GEOMETRY, options.bbox))
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
    engine = sa.create_engine(Settings().database_url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            export(
                connection,
                together(rows),
                kind,
                options.file,
                for_spreadsheets=options.for_spreadsheets,
            )
    except KeyboardInterrupt:
        print("interrupted: no file was written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever reads has read enough; what is still to be written at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ExportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _reason(error: DBAPIError) -> str:
    """Why the database refused, in a line or two."""
    code = getattr(error.orig, "pgcode", None)
    if code in POSTGIS_MISSING and "extension" in str(error.statement).lower():
        return POSTGIS_MISSING[code]
    return f"database: {str(error.orig).strip()}"
