"""What PostgreSQL's catalogue says of a relation, read in one transaction that cannot write."""

import contextlib
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extras  # type: ignore[import-untyped]

from parameters.columns import Requirement

#: How long a statement may take; what takes longer is not counted but sampled.
TIMEOUT = "20s"

#: PostgreSQL's pg_class.relkind.
KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}

#: The relations that rows can be changed in as in a table.
TABLES = ("table", "partitioned table")

#: Why a DATABASE_URL is not read.
NO_URL = "DATABASE_URL is no URL such as postgresql://user@host/database; in a password, @ / and : are %40 %2F and %3A"

#: A connection of psycopg2, which has no types.
Connection = Any


class Unreadable(Exception):
    """The database cannot be read, or has no such relation; the message says what would help."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server, the database, and the role that reads it."""

    postgresql: int
    #: "3.3.2"; empty where the database has no PostGIS.
    postgis: str
    #: The schema that PostGIS is in, quoted.
    postgis_schema: str
    #: Whether its functions are found without the schema.
    postgis_visible: bool
    database: str
    role: str
    #: Where CREATE TABLE puts tables that are given no schema.
    default_schema: str
    search_path: str

    @property
    def version(self) -> str:
        return f"{self.postgresql // 10000}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of any type but geometry."""

    name: str
    #: The name as SQL writes it.
    sql: str
    #: The type as SQL writes it, such as `character varying(20)` or `public.mood`.
    type: str
    #: Its name in pg_type, such as `varchar`; of a type of PostgreSQL itself, else empty.
    base: str
    modifier: int
    nullable: bool
    default: str
    identity: str
    generated: str
    #: The collation, where it is not the type's own.
    collation: str = ""

    @property
    def is_filled(self) -> bool:
        """Whether the database gives it a value where an INSERT gives none."""
        return self.nullable or bool(self.default or self.identity or self.generated)


@dataclass(frozen=True, slots=True)
class Geometry:
    """A geometry or geography column."""

    name: str
    sql: str
    #: geometry or geography
    base: str
    #: What geometry_columns says: GEOMETRY and 0 where nothing is declared.
    type: str
    srid: int
    dimension: int
    has_m: bool
    #: Whether the column's type says so, not a CHECK.
    typed: bool
    nullable: bool
    default: str
    generated: str
    #: The column's type as SQL writes it.
    declared: str

    @property
    def is_filled(self) -> bool:
        """Whether the database gives it a value where an INSERT gives none."""
        return self.nullable or bool(self.default or self.generated)


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the relation."""

    name: str
    sql: str
    method: str
    #: The names of its columns, "" for an expression.
    columns: tuple[str, ...]
    #: Names of further columns in it (INCLUDE).
    include: tuple[str, ...]
    #: The operator class of each, without its schema.
    classes: tuple[str, ...]
    expressions: str
    predicate: str
    unique: bool
    primary: bool
    valid: bool
    #: The constraint that it keeps, if any.
    constraint: str
    definition: str

    @property
    def elements(self) -> tuple[str, ...]:
        """What it is of, as its definition writes each."""
        return tuple(_elements(self.definition.partition(f" USING {self.method} (")[2]))

    @property
    def identifies(self) -> bool:
        """Whether it keeps the values of one column apart, for all rows."""
        whole = self.valid and self.unique and not self.predicate
        return whole and len(self.columns) == 1 and bool(self.columns[0])


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint, but for NOT NULL."""

    name: str
    sql: str
    #: PostgreSQL's pg_constraint.contype: p, u, f, c or x.
    kind: str
    columns: tuple[str, ...]
    definition: str
    #: Of a CHECK: what is in its parentheses.
    condition: str
    #: Whether an index keeps it that the template's models cannot say: deferrable, or NULLS NOT DISTINCT.
    special: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view, or another relation that rows can be read from."""

    schema: str
    name: str
    #: Schema and name, as SQL writes them.
    sql: str
    kind: str
    server: Server
    columns: tuple[Column, ...]
    geometries: tuple[Geometry, ...]
    indexes: tuple[Index, ...]
    constraints: tuple[Constraint, ...]
    triggers: tuple[str, ...]
    #: Its rules, each with whether it is INSTEAD.
    rules: tuple[tuple[str, bool], ...]
    secured: bool
    #: Whether row-level security leaves this role alone.
    exempt: bool
    unlogged: bool
    #: The relation that this is a partition of, as SQL writes it.
    partition_of: str
    partitions: tuple[str, ...]
    children: tuple[str, ...]
    #: Views that select from it, which keep the types of its columns from being changed.
    dependents: tuple[str, ...]
    #: The privileges that the role lacks: SELECT, INSERT, UPDATE, DELETE, USAGE.
    lacking: frozenset[str]
    #: The planner's estimate; -1 where it has none.
    estimate: int
    size: int
    #: Keys of tables below a view that it selects: of each the column here, and the table.
    inherited_keys: tuple[tuple[str, str], ...]
    #: Sequences of the table that this role may not use.
    closed_sequences: tuple[str, ...]
    #: What has to be there before it, in the order in which it can be made.
    requires: tuple[Requirement, ...]

    @property
    def is_table(self) -> bool:
        return self.kind in TABLES

    @property
    def every(self) -> tuple[Column | Geometry, ...]:
        """All of its columns."""
        return (*self.columns, *self.geometries)

    @property
    def primary_key(self) -> Constraint | None:
        return next((each for each in self.constraints if each.kind == "p"), None)

    def column(self, name: str) -> Column | None:
        return next((each for each in self.columns if each.name == name), None)


def _elements(text: str) -> Iterator[str]:
    """The elements of a list that ends with a parenthesis; commas within quotes and parentheses are theirs."""
    depth, start = 0, 0
    for mark in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]""", text):
        if mark[0] == "(":
            depth += 1
        elif depth == 0 and mark[0] in (",", ")"):
            yield text[start : mark.start()].strip()
            start = mark.end()
            if mark[0] == ")":
                return
        elif mark[0] == ")":
            depth -= 1


