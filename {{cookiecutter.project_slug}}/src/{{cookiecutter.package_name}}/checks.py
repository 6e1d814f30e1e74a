"""Whether models, migrations, schemas, queries and the database say the same.

Each check yields what it finds wrong, a sentence at a time. The checks go over the metadata of the models, so they hold
as well for tables, columns and revisions that are added later.
"""

import datetime
import difflib
import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from typing import Annotated, Any

import orjson
import shapely
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.schema import CreateIndex, CreateTable

from . import bbox, cql, examples, migrations, nearby, paging, samples, spatial, tiles, writes
from .crs import WGS84, Bounds
from .database import examine
from .geometry import GEOJSON_TYPES, WKT, GeoJSON, GeometryFormat, bind, read
from .main import create_app
from .models import Base
from .queries import GEOMETRY as COLUMN
from .queries import INDEXED_ROWS, STORAGE, TABLE, Record
from .schemas import (
    GEOMETRY,
    READ_ONLY,
    {{ cookiecutter.__class_name }}In,
    {{ cookiecutter.__class_name }}Out,
)
from .settings import Settings
from .spatial import GeometryColumn
from .statements import Condition, Statement

log = logging.getLogger(__name__)

#: Coordinates that differ by less, in degrees, are the same: GeoJSON rounds, and a projection is not exact.
TOLERANCE = 1e-6

#: What Alembic writes SQL with.
ALEMBIC: sa.Dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]

#: Parameters as PostgreSQL's own statements have them, so that the check can PREPARE what the service sends.
DIALECT: sa.Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def check_models() -> Iterator[str]:
    """What can be checked without a database."""
    for table in Base.metadata.sorted_tables:
        for column in spatial.geometry_columns(table):
            yield from _check_column(column)
            yield from _check_indexes(column)
    yield from _check_first_revision()
    for written in (GeoJSON(COLUMN), WKT(COLUMN), GEOMETRY):
        yield from _check_format(written)
    yield from _check_schemas()
    yield from _check_predicate()
    yield from _check_openapi()


def check_ddl(engine: sa.Engine) -> Iterator[str]:
    """Whether PostGIS takes the tables of the models: they are made in a schema of their own, and rolled back."""
    with engine.connect() as connection:
        try:
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS postgis"))
            if problems := list(examine(connection)):
                yield from problems
                return
            connection.execute(sa.text("CREATE SCHEMA tried_by_check"))
            path = connection.scalar(sa.text("SHOW search_path"))
            connection.execute(sa.text(f"SET LOCAL search_path TO tried_by_check, {path}"))
            Base.metadata.create_all(connection, checkfirst=False)
            yield from _check_new_rows(connection)
        except sa.exc.DBAPIError as error:
            yield f"PostGIS refuses the tables of the models: {str(error.orig).strip()}"
        finally:
            connection.rollback()


def _check_new_rows(connection: sa.Connection) -> Iterator[str]:
    """See that the conditions of the indexes can be worked out, for rows that are in them and for others."""
    shapes = samples.geometries(COLUMN)
    for number in range(32):
        with connection.begin_nested() as savepoint:
            row = _new_row(number, shapes[number % len(shapes)])
            try:
                writes.insert_all(connection, Record(GEOMETRY), [row])
            except sa.exc.IntegrityError:
                # What a row refers to is not there; constraints are for the check of the database.
                pass
            except sa.exc.DBAPIError as error:
                conditions = spatial.conditions(TABLE) or "none"
                yield f"a row is refused: {str(error.orig).strip()} (conditions of indexes: {conditions})"
                return
            finally:
                savepoint.rollback()


def check_database(engine: sa.Engine) -> Iterator[str]:
    """What only the database can tell. It is left as it was."""
    with engine.connect() as connection:
        for check in (examine, _check_revision, _check_tables, _check_service):
            problems = list(check(connection))
            yield from problems
            if problems:
                # What follows would fail for the same reasons.
                break
        connection.rollback()


# Without a database


