"""The statements that put a relation right, each with what it costs on a live table.

What a statement locks is in PostgreSQL's documentation: chapter 13.3 and the pages of CREATE INDEX, REINDEX and ALTER TABLE.
"""

from dataclasses import dataclass

from parameters.names import sql_name

from .catalogue import Column, Relation
from .survey import Survey

CONCURRENT = (
    "SHARE UPDATE EXCLUSIVE: reads and writes go on. It scans the table twice, waits for transactions that are open, and runs in"
    " no transaction block; if it fails, it leaves an invalid index to drop"
)
DROPPING = "SHARE UPDATE EXCLUSIVE: reads and writes go on. It waits for transactions that are open, and runs in no transaction block"
REBUILDING = "SHARE UPDATE EXCLUSIVE: reads and writes go on. It runs in no transaction block"
REWRITING = "ACCESS EXCLUSIVE: nobody reads or writes while the table and its indexes are written anew; that takes as much disk again"
BRIEF = "ACCESS EXCLUSIVE for a moment: it waits for transactions that are open, and others wait behind it (SET lock_timeout = '2s')"
VALIDATING = "SHARE UPDATE EXCLUSIVE: reads and writes go on while it scans the table"
UPDATING = "locks the rows that it changes until the end of the transaction, and writes each anew; do it in parts where they are many"
READING = "reads the table"
GRANTING = "changes the catalogue alone"
MAKING = "locks nothing that readers or writers need"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQL, and what it costs on a live table."""

    sql: str
    cost: str


# -- What SQL says -------------------------------------------------------------------------------

TYPES = {
    name.upper(): name
    for name in (
        *("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
        *("GeometryCollection", "Geometry"),
    )
}
LINEAR = {
    "CIRCULARSTRING": "LINESTRING",
    "COMPOUNDCURVE": "LINESTRING",
    "CURVEPOLYGON": "POLYGON",
    "MULTICURVE": "MULTILINESTRING",
    "MULTISURFACE": "MULTIPOLYGON",
    "CURVE": "LINESTRING",
    "SURFACE": "POLYGON",
}


def geometry_type(kind: str, dimension: int, srid: int | str) -> str:
    """A column's type: `geometry(MultiPolygonZ,2193)`."""
    return f"geometry({TYPES[kind]}{'Z' if dimension == 3 else ''},{srid})"


def alter_type(
    survey: Survey, kind: str, dimension: int, srid: int | str, using: str = ""
) -> Statement:
    """Give the geometry column a type; that is refused as long as views select from it."""
    relation, column = survey.relation, survey.column.sql
    sql = f"ALTER TABLE {relation.sql} ALTER COLUMN {column} TYPE {geometry_type(kind, dimension, srid)}"
    cost = REWRITING
    if relation.dependents:
        listed = ", ".join(relation.dependents)
        cost += f". {listed}: drop what selects from it before, and make it again after"
    return Statement(sql + (f" USING {using}" if using else ""), cost)


def not_null(relation: Relation, column: str, label: str) -> tuple[Statement, ...]:
    """Make a column NOT NULL without keeping others out while the table is scanned."""
    table, check = relation.sql, sql_name(f"{label}_given"[:63])
    return (
        Statement(
            f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
            BRIEF,
        ),
        Statement(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}", VALIDATING),
        Statement(
            f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL",
            BRIEF,
        ),
        Statement(f"ALTER TABLE {table} DROP CONSTRAINT {check}", BRIEF),
    )


def create_index(
    relation: Relation, name: str, key: str, condition: str = ""
) -> tuple[Statement, ...]:
    """Make a GiST index; of a partitioned table's none can be made concurrently, but those of its partitions can."""
    where = f" WHERE {condition}" if condition else ""
    index = f"USING gist ({key}){where}"
    if relation.kind != "partitioned table":
        return (
            Statement(
                f"CREATE INDEX CONCURRENTLY {sql_name(name)} ON {relation.sql} {index}", CONCURRENT
            ),
        )
    schema = relation.sql.partition(".")[0]
    statements = [
        Statement(
            f"CREATE INDEX {sql_name(name)} ON ONLY {relation.sql} {index}",
            "SHARE, for a moment: it is of no rows yet",
        )
    ]
    for number, partition in enumerate(relation.partitions, 1):
        own = sql_name(f"{name[:57]}_p{number}")
        # An index is made in the schema of its table.
        place = partition.partition(".")[0]
        statements += [
            Statement(f"CREATE INDEX CONCURRENTLY {own} ON {partition} {index}", CONCURRENT),
            Statement(
                f"ALTER INDEX {schema}.{sql_name(name)} ATTACH PARTITION {place}.{own}", BRIEF
            ),
        ]
    return tuple(statements)


def primary_key(relation: Relation, column: Column) -> tuple[Statement, ...]:
    """Make a column the primary key of a live table."""
    label = f"{relation.name[:50]}_pkey"
    name = sql_name(label)
    steps = [
        Statement(
            f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {relation.sql} ({column.sql})", CONCURRENT
        )
    ]
    if column.nullable:
        steps += not_null(relation, column.sql, f"{relation.name[:30]}_{column.name[:20]}")
    added = f"ALTER TABLE {relation.sql} ADD PRIMARY KEY USING INDEX {name}"
    return (*steps, Statement(added, BRIEF))


def view_of(
    survey: Survey, expression: str, kind: str, dimension: int, srid: int | str
) -> Statement:
    """A view that has an expression in the place of the geometry, for what is no table."""
    relation, column = survey.relation, survey.column
    columns = [each.sql for each in relation.every if each.name != column.name]
    columns.append(f"({expression})::{geometry_type(kind, dimension, srid)} AS {column.sql}")
    name = f"{sql_name(relation.schema)}.{sql_name(f'{relation.name[:55]}_served')}"
    selected = f"SELECT {', '.join(columns)} FROM {relation.sql}"
    return Statement(f"CREATE VIEW {name} AS {selected}", f"{MAKING}. Adopt it instead")


def repaired(
    survey: Survey, expression: str, kind: str, dimension: int, srid: int | str, where: str = ""
) -> Statement:
    """Put an expression in the place of the geometries: of some rows, or of all by giving the column a type."""
    relation, column = survey.relation, survey.column.sql
    if not relation.is_table:
        return view_of(survey, expression, kind, dimension, srid)
    if where:
        sql = f"UPDATE {relation.sql} SET {column} = {expression} WHERE {where}"
        return Statement(sql, UPDATING)
    return alter_type(survey, kind, dimension, srid, expression)