# -- The transaction -----------------------------------------------------------------------------


@contextlib.contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection in a transaction that is READ ONLY and sees one state of the database.

    Raises:
        Unreadable: There is no connection to be had.
    """
    if not driver_url(url).startswith("postgresql://"):
        raise Unreadable(f"no connection to the database: {NO_URL}")
    try:
        connection = psycopg2.connect(driver_url(url), application_name="adopt")
    except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
        raise Unreadable(f"no connection to the database: {_reason(error, url)}") from None
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL statement_timeout = '{TIMEOUT}'; SET LOCAL lock_timeout = '5s';"
                # Defaults that are times are written in UTC, whatever the server's zone is.
                "SET LOCAL client_min_messages = error; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'"
            )
        yield connection
    finally:
        connection.close()


def driver_url(url: str) -> str:
    """The URL as libpq reads it: SQLAlchemy's and Heroku's spellings are taken, too."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())


def _reason(error: Exception, url: str) -> str:
    """What libpq says: of a URL that it cannot read, or that has a second @, it would repeat the password."""
    line = str(error).strip().partition("\n")[0]
    authority = url.partition("//")[2].partition("/")[0]
    return NO_URL if "invalid" in line or authority.count("@") > 1 else line


def select(connection: Connection, sql: str, **values: object) -> list[Any]:
    """The rows of a statement, as named tuples."""
    with connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


# -- Which relation ------------------------------------------------------------------------------