def _check_column(column: GeometryColumn) -> Iterator[str]:
    if spatial.geometry_type(column) not in (*GEOJSON_TYPES, "GEOMETRY"):
        yield f"{column}: its geometry type is {spatial.geometry_type(column)}, which GeoJSON does not have"
    if spatial.srid(column) <= 0:
        yield f"{column}: its SRID is {spatial.srid(column)}: PostGIS would store 0, an unknown CRS"


def _check_indexes(column: GeometryColumn) -> Iterator[str]:
    names = [str(index.name) for index in spatial.gist_indexes(column)]
    if spatial.has_automatic_index(column):
        names.append("the one that spatial_index=True has GeoAlchemy2 make")
    if len(names) != 1:
        listed = " and ".join(names) or "none"
        yield f"{column}: it has {len(names)} GiST indexes in the model, not one: {listed}"
    geography = list(spatial.geography_indexes(column))
    if column is COLUMN and len(geography) != STORAGE.geographic:
        yield f"{column}: it has {len(geography)} geography indexes in the model, not {STORAGE.geographic:d}"
    predicates = {
        str(spatial.predicate(index)) for index in (*spatial.gist_indexes(column), *geography)
    }
    if len(predicates) > 1:
        yield f"{column}: its spatial indexes are of different rows: {' and '.join(sorted(predicates))}"


def _check_first_revision() -> Iterator[str]:
    """Compare the models with the migration, as long as there is one; later the database is the judge."""
    if len(migrations.revisions()) > 1:
        return
    ours: set[str] = set()
    for table in Base.metadata.sorted_tables:
        ours |= _lines(str(CreateTable(table).compile(dialect=ALEMBIC)))
        for index in table.indexes:
            ours |= _lines(str(CreateIndex(index).compile(dialect=ALEMBIC)))
    theirs = {line for line in _lines(migrations.sql()) if not line.startswith(_NOT_OF_MODELS)}
    for line in sorted(ours - theirs):
        near = difflib.get_close_matches(line, theirs - ours, 1, cutoff=0.0)
        stated = f"`{near[0]}`" if near else "nothing of it"
        yield f"the model says `{line}`, the migrations {stated}: make revision adds one for it"
    for line in sorted(theirs - ours):
        if not difflib.get_close_matches(line, ours - theirs, 1, cutoff=0.0):
            yield f"the migrations say `{line}`, the model does not: put it back, or make revision"


#: Statements of a migration that no model asks for.
_NOT_OF_MODELS = (
    "BEGIN",
    "COMMIT",
    "CREATE EXTENSION",
    "CREATE TABLE alembic_version",
    "INSERT INTO alembic_version",
    "version_num",
    "CONSTRAINT alembic_version",
    "UPDATE alembic",
    "--",
)


def _lines(ddl: str) -> set[str]:
    """The lines of some DDL, each a column, a constraint or a statement."""
    lines = (re.sub(r"\s+", " ", line).strip(" ,;") for line in ddl.splitlines())
    return {line for line in lines if line not in ("", "(", ")")}


def _check_format(written: GeometryFormat) -> Iterator[str]:
    """See that the Pydantic type takes and gives every geometry that the column stores."""
    name = type(written).__name__
    adapter: TypeAdapter[BaseGeometry] = TypeAdapter(Annotated[BaseGeometry, written])
    for sample in samples.geometries(COLUMN):
        try:
            given = json.loads(
                adapter.dump_json(adapter.validate_python(json.loads(shapely.to_geojson(sample))))
            )
            again = read(given, default_srid=WGS84)
        except (ValidationError, ValueError) as error:
            yield f"schemas: a {sample.geom_type} does not come through {name}: {error}"
            continue
        if not shapely.equals_exact(again, sample, TOLERANCE):
            yield f"schemas: a {sample.geom_type} comes out of {name} as {given!r:.100}"


