"""Whether models, migrations, schemas, queries and the database say the same.

Each check yields what it finds wrong, a sentence at a time. The checks go over the collections of a service and over the
metadata of its models, so they hold as well for tables, columns and revisions that are added later. What is not wrong, but
worth knowing, is logged as a warning.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial

import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema

from geotables.checks import application, database, ddl, manifest, models, plans, rows, schemas
from geotables.db.server import examine
from geotables.service import Service

__all__ = ["check_database", "check_ddl", "check_models"]

log = logging.getLogger(__name__)


def check_models(service: Service) -> Iterator[str]:
    """What can be checked without a database."""
    manifest.check_manifests()
    problems = list(models.check_collections(service))
    yield from problems
    yield from models.check_columns(service)
    yield from ddl.check_first_revision(service.migrations)
    if problems:
        # A collection without its key, or without its geometry, can neither be checked further nor served.
        return
    for collection in service.collections:
        yield from schemas.check_formats(service, collection)
        yield from schemas.check_schemas(service, collection)
    app = application.create(service)
    for collection in service.collections:
        yield from plans.check_predicate(app, collection)
    yield from application.check_openapi(app)


def check_ddl(service: Service, engine: sa.Engine) -> Iterator[str]:
    """Whether PostGIS takes the tables of the models: they are made in a schema of their own, and rolled back."""
    with engine.connect() as connection:
        try:
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS postgis"))
            if problems := list(examine(connection)):
                yield from problems
                return
            path = connection.scalar(sa.text("SHOW search_path"))
            tried = {
                schema: f"tried_by_check{number or ''}"
                for number, schema in enumerate(service.migrations.schemas)
            }
            for schema in tried.values():
                connection.execute(CreateSchema(schema))
            connection.execute(sa.text(f"SET LOCAL search_path TO tried_by_check, {path}"))
            connection.execution_options(schema_translate_map=tried)
            ddl.create_tables(connection, service.migrations.metadata)
            for collection in service.collections:
                yield from ddl.check_new_rows(connection, collection)
        except sa.exc.DBAPIError as error:
            yield f"PostGIS refuses the tables of the models: {str(error.orig).strip()}"
        finally:
            connection.rollback()


def check_database(service: Service, engine: sa.Engine) -> Iterator[str]:
    """What only the database can tell. It is left as it was.

    A session that cannot write compares the catalogue alone, whatever revision is recorded: it has no temporary tables.
    """
    check_catalogue = partial(database.check_tables, service.migrations)
    checks: tuple[Callable[[sa.Connection], Iterator[str]], ...] = (
        examine,
        partial(database.check_revision, service.migrations),
        check_catalogue,
        partial(_check_statements, service),
    )
    with engine.connect() as connection:
        if database.is_read_only(connection):
            log.warning(
                "the session is read-only: the revision, the definitions of indexes and constraints, and the statements are"
                " not checked, since that takes temporary tables"
            )
            checks = (examine, check_catalogue)
        for check in checks:
            problems = list(check(connection))
            yield from problems
            if problems:
                # What follows would fail for the same reasons.
                break
        connection.rollback()


def _check_statements(service: Service, connection: sa.Connection) -> Iterator[str]:
    """See that the service's statements work on the tables."""
    app = application.create(service)
    for collection in service.collections:
        if rows.are_left_out(collection):
            continue
        problems = list(rows.check_examples(service, connection, collection))
        yield from problems
        if problems:
            # The others need rows that the table takes.
            continue
        yield from plans.check_plans(app, connection, collection)
        yield from plans.check_overviews(connection, collection)
        plans.check_view(connection, collection)
        yield from rows.check_round_trip(connection, collection)