_RELATIONS = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, pg_table_is_visible(c.oid) AS visible,
    c.relispartition AS partition,
    EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.typname = 'geometry'
    ) AS spatial
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    )
ORDER BY n.nspname, c.relname
"""


def find(connection: Connection, name: str) -> tuple[str, str]:
    """The schema and the name of the relation that a text names, quoted as in SQL or not.

    Raises:
        Unreadable: There is none; the message has those that may have been meant.
    """
    relations = select(connection, _RELATIONS)
    readings = _readings(name)
    for fold in (str, str.lower):
        for schema, table in readings:
            meant = [
                each
                for each in relations
                if fold(each.name) == fold(table)
                and (each.visible if schema is None else fold(each.schema) == fold(schema))
            ]
            if len(meant) == 1:
                return meant[0].schema, meant[0].name
    every = [f"{each.schema}.{each.name}" for each in relations if each.spatial]
    # Whoever leaves the schema out may have meant one that is not on the search path.
    elsewhere = [full for full in every if full.partition(".")[2] == name]
    near = elsewhere or difflib.get_close_matches(name, every, 5, 0.5) or every[:20]
    listed = f"; with geometry there are {', '.join(near)}" if near else "; none has geometry"
    raise Unreadable(f"the database has no table or view {name}{listed}")


def _readings(name: str) -> list[tuple[str | None, str]]:
    """What a text may mean as schema and name; a name may have a dot in it."""
    part = r'(?:"((?:[^"]|"")+)"|([^".]+))'
    readings: list[tuple[str | None, str]] = []
    if quoted := re.fullmatch(rf"(?:{part}\.)?{part}", name):
        parts = [group.replace('""', '"') for group in quoted.groups() if group is not None]
        readings.append((parts[0], parts[1]) if len(parts) == 2 else (None, parts[0]))
    dots = [position for position, character in enumerate(name) if character == "."]
    readings += [(name[:position], name[position + 1 :]) for position in dots]
    return [*readings, (None, name)]


def find_schema(connection: Connection, name: str) -> str:
    """The schema that a text names, quoted as in SQL or not.

    Raises:
        Unreadable: None of that name has geometry.
    """
    plain = name[1:-1].replace('""', '"') if re.fullmatch(r'"(?:[^"]|"")+"', name) else name
    schemas = sorted({each.schema for each in select(connection, _RELATIONS) if each.spatial})
    for fold in (str, str.lower):
        if meant := [each for each in schemas if fold(each) == fold(plain)]:
            return str(meant[0])
    listed = f"; these have: {', '.join(schemas)}" if schemas else ""
    raise Unreadable(f"no schema {name} has a table or view with geometry{listed}")


def spatial_relations(connection: Connection, schema: str) -> list[str]:
    """The names of the relations of a schema that have geometry, without partitions and what extensions made."""
    relations = select(connection, _RELATIONS)
    return [
        each.name
        for each in relations
        if each.schema == schema and each.spatial and not each.partition
    ]


# -- What the catalogue says ---------------------------------------------------------------------

_SERVER = """
SELECT current_setting('server_version_num')::int AS postgresql, current_database() AS database,
    current_user AS role, coalesce(current_schema(), 'public') AS default_schema,
    current_setting('search_path') AS search_path,
    e.extversion AS postgis, quote_ident(n.nspname) AS postgis_schema,
    coalesce(n.nspname = ANY (current_schemas(true)), false) AS postgis_visible