def _check_schemas() -> Iterator[str]:
    """Compare the table with what goes in, with what comes out, and with the examples, both ways."""
    taken = {{ cookiecutter.__class_name }}In
    returned = {{ cookiecutter.__class_name }}Out
    written = [column for column in TABLE.columns if column.name not in READ_ONLY]
    for schema, columns in ((taken, written), (returned, list(TABLE.columns))):
        for name in sorted(schema.model_fields.keys() - TABLE.columns.keys()):
            yield f"schemas.py: {schema.__name__}.{name} is no column of {TABLE.name}"
        for column in columns:
            if column.name not in schema.model_fields:
                yield f"schemas.py: {schema.__name__} has no {column.name}, a column of {TABLE.name}"
            elif column is not COLUMN:
                field = schema.model_fields[column.name]
                for difference in _differences(column, field, is_taken=schema is taken):
                    yield f"schemas.py: {schema.__name__}.{column.name} {difference}"
    yield from _check_read_only()
    names = {column.name for column in written if column is not COLUMN}
    for name in sorted(names - examples.row(0).keys()):
        yield f"examples.py: row() has no {name}, which clients write: give it a value"
    for name in sorted(examples.row(0).keys() - names):
        yield f"examples.py: row() has {name}, which is no column that clients write"


def _check_read_only() -> Iterator[str]:
    for name in sorted(READ_ONLY.difference(TABLE.columns.keys())):
        yield f"schemas.py: READ_ONLY has {name}, which is no column of {TABLE.name}"
    for column in TABLE.columns:
        sets_itself = column.onupdate is not None or column.server_onupdate is not None
        if column.name == "updated_at" and not sets_itself:
            yield "models.py: updated_at has no onupdate, and would stay the time when the row was added"
        elif sets_itself and column.name not in READ_ONLY:
            yield f"schemas.py: READ_ONLY has no {column.name}, which sets itself (onupdate in models.py)"
        if column.name in READ_ONLY and column.server_default is None:
            yield f"models.py: {column.name} has no server_default, and clients may not give it (READ_ONLY in schemas.py)"


