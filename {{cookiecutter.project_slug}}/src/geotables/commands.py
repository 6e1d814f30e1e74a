"""The command line of a project, and the commands ``check``, ``serve``, ``migrate`` and ``overviews``."""

import argparse
import ctypes
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from geotables.collection import UnsupportedKey
from geotables.crs import UnknownCRS
from geotables.db.migrations import MIGRATE_FIRST, NOT_MIGRATED
from geotables.service import Service
from geotables.settings import UnsafeProduction

#: The parameter of mallopt(3).
M_ARENA_MAX = -8

#: What stands in the way of PostGIS, by PostgreSQL's error code, and how to remove it.
POSTGIS_MISSING = {
    "42501": "PostGIS is not in the database and this role may not add it: have a superuser run CREATE EXTENSION postgis",
    "58P01": "the database server has no PostGIS: install it there",
    "0A000": "the database server has no PostGIS: install it there",
}

#: What to do where PostgreSQL makes no index, by its error code.
NO_INDEX = {
    "42501": "run overviews with the DATABASE_URL of the role that owns the table, as migrate is",
    "25006": "DATABASE_URL is that of a read-only server, such as a replica: run overviews on the primary server",
}

#: Where a database is to be had, for an error about DATABASE_URL.
DATABASE_HINT = (
    "DATABASE_URL is like postgresql://user:password@host:5432/database. `make run` and `make load FILE=…` use"
    " a development database; `python tools/postgis.py start` starts it and prints its URL."
)


def command_line(package: str) -> tuple[argparse.ArgumentParser, Any]:
    """The parser of a project's command line, and where to add commands to it (``add_parser``).

    A command sets the default ``run``: a function that takes the options and returns the exit code.
    """
    # The usage names what was typed: the installed command, or the module.
    called = Path(sys.argv[0])
    prog = f"python -m {package}" if called.suffix == ".py" else called.stem
    parser = argparse.ArgumentParser(prog=prog)
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, by default those of the process; its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    options = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    # For every connection: load and export hand PostgreSQL bytes in UTF-8.
    os.environ["PGCLIENTENCODING"] = "utf8"
    try:
        code: int = options.run(options)
        return code
    except ValidationError as error:
        for each in error.errors():
            name = "_".join(map(str, each["loc"])).upper()
            print(": ".join(filter(None, [name, each["msg"]])), file=sys.stderr)
            if name == "DATABASE_URL":
                print(DATABASE_HINT, file=sys.stderr)
    except DBAPIError as error:
        print(_reason(error), file=sys.stderr)
    except (FileNotFoundError, UnknownCRS, UnsafeProduction, UnsupportedKey) as error:
        print(error, file=sys.stderr)
    except Exception as error:
        # Alembic is imported where it is needed: to load and to export need not wait for it.
        from alembic.util import CommandError

        if not isinstance(error, CommandError):
            raise
        print(error, file=sys.stderr)
    return 1


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--bbox -1,50,2,52`` as ``--bbox=-1,50,2,52``: argparse takes a text with a minus for another option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and _OPTION.fullmatch(joined[-1]) and _NEGATIVE.match(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


_OPTION = re.compile(r"--[a-z][a-z-]*")

#: Several numbers, of which the first is negative.
_NEGATIVE = re.compile(r"-[\d.]+,")


def add_check(commands: Any, service: Service) -> None:
    """Add ``check`` to the command line."""
    check = commands.add_parser("check", help="compare models, migrations, schemas and queries")
    check.add_argument(
        "--database", action="store_true", help="compare the database with them, too"
    )
    check.add_argument(
        "--ddl", action="store_true", help="create the tables in PostGIS, too, and roll back"
    )
    check.set_defaults(run=partial(_check, service))


def add_serve(commands: Any, service: Service) -> None:
    """Add ``serve`` to the command line."""
    serve = commands.add_parser("serve", help="serve the application")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1, metavar="N", help="number of processes")
    serve.set_defaults(run=partial(_serve, service))