FROM (SELECT) AS one
LEFT JOIN pg_extension e ON e.extname = 'postgis'
LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
"""

_RELATION = """
SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS sql, c.relkind AS kind,
    c.relrowsecurity AS secured, NOT row_security_active(c.oid) AS exempt,
    c.relpersistence = 'u' AS unlogged, c.relispartition AS partition,
    (SELECT format('%%I.%%I', pn.nspname, p.relname)
        FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1) AS parent,
    ARRAY(SELECT format('%%I.%%I', pn.nspname, p.relname)
        FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhparent = c.oid ORDER BY 1) AS heirs,
    ARRAY(SELECT DISTINCT format('%%I.%%I', vn.nspname, v.relname)
        FROM pg_depend d
        JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> c.oid
        JOIN pg_namespace vn ON vn.oid = v.relnamespace
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid ORDER BY 1) AS dependents,
    ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
        WHERE NOT has_table_privilege(c.oid, privilege))
    || CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN ARRAY[]::text[] ELSE ARRAY['USAGE'] END AS lacking,
    ARRAY(SELECT tgname::text FROM pg_trigger
        WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1) AS triggers,
    ARRAY(SELECT format('%%I.%%I', sn.nspname, s.relname)
        FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE d.classid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'a'
            AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END ORDER BY 1) AS sequences,
    CASE c.relkind WHEN 'p' THEN (
            SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint
            FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf
        ) ELSE c.reltuples::bigint END AS estimate,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid)
        WHEN c.relkind = 'p' THEN (
            SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::bigint
            FROM pg_partition_tree(c.oid) t WHERE t.isleaf
        ) ELSE 0 END AS size
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
"""

# A type of a schema is written with it: another session may have another search path.
_COLUMNS = """
SELECT a.attnum AS number, a.attname AS name, quote_ident(a.attname) AS sql,
    CASE WHEN tn.nspname = 'pg_catalog' OR t.oid IS NOT NULL AND extension.deptype IS NOT NULL
            OR NOT pg_type_is_visible(coalesce(element.oid, t.oid))
        THEN format_type(a.atttypid, a.atttypmod)
        ELSE quote_ident(tn.nspname) || '.' || format_type(a.atttypid, a.atttypmod)
    END AS type,
    CASE WHEN tn.nspname = 'pg_catalog' OR t.typname IN ('geometry', 'geography') THEN t.typname ELSE '' END AS base,
    a.atttypmod AS modifier, NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) AS nullable,
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
    a.attidentity AS identity,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generated,
    CASE WHEN a.attcollation <> t.typcollation THEN collation_of.collname END AS collation
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type element ON element.oid = t.typelem AND t.typcategory = 'A'
JOIN pg_namespace tn ON tn.oid = coalesce(element.typnamespace, t.typnamespace)
LEFT JOIN pg_depend extension ON extension.classid = 'pg_type'::regclass AND extension.objid = coalesce(element.oid, t.oid)
    AND extension.deptype = 'e'
LEFT JOIN pg_collation collation_of ON collation_of.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_DECLARED = """
SELECT f_geometry_column AS name, type, srid, coord_dimension AS dimension
FROM {postgis}.geometry_columns WHERE f_table_schema = %(schema)s AND f_table_name = %(name)s
"""

_INDEXES = """
SELECT c.relname AS name, format('%%I.%%I', n.nspname, c.relname) AS sql, m.amname AS method,
    ARRAY(SELECT coalesce((SELECT a.attname FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = key.number AND key.number > 0), '')::text
        FROM unnest(i.indkey) WITH ORDINALITY AS key (number, position)
        WHERE position <= i.indnkeyatts ORDER BY position) AS columns,
    ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS key (number, position)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.number
        WHERE position > i.indnkeyatts ORDER BY position) AS include,
    ARRAY(SELECT o.opcname::text FROM unnest(i.indclass) WITH ORDINALITY AS key (class, position)
        JOIN pg_opclass o ON o.oid = key.class ORDER BY position) AS classes,
    pg_get_expr(i.indexprs, i.indrelid) AS expressions, pg_get_expr(i.indpred, i.indrelid) AS predicate,
    i.indisunique AS "unique", i.indisprimary AS "primary", i.indisvalid AND i.indisready AS valid,
    (SELECT conname FROM pg_constraint WHERE conindid = c.oid AND conrelid = i.indrelid LIMIT 1) AS constraint,
    pg_get_indexdef(c.oid) AS definition
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = %(oid)s AND i.indislive
    -- Not those of the command overviews.
    AND NOT (m.amname = 'gist' AND i.indpred IS NOT NULL AND c.relname ~ '_overview_[1-9][0-9]*$')
    AND NOT (m.amname = 'brin' AND c.relname ~ '_overview_keys$')
ORDER BY c.relname
"""

_CONSTRAINTS = """
SELECT conname AS name, quote_ident(conname) AS sql, contype AS kind,
    ARRAY(SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY AS key (number, position)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = key.number ORDER BY position) AS columns,
    pg_get_constraintdef(c.oid) AS definition, pg_get_expr(conbin, conrelid) AS condition,
    condeferrable OR pg_get_constraintdef(c.oid) LIKE '%% NULLS NOT DISTINCT %%' AS special
FROM pg_constraint c
WHERE conrelid = %(oid)s AND contype IN ('p', 'u', 'f', 'c', 'x')
ORDER BY conname
"""

