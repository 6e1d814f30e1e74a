"""What the rows of a relation hold: all of them where they are few, else a sample that says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2  # type: ignore[import-untyped]

from parameters import epsg

from .catalogue import Column, Connection, Geometry, Relation, select

#: A relation of up to so many bytes is read as a whole.
SMALL = 64 * 1024**2

#: Of a larger one, about so many bytes are read.
SAMPLE = 32 * 1024**2

#: Of one whose size is not known, such as a view, so many rows.
ROWS = 100_000

#: And so many where even they take too long.
FEW = 1_000

#: Types that a key can have, by their names in pg_type.
KEY_TYPES = frozenset(
    {"int2", "int4", "int8", "text", "varchar", "bpchar", "uuid", "numeric", "date", "timestamptz"}
)

#: Arcs, which GeoJSON does not have, and surfaces that neither it nor the service has.
CURVES = frozenset(
    {"CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON", "MULTICURVE", "MULTISURFACE"}
)
SURFACES = frozenset({"TIN", "TRIANGLE", "POLYHEDRALSURFACE"})

#: The types whose validity GEOS can tell.
SIMPLE = (
    *("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON"),
    "GEOMETRYCOLLECTION",
)


@dataclass(frozen=True, slots=True)
class Group:
    """The geometries of one SRID, type and dimension."""

    srid: int
    #: As PostGIS's GeometryType has it, without a dimension.
    type: str
    has_z: bool
    has_m: bool
    count: int
    empty: int
    invalid: int
    #: xmin, ymin, xmax, ymax; None where all are empty.
    extent: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What was found in the rows that were read."""

    #: How many were read, and whether these are all.
    read: int
    complete: bool
    #: How many there are about, as the planner has it; None where it does not.
    estimate: int | None
    nulls: int
    groups: tuple[Group, ...]
    #: Outside of where the CRS is defined.
    outside: int
    #: By column, the longest text in bytes.
    longest: dict[str, int] = field(default_factory=dict)
    #: Why some of this is not known, if it is not.
    unknown: str = ""

    def of(self, count: int) -> str:
        """A number of rows, and of how many: "5 of 25 rows"."""
        rows = "row" if self.read == 1 else "rows"
        if self.complete:
            return f"{count:,} of {self.read:,} {rows}"
        about = f" of about {self.estimate:,}" if self.estimate else ""
        return f"{count:,} of a sample of {self.read:,} {rows}{about}"

    @property
    def geometries(self) -> int:
        return sum(group.count for group in self.groups)

    def counted(self, **attributes: object) -> int:
        """How many geometries have these attributes of a group."""
        return sum(
            group.count
            for group in self.groups
            if all(getattr(group, name) == value for name, value in attributes.items())
        )

    def numbers(self, attribute: str) -> dict[Any, int]:
        """The values of a group's attribute, each with how many geometries have it, the most frequent first."""
        numbers: dict[Any, int] = {}
        for group in self.groups:
            value = getattr(group, attribute)
            numbers[value] = numbers.get(value, 0) + group.count
        return dict(sorted(numbers.items(), key=lambda item: (-item[1], str(item[0]))))


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """Whether the values of a column tell rows apart."""

    column: str
    #: How many rows were compared, and whether these are all.
    read: int
    complete: bool
    nulls: int
    #: Rows beyond the first of each value.
    repeated: int

    @property
    def holds(self) -> bool:
        return not self.nulls and not self.repeated


class Failed(Exception):
    """PostgreSQL refuses to read the rows; the message says why."""


class _TooSlow(Exception):
    """A statement took longer than it may."""