def _differences(column: sa.Column[Any], field: FieldInfo, *, is_taken: bool) -> Iterator[str]:
    """What a field of a schema says otherwise than its column in models.py."""
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[(kind, *field.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def takes(value: Any) -> bool:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    # In JSON null is a value.
    is_json = isinstance(column.type, JSONB)
    if column.nullable and not takes(None):
        yield "refuses null, which the column takes"
    if not column.nullable and takes(None) and not is_json:
        yield "takes null, which the column does not"
    example = examples.row(0).get(column.name)
    if example is not None and not takes(example):
        yield f"refuses {example!r:.100}, an example of the column ({column.type})"
    elif example is not None and not is_json:
        made = adapter.validate_python(example)
        if not _is_of(made, column.type.python_type):
            yield f"makes {made!r:.100} ({type(made).__name__}) of an example of the column ({column.type})"
    if is_taken:
        for too_much, what in _beyond(column.type):
            if takes(too_much):
                yield f"takes {what}, the column ({column.type}) does not"
        length, most = getattr(column.type, "length", None), _max_length(adapter)
        if length is not None and most is not None and most < length:
            yield f"takes {most} characters at the most, the column {length}"
        yield from _different_default(column, field, adapter)


def _is_of(value: Any, kind: type[Any]) -> bool:
    """Whether a value is of a type, and not of a special one: True is an int, and a time is a date."""
    special = {int: bool, datetime.date: datetime.datetime}.get(kind)
    return isinstance(value, kind) and not (special and isinstance(value, special))


def _beyond(kind: sa.types.TypeEngine[Any]) -> Iterator[tuple[Any, str]]:
    """Values that a column of a type cannot hold, though the next smaller ones."""
    match kind:
        case sa.String(length=int(length)):
            yield "x" * (length + 1), f"more than {length} characters"
        case sa.Integer():
            bits = {sa.BigInteger: 63, sa.SmallInteger: 15}.get(type(kind), 31)
            yield 2**bits, f"integers of more than {bits} bits"
        case sa.Numeric(precision=int(precision), scale=int(scale)):
            yield Decimal(10) ** (precision - scale), f"more than {precision} digits"
            yield Decimal(1).scaleb(-scale - 1), f"more than {scale} decimals"


def _max_length(adapter: TypeAdapter[Any]) -> int | None:
    schema = adapter.json_schema()
    lengths = [each.get("maxLength") for each in (schema, *schema.get("anyOf", ()))]
    return next((length for length in lengths if length is not None), None)


def _different_default(
    column: sa.Column[Any], field: FieldInfo, adapter: TypeAdapter[Any]
) -> Iterator[str]:
    if column.server_default is None:
        if not field.is_required() and not (column.nullable and field.default is None):
            yield f"may be left out for {field.default!r:.100}, but the column has no server_default"
        return
    if field.is_required():
        yield "is required, but the column has a server_default"
        return
    default: Any = _constant(column.server_default)
    if default is None or field.default_factory is not None:
        return
    text = default
    try:
        if isinstance(column.type, JSONB):
            default = json.loads(text)
        default = adapter.validate_python(default)
    except ValidationError:
        yield f"refuses the default of the column, {text}"
        return
    if field.default != default:
        yield f"has the default {field.default!r:.100}, the column {default!r:.100}"


def _constant(default: sa.FetchedValue) -> str | None:
    """The text of a default that is the same for every row; None of one that is worked out."""
    match getattr(default, "arg", None):
        case str(text):
            return text
        case sa.True_():
            return "true"
        case sa.False_():
            return "false"
        case sa.TextClause(text=text) if re.fullmatch(r"-?[\d.]+([eE][-+]?\d+)?", text):
            return str(text)
    return None


def _check_predicate() -> Iterator[str]:
    """See that queries repeat the predicate to the letter: bound values would keep the index from being used."""
    if isinstance(INDEXED_ROWS, sa.True_):
        return
    for kind, statement, _, _ in _searches():
        # Not in the driver's text, which doubles percent signs.
        if str(INDEXED_ROWS) not in str(statement.query.compile(dialect=DIALECT)):
            yield f"queries: {kind} does not have the predicate {INDEXED_ROWS} as the index spells it"


def _check_openapi() -> Iterator[str]:
    app = create_app(
        Settings(environment="development", database_url="postgresql://localhost/unused")
    )
    document = app.openapi()
    try:
        from openapi_spec_validator import OpenAPIV30SpecValidator
    except ImportError:
        log.warning(
            "the OpenAPI document is not validated: openapi-spec-validator is not installed"
        )
        return
    for error in OpenAPIV30SpecValidator(document).iter_errors():
        yield f"OpenAPI: {error.json_path}: {error.message}"


def _searches() -> Iterator[tuple[str, Statement, Mapping[str, Any], list[sa.Index]]]:
    """Each kind of spatial query that the service sends, its values, and the indexes that are meant for it."""
    lon, lat = samples.middle()
    place = shapely.set_srid(shapely.Point(lon, lat), WGS84)
    record = Record(GEOMETRY)
    gist = next(spatial.gist_indexes(COLUMN))
    box = Bounds(lon, lat, lon + 0.001, lat + 0.001)
    filtered = cql.compile(f"S_WITHIN({COLUMN.name}, BBOX{(*box,)})", "cql2-text")
    page = {"limit": 10, "offset": 0, "size": 1000}
    for kind, condition in (
        ("a page in a box", bbox.within(COLUMN, box)),
        ("a filtered page", Condition(filtered)),
    ):
        expressions = [INDEXED_ROWS, condition.expression]
        pages = paging.Pages(record, paging.BY_ID, expressions, sa.true())
        for statement in (pages.sorted_few, pages.sorted_all):
            yield kind, statement, {**condition.values, **page}, [gist]
    # The first reaches beyond what most CRSs cover.
    for zoom in (1, 16):
        tile = tiles.Tile.at(lon, lat, zoom)
        yield f"a tile of zoom {zoom}", *tiles.statement(tile, limit=10), [gist]
    for search in nearby.statements(record, place, 100.0, 10):
        yield *search, [gist, *spatial.geography_indexes(COLUMN)]


# With a database


def _check_revision(connection: sa.Connection) -> Iterator[str]:
    current = migrations.current(connection)
    if newer := migrations.unknown(current):
        yield (
            f"the database is at revision {', '.join(newer)}, which this version does not have: "
            "a newer one has migrated it, and can check it"
        )
    elif set(current) != {migrations.revisions()[0]}:
        yield (
            f"the database is at revision {', '.join(current) or 'none'}, "
            f"the migrations at {migrations.revisions()[0]}: migrate first"
        )
    else:
        for table in migrations.missing_tables(connection):
            yield f"the database has no table {table}, though it is migrated: restore it"


def _check_tables(connection: sa.Connection) -> Iterator[str]:
    """See that the database has the tables and indexes of the models."""
    drift = list(_check_drift(connection))
    yield from drift
    for table in Base.metadata.sorted_tables:
        for column in spatial.geometry_columns(table):
            yield from _check_stored_column(connection, column)
            yield from _check_stored_gist_indexes(connection, column)
        yield from _check_stored_definitions(connection, table, columns=not drift)
        yield from _check_behaviour(connection, table)
        for name in connection.scalars(_INVALID_INDEXES, {"table": table.name}):
            yield (
                f"{table.name}: the index {name} is invalid, left by a CREATE INDEX CONCURRENTLY that failed: "
                f"DROP INDEX CONCURRENTLY {name}, and build it again"
            )


def _check_service(connection: sa.Connection) -> Iterator[str]:
    """See that the service's statements work on them."""
    problems = list(_check_examples(connection))
    yield from problems
    if problems:
        # The others need rows that the table takes.
        return
    yield from _check_plans(connection)
    yield from _check_round_trip(connection)


def _check_drift(connection: sa.Connection) -> Iterator[str]:
    context = MigrationContext.configure(connection, opts=migrations.comparison(connection))
    with warnings.catch_warnings():
        # Of a column that is generated, which _check_stored_definitions finds.
        warnings.filterwarnings("ignore", "Computed default")
        differences = compare_metadata(context, Base.metadata)
    for difference in differences:
        yield f"the database differs from the model: {_described(difference)} (if the model is right: make revision)"


def _described(difference: Any) -> str:
    """A difference that Alembic found, in words."""
    if isinstance(difference, list):
        return "; ".join(map(_described, difference))
    verb, *what = difference
    return f"{verb.replace('_', ' ')} {', '.join(str(each) for each in what if each is not None)}"


def _check_stored_column(connection: sa.Connection, column: GeometryColumn) -> Iterator[str]:
    found = connection.execute(
        sa.text(
            "SELECT type, srid, coord_dimension FROM geometry_columns"
            " WHERE f_table_name = :table AND f_geometry_column = :column"
            " AND format('%I.%I', f_table_schema, f_table_name)::regclass = CAST(:table AS regclass)"
        ),
        {"table": column.table.name, "column": column.name},
    ).one_or_none()
    if found is None:
        yield f"{column}: geometry_columns does not list it"
        return
    wanted = {
        "geometry type": spatial.geometry_type(column),
        "SRID": spatial.srid(column),
        "dimension": spatial.dimension(column),
    }
    for (name, ours), theirs in zip(wanted.items(), found, strict=True):
        if ours != theirs:
            yield f"{column}: its {name} is {ours} in the model and {theirs} in the database"


def _check_stored_gist_indexes(connection: sa.Connection, column: GeometryColumn) -> Iterator[str]:
    """See that there is no GiST index that the model does not have: it would slow writes down and help no search."""
    ours = {str(index.name) for index in column.table.indexes}
    constraints = column.table.constraints
    ours |= {str(each.name) for each in constraints if isinstance(each, ExcludeConstraint)}
    found = connection.execute(_GIST_INDEXES, {"table": column.table.name, "column": column.name})
    for name, definition in found:
        if name not in ours:
            yield f"{column}: the database has a GiST index that the model does not have: {definition}"


_INVALID_INDEXES = sa.text(
    "SELECT CAST(CAST(indexrelid AS regclass) AS text) FROM pg_index"
    " WHERE indrelid = CAST(:table AS regclass) AND NOT indisvalid"
)

_GIST_INDEXES = sa.text(
    """
    SELECT c.relname, pg_get_indexdef(c.oid)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname = 'gist'
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = :column
    JOIN pg_depend d ON d.objid = c.oid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum
    WHERE i.indrelid = CAST(:table AS regclass)
    GROUP BY c.oid, c.relname
    """
)


def _check_stored_definitions(
    connection: sa.Connection, table: sa.Table, *, columns: bool
) -> Iterator[str]:
    """Compare columns, indexes and constraints with those that the model makes on an empty table.

    That way PostgreSQL spells both. Alembic does not see a changed predicate, check constraint or precision, a column that is
    generated, nor what is deferrable; the columns that it has found already are left out.
    """
    stored = _definitions(connection, table.name)
    with connection.begin_nested() as savepoint:
        ddl = str(CreateTable(table, include_foreign_key_constraints=[]).compile(connection))
        connection.exec_driver_sql(
            ddl.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1).replace("%", "%%")
        )
        for index in table.indexes:
            connection.execute(CreateIndex(index))
        meant = _definitions(connection, f"pg_temp.{table.name}")
        savepoint.rollback()
    names = [name for name in meant | stored if columns or not name.startswith("column ")]
    for name in names:
        there, wanted = stored.get(name), meant.get(name)
        if there is None:
            yield f"{table.name}: the database has no {name}, which the model has (make revision)"
        elif wanted is None and name.startswith("constraint "):
            yield f"{table.name}: the model has no {name}, which the database has: `{there}`"
        elif wanted is not None and there == f"{wanted} NOT VALID":
            log.warning("%s: %s is not validated yet", table.name, name)
        elif wanted is not None and there != wanted:
            yield f"{table.name}: {name} is `{there}` in the database and `{wanted}` in the model"


def _definitions(connection: sa.Connection, table: str) -> dict[str, str]:
    rows = connection.execute(_DEFINITIONS, {"table": table})
    return {row.name: row.definition for row in rows}


#: The columns of a table; its indexes, from the method on, and whether they can be used; its constraints, but for foreign
#: keys, which Alembic compares, and NOT NULL.
_DEFINITIONS = sa.text(
    """
    SELECT 'column ' || a.attname AS name,
        format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation = t.typcollation THEN '' ELSE ' COLLATE ' || c.collname END
        || CASE a.attgenerated WHEN '' THEN '' ELSE ' GENERATED ALWAYS AS ' || pg_get_expr(d.adbin, d.adrelid) END
        AS definition
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'index ' || c.relname,
        substring(pg_get_indexdef(c.oid) FROM ' USING .*') || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = CAST(:table AS regclass)
    UNION ALL
    SELECT 'constraint ' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'p', 'u', 'x')
    """
)


def _check_behaviour(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """See what may happen to rows beside what statements say: no model has it."""
    found = connection.execute(_BEHAVIOUR, {"table": table.name}).one()
    if found.persistence == "u":
        yield f"{table.name}: it is UNLOGGED, and empty after a crash: ALTER TABLE {table.name} SET LOGGED"
    if found.is_secured:
        log.warning(
            "%s: row-level security is on: what the service sees and writes depends on its role's policies",
            table.name,
        )
    for name, is_instead in connection.execute(_RULES, {"table": table.name}):
        if is_instead:
            yield f"{table.name}: the rule {name} does something else instead of what the service asks: drop it"
        else:
            log.warning("%s: the rule %s does more than the service asks", table.name, name)


_BEHAVIOUR = sa.text(
    "SELECT relpersistence AS persistence, relrowsecurity AS is_secured FROM pg_class"
    " WHERE oid = CAST(:table AS regclass)"
)

_RULES = sa.text(
    "SELECT rulename, is_instead FROM pg_rewrite WHERE ev_class = CAST(:table AS regclass)"
    " AND ev_type <> '1' ORDER BY rulename"
)


def _check_examples(connection: sa.Connection) -> Iterator[str]:
    """See that a copy of the table, with its constraints and triggers, takes the rows of examples.py as they are."""
    references = connection.execute(_REFERENCES, {"table": TABLE.name}).all()
    triggers = connection.execute(_TRIGGERS, {"table": TABLE.name}).all()
    for trigger in triggers:
        log.warning("%s: the trigger %s may change what is written", TABLE.name, trigger.name)
    shapes = samples.geometries(COLUMN)
    with connection.begin_nested() as savepoint:
        _make_copy(connection, "INCLUDING ALL")
        for trigger in triggers:
            connection.exec_driver_sql(trigger.definition.replace("%", "%%"))
        for number in range(32):
            with connection.begin_nested() as alone:
                try:
                    shape = shapes[number % len(shapes)]
                    problems = list(_check_example(connection, number, shape, references))
                except ValidationError as error:
                    reasons = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors()]
                    problems = [f"schemas.py refuses it: {'; '.join(reasons)}"]
                except sa.exc.DBAPIError as error:
                    problems = [f"PostgreSQL refuses it: {_reason(error)}"]
                alone.rollback()
            for problem in problems:
                yield f"examples.py: row({number}) is not as {TABLE.name} stores rows: {problem}"
            if problems:
                break
        savepoint.rollback()


def _reason(error: sa.exc.DBAPIError) -> str:
    diagnosis: Any = getattr(error.orig, "diag", None)
    if diagnosis is None or not diagnosis.constraint_name:
        return str(error.orig).strip()
    return f"it violates {diagnosis.constraint_name} ({diagnosis.message_primary})"


def _check_example(
    connection: sa.Connection, number: int, shape: BaseGeometry, references: Iterable[sa.Row[Any]]
) -> Iterator[str]:
    """Add, change and remove a row. Not by the service's statements, which need the row that they return."""
    new = _new_row(number, shape)
    given = {name: getattr(new, name) for name in new.model_fields_set - {COLUMN.name}}
    values = given | {COLUMN.name: bind(shape, spatial.srid(COLUMN))}
    same = TABLE.c.id == sa.bindparam("_id", type_=TABLE.c.id.type)
    stored = connection.execute(sa.insert(TABLE).values(values).returning(*TABLE.columns)).all()
    if not stored:
        yield "a trigger drops it"
        return
    for name, value in given.items():
        if getattr(stored[0], name) != value:
            yield f"{name} is {value!r:.100} there, and stored as {getattr(stored[0], name)!r:.100}"
    for key in references:
        count = sa.text(f"SELECT count(*) FROM {TABLE.name} AS one WHERE {key.condition}")
        if connection.scalar(count):
            yield f"it violates {key.name}: no row has what {key.column} refers to (a revision may add one)"
    connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    id = {"_id": stored[0].id}
    if connection.execute(sa.update(TABLE).where(same).values(values), id).rowcount != 1:
        yield "a trigger drops its changes"
    if connection.execute(sa.delete(TABLE).where(same), id).rowcount != 1:
        yield "a trigger keeps it from being deleted"


#: Whether a row of the table, called `one`, refers to what is not there: for each foreign key to another table.
_REFERENCES = sa.text(
    """
    SELECT conname AS name, string_agg(own.attname, ', ') AS column,
        format(
            '%s AND NOT EXISTS (SELECT FROM %I.%I AS other WHERE %s)',
            string_agg(format('one.%I IS NOT NULL', own.attname), ' AND '),
            s.nspname, r.relname,
            string_agg(format('other.%I = one.%I', their.attname, own.attname), ' AND ')
        ) AS condition
    FROM pg_constraint c
    JOIN pg_class r ON r.oid = c.confrelid
    JOIN pg_namespace s ON s.oid = r.relnamespace
    CROSS JOIN unnest(c.conkey, c.confkey) AS key (own, their)
    JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = key.own
    JOIN pg_attribute their ON their.attrelid = c.confrelid AND their.attnum = key.their
    WHERE c.conrelid = CAST(:table AS regclass) AND c.contype = 'f' AND c.confrelid <> c.conrelid
    GROUP BY c.oid, conname, s.nspname, r.relname
    """
)

#: The triggers of a table, each with the statement that makes it for the temporary table of the same name.
_TRIGGERS = sa.text(
    """
    SELECT tgname AS name, replace(
            pg_get_triggerdef(t.oid),
            format(' ON %I.%I ', s.nspname, r.relname),
            format(' ON pg_temp.%I ', r.relname)
        ) AS definition
    FROM pg_trigger t
    JOIN pg_class r ON r.oid = t.tgrelid
    JOIN pg_namespace s ON s.oid = r.relnamespace
    WHERE t.tgrelid = CAST(:table AS regclass) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
    ORDER BY tgname
    """
)


def _check_plans(connection: sa.Connection) -> Iterator[str]:
    """See that PostgreSQL can use the indexes meant for each search, also where it plans without the values.

    This is tried on a thousand equal rows with one index at a time: on the real rows it would depend on what they are
    which index PostgreSQL prefers, if any.
    """
    searches = list(_searches())
    with connection.begin_nested() as savepoint:
        _make_copy(connection, "INCLUDING DEFAULTS INCLUDING IDENTITY")
        row = _new_row(0, samples.geometries(COLUMN)[0])
        writes.insert_all(connection, Record(GEOMETRY), [row])
        multiply = f"INSERT INTO {TABLE.name} SELECT {TABLE.name}.* FROM {TABLE.name}, generate_series(1, 1000)"
        connection.execute(sa.text(multiply))
        connection.execute(sa.text("SET LOCAL plan_cache_mode = force_generic_plan"))
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for kind, statement, values, indexes in searches:
            for index in indexes:
                with connection.begin_nested() as alone:
                    connection.execute(CreateIndex(index))
                    if index.name not in _indexes_used(connection, statement, values):
                        yield f"plans: {kind} cannot use {index.name}"
                    alone.rollback()
        savepoint.rollback()


def _make_copy(connection: sa.Connection, including: str) -> None:
    """Hide the table behind an empty one, until the transaction is rolled back."""
    connection.execute(
        sa.text(f"CREATE TEMPORARY TABLE {TABLE.name} (LIKE {TABLE.name} {including})")
    )


def _indexes_used(
    connection: sa.Connection, statement: Statement, values: Mapping[str, Any]
) -> set[str]:
    compiled = statement.query.params(values).compile(dialect=DIALECT)
    bound = [compiled.params[name] for name in compiled.positiontup or ()]
    given = f"({', '.join(['%s'] * len(bound))})" if bound else ""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"PREPARE checked AS {str(compiled).replace('%', '%%')}", ())
        try:
            cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE checked {given}", bound)
            (plan,) = cursor.fetchall()[0]
        finally:
            cursor.execute("DEALLOCATE checked")
    return set(_index_names(plan[0]["Plan"]))