_RULES = """
SELECT rulename AS name, is_instead FROM pg_rewrite
WHERE ev_class = %(oid)s AND ev_type <> '1' ORDER BY rulename
"""


def read_server(connection: Connection) -> Server:
    """What is to be known of the server before any of its tables is read."""
    row = select(connection, _SERVER)[0]
    return Server(
        postgresql=row.postgresql,
        postgis=row.postgis or "",
        postgis_schema=row.postgis_schema or "public",
        postgis_visible=row.postgis_visible,
        database=row.database,
        role=row.role,
        default_schema=row.default_schema,
        search_path=row.search_path,
    )


def read(connection: Connection, name: str) -> Relation:
    """A relation, by its name as a user types it.

    Raises:
        Unreadable: There is none, or the database has no PostGIS.
    """
    server = read_server(connection)
    if not server.postgis:
        raise Unreadable(
            f"the database {server.database} has no PostGIS, so no geometry: CREATE EXTENSION postgis, or give"
            " the URL of the database that has"
        )
    schema, table = find(connection, name)
    row = select(connection, _RELATION, schema=schema, name=table)[0]
    kind = KINDS[row.kind]
    columns = select(connection, _COLUMNS, oid=row.oid)
    declared = {
        each.name: each
        for each in select(
            connection, _DECLARED.format(postgis=server.postgis_schema), schema=schema, name=table
        )
    }
    return Relation(
        schema=schema,
        name=table,
        sql=row.sql,
        kind=kind,
        server=server,
        columns=tuple(_column(each) for each in columns if not _is_spatial(each)),
        geometries=tuple(
            _geometry(each, declared.get(each.name)) for each in columns if _is_spatial(each)
        ),
        indexes=tuple(
            Index(
                **{
                    **each._asdict(),
                    "columns": tuple(each.columns),
                    "include": tuple(each.include),
                    "classes": tuple(each.classes),
                    "expressions": each.expressions or "",
                    "predicate": each.predicate or "",
                    "constraint": each.constraint or "",
                }
            )
            for each in select(connection, _INDEXES, oid=row.oid)
        ),
        constraints=tuple(
            Constraint(
                name=each.name,
                sql=each.sql,
                kind=each.kind,
                columns=tuple(each.columns),
                definition=each.definition,
                condition=each.condition or "",
                special=each.special,
            )
            for each in select(connection, _CONSTRAINTS, oid=row.oid)
        ),
        triggers=tuple(row.triggers),
        rules=tuple(
            (each.name, each.is_instead) for each in select(connection, _RULES, oid=row.oid)
        ),
        secured=row.secured,
        exempt=row.exempt,
        unlogged=row.unlogged,
        partition_of=row.parent or "" if row.partition else "",
        partitions=tuple(row.heirs) if kind == "partitioned table" else (),
        children=tuple(row.heirs) if kind == "table" else (),
        dependents=tuple(row.dependents),
        lacking=frozenset(row.lacking),
        estimate=row.estimate,
        size=row.size,
        inherited_keys=tuple(_inherited_keys(connection, row.oid)),
        closed_sequences=tuple(row.sequences),
        requires=tuple(_requirements(connection, row.oid)),
    )


_LABEL = """
SELECT e.enumlabel AS label FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = %(column)s ORDER BY e.enumsortorder LIMIT 1
"""


def first_label(connection: Connection, relation: Relation, column: Column) -> str:
    """The first label of a column's enum; empty for one of another type."""
    rows = select(connection, _LABEL, table=relation.sql, column=column.name)
    return str(rows[0].label) if rows else ""


def _is_spatial(row: Any) -> bool:
    return row.base in ("geometry", "geography")


def _column(row: Any) -> Column:
    return Column(
        name=row.name,
        sql=row.sql,
        type=row.type,
        base=row.base,
        modifier=row.modifier,
        nullable=row.nullable,
        default=row.default or "",
        identity=row.identity,
        generated=row.generated or "",
        collation=row.collation or "",
    )


