"""Whether a table takes the rows of its collection as they are, and gives them back."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
import shapely
import sqlalchemy as sa
from pydantic import ValidationError
from shapely.geometry.base import BaseGeometry

from geotables.checks.copies import TEMPORARY, copied
from geotables.checks.models import file_of
from geotables.checks.schemas import TOLERANCE
from geotables.collection import Collection
from geotables.column_types import AsText, text_of, values_of
from geotables.db.statements import execute
from geotables.geometry import WKT, GeoJSON, bind, metadata, read, samples
from geotables.identifiers import qualified, quoted
from geotables.service import Service
from geotables.sql import row_formats, writes
from geotables.sql.writes import Values

log = logging.getLogger(__name__)


def new_row(collection: Collection, number: int, geometry: BaseGeometry) -> Values:
    """The values of an example, as the schema of what comes in reads them."""
    values = collection.example(number) | {collection.geometry.name: geometry}
    if collection.create is None:
        return values
    return values_of(collection.create.model_validate(values))


def are_left_out(collection: Collection) -> bool:
    """Whether no row can be tried: of a column that ``before_write`` sets, only a request has the value."""
    if not collection.is_writable:
        return False
    written = collection.written.keys() - collection.read_only
    names = [
        column.name
        for column in collection.table.columns
        if column.name not in written and not column.nullable and column.server_default is None
    ]
    if names and collection.before_write is not None:
        log.warning(
            "%s: no row is tried, since only before_write sets %s",
            collection.name,
            ", ".join(names),
        )
        return True
    return False


def check_examples(
    service: Service, connection: sa.Connection, collection: Collection
) -> Iterator[str]:
    """See that a copy of the table, with its constraints and triggers, takes the examples as they are."""
    file, table = file_of(service, collection), collection.table
    references: Sequence[sa.Row[Any]] = []
    triggers: Sequence[sa.Row[Any]] = []
    if collection.is_writable:
        references = connection.execute(_REFERENCES, {"table": qualified(table)}).all()
        triggers = connection.execute(_TRIGGERS, {"table": qualified(table)}).all()
    for trigger in triggers:
        log.warning("%s: the trigger %s may change what is written", table.fullname, trigger.name)
    shapes = samples.geometries(collection.geometry)
    with copied(connection, table, "INCLUDING ALL"):
        for trigger in triggers:
            execute(connection, trigger.definition)
        for number in range(32):
            with connection.begin_nested() as alone:
                try:
                    shape = shapes[number % len(shapes)]
                    row = new_row(collection, number, shape)
                    problems = list(_check_example(connection, collection, row, references))
                except ValidationError as error:
                    reasons = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors()]
                    problems = [
                        f"{collection.input_schema.__name__} refuses it: {'; '.join(reasons)}"
                    ]
                except sa.exc.DBAPIError as error:
                    problems = [f"PostgreSQL refuses it: {_reason(error)}"]
                alone.rollback()
            for problem in problems:
                yield f"{file}: example({number}) is not as {table.fullname} stores rows: {problem}"
            if problems:
                break


def _reason(error: sa.exc.DBAPIError) -> str:
    diagnosis: Any = getattr(error.orig, "diag", None)
    if diagnosis is None or not diagnosis.constraint_name:
        return str(error.orig).strip()
    return f"it violates {diagnosis.constraint_name} ({diagnosis.message_primary})"


def _check_example(
    connection: sa.Connection,
    collection: Collection,
    row: Values,
    references: Iterable[sa.Row[Any]],
) -> Iterator[str]:
    """Add, change and remove a row; of a read-only collection, add one.

    Not by the service's statements, which need the row that they return.
    """
    table, key, geometry = collection.table, collection.key, collection.geometry
    given = {name: value for name, value in row.items() if name != geometry.name}
    # As literals, whose parameters SQLAlchemy names: it may take two columns' names for one parameter's.
    values: Values = {name: sa.literal(value, table.c[name].type) for name, value in given.items()}
    values[geometry.name] = bind(row[geometry.name], metadata.srid(geometry))
    returned = [text_of(column).label(column.name) for column in table.columns]
    stored = connection.execute(sa.insert(table).values(values).returning(*returned)).all()
    if not stored:
        yield "a trigger drops it"
        return
    stored_values = stored[0]._mapping
    for name, value in given.items():
        # Of a text, PostgreSQL has its own spelling: 10.0.0.1/32 for 10.0.0.1.
        if stored_values[name] != value and not isinstance(table.c[name].type, AsText):
            yield f"{name} is {value!r:.100} there, and stored as {stored_values[name]!r:.100}"
    if not collection.is_writable:
        return
    for reference in references:
        copy = f"{TEMPORARY}.{quoted(table.name)} AS one"
        count = f"SELECT count(*) FROM {copy} WHERE {reference.condition}"
        if execute(connection, count).scalar():
            yield f"it violates {reference.name}: no row has what {reference.column} refers to (a revision may add one)"
    connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    same = key == sa.literal(stored_values[key.name], key.type)
    if connection.execute(sa.update(table).where(same).values(values)).rowcount != 1:
        yield "a trigger drops its changes"
    if connection.execute(sa.delete(table).where(same)).rowcount != 1:
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


def check_round_trip(connection: sa.Connection, collection: Collection) -> Iterator[str]:
    """Write and read a row of each geometry type, in a copy of the table that hides the real one."""
    with copied(connection, collection.table, "INCLUDING ALL"):
        for number, sample in enumerate(samples.geometries(collection.geometry)):
            yield from _check_row(connection, collection, number, sample)


def _check_row(
    connection: sa.Connection, collection: Collection, number: int, sample: BaseGeometry
) -> Iterator[str]:
    geometry, row = collection.geometry, new_row(collection, number, sample)
    ours = row_formats.record(collection)
    (stored,) = writes.insert_all(connection, ours, [row])
    id = {"id": ours.key_of(stored)}
    for written in (GeoJSON(geometry), WKT(geometry)):
        record = row_formats.Record(collection, written)
        found = connection.execute(record.by_id.query, id).one()
        member = orjson.loads(orjson.dumps(record.encode_one(found)))[geometry.name]
        name = f"queries: a {sample.geom_type} of {collection.name} as {type(written).__name__}"
        try:
            again = read(member, default_srid=metadata.srid(geometry))
        except ValueError as error:
            yield f"{name} is {member!r:.100}: {error}"
            continue
        same = sa.func.ST_AsEWKB(bind(sample, int(shapely.get_srid(again))), type_=sa.LargeBinary())
        expected = shapely.from_wkb(bytes(connection.execute(sa.select(same)).scalar_one()))
        if not shapely.equals_exact(again, expected, TOLERANCE, normalize=True):
            yield f"{name} is {member!r:.100}, not {sample.wkt:.100}"