def add_migrate(commands: Any, service: Service) -> None:
    """Add ``migrate`` to the command line."""
    migrate = commands.add_parser("migrate", help="bring the database to the newest revision")
    migrate.add_argument("revision", nargs="?", default="head")
    migrate.set_defaults(run=partial(_migrate, service))


def add_overviews(commands: Any, service: Service) -> None:
    """Add ``overviews`` to the command line."""
    overviews = commands.add_parser(
        "overviews",
        help="index large tables for the tiles of the first zooms and for pages in boxes; writes go on",
    )
    overviews.add_argument("--drop", action="store_true", help="drop these indexes")
    overviews.set_defaults(run=partial(_overviews, service))


def _check(service: Service, options: argparse.Namespace) -> int:
    # Imported here because it builds the application, which the other commands need not wait for.
    from geotables import checks

    findings = list(checks.check_models(service))
    agreed = "models, migrations, schemas and queries agree"
    for chosen, check, more in (
        (options.ddl, checks.check_ddl, "; PostGIS takes the tables"),
        (options.database, checks.check_database, "; the database agrees with them"),
    ):
        if chosen and not findings:
            engine = sa.create_engine(service.settings().database_url, poolclass=sa.NullPool)
            findings, agreed = list(check(service, engine)), agreed + more
    if findings:
        print(*(f"- {finding}" for finding in findings), sep="\n", file=sys.stderr)
        print(f"check: {len(findings)} found wrong", file=sys.stderr)
        return 1
    print(f"check: {agreed}")
    return 0


def _serve(service: Service, options: argparse.Namespace) -> int:
    import uvicorn

    from geotables.http.logs import logging_config
    from geotables.http.protocol import Protocol

    # Each process reads the settings; reading them here reports an error once.
    settings = service.settings()
    settings.refuse_unsafe_production()
    if "processes" not in settings.model_fields_set:
        os.environ["PROCESSES"] = str(options.workers)
    _limit_arenas()
    protocol = partial(Protocol, timeout=settings.request_timeout, max_body=settings.max_body_size)
    with _metrics_folder(options.workers):
        uvicorn.run(
            service.factory,
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
    from geotables.http.metrics import METRICS_FOLDER

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


def _migrate(service: Service, options: argparse.Namespace) -> int:
    service.migrations.upgrade(service.settings().database_url, options.revision)
    return 0


def _overviews(service: Service, options: argparse.Namespace) -> int:
    from geotables.sql import overview_indexes

    settings = service.settings()
    limit = None if options.drop else settings.tile_limit
    # PostgreSQL makes such indexes outside of a transaction.
    engine = sa.create_engine(
        settings.database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        # It may wait long for open transactions, and blocks none of them.
        connection.exec_driver_sql("SET statement_timeout = 0; SET lock_timeout = 0")
        for collection in service.collections:
            try:
                for line in overview_indexes.make(connection, collection, limit):
                    print(f"{collection.name}: {line}", flush=True)
            except DBAPIError as error:
                hint = NO_INDEX.get(getattr(error.orig, "pgcode", None) or "")
                if hint is None:
                    raise
                print(f"{collection.name}: {str(error.orig).strip()}: {hint}", file=sys.stderr)
                return 1
    return 0


def _reason(error: DBAPIError) -> str:
    """Why the database refused, in a line or two."""
    code = getattr(error.orig, "pgcode", None)
    if code in POSTGIS_MISSING and "extension" in str(error.statement).lower():
        return POSTGIS_MISSING[code]
    reason = f"database: {str(error.orig).strip()}"
    if code in NOT_MIGRATED:
        return f"{reason}\n{MIGRATE_FIRST}"
    # Of a connection that is refused libpq gives no code.
    refused = code is None and error.statement is None
    return f"{reason}\n{DATABASE_HINT}" if refused else reason
