"""The command line: ``python -m <package> check | serve | migrate | load``."""

import argparse
import logging
import sys

import sqlalchemy as sa
from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from . import migrations
from .settings import Settings

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
    try:
        code: int = options.run(options)
        return code
    except ValidationError as error:
        for each in error.errors():
            name = "_".join(map(str, each["loc"])).upper()
            print(f"{name}: {each['msg']}", file=sys.stderr)
    except DBAPIError as error:
        print(_reason(error), file=sys.stderr)
    except (CommandError, FileNotFoundError) as error:
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
    return parser


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

    Settings()
    uvicorn.run(
        f"{__package__}.main:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
    )
    return 0


def _migrate(options: argparse.Namespace) -> int:
    migrations.upgrade(options.revision)
    return 0


def _reason(error: DBAPIError) -> str:
    """Why the database refused, in a line or two."""
    code = getattr(error.orig, "pgcode", None)
    if code in POSTGIS_MISSING and "extension" in str(error.statement).lower():
        return POSTGIS_MISSING[code]
    return f"database: {str(error.orig).strip()}"