def _geometry(row: Any, declared: Any) -> Geometry:
    kind = declared.type.upper() if declared else "GEOMETRY"
    has_m = kind.endswith("M") or (declared is not None and declared.dimension == 4)
    return Geometry(
        name=row.name,
        sql=row.sql,
        base=row.base,
        type=kind.removesuffix("M"),
        srid=declared.srid if declared else 0,
        dimension=declared.dimension if declared else 2,
        has_m=has_m,
        typed=row.modifier != -1,
        nullable=row.nullable,
        default=row.default or "",
        generated=row.generated or "",
        declared=row.type,
    )


# -- The tables below a view ---------------------------------------------------------------------

_RULE_OF_VIEW = """
SELECT r.ev_action::text AS tree FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.ev_class = %(oid)s AND r.rulename = '_RETURN' AND c.relkind IN ('v', 'm')
"""

_KEY_COLUMN = """
SELECT a.attnum AS number, format('%%I.%%I', n.nspname, c.relname) AS "table"
FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = %(oid)s AND i.indisprimary AND i.indnkeyatts = 1
"""

# The fields that end an entry of a target list, the same in PostgreSQL 13 to 18.
_ENTRY = re.compile(r":resno (\d+) :resname .*? :resorigtbl (\d+) :resorigcol (\d+) :resjunk")


def _inherited_keys(connection: Connection, oid: int) -> Iterator[tuple[str, str]]:
    """The columns of a view that are the primary key of a table below it, the geometry's table first."""
    names = {each.number: each for each in select(connection, _COLUMNS, oid=oid)}
    origins = {
        number: _origin(connection, *origin) for number, origin in _origins(connection, oid).items()
    }
    spatial = {
        origins[number][0]
        for number, column in names.items()
        if _is_spatial(column) and number in origins
    }
    for number, (table, column) in sorted(
        origins.items(), key=lambda item: (item[1][0] not in spatial, item[0])
    ):
        for key in select(connection, _KEY_COLUMN, oid=table):
            if key.number == column and number in names:
                yield names[number].name, key.table


def _origins(connection: Connection, oid: int) -> dict[int, tuple[int, int]]:
    """For each column of a view that is one of another relation as it is: that relation, and the column's number."""
    rows = select(connection, _RULE_OF_VIEW, oid=oid)
    return {
        number: (table, column)
        for row in rows
        for number, table, column in _entries(row.tree)
        if table
    }


def _origin(connection: Connection, table: int, column: int) -> tuple[int, int]:
    """Where a column comes from in the end, through views over views."""
    deeper = _origins(connection, table).get(column)
    return _origin(connection, *deeper) if deeper else (table, column)


def _entries(tree: str) -> Iterator[tuple[int, int, int]]:
    """The entries of a query's own target list: those of the queries inside it lie deeper."""
    depth, start = 0, None
    for mark in re.finditer(r"\\.|[{}()]|:targetList ", tree):
        match mark[0]:
            case "{" | "(":
                depth += 1
                if start is not None and depth == 4:
                    start = mark.start()
            case "}" | ")":
                if start is not None and depth == 4:
                    # Its own fields follow those of its expression.
                    *_, last = _ENTRY.finditer(tree, start, mark.end())
                    yield int(last[1]), int(last[2]), int(last[3])
                depth -= 1
                if start is not None and depth == 2:
                    return
            case ":targetList " if depth == 2:
                start = mark.end()


# -- What has to be there before it --------------------------------------------------------------