def _index_names(node: dict[str, Any]) -> Iterator[str]:
    """The indexes that are searched or give an order; one that is read from end to end is of no use."""
    if "Index Cond" in node or "Order By" in node:
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _index_names(child)


def _check_round_trip(connection: sa.Connection) -> Iterator[str]:
    """Write and read a row of each geometry type, in a copy of the table that hides the real one."""
    with connection.begin_nested() as savepoint:
        _make_copy(connection, "INCLUDING ALL")
        for number, sample in enumerate(samples.geometries(COLUMN)):
            yield from _check_row(connection, number, sample)
        savepoint.rollback()


def _check_row(connection: sa.Connection, number: int, sample: BaseGeometry) -> Iterator[str]:
    (stored,) = writes.insert_all(connection, Record(GEOMETRY), [_new_row(number, sample)])
    for written in (GeoJSON(COLUMN), WKT(COLUMN)):
        record = Record(written)
        row = connection.execute(record.by_id.query, {"id": stored.id}).one()
        member = orjson.loads(orjson.dumps(record.encode_one(row)))[COLUMN.name]
        name = f"queries: a {sample.geom_type} as {type(written).__name__}"
        try:
            given = read(member, default_srid=spatial.srid(COLUMN))
        except ValueError as error:
            yield f"{name} is {member!r:.100}: {error}"
            continue
        same = sa.func.ST_AsEWKB(bind(sample, int(shapely.get_srid(given))), type_=sa.LargeBinary())
        expected = shapely.from_wkb(bytes(connection.execute(sa.select(same)).scalar_one()))
        if not shapely.equals_exact(given, expected, TOLERANCE, normalize=True):
            yield f"{name} is {member!r:.100}, not {sample.wkt:.100}"


def _new_row(number: int, geometry: BaseGeometry) -> {{ cookiecutter.__class_name }}In:
    values = examples.row(number) | {COLUMN.name: geometry}
    return {{ cookiecutter.__class_name }}In.model_validate(values)
