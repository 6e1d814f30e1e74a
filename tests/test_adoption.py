"""Reading a table that is there: what is said of it, that each statement fixes what it is for, and what is answered."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from clusters import execute
from conftest import Bake
from rendering import TEMPLATE
from variants import FACTORS, ROWS, VARIANTS, Variant, of

import adoption
from adoption import Unreadable, catalogue, findings, rows, survey
from adoption.findings import Finding
from adoption.survey import Survey
from parameters import names
from parameters.attributes import parse_declarations
from parameters.relation import own_columns
from table_code import TableCode

Kinds = dict[str, Finding]


@pytest.fixture(scope="module")
def url(server: Any) -> Iterator[str]:
    """A database whose schema `work` each test makes anew."""
    with server.database() as url:
        yield url


@pytest.fixture
def made(url: str) -> Callable[[str], str]:
    """Make what some SQL says, in an empty schema that is on no search path but its own."""
    execute(url, "DROP SCHEMA IF EXISTS work CASCADE")
    execute(url, "CREATE SCHEMA work")

    def make(sql: str) -> str:
        # CREATE INDEX CONCURRENTLY runs alone; nothing here needs it.
        execute(url, f"SET search_path = work, public; {sql}")
        return url

    return make


def look(url: str, table: str = "work.t", **options: str) -> Survey:
    with catalogue.reading(url) as connection:
        return survey.look_at(connection, table, **options)


def found(url: str, table: str = "work.t", **options: str) -> Kinds:
    """What is said of a table, by kind."""
    return {each.kind: each for each in findings.find(look(url, table, **options))}


POINT = "ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193)"


def table(
    column: str, *values: str, key: str = "id serial PRIMARY KEY", index: str = "gist"
) -> str:
    """The SQL of a table `t` with a geometry column and a row for each value."""
    rows = "".join(f"INSERT INTO t (geom) VALUES ({value});" for value in values)
    indexed = f"CREATE INDEX t_geom_idx ON t USING {index} (geom);" if index else ""
    return f"CREATE TABLE t ({key}, geom {column}); {rows} {indexed}"


def many(column: str, value: str = POINT, number: int = 9, **options: str) -> str:
    """The same with some rows, whose values are made of `n`."""
    return table(column, **options) + (
        f"INSERT INTO t (geom) SELECT {value} FROM generate_series(1, {number}) AS n;"
    )


LINE = "'SRID=2193;LINESTRING(1748000 5427000, 1748100 5427050)'::geometry"
HIGH = "'SRID=2193;LINESTRING Z (1748000 5427000 1, 1748100 5427050 2)'::geometry"
AREA = "'SRID=2193;POLYGON((1748000 5427000, 1748100 5427000, 1748100 5427100, 1748000 5427000))'"
ARC = "'SRID=2193;CURVEPOLYGON(CIRCULARSTRING(1748000 5427000, 1748100 5427000, 1748100 5427100, 1748000 5427100, 1748000 5427000))'"
#: It reaches out of its own ring and back.
SPIKE = "'SRID=2193;POLYGON((0 5427000, 0 5427010, 10 5427010, 10 5427000, 10 5427020, 10 5427000, 0 5427000))'"
PLAIN = many("geometry(Point, 2193) NOT NULL")
PARTITIONED = """
    CREATE TABLE t (id bigint, day date, geom geometry(Point, 2193), PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    INSERT INTO t SELECT n, date '2024-12-28' + n, ST_SetSRID(ST_MakePoint(1748000 + n, 5427000), 2193)
    FROM generate_series(1, 9) AS n;
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """A table with something misaligned, which the statements of the finding put right."""

    kind: str
    sql: str
    #: A part of what is said.
    says: str = ""
    refused: bool = False
    key: str = ""
    srid: str = ""
    #: Whether some statements are SELECTs: of so many rows.
    listed: int | None = None

    @property
    def options(self) -> dict[str, str]:
        return {"key": self.key, "srid": self.srid}


def refused(kind: str, sql: str, says: str = "", **options: Any) -> Case:
    return Case(kind, sql, says, True, **options)


CASES = (
    refused("srid-0", many("geometry(Point)", "ST_MakePoint(n, n)"), "9 of 9 rows"),
    refused("srid-0", many("geometry", "ST_MakePoint(1748000 + n, 5427000)"), srid="2193"),
    refused("srid-0", "CREATE TABLE t (id serial PRIMARY KEY, geom geometry)", srid="2193"),
    refused(
        "mixed-srid",
        table(
            "geometry",
            LINE,
            LINE,
            "ST_Transform(" + LINE + ", 27200)",
            "ST_SetSRID(" + LINE + ", 0)",
        ),
        "SRID 2193: 2; SRID 0: 1; SRID 27200: 1",
    ),
    refused(
        "refused-crs",
        many("geometry(PointZ, 4978)", "'SRID=4978;POINT Z (4e6 3e5 4.9e6)'"),
        "geocentric",
    ),
    refused("measures", many("geometry(PointM, 2193)", f"ST_Force3DM({POINT})"), "9 of 9 rows"),
    refused("measures", many("geometry(PointZM, 2193)", f"ST_Force4D({POINT})")),
    refused("measures", table("geometry", LINE, f"ST_Force3DM({LINE})"), "1 of 2 rows"),
    refused(
        "mixed-dimensions",
        table("geometry", LINE, HIGH, HIGH),
        "2 of 3 rows have heights, and 1 has none",
    ),
    refused("mixed-dimensions", table("geometry", LINE, LINE, HIGH)),
    refused(
        "curves",
        table("geometry(Geometry, 2193)", LINE, ARC),
        "1 of 2 rows is curved: CURVEPOLYGON",
    ),
    refused("curves", table("geometry(CurvePolygon, 2193)", ARC)),
    refused(
        "surfaces",
        table(
            "geometry(GeometryZ, 2193)",
            HIGH,
            "ST_SetSRID('TIN(((0 0 0, 0 0 1, 0 1 0, 0 0 0)))'::geometry, 2193)",
        ),
        listed=1,
    ),
    refused(
        "no-key",
        many("geometry(Point, 2193)", key="ref text, code integer NOT NULL DEFAULT 1"),
        "it has no primary key",
    ),
    refused("no-key", many("geometry(Point, 2193)", key="code serial NOT NULL"), "KEY=code"),
    refused(
        "no-key",
        many("geometry(Point, 2193)", key="code integer DEFAULT nextval('numbers')").replace(
            "CREATE TABLE", "CREATE SEQUENCE numbers; CREATE TABLE", 1
        ),
    ),
    Case(
        "invalid-geometry",
        table("geometry(Polygon, 2193)", SPIKE, AREA),
        "1 of 2 rows is not valid",
        listed=1,
    ),
    Case("invalid-geometry", table("geometry(MultiPolygon, 2193)", f"ST_Multi({SPIKE})"), listed=1),
    Case(
        "empty-geometry",
        table("geometry(Polygon, 2193)", AREA, "'SRID=2193;POLYGON EMPTY'"),
        "1 of 2 rows is empty",
    ),
    Case(
        "empty-geometry",
        table("geometry(Polygon, 2193) NOT NULL", AREA, "'SRID=2193;POLYGON EMPTY'"),
        listed=1,
    ),
    Case(
        "null-geometry",
        table("geometry(Polygon, 2193)", AREA, "NULL", "NULL"),
        "2 of 3 rows have no geometry",
        listed=2,
    ),
    Case(
        "outside",
        table(
            "geometry(Point, 2193)",
            "'SRID=2193;POINT(174.7 -41.3)'",
            "'SRID=2193;POINT(1748000 5427000)'",
        ),
        "1 of 2 rows is outside",
        listed=1,
    ),
    # Beside what is not a number, a place beyond every other is found as well.
    Case(
        "outside",
        table(
            "geometry(Point, 2193)",
            "ST_SetSRID(ST_MakePoint('NaN', 'NaN'), 2193)",
            "ST_SetSRID(ST_MakePoint(1e9, 1e9), 2193)",
            "'SRID=2193;POINT(1748000 5427000)'",
        ),
        "2 of 3 rows are outside",
        listed=2,
    ),
    refused(
        "repeated-key",
        f"{many('geometry(Point, 2193)')} CREATE TABLE heir () INHERITS (t);"
        " INSERT INTO heir SELECT * FROM ONLY t WHERE id < 3",
        "2 of 11 rows have the value of another",
        listed=2,
    ),
    Case("untyped", many("geometry"), "its type is geometry, and it has 9 POINT"),
    Case(
        "untyped",
        many("geometry CHECK (ST_SRID(geom) = 2193) CHECK (GeometryType(geom) = 'POINT')"),
        "a CHECK states it",
    ),
    Case(
        "mixed-types",
        table("geometry(Geometry, 2193)", LINE, f"ST_Multi({LINE})"),
        "1 LINESTRING, 1 MULTILINESTRING",
    ),
    Case("mixed-types", table("geometry(Geometry, 2193)", LINE, LINE, AREA), listed=1),
    Case("no-index", many("geometry(Point, 2193)", index="")),
    Case("no-index", many("geometry(Point, 2193)", index="spgist"), "t_geom_idx (spgist)"),
    Case(
        "no-index",
        many("geometry(Point, 2193)", index="")
        + "CREATE INDEX t_nd ON t USING gist (geom gist_geometry_ops_nd)",
        "t_nd (gist)",
    ),
    Case("no-index", PARTITIONED, key="id"),
    Case(
        "invalid-index",
        PLAIN + "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_geom_idx'::regclass",
    ),
    Case(
        "no-geography-index", many("geometry(Point, 4326)", "ST_SetSRID(ST_MakePoint(n, n), 4326)")
    ),
    Case(
        "no-geography-index",
        PARTITIONED.replace("2193", "4326").replace("1748000 + n, 5427000", "n, n"),
        key="id",
    ),
    Case(
        "partial-index",
        PLAIN.replace("USING gist (geom)", "USING gist (geom) WHERE id > 2"),
        "WHERE (id > 2)",
    ),
    Case(
        "several-indexes", PLAIN + "CREATE INDEX t_geom_idx2 ON t USING gist (geom)", "t_geom_idx2"
    ),
    Case(
        "several-indexes",
        PLAIN + "CREATE INDEX t_part ON t USING gist (geom) WHERE id > 2",
        "t_part (WHERE (id > 2))",
    ),
    Case(
        "no-primary-key",
        many("geometry(Point, 2193)", key="code serial") + "CREATE UNIQUE INDEX t_code ON t (code)",
        "the index t_code keeps unique",
    ),
    Case(
        "key-not-kept",
        many("geometry(Point, 2193)", key="code serial"),
        "in all 9 rows",
        key="code",
    ),
    Case(
        "not-writable",
        PLAIN
        + "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE t ADD mood mood NOT NULL DEFAULT 'good'; ALTER TABLE t ALTER mood DROP DEFAULT",
        "mood (work.mood) is NOT NULL",
    ),
    Case(
        "not-writable",
        many("geometry(Point, 2193)", key="id serial PRIMARY KEY, made timestamp(6)")
        + "UPDATE t SET made = now(); ALTER TABLE t ALTER made SET NOT NULL",
        "made (timestamp(6) without time zone) is NOT NULL",
    ),
    Case(
        "rule",
        PLAIN + "CREATE RULE stay AS ON DELETE TO t DO INSTEAD NOTHING",
        "something else instead",
    ),
    Case("rule", PLAIN + "CREATE RULE tell AS ON DELETE TO t DO ALSO SELECT 1", "more than"),
    Case("unlogged", PLAIN.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")),
)


def names_of(cases: tuple[Case, ...]) -> list[str]:
    return [f"{number}-{case.kind}" for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", CASES, ids=names_of(CASES))
def test_the_statements_of_a_finding_put_it_right(made: Callable[[str], str], case: Case) -> None:
    url = made(case.sql)
    finding = found(url, **case.options)[case.kind]
    assert finding.refused is case.refused
    assert case.says in finding.what or case.says in finding.why
    assert finding.statements
    for statement in finding.statements:
        # As whoever has nothing but the report would run it.
        selected = execute(url, statement.sql)
        assert statement.cost
        if statement.sql.startswith("SELECT"):
            assert len(selected) == case.listed
    if case.listed is None or not finding.statements[-1].sql.startswith("SELECT"):
        assert case.kind not in found(url, **case.options)


#: What is told, and has nothing to be put right by a statement.
TOLD = (
    Case(
        "triggers",
        PLAIN
        + "CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "same",
    ),
    Case(
        "checks",
        PLAIN
        + "ALTER TABLE t ADD code text CHECK (code ~ '^[A-Z]{3}$'), ADD CHECK (ST_X(geom) > 9)",
        "it has a CHECK: t_code_check",
    ),
    Case("row-level-security", PLAIN + "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "exempt"),
    Case("inherited", PLAIN + "CREATE TABLE heir () INHERITS (t)", "work.heir"),
    Case(
        "foreign-key",
        PLAIN
        + "CREATE TABLE other (id integer PRIMARY KEY); ALTER TABLE t ADD other integer REFERENCES other",
        "REFERENCES work.other(id)",
    ),
    Case(
        "unstated-constraint",
        PLAIN
        + "ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (geom WITH &&) DEFERRABLE INITIALLY DEFERRED",
        "apart",
    ),
    Case(
        "unstated-constraint",
        PLAIN + "ALTER TABLE t ADD code integer, ADD CONSTRAINT later UNIQUE (code) DEFERRABLE",
        "later",
    ),
    Case(
        "as-text",
        PLAIN + "ALTER TABLE t ADD tags text[], ADD span int4range",
        "tags (text[]), span (int4range)",
    ),
    Case(
        "copied-value",
        PLAIN
        + "CREATE DOMAIN span AS interval; ALTER TABLE t ADD every span NOT NULL DEFAULT '1 day'; ALTER TABLE t ALTER every DROP DEFAULT",
        "every from this table: '1 day'",
    ),
    Case(
        "several-geometries",
        PLAIN + "ALTER TABLE t ADD door geometry(Point, 2193)",
        "geom is served",
    ),
    Case(
        "long-text",
        PLAIN
        + "ALTER TABLE t ADD note text; UPDATE t SET note = repeat('é', 1000000) WHERE id = 3",
        "2,000,000 bytes",
    ),
    Case(
        "key-not-kept",
        PARTITIONED,
        "id is one column of the primary key (id, day): in all 9 rows",
        key="id",
    ),
    refused("composite-key", PARTITIONED, "KEY=id"),
    refused(
        "composite-key",
        many("geometry(Point, 2193)", key="a serial, b integer DEFAULT 1, PRIMARY KEY (a, b)"),
        "KEY=a: no index keeps it unique, and the primary key is (a, b)",
        key="a",
    ),
    refused(
        "unordered-key",
        many(
            "geometry(Point, 2193)",
            key="span interval PRIMARY KEY DEFAULT make_interval(secs => random())",
        ),
        "its primary key span is interval",
    ),
    refused("no-key", PARTITIONED.replace(", PRIMARY KEY (id, day)", ""), "(KEY=id)"),
    refused("no-geometry", "CREATE TABLE t (id serial PRIMARY KEY, name text)", "id, name"),
    refused(
        "no-key",
        many("geometry(Point, 2193)", key="osm_id integer DEFAULT 7"),
        "osm_id does not: 8 of 9 rows have the value of another",
    ),
    refused("no-key", PLAIN, "its primary key is id", key="geom"),
    refused(
        "no-key", many("geometry(Point, 2193)", key="mark point"), "no such column", key="none"
    ),
    refused(
        "no-key", many("geometry(Point, 2193)", key="mark inet"), "inet has no order", key="mark"
    ),
    refused(
        "no-key",
        many("geometry(Point, 2193)", key="mark integer"),
        "it is NULL in 9 of 9 rows",
        key="mark",
    ),
)


@pytest.mark.parametrize("case", TOLD, ids=names_of(TOLD))
def test_what_has_no_statement_is_told(made: Callable[[str], str], case: Case) -> None:
    finding = found(made(case.sql), **case.options)[case.kind]
    assert finding.refused is case.refused
    assert case.says in finding.what or case.says in finding.why
    if "PARTITION" in case.sql:
        assert not finding.statements


def test_of_the_rows_only_what_nothing_else_says_is_written_down(
    made: Callable[[str], str],
) -> None:
    sql = """
        CREATE TYPE mood AS ENUM ('good', 'bad');
        ALTER TABLE t ADD name text NOT NULL DEFAULT 'secret' CHECK (name <> ''), ADD note varchar(99) CHECK (note <> ''),
            ADD mood mood NOT NULL DEFAULT 'bad', ADD code interval CHECK (code > '0'), ADD "Land Use" text CHECK ("Land Use" <> '');
        ALTER TABLE t ALTER name DROP DEFAULT, ALTER mood DROP DEFAULT;
        UPDATE t SET note = 'secret', code = '7 days', "Land Use" = 'secret';
    """
    url = made(PLAIN + sql)
    survey = look(url)
    assert (survey.samples, survey.copied) == ({"mood": "good"}, ())
    answers, _ = adoption.answers(url, "work.t")
    assert not [value for value in answers.values() if "secret" in value or "7 days" in value]


VIEW = PLAIN + "CREATE VIEW v AS SELECT id AS number, geom FROM t;"


def test_a_view_is_known_by_the_key_of_the_table_below_it(made: Callable[[str], str]) -> None:
    below = (
        "CREATE VIEW low AS SELECT id AS number, geom FROM (SELECT * FROM t WHERE id > 1) AS few;"
    )
    url = made(PLAIN + below + "CREATE VIEW v AS SELECT upper('x') AS x, number, geom FROM low")
    kinds = found(url, "work.v")
    assert kinds["key-of-view"].what == (
        "its rows are told apart by number, the primary key of work.t: in all 8 rows it has no NULL and no value twice"
    )
    assert "read-only" in kinds


def test_a_view_whose_join_repeats_the_key_is_refused(made: Callable[[str], str]) -> None:
    url = made(PLAIN + "CREATE VIEW v AS SELECT t.id, t.geom, n FROM t, generate_series(1, 2) AS n")
    finding = found(url, "work.v")["no-key"]
    assert finding.refused
    assert "id does not: 9 of 18 rows have the value of another" in finding.why


def test_a_foreign_key_of_a_view_is_no_key_of_it(made: Callable[[str], str]) -> None:
    """The geometry's table comes first; the key of another table is tried after it."""
    other = "CREATE TABLE other (no serial PRIMARY KEY, t integer); INSERT INTO other (t) SELECT 1 + n / 5 FROM generate_series(1, 8) n;"
    url = made(PLAIN + other + "CREATE VIEW v AS SELECT no, id, geom FROM t JOIN other ON t = id")
    assert look(url, "work.v").key.column.name == "no"  # type: ignore[union-attr]


def test_a_geography_is_served_through_the_view_that_is_proposed(
    made: Callable[[str], str],
) -> None:
    url = made(many("geography(Point, 4326)", "ST_MakePoint(n, n)::geography", index=""))
    finding = found(url)["geography"]
    assert finding.refused
    execute(url, finding.statements[0].sql)
    answers, _ = adoption.answers(url, "work.t_geometry")
    assert (answers["geometry_type"], answers["srid"], answers["key_column"]) == (
        "POINT",
        "4326",
        "id",
    )


def test_another_column_is_the_key_where_the_primary_key_is_of_several(
    made: Callable[[str], str],
) -> None:
    url = made(
        many("geometry(Point, 2193)", key="a serial, b integer DEFAULT 1, PRIMARY KEY (a, b)")
    )
    finding = found(url)["composite-key"]
    assert finding.refused
    for statement in finding.statements:
        execute(url, statement.sql)
    answers, kinds = adoption.answers(url, "work.t", "id")
    assert (answers["key_column"], answers["read_only"]) == ("id", "no")
    assert "no-primary-key" in {each.kind for each in kinds}


def test_a_key_that_clients_could_repeat_is_only_read(made: Callable[[str], str]) -> None:
    url = made(many("geometry(Point, 2193)", key="osm_id bigint"))
    # The numbers of the rows within their page.
    execute(url, "UPDATE work.t SET osm_id = (ctid::text::point)[1]")
    answers, kinds = adoption.answers(url, "work.t", "osm_id")
    assert answers["read_only"] == "yes"
    assert "key-not-kept" in {each.kind for each in kinds}
    execute(
        url, "CREATE UNIQUE INDEX ON work.t (osm_id); ALTER TABLE work.t ALTER osm_id SET NOT NULL"
    )
    answers, _ = adoption.answers(url, "work.t", "osm_id")
    assert answers["read_only"] == "no"


def test_the_overviews_of_a_table_are_no_indexes_of_it(made: Callable[[str], str]) -> None:
    url = made(PLAIN)
    answers, findings = adoption.answers(url, "work.t", "id")
    overview = f"{answers['index_name']}_overview_4"
    execute(url, f"CREATE INDEX {overview} ON work.t USING gist (geom) WHERE id < 4")
    execute(url, f"CREATE INDEX {answers['index_name']}_overview_keys ON work.t USING brin (id)")
    assert adoption.answers(url, "work.t", "id") == (answers, findings)


def test_a_partition_is_told_with_its_table(made: Callable[[str], str]) -> None:
    assert "TABLE=work.t " in found(made(PARTITIONED), "work.t_1", key="id")["partition"].why


@pytest.fixture
def reader(url: str, made: Callable[[str], str]) -> Iterator[str]:
    """The URL of a role that may do nothing in the schema `work`."""
    made(PLAIN)
    execute(url, "DROP ROLE IF EXISTS adoption_reader; CREATE ROLE adoption_reader")
    separator = "&" if "?" in url else "?"
    yield f"{url}{separator}options=-c%20role%3Dadoption_reader"
    execute(url, "DROP OWNED BY adoption_reader; DROP ROLE adoption_reader")


def test_privileges_that_lack_are_granted_one_after_the_other(url: str, reader: str) -> None:
    finding = found(reader)["cannot-read"]
    assert finding.refused
    for statement in finding.statements:
        execute(url, statement.sql)
    finding = found(reader)["cannot-write"]
    assert "lacks INSERT, UPDATE, DELETE, USAGE on work.t_id_seq" in finding.what
    for statement in finding.statements:
        execute(url, statement.sql)
    assert not found(reader)


def test_of_rows_that_policies_hide_it_is_said(url: str, reader: str) -> None:
    execute(
        url,
        "GRANT ALL ON SCHEMA work TO adoption_reader; GRANT ALL ON ALL TABLES IN SCHEMA work TO adoption_reader",
    )
    execute(
        url,
        "ALTER TABLE work.t ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON work.t USING (id < 4)",
    )
    survey = look(reader)
    assert survey.rows.read == 3
    assert "of the rows that adoption_reader sees" in findings.find(survey)[-1].what + str(
        found(reader)
    )


def test_postgis_that_is_not_on_the_search_path_is_put_there(server: Any) -> None:
    with server.database() as url:
        name = execute(url, "SELECT current_database()")[0][0]
        execute(url, PLAIN)
        execute(url, f"ALTER DATABASE {name} SET search_path = information_schema")
        finding = found(url, "public.t")["postgis-not-on-path"]
        assert finding.refused
        execute(url, finding.statements[0].sql)
        assert "postgis-not-on-path" not in found(url, "public.t")


def test_servers_that_are_too_old_are_refused(made: Callable[[str], str]) -> None:
    survey = look(made(PLAIN))
    old = dataclasses.replace(survey.relation.server, postgresql=120022, postgis="3.0.8")
    relation = dataclasses.replace(survey.relation, server=old)
    kinds = [
        each.kind
        for each in findings.find(dataclasses.replace(survey, relation=relation))
        if each.refused
    ]
    assert kinds == ["old-postgresql", "old-postgis"]


def test_every_kind_of_finding_is_tested_here() -> None:
    kinds = re.findall(r'Finding\(\s*"([a-z0-9-]+)"', Path(findings.__file__).read_text("utf-8"))
    tests = Path(__file__).read_text("utf-8")
    assert [kind for kind in kinds if f'"{kind}"' not in tests] == []


# -- How much is read ----------------------------------------------------------------------------


def test_of_a_large_table_a_sample_is_read_and_said(
    made: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = made(many("geometry(Point, 2193)", number=20_000) + "ANALYZE t")
    monkeypatch.setattr(rows, "SMALL", 0)
    monkeypatch.setattr(rows, "SAMPLE", 200_000)
    survey = look(url)
    assert not survey.rows.complete
    assert 0 < survey.rows.read < 20_000
    assert survey.rows.of(3) == f"3 of a sample of {survey.rows.read:,} rows of about 20,000"


def test_what_takes_too_long_is_not_waited_for(
    made: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = made(
        PLAIN
        + "CREATE VIEW slow AS SELECT id, geom FROM t, LATERAL (SELECT pg_sleep(0.2 + 0 * id)) AS s OFFSET 0"
    )
    monkeypatch.setattr(catalogue, "TIMEOUT", "500ms")
    finding = found(url, "work.slow")["unread"]
    assert "takes too long" in finding.what


def test_a_view_that_fails_is_refused_with_what_it_says(made: Callable[[str], str]) -> None:
    url = made(PLAIN + "CREATE VIEW broken AS SELECT 1 / (id - id) AS id, geom FROM t")
    finding = found(url, "work.broken")["unread"]
    assert finding.refused
    assert "division by zero" in finding.what


def test_nothing_can_be_written_while_it_is_read(url: str) -> None:
    with (
        catalogue.reading(url) as connection,
        pytest.raises(psycopg2.errors.ReadOnlySqlTransaction),
    ):
        connection.cursor().execute("CREATE TABLE public.never (id integer)")


# -- What it is called ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "schema", "name"),
    [
        ("work.t", "work", "t"),
        ("WORK.T", "work", "t"),
        ("work.Land Parcels", "work", "Land Parcels"),
        ('work."Land Parcels"', "work", "Land Parcels"),
        ('"work"."say ""hi"""', "work", 'say "hi"'),
        ("work.a.b", "work", "a.b"),
        ("spatial_table", "public", "spatial_table"),
    ],
)
def test_a_relation_is_found_as_it_is_typed(
    made: Callable[[str], str], given: str, schema: str, name: str
) -> None:
    tables = ["t", '"Land Parcels"', '"say ""hi"""', '"a.b"', "public.spatial_table"]
    url = made(
        "DROP TABLE IF EXISTS public.spatial_table;"
        + "".join(f"CREATE TABLE {each} (geom geometry);" for each in tables)
    )
    with catalogue.reading(url) as connection:
        assert catalogue.find(connection, given) == (schema, name)


@pytest.mark.parametrize("given", ["work.roads", "t", "work.tt", "", '"'])
def test_of_one_that_is_not_there_those_that_are_named(
    made: Callable[[str], str], given: str
) -> None:
    url = made(PLAIN)
    with pytest.raises(Unreadable, match=r"work\.t"):
        adoption.answers(url, given)


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://ada:s3cret@127.0.0.1:1/none",
        "postgresql+psycopg2://ada:s3cret@127.0.0.1:1/none",
        "postgresql://ada:s3cret@[127.0.0.1/none",
        "postgresql://ada:s3cret@127.0.0.1:port/none",
        "mysql://ada:s3cret@127.0.0.1/none",
        "postgresql://ada:@s3cret@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 user=ada password=s3cret",
    ],
)
def test_a_password_is_not_repeated(wrong: str) -> None:
    ended = run("work.t", DATABASE_URL=wrong)
    assert ended.returncode == 1
    assert ended.stderr.startswith("adopt: ")
    assert "s3cret" not in ended.stderr + ended.stdout


def test_a_password_is_hidden_in_either_spelling() -> None:
    from adoption.__main__ import hidden

    url = "postgresql://ada:s%40crets@host/gis"
    assert hidden("s@crets s%40crets", url) == "*** ***"
    assert hidden("anything", "postgresql:///gis") == "anything"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m adoption`."""
    kept = {n: v for n, v in os.environ.items() if not n.endswith("DATABASE_URL")}
    command = [sys.executable, "-m", "adoption", *arguments]
    return subprocess.run(
        command, cwd=TEMPLATE, env=kept | environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "TABLE=schema.table"),
        (["work.t", "--all", "work"], "TABLE=schema.table"),
        (["--all", "nowhere"], "these have: public, work"),
        (["work.t", "--arguments", "geometry_typ=POINT"], "geometry_type"),
        (["work.t", "--arguments", "auth='none"], "No closing quotation"),
    ],
)
def test_a_wrong_command_says_what_is_right(
    made: Callable[[str], str], arguments: list[str], reason: str
) -> None:
    url = made(PLAIN + "CREATE TABLE IF NOT EXISTS public.spatial_table (geom geometry)")
    ended = run(*arguments, DATABASE_URL=url)
    assert ended.returncode == 1
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_database_there_is_nothing_to_adopt() -> None:
    assert "DATABASE_URL has to name the database" in run("work.t").stderr


# -- What is answered ----------------------------------------------------------------------------

LEGACY = """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE "Land Parcels" (
        gid serial PRIMARY KEY,
        "Land Use" varchar(40),
        name varchar(80) NOT NULL,
        status varchar(20) NOT NULL DEFAULT 'active',
        area numeric(12, 2) CHECK (area > 0),
        mood mood DEFAULT 'good',
        geom geometry(MultiPolygon, 2193),
        CONSTRAINT parcels_name UNIQUE (name)
    );
    CREATE INDEX parcels_geom ON "Land Parcels" USING gist (geom) WHERE status = 'active';
    CREATE INDEX parcels_lower ON "Land Parcels" (lower(name) DESC, "Land Use");
    INSERT INTO "Land Parcels" (name, area, geom) VALUES ('a', 12.5, NULL);
"""


def test_a_table_is_answered_as_it_is(made: Callable[[str], str]) -> None:
    answers, _ = adoption.answers(made(LEGACY), "work.Land Parcels")
    columns, stated = json.loads(answers.pop("_columns")), json.loads(answers.pop("_table"))
    assert answers == {
        "resource_name": "land_parcel",
        "table_name": "land_parcels",
        "attributes": "name:str(80) status:str(20)=active area:numeric(12,2)?",
        "geometry_column": "geom",
        "geometry_type": "MULTIPOLYGON",
        "geometry_dimension": "XY",
        "srid": "2193",
        "index_name": "parcels_geom",
        "index_predicate": "status = 'active'",
        "primary_key": "integer",
        "key_column": "gid",
        "timestamps": "no",
        "table_schema": "work",
        "read_only": "no",
    }
    assert columns == [
        {"name": "Land Use", "type": "character varying(40)", "nullable": True},
        {"name": "mood", "type": "work.mood", "nullable": True, "default": "'good'::work.mood"},
    ]
    assert stated["name"] == "Land Parcels"
    assert stated["key"] == {
        "name": "gid",
        "type": "integer",
        "default": "nextval('work.\"Land Parcels_gid_seq\"'::regclass)",
    }
    assert stated["constraints"] == [
        {"name": "Land Parcels_area_check", "kind": "check", "condition": "(area > (0)::numeric)"},
        {"name": "Land Parcels_pkey", "kind": "primary key", "columns": ["gid"]},
        {"name": "parcels_name", "kind": "unique", "columns": ["name"]},
    ]
    assert stated["indexes"] == [
        {
            "name": "parcels_geom",
            "elements": ["geom"],
            "method": "gist",
            "predicate": "((status)::text = 'active'::text)",
        },
        {"name": "parcels_lower", "elements": ["lower((name)::text) DESC", '"Land Use"']},
    ]
    assert [each["statement"] for each in stated["requires"]] == [
        "CREATE TYPE work.mood AS ENUM ('good', 'bad')",
        'CREATE SEQUENCE IF NOT EXISTS work."Land Parcels_gid_seq" AS integer',
    ]


def test_the_answers_alone_are_printed_for_another_program(made: Callable[[str], str]) -> None:
    ended = run("--answers-json", "work.Land Parcels", DATABASE_URL=made(LEGACY))
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["table_name"] == "land_parcels"
    assert "WHERE ((status)::text = 'active'::text)" in ended.stderr


def test_of_a_refused_table_nothing_is_printed(made: Callable[[str], str]) -> None:
    ended = run(
        "--answers-json", "work.t", DATABASE_URL=made("CREATE TABLE t (geom geometry(Point, 2193))")
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "it has no primary key" in ended.stderr
    assert "ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY;" in ended.stderr


# -- There and back ------------------------------------------------------------------------------

#: The parameters that a table keeps to the letter. It does not keep how it is served.
KEPT = (
    *(
        "table_name",
        "table_schema",
        "geometry_column",
        "geometry_type",
        "geometry_dimension",
        "srid",
    ),
    *("index_name", "primary_key", "key_column", "timestamps"),
)

#: The factors of variants that a table has something of.
STORED = frozenset({"type", "srid", "columns", "dimension", "index", "key"})


def variants_of_tables() -> list[Variant]:
    """Few variants in which each value of these factors occurs, and those whose names are unusual."""
    left = {(factor, value) for factor in STORED for value in FACTORS[factor]}
    chosen = [
        each
        for each in VARIANTS
        if each.name in ("one letter", "quotes", "63 bytes", "quoted names")
    ]
    values = {
        row: {each for each in zip(FACTORS, row, strict=True) if each[0] in STORED} for row in ROWS
    }
    while left:
        row = max(ROWS, key=lambda row: len(left & values[row]))
        chosen.append(of(row))
        left -= values[row]
    found = {"key_column": "gid", "primary_key": "integer", "timestamps": "no"}
    return [
        *chosen,
        Variant("legacy", {**found, "table_schema": "cadastre", "attributes": "code:str(8)!"}),
        Variant("given keys", {"key_column": "code", "primary_key": "text"}),
    ]


@pytest.mark.parametrize("variant", variants_of_tables(), ids=lambda variant: variant.name)
def test_a_table_that_the_template_made_has_its_parameters_back(
    bake: Bake, server: Any, variant: Variant
) -> None:
    project = bake(**variant.parameters)
    given = {name: str(value) for name, value in project.context.items()}
    with server.database() as url:
        migrated = project.service("migrate", DATABASE_URL=url)
        assert migrated.code == 0, migrated
        table = ".".join(filter(None, [given["table_schema"], given["table_name"]]))
        answers, kinds = adoption.answers(url, table)
        assert {name: answers[name] for name in KEPT} == {name: given[name] for name in KEPT}
        own = own_columns(answers)
        assert columns_of(answers["attributes"], own) == columns_of(given["attributes"], own)
        assert answers["_columns"] == ""
        name = f'"{given["index_name"]}"'
        index = f"{given['table_schema'] or 'public'}.{name}"
        predicate = f"SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = '{index}'::regclass"
        if given["index_predicate"]:
            (stored,) = execute(url, predicate)
            execute(url, f"DROP INDEX {index}")
            made = f"ON {table} ({given['key_column']}) WHERE {answers['index_predicate']}"
            execute(url, f"CREATE INDEX {name} {made}")
            assert execute(url, predicate) == [stored]
        else:
            assert answers["index_predicate"] == ""
    if names.plural(given["resource_name"]) == given["table_name"]:
        assert answers["resource_name"] == given["resource_name"]
    # Of an empty table that the template made nothing is misaligned, but for what the index leaves out.
    assert {each.kind for each in kinds} == (
        {"partial-index"} if given["index_predicate"] else set()
    )


def columns_of(attributes: str, own: frozenset[str]) -> list[tuple[Any, ...]]:
    """The columns, whatever the spelling of their defaults."""
    return [
        (each.name, each.type, each.length, each.precision, each.scale, each.nullable, each.unique)
        + ((each.default.value, each.default.function) if each.default else (None, None))
        for each in (declaration.attribute for declaration in parse_declarations(attributes, own))
    ]


# -- The project ---------------------------------------------------------------------------------


def make_package(project: Path) -> None:
    """A project as far as `adoption` looks for one."""
    (project / "src/maps").mkdir(parents=True)
    (project / "src/maps/main.py").touch()


def test_of_a_schema_what_the_template_refuses_is_left_out(
    made: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import cookiecutter.main
    from cookiecutter.exceptions import FailedHookException

    from adoption import __main__ as command

    def cookiecutter_main(template: str, **options: Any) -> str:
        if options["extra_context"]["table_name"] == "roads":
            raise FailedHookException("hook")
        return str(tmp_path)

    make_package(tmp_path)
    url = made(PLAIN + "CREATE TABLE roads (LIKE t INCLUDING ALL)")
    monkeypatch.setattr(cookiecutter.main, "cookiecutter", cookiecutter_main)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(command, "check", lambda project, url, served: True)
    assert command.main(["--all", "work"]) == 0
    said = capsys.readouterr().err
    assert "work.roads was left out, for the reason above." in said
    assert "serves t. Next" in said
    assert "python -m maps check --database" in said


def test_what_is_typed_after_make_adopt_arrives_to_the_letter(tmp_path: Path) -> None:
    shown = tmp_path / "python"
    shown.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint([os.environ['DATABASE_URL'], *sys.argv[3:]])\n"
    )
    shown.chmod(0o755)
    typed = {
        "DATABASE_URL": "postgresql://u:pa$w#'\"rd@h/d",
        "TABLE": 'a.$HOME "x"',
        "ARGS": "index_predicate=\"status = 'it''s $(PATH)'\"",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    make = ["make", "--silent", "adopt", "ENVIRONMENT=", f"PYTHON={shown}"]
    ended = subprocess.run(
        [*make, *(f"{name}={value}" for name, value in typed.items())],
        cwd=TEMPLATE,
        env=own,
        capture_output=True,
        text=True,
    )
    options = ["--all", "", "--key", "", "--out", ".", "--arguments", typed["ARGS"]]
    assert ended.stdout == f"{[typed['DATABASE_URL'], *options, '--', typed['TABLE']]}\n"


def test_hooks_have_no_database(
    made: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its URL they would try the tables in it."""
    import cookiecutter.main

    from adoption import __main__ as command

    seen: list[tuple[dict[str, Any], dict[str, str]]] = []

    def cookiecutter_main(template: str, **options: Any) -> str:
        seen.append((options["extra_context"], dict(os.environ)))
        return str(tmp_path)

    url = made(PLAIN)
    make_package(tmp_path)
    monkeypatch.setattr(cookiecutter.main, "cookiecutter", cookiecutter_main)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(command, "check", lambda project, url, served: True)
    assert (
        command.main(["work.t", "--arguments", "auth=none project_name='My maps' srid=2193"]) == 0
    )
    ((given, environment),) = seen
    assert not [name for name in environment if name.endswith("DATABASE_URL")]
    assert os.environ["DATABASE_URL"] == url
    assert given["project_name"] == "My maps"
    assert given["auth"] == "none"
    # The table's own CRS is seen, and not asked for.
    assert given["srid"] == "2193"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://a:b@h/d",
            "postgresql://a:b@h/d?options=-c%20default_transaction_read_only%3Don",
        ),
        (
            "postgres://h/d?sslmode=require&options=-c%20role%3Dx",
            "postgresql://h/d?sslmode=require&options=-c%20role%3Dx%20-c%20default_transaction_read_only%3Don",
        ),
        (
            "postgresql:///d?host=/run/postgresql",
            "postgresql:///d?host=%2Frun%2Fpostgresql&options=-c%20default_transaction_read_only%3Don",
        ),
    ],
)
def test_the_project_is_checked_in_sessions_that_cannot_write(url: str, expected: str) -> None:
    from adoption.__main__ import read_only

    assert read_only(url) == expected


def test_the_longest_names_are_shortened_where_others_are_made_of_them(
    made: Callable[[str], str],
) -> None:
    name, key, geometry = "t" * 63, "k" * 63, "g" * 63
    sql = f"CREATE TABLE {name} ({key} serial PRIMARY KEY, {'a' * 63} text UNIQUE, {geometry} geometry(Point, 2193));"
    answers, kinds = adoption.answers(made(sql), f"work.{name}")
    assert [each.kind for each in kinds] == ["no-index"]
    stated = json.loads(answers["_table"])
    assert (stated["name"], stated["key"]["name"], stated["geometry_column"]) == (
        name,
        key,
        geometry,
    )
    assert (answers["table_name"], answers["geometry_column"]) == ("t" * 39, "g" * 14)


def test_names_without_a_latin_letter_are_told_apart(made: Callable[[str], str]) -> None:
    sql = """
        CREATE TABLE "улицы" ("ид" serial PRIMARY KEY, "имя" text, "геом" geometry(LineString, 3857));
        CREATE INDEX "улицы_геом" ON "улицы" USING gist ("геом")
    """
    answers, kinds = adoption.answers(made(sql), "work.улицы")
    assert kinds == []
    assert (answers["key_column"], answers["geometry_column"]) == ("column_1", "column_2")


def test_the_values_that_a_check_takes_are_those_of_a_row(made: Callable[[str], str]) -> None:
    sql = (
        PLAIN
        + """
        ; ALTER TABLE t ADD code text, ADD n int, ADD free text;
        UPDATE t SET code = 'ABC-0001', n = 7, free = 'x';
        ALTER TABLE t ADD CHECK (code ~ '^[A-Z]{3}-\\d{4}$'), ADD CHECK (n % 7 = 0);
    """
    )
    answers, _ = adoption.answers(made(sql), "work.t")
    assert answers["attributes"] == "free:text?"
    samples = {each["name"]: each["sample"] for each in json.loads(answers["_columns"])}
    assert samples == {"code": "ABC-0001", "n": "7"}
    checked = TableCode(answers | {"index_name": "ix"}).checked
    assert checked == {"code": "ABC-0001", "n": 7}


def test_of_a_key_that_will_not_do_only_that_is_said(made: Callable[[str], str]) -> None:
    sql = many("geometry(Point, 2193)", key="code int4range PRIMARY KEY", number=0)
    assert set(found(made(sql))) == {"unordered-key", "as-text"}


def test_a_collection_may_be_called_otherwise(made: Callable[[str], str]) -> None:
    ended = run(
        "--answers-json",
        "work.t",
        "--arguments",
        "table_name=marks output_format=wkt",
        DATABASE_URL=made(PLAIN),
    )
    answers = json.loads(ended.stdout)
    assert (answers["table_name"], answers["output_format"]) == ("marks", "wkt")
    assert json.loads(answers["_table"])["name"] == "t"


def test_what_is_said_of_a_table_and_is_not_so_is_refused(made: Callable[[str], str]) -> None:
    ended = run(
        "--answers-json",
        "work.t",
        "--arguments",
        "srid=4326 geometry_type=POINT",
        DATABASE_URL=made(PLAIN),
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "srid is '2193'; leave it out" in ended.stderr


VIEWED = (
    ("srid-0", many("geometry(Point)", "ST_MakePoint(n, n)")),
    (
        "mixed-srid",
        table("geometry", LINE, f"ST_SetSRID({LINE}, 0)", f"ST_Transform({LINE}, 27200)"),
    ),
    ("refused-crs", many("geometry(PointZ, 4978)", "'SRID=4978;POINT Z (4e6 3e5 4.9e6)'")),
    ("measures", many("geometry(PointM, 2193)", f"ST_Force3DM({POINT})")),
    ("mixed-dimensions", table("geometry", LINE, HIGH)),
    ("curves", table("geometry(Geometry, 2193)", LINE, ARC)),
    ("untyped", many("geometry")),
)


@pytest.mark.parametrize(("kind", "sql"), VIEWED, ids=[kind for kind, _ in VIEWED])
def test_of_a_view_another_view_puts_it_right(
    made: Callable[[str], str], kind: str, sql: str
) -> None:
    url = made(sql + "CREATE VIEW v AS SELECT * FROM t")
    for statement in found(url, "work.v")[kind].statements:
        execute(url, statement.sql)
    answers, kinds = adoption.answers(url, "work.v_served")
    assert answers["read_only"] == "yes"
    assert {each.kind for each in kinds} <= {"key-of-view", "read-only", "mixed-types"}


def test_with_the_statements_the_database_agrees_with_the_project(
    made: Callable[[str], str], bake: Bake
) -> None:
    """And before them, the project finds what was said and nothing else, in a session that cannot write."""
    from adoption.__main__ import Adopted, check

    sql = many(
        "geometry NOT NULL",
        "ST_SetSRID(ST_MakePoint(n, n), 4326)",
        index="brin",
        key="code text PRIMARY KEY DEFAULT gen_random_uuid()",
    )
    url = made(sql.replace("CREATE TABLE t", "CREATE UNLOGGED TABLE t"))
    answers, kinds = adoption.answers(url, "work.t")
    assert [each.kind for each in kinds] == [
        "no-index",
        "no-geography-index",
        "untyped",
        "unlogged",
    ]
    project = bake(**answers)
    assert check(project.path, url, [Adopted("work.t", answers, {}, kinds)])
    assert not check(project.path, url, [])
    for finding in kinds:
        for statement in finding.statements:
            execute(url, statement.sql)
    assert found(url) == {}
    assert project.service("migrate", DATABASE_URL=url).code == 0
    checked = project.service("check", "--database", DATABASE_URL=url)
    assert checked.code == 0, checked