def _try(connection: Connection, sql: str) -> list[Any]:
    """The rows of a statement that may fail without ending the transaction.

    Raises:
        _TooSlow: It took too long.
        Failed: PostgreSQL refuses it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT tried")
        try:
            # A name may have a percent sign in it, which psycopg2 would take for a parameter.
            return select(connection, sql.replace("%", "%%"))
        except psycopg2.errors.QueryCanceled as error:
            raise _TooSlow from error
        except psycopg2.Error as error:
            raise Failed(str(error).strip().partition("\n")[0]) from error
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT tried")


def _sources(relation: Relation) -> Iterator[tuple[str, bool]]:
    """What to read rows from, as an item of FROM, and whether it has all of them: the best first."""
    sized = relation.kind in ("table", "partitioned table", "materialized view")
    if sized and relation.size <= SMALL:
        yield f"{relation.sql} AS sampled", True
    if sized:
        percent = min(100.0, 100.0 * SAMPLE / max(relation.size, 1))
        sample = f"TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (1)"
        yield f"{relation.sql} AS sampled {sample}", False
    else:
        # The row beyond tells whether these are all.
        yield f"(SELECT * FROM {relation.sql} LIMIT {ROWS + 1}) AS sampled", False
    yield f"(SELECT * FROM {relation.sql} LIMIT {FEW}) AS sampled", False


def read(connection: Connection, relation: Relation, geometry: Geometry, srid: int) -> Rows:
    """Look at the rows. `srid` is the one that they should have; 0 is none."""
    for source, complete in _sources(relation):
        try:
            return _read(connection, relation, geometry, srid, source, complete)
        except _TooSlow:
            continue
        except Failed as error:
            return Rows(0, False, None, 0, (), 0, unknown=str(error))
    reason = f"reading {FEW:,} rows takes too long"
    return Rows(0, False, _estimate(relation), 0, (), 0, unknown=reason)


def _estimate(relation: Relation) -> int | None:
    return relation.estimate if relation.estimate > 0 else None


def _read(
    connection: Connection,
    relation: Relation,
    geometry: Geometry,
    srid: int,
    source: str,
    complete: bool,
) -> Rows:
    column, own = geometry.sql, relation.server.postgis_schema
    simple = ", ".join(f"'{name}'" for name in SIMPLE)
    grouped = _try(
        connection,
        f"""
        SELECT {own}.ST_SRID(g) AS srid, {own}.GeometryType(g) AS type, {own}.ST_Zmflag(g) AS flag, count(*) AS count,
            count(*) FILTER (WHERE {own}.ST_IsEmpty(g)) AS empty,
            count(*) FILTER (
                WHERE CASE WHEN {own}.GeometryType(g) IN ({simple}) THEN NOT {own}.ST_IsValid(g) END
            ) AS invalid,
            min({own}.ST_XMin(g)) AS xmin, min({own}.ST_YMin(g)) AS ymin,
            max({own}.ST_XMax(g)) AS xmax, max({own}.ST_YMax(g)) AS ymax
        FROM (SELECT {column} AS g FROM {source} OFFSET 0) AS one
        GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
        """,
    )
    groups = tuple(
        Group(
            srid=row.srid,
            type=row.type.removesuffix("M"),
            has_z=row.flag >= 2,
            has_m=row.flag in (1, 3),
            count=row.count,
            empty=row.empty,
            invalid=row.invalid,
            extent=None if row.xmin is None else (row.xmin, row.ymin, row.xmax, row.ymax),
        )
        for row in grouped
        if row.type is not None
    )
    number = sum(row.count for row in grouped)
    if not complete and "LIMIT" in source:
        complete = number < (FEW if f"LIMIT {FEW})" in source else ROWS + 1)
    return Rows(
        read=number,
        complete=complete,
        estimate=None if complete else _estimate(relation),
        nulls=sum(row.count for row in grouped if row.type is None),
        groups=groups,
        outside=_outside(connection, relation, geometry, srid, source, groups),
        longest=_longest(connection, relation, source),
    )


def outside(relation: Relation, column: str, srid: int) -> str:
    """The condition of rows whose coordinates lie outside of where a CRS is defined."""
    crs, own = epsg.crs(srid), relation.server.postgis_schema
    assert crs is not None
    # PostGIS's functions are found without their schema where they are found at all.
    prefix = "" if relation.server.postgis_visible else f"{own}."
    xmin, ymin, xmax, ymax = (f"{side:.12g}" for side in crs.extent)
    return (
        f"{prefix}ST_XMin({column}) < {xmin} OR {prefix}ST_YMin({column}) < {ymin}"
        f" OR {prefix}ST_XMax({column}) > {xmax} OR {prefix}ST_YMax({column}) > {ymax}"
    )


def _outside(
    connection: Connection,
    relation: Relation,
    geometry: Geometry,
    srid: int,
    source: str,
    groups: Sequence[Group],
) -> int:
    crs = epsg.crs(srid)
    if crs is None:
        return 0
    beyond = [
        group
        for group in groups
        if group.extent
        and (
            # Of a coordinate that is not a number, nothing is true.
            not all(
                side >= least for side, least in zip(group.extent[:2], crs.extent[:2], strict=True)
            )
            or not all(
                side <= most for side, most in zip(group.extent[2:], crs.extent[2:], strict=True)
            )
        )
    ]
    if not beyond:
        return 0
    condition = outside(relation, geometry.sql, srid)
    sql = f"SELECT count(*) AS count FROM {source} WHERE {condition}"
    return int(_try(connection, sql)[0].count)


def _longest(connection: Connection, relation: Relation, source: str) -> dict[str, int]:
    """The longest text of each column that may hold long ones, in bytes."""
    texts = [
        column
        for column in relation.columns
        if column.base in ("text", "json", "jsonb", "bytea", "xml")
        or (column.base == "varchar" and column.modifier == -1)
    ]
    if not texts:
        return {}
    lengths = ", ".join(
        f"max(octet_length({column.sql}{'' if column.base in ('text', 'varchar', 'bytea') else '::text'}))"
        for column in texts
    )
    row = _try(connection, f"SELECT ARRAY[{lengths}] AS lengths FROM {source}")[0]
    return {column.name: length or 0 for column, length in zip(texts, row.lengths, strict=True)}


# -- Keys ----------------------------------------------------------------------------------------


def uniqueness(connection: Connection, relation: Relation, column: Column) -> Uniqueness:
    """Compare the values of a column: of all rows if that does not take too long, else of a sample."""
    sources = [(f"{relation.sql} AS sampled", True), *_sources(relation)]
    for source, complete in sources:
        try:
            row = _try(
                connection,
                f"SELECT count(*) AS read, count(value) AS given, count(DISTINCT value) AS values"
                f" FROM (SELECT {column.sql} AS value FROM {source}) AS one",
            )[0]
        except _TooSlow:
            continue
        return Uniqueness(
            column.name, row.read, complete, row.read - row.given, row.given - row.values
        )
    return Uniqueness(column.name, 0, False, 0, 0)


def candidates(connection: Connection, relation: Relation) -> list[Uniqueness]:
    """The columns of a type that a key can have whose values tell the rows apart that were read, most likely first."""
    columns = [column for column in relation.columns if column.base in KEY_TYPES][:60]
    found: list[Uniqueness] = []
    for source, complete in _sources(relation):
        numbers = ", ".join(
            f"ARRAY[count({each.sql}), count(DISTINCT {each.sql})]" for each in columns
        )
        if not numbers:
            break
        try:
            row = _try(
                connection,
                f"SELECT count(*) AS read, ARRAY[{numbers}] AS numbers FROM {source}",
            )[0]
        except _TooSlow:
            continue
        for column, (given, values) in zip(columns, row.numbers, strict=True):
            if row.read and given == values == row.read:
                found.append(Uniqueness(column.name, row.read, complete, 0, 0))
        break
    return found


def value_of(connection: Connection, relation: Relation, column: Column) -> str:
    """The text of a value of a column, short enough to be written down; empty if there is none."""
    try:
        rows = _try(
            connection,
            f"SELECT {column.sql}::text AS value FROM {relation.sql}"
            f" WHERE {column.sql} IS NOT NULL AND length({column.sql}::text) BETWEEN 1 AND 60 LIMIT 1",
        )
    except (_TooSlow, Failed):
        return ""
    return str(rows[0].value) if rows else ""