# Of each object that the relation, its defaults and its constraints depend on: what it is, and the extension that has it.
_DEPENDENCIES = """
WITH RECURSIVE parts (class, object) AS (
    SELECT 'pg_class'::regclass::oid, %(oid)s::oid
    UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = %(oid)s
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = %(oid)s
), needed (class, object) AS (
    SELECT DISTINCT d.refclassid, d.refobjid
    FROM parts JOIN pg_depend d ON d.classid = class AND d.objid = object AND d.deptype = 'n'
    UNION SELECT 'pg_type'::regclass, atttypid FROM pg_attribute
        WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped
    UNION SELECT below.class, below.object
    FROM needed
    CROSS JOIN LATERAL (
        SELECT 'pg_type'::regclass::oid AS class, t.typelem AS object
            FROM pg_type t WHERE t.oid = needed.object AND t.typcategory = 'A' AND t.typelem <> 0
        UNION ALL SELECT 'pg_type'::regclass, t.typbasetype
            FROM pg_type t WHERE t.oid = needed.object AND t.typtype = 'd'
        UNION ALL SELECT 'pg_type'::regclass, a.atttypid
            FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE t.oid = needed.object AND t.typtype = 'c'
        UNION ALL SELECT 'pg_type'::regclass, r.rngsubtype FROM pg_range r WHERE r.rngtypid = needed.object
    ) AS below
    WHERE needed.class = 'pg_type'::regclass
)
SELECT needed.class = 'pg_type'::regclass AS is_type, needed.object AS oid, e.extname AS extension,
    quote_ident(e.extname) AS extension_sql, t.typtype AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(coalesce(t.typname, p.proname, s.relname)) AS name,
    CASE WHEN p.oid IS NOT NULL THEN pg_get_functiondef(p.oid) END AS function,
    s.relkind = 'S' AS is_sequence,
    CASE s.relkind WHEN 'S' THEN (SELECT format_type(seqtypid, NULL) FROM pg_sequence WHERE seqrelid = s.oid) END AS counts,
    ARRAY(SELECT quote_literal(enumlabel) FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels,
    format_type(t.typbasetype, t.typtypmod) || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce((SELECT string_agg(' ' || pg_get_constraintdef(oid), '' ORDER BY conname)
            FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'), '') AS base,
    ARRAY(SELECT quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped ORDER BY attnum) AS members,
    (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid) AS subtype
FROM needed
LEFT JOIN pg_type t ON needed.class = 'pg_type'::regclass AND t.oid = needed.object
LEFT JOIN pg_proc p ON needed.class = 'pg_proc'::regclass AND p.oid = needed.object AND p.prokind = 'f'
LEFT JOIN pg_class s ON needed.class = 'pg_class'::regclass AND s.oid = needed.object AND s.relkind = 'S'
JOIN pg_namespace n ON n.oid = coalesce(t.typnamespace, p.pronamespace, s.relnamespace)
LEFT JOIN pg_depend d ON d.classid = needed.class AND d.objid = needed.object AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE n.nspname <> 'pg_catalog' AND coalesce(t.typcategory, '') <> 'A'
ORDER BY needed.object
"""


def _requirements(connection: Connection, oid: int) -> Iterator[Requirement]:
    """Extensions first, then types, functions and sequences, each in the order in which the database got them."""
    rows = select(connection, _DEPENDENCIES, oid=oid)
    for name in sorted({each.extension for each in rows if each.extension} - {"postgis"}):
        sql = next(each.extension_sql for each in rows if each.extension == name)
        yield Requirement("extension", name, f"CREATE EXTENSION IF NOT EXISTS {sql}")
    own = [each for each in rows if not each.extension]
    for row in own:
        if row.is_type and (made := _type(row)):
            yield Requirement("type", row.name, made)
    for row in own:
        if row.function:
            yield Requirement("function", row.name, row.function.strip())
    for row in own:
        if row.is_sequence:
            yield Requirement(
                "sequence", row.name, f"CREATE SEQUENCE IF NOT EXISTS {row.name} AS {row.counts}"
            )


def _type(row: Any) -> str:
    """The statement that makes a type; empty for one that a table makes, or that is of C."""
    match row.kind:
        case "e":
            return f"CREATE TYPE {row.name} AS ENUM ({', '.join(row.labels)})"
        case "d":
            return f"CREATE DOMAIN {row.name} AS {row.base}"
        case "c":
            return f"CREATE TYPE {row.name} AS ({', '.join(row.members)})"
        case "r":
            return f"CREATE TYPE {row.name} AS RANGE (subtype = {row.subtype})"
    return ""
