"""Conditions of partial indexes. CREATE INDEX takes every one that is accepted here."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pglast
import psycopg2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rendering import TEMPLATE

from parameters.immutable import CASTS, SIGNATURES, TIME_ZONES, TYPES, why_not_json
from parameters.predicate import findings, repaired

COLUMNS = {
    "id": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "name": "text",
    "status": "text",
    "n": "integer",
    "ratio": "double precision",
    "price": "numeric",
    "active": "boolean",
    "day": "date",
    "key": "uuid",
    "tags": "jsonb",
    "values": "integer",
    "location": "geometry(POINT,4326)",
}
#: A value of each column, so that CREATE INDEX has a row to work a condition out for.
ROW = {
    "name": "a",
    "status": "a",
    "n": 1,
    "ratio": 0.5,
    "price": 1.5,
    "active": True,
    "day": "2020-01-31",
    "key": "12345678-1234-5678-1234-567812345678",
    "tags": '{"level": 3, "a": [1]}',
    "values": 1,
    "location": "SRID=4326;POINT(13 52)",
}
ACCEPTED = """
status = 'active'
STATUS = 'active' OR "status" = 'new'
status = '50 % :off -- /* ; $1'
status = 'it''s' AND NOT active
active
active = true
active IS NOT FALSE
name IS NOT NULL AND name <> ''
name ISNULL
n > 3 AND n <= 10 OR price >= 1.5
n BETWEEN 1 AND 5 AND status NOT IN ('a', 'b')
n BETWEEN SYMMETRIC 5 AND 1
n % 2 = 0
n=-1
-n < 3
values = 3
n + ratio * 2 > price
id = ANY (ARRAY[1, 2])
name LIKE 'a%' AND name NOT ILIKE '%_!%' ESCAPE '!'
name ~* '^[a-z]+\\d{3}$'
name SIMILAR TO '(a|b)%'
lower(name) = 'x' AND length(btrim(name)) > 3
coalesce(n, 0) > 0
nullif(status, '') IS DISTINCT FROM name
CASE WHEN active THEN n ELSE 0 END > 3
CASE status WHEN 'a' THEN true ELSE active END
day >= '2020-01-01' AND day < DATE '2021-01-01'
day - date '2020-01-01' > 30
extract(year FROM day) = 2020
created_at >= '2020-01-01T00:00:00Z'
created_at < timestamp with time zone '2020-01-01 00:00:00+00'
(created_at AT TIME ZONE 'UTC')::date > '2020-01-01'
updated_at - created_at > interval '1 day'
key = '00000000-0000-0000-0000-000000000000'
tags ? 'indoor' AND tags @> '{"a": [1]}'
(tags->>'level')::int > 2
tags #>> '{a,b}' = 'c'
CAST(n AS text) = '1'
n::double precision / 3 > ratio
st_isvalid(location) AND NOT ST_IsEmpty(location)
location && ST_MakeEnvelope(-10, 35, 30, 60, 4326)
ST_Area(location) > 100 OR ST_Area(location::geography) > 100
price > (0)::numeric AND status = 'x'::character varying
status = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])
tags - 'a' = '{}' AND tags ?| ARRAY['a', 'b'] AND tags ?& '{}'
active AND 't' AND day <> created_at AT TIME ZONE 'UTC'
date_part('year', day) = ALL (ARRAY[2020, 2021])
updated_at - created_at > -interval '1 day'
location IN (ST_Centroid(location))
ST_Within(location, ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326))
ST_Within(location, 'SRID=4326;MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))')
ST_DWithin(location::geography, ST_MakePoint(13.4, 52.5)::geography, 1000)
ST_DWithin(location::geography, 'POINT(13.4 52.5)', 1000)
ST_Distance(location, ST_SetSRID(ST_MakePoint(13.4, 52.5), 4326)) < 1
ST_SetSRID(location, 3857) && ST_MakeEnvelope(0, 0, 1, 1, 3857)
coalesce(location, 'SRID=4326;POINT(1 2)') && ST_MakeEnvelope(0, 0, 1, 1, 4326)
ST_X(location) > 0 AND ST_Y(ST_StartPoint(ST_Envelope(location))) IS NULL
created_at AT TIME ZONE 'america/new_york' > day
n = ANY ('{ 1, 2 }') AND active = ANY ('{t}')
""".strip().splitlines()

#: What docs/predicates.md lists, by the heading.
LISTED: dict[str, list[str]] = {
    part.partition("\n")[0]: re.findall(r"(?m)^\| `(.+?)` \|", part)
    for part in (TEMPLATE / "docs" / "predicates.md").read_text("utf-8").split("\n## ")
}


@pytest.mark.parametrize("text", [*ACCEPTED, *LISTED["Accepted"]])
def test_accepted(text: str) -> None:
    assert findings(text, COLUMNS) == []


@pytest.fixture
def cursor(database_url: str) -> Iterator[Any]:
    connection = psycopg2.connect(database_url)
    yield connection.cursor()
    connection.close()


def make_table(cursor: Any) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    cursor.execute(f"CREATE TABLE facilities ({columns})")
    names = ", ".join(ROW)
    values = ", ".join(f"%({name})s" for name in ROW)
    cursor.execute(f"INSERT INTO facilities (id, {names}) VALUES (1, {values})", ROW)
    cursor.execute("UPDATE facilities SET created_at = '2020-01-01Z', updated_at = '2021-01-01Z'")


def test_postgis_takes_what_is_accepted(cursor: Any) -> None:
    make_table(cursor)
    for text in [*ACCEPTED, *LISTED["Accepted"]]:
        cursor.execute(f"CREATE INDEX ON facilities (id) WHERE ({text})")


#: How an operator or function that has a syntax of its own is written.
SYNTAX = {
    "at": "{} AT TIME ZONE {}",
    "extract": "extract({} FROM {})",
    "similar": "{} SIMILAR TO {}",
}
#: A value where no column will do.
VALUES = {
    "WKT": "'POINT(0 0)'",
    "time zone": "'UTC'",
    "part of a date": "'year'",
    "escape character": "'!'",
}


def call(name: str, types: tuple[str, ...]) -> str:
    return written(name, types, [VALUES.get(kind, f'"{kind}"') for kind in types])


def written(name: str, types: tuple[str, ...], arguments: list[str]) -> str:
    if types[-1] == "escape character":
        return f"{SYNTAX.get(name, '{} ' + name + ' {}').format(*arguments)} ESCAPE '!'"
    if name in SYNTAX:
        return SYNTAX[name].format(*arguments)
    if name.isidentifier() and name not in {"and", "or", "not", "like", "ilike"}:
        return f"{name}({', '.join(arguments)})"
    return f" {name} ".join(arguments if len(arguments) > 1 else ["", *arguments])


def test_the_signatures_are_those_of_postgis(cursor: Any) -> None:
    """Each one exists, gives the type that is said, and is immutable."""
    kinds = set(chain.from_iterable(types for each in SIGNATURES.values() for types, _ in each))
    columns = ", ".join(f'"{kind}" {kind if kind in COLUMN_TYPES else "text"}' for kind in kinds)
    cursor.execute(f"CREATE TABLE every_type ({columns}); INSERT INTO every_type DEFAULT VALUES")
    for name, signatures in SIGNATURES.items():
        for types, result in signatures:
            expression = call(name, types)
            cursor.execute(f"CREATE INDEX ON every_type (integer) WHERE ({expression}) IS NULL")
            cursor.execute(f"SELECT pg_typeof({expression})::text FROM every_type")
            (given,) = cursor.fetchone()
            given = given.replace("timestamp without time zone", "timestamp")
            # Since PostgreSQL 14; it is converted to double precision wherever that is wanted.
            numeric = name == "extract" and given == "numeric"
            assert numeric or TYPES.get(given, given) == result, (expression, given)


REFUSED = [
    ("'8' NOT IN (1, 'x')", "comes before IN"),
    ("active OR ANY (ARRAY[true])", "not expected"),
    ("n % coalesce(0, n) = 1", "write its value"),
    ("n % CASE WHEN true THEN 0 ELSE n END = 1", "decides nothing"),
    ("day BETWEEN created_at AT TIME ZONE 'UTC' AND day", "needs parentheses"),
    ("n ^-1 = 1", "operator ^- is none"),
    ("location && ST_MakeEnvelope(0, 0, 1, 1, 3857)", "different SRIDs"),
    ("location = ST_SetSRID(ST_MakePoint(1, 2), 27700)", "different SRIDs"),
    ("ST_DWithin(location, ST_MakePoint(1, 2), 3)", "different SRIDs"),
    ("ST_Within(location, 'POLYGON((0 0, 1 0, 1 1, 0 0))'::geometry)", "different SRIDs"),
    ("ST_Within(location, ST_GeomFromText('POINT(1 2)', 4258))", "different SRIDs"),
    ("location IN (ST_Centroid(location), ST_MakePoint(1, 2))", "different SRIDs"),
    ("location = ANY (ARRAY[ST_MakePoint(1, 2)])", "different SRIDs"),
    ("coalesce(location, ST_MakePoint(1, 2)) && location", "different SRIDs"),
    ("CASE WHEN active THEN location ELSE ST_MakePoint(1, 2) END && location", "different SRIDs"),
    ("location IS DISTINCT FROM 'SRID=4258;POINT(1 2)'", "different SRIDs"),
    ("location::geography = 'SRID=4258;POINT(1 2)'", "different SRIDs"),
    ("location = ST_Centroid(ST_SetSRID(location, 3857))", "different SRIDs"),
    ("ST_Area(ST_SetSRID(location, 27700)::geography) > 1", "geography is of degrees"),
    ("location && ST_SetSRID(location, n)", "written as a number"),
    ("ST_Within(location, 'SRID=4326;POLYGON((0 0, 1 0, 1 1))')", "cannot be read as geometry"),
    ("ST_X(ST_Envelope(location)) > 0", "takes a POINT alone"),
    ("ST_IsRing(location)", "takes a LINESTRING alone"),
    ("created_at AT TIME ZONE 'Europe/Berln' > day", "no time zone"),
    ("created_at AT TIME ZONE 'EST' > day", "no time zone"),
    ("n = ANY ('{1, x}')", "cannot be read as integer[]"),
    ("status = ANY ('{a,}')", "cannot be read as text[]"),
    ("name ~ ANY (ARRAY['('])", "list of patterns"),
    ("substring(name, 1, -1) = ''", "negative"),
    ("split_part(name, ',', 0) = ''", "from 1"),
    ("mod(n, 0) = 1", "divides by zero"),
    ("created_at AT TIME ZONE status > day", "time zone is expected"),
    ("n = ANY (ARRAY['a', 1])", "cannot be read as integer"),
    ("coalesce(n, name) IS NULL", "one type"),
    ("NOT n", "NOT needs boolean"),
    ("staus = 'a'", "no column 'staus'"),
    ("(SELECT true)", "subquery"),
    ("n IN (SELECT 1)", "subquery"),
    ("EXISTS (SELECT 1)", "subquery"),
    ("count(*) > 1", "aggregate"),
    ("sum(n) > 1", "aggregate"),
    ("row_number() OVER () = 1", "window"),
    ("rank() = 1", "window"),
    ("unnest(ARRAY[1]) = n", "set of rows"),
    ("status = $1", "placeholder"),
    ("status = :status", "placeholder"),
    ("status = %s", "placeholder"),
    ("status = %(status)s", "placeholder"),
    ("status = ?", "placeholder"),
    ("active -- really", "comment"),
    ("active /* really */", "comment"),
    ("active; DROP TABLE facilities", ";"),
    ("active\0", "character"),
    ("status", "not a condition"),
    ("n", "not a condition"),
    ("1", "every row"),
    ("'a'", "every row"),
    ("true", "every row"),
    ("1 = 1", "every row"),
    ("NULL", "every row"),
    ("(active", "parenthesis is not closed"),
    ("active)", "not expected"),
    ("status = 'a", "quote is not closed"),
    ('"status = 1', "quote is not closed"),
    ("status = $$a$$", "dollar"),
    ("status = E'a'", "prefix"),
    ("", "missing"),
    ("status =", "missing"),
    ("AND active", "not expected"),
    ("now() > created_at", "not immutable"),
    ("created_at > current_timestamp", "not immutable"),
    ("day = CURRENT_DATE", "not immutable"),
    ("random() < 1", "not immutable"),
    ("clock_timestamp() > created_at", "not immutable"),
    ("age(created_at) > interval '1 day'", "not immutable"),
    ("to_char(day, 'YYYY') = '2020'", "not immutable"),
    ("date_trunc('day', created_at) = '2020-01-01'", "not immutable"),
    ("created_at::date = '2020-01-01'", "not immutable"),
    ("name::date = '2020-01-01'", "not immutable"),
    ("created_at > day", "not immutable"),
    ("created_at + interval '1 day' > updated_at", "not immutable"),
    ("extract(year FROM created_at) = 2020", "not immutable"),
    ("created_at > 'now'", "would mean the moment"),
    ("xmin = 1", "system column"),
    ("status = 1", "quotes are missing"),
    ("n = 'a'", "cannot be read as integer"),
    ("n = '2147483648'", "cannot be read as integer"),
    ("day = '2020-02-30'", "cannot be read as date"),
    ("active = 1", "true or false"),
    ("active AND n", "AND needs boolean"),
    ("status = NULL", "IS NULL"),
    ("n = 1 = active", "parentheses"),
    ("n / 0 = 1", "divides by zero"),
    ("n > 1 + 1", "write its value"),
    ("name ~ '('", "regular expression"),
    ("name LIKE 'a\\'", "LIKE pattern"),
    ("tags @> '{a}'", "cannot be read as jsonb"),
    ("pg_sleep(1) IS NULL", "not immutable"),
    ("st_frobnicate(location)", "none of the immutable ones"),
    ("lower(n) = 'a'", "lower needs text"),
    ("(n, id) = (1, 2)", "rows"),
    ("facilities.status = 'a'", "without the table's name"),
    ("name COLLATE \"C\" = 'a'", "COLLATE is not supported"),
    ("имя = 'a'", "ASCII"),
    ("1a = 2", "digit"),
    ("(" * 5000 + "active" + ")" * 5000, "4000"),
    ("(" * 500 + "active" + ")" * 500, "deep"),
    ("NOT " * 900 + "active", "deep"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_refused(text: str, reason: str) -> None:
    reasons = [finding.reason for finding in findings(text, COLUMNS)]
    assert any(reason in each for each in reasons), reasons


@pytest.mark.parametrize("text", LISTED["Refused"])
def test_what_is_listed_as_refused_is_sql(text: str) -> None:
    """PostgreSQL's own parser reads it; here it is a decision."""
    assert findings(text, COLUMNS)
    assert is_sql(text)


def test_columns_of_other_types_and_systems() -> None:
    """What is right for a table of points in degrees is wrong for others."""
    others = COLUMNS | {"location": "geometry(POLYGON,27700)"}
    for text in (
        "ST_X(location) > 0",
        "ST_Area(location::geography) > 1",
        "location && ST_MakeEnvelope(0, 0, 1, 1, 4326)",
    ):
        assert findings(text, COLUMNS) == []
        assert len(findings(text, others)) == 1
    assert findings("location && ST_MakeEnvelope(0, 0, 1, 1, 27700)", others) == []


def test_postgresql_knows_the_time_zones(cursor: Any) -> None:
    cursor.execute("SELECT name FROM pg_timezone_names")
    assert {name for (name,) in cursor} >= TIME_ZONES


def test_long_chains_are_not_deep() -> None:
    assert findings(" AND ".join(["n > 0"] * 300), COLUMNS) == []
    assert findings("n > 0" + " + n" * 900, COLUMNS) == []


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("staus = 1 AND nme = 'a'", "status = '1' AND name = 'a'"),
        ("status", "status IS NOT NULL"),
        ("status = NULL", "status IS NULL"),
        ("status <> NULL", "status IS NOT NULL"),
        ("active = 1;", "active = true"),
        ("active -- really", "active"),
        ("active /* really */", "active"),
        ("facilities.status = 'a'", "status = 'a'"),
        ("WHERE status = 'a'", "status = 'a'"),
        ("where status == 'a' and n == 1", "status = 'a' and n = 1"),
        ('status = "open"', "status = 'open'"),
        ('status == "in use"', "status = 'in use'"),
        ('status IN ("it\'s", "b")', "status IN ('it''s', 'b')"),
        ("\"staus\" = 'a'", "status = 'a'"),
        ("status=Broken AND n = 1", "status='Broken' AND n = 1"),
        ("status IN (open, shut)", "status IN ('open', 'shut')"),
        ("n = zzz", ""),
        ("now() > created_at", ""),
        ("true", ""),
        (
            "ST_DWithin(location, ST_MakePoint(1, 2), 3)",
            "ST_DWithin(location, ST_SetSRID(ST_MakePoint(1, 2), 4326), 3)",
        ),
        (
            "created_at AT TIME ZONE 'Europe/Berln' > day",
            "created_at AT TIME ZONE 'Europe/Berlin' > day",
        ),
        ("ST_X(ST_Envelope(location)) > 0", "ST_X(ST_Centroid(ST_Envelope(location))) > 0"),
    ],
)
def test_repaired(text: str, suggestion: str) -> None:
    assert repaired(text, COLUMNS) == suggestion


def test_columns_of_unknown_type_are_taken_as_they_come() -> None:
    assert findings("a = 1 AND lower(a) = 'x' AND a", {"a": ""}) == []


COLUMN_TYPES = {*CASTS, "text[]"}
WORDS = """
( ) , = <> < - + :: . [ ] ' " $ ; ? ' ' and or not is null in between like case when then else end
any array cast as status n active day tags lower coalesce 1 2.5 'a' date interval extract from ->>
"""


@given(st.lists(st.sampled_from(WORDS.split())).map(" ".join) | st.text())
def test_nothing_crashes_and_repairs_hold(text: str) -> None:
    better = repaired(text, COLUMNS)
    if better:
        assert findings(better, COLUMNS) == []
        assert is_sql(better)
    else:
        assert findings(text, COLUMNS)


def is_sql(text: str) -> bool:
    """Whether PostgreSQL's own parser reads one CREATE INDEX with this condition."""
    try:
        statements = pglast.parse_sql(f"CREATE INDEX ON facilities (id) WHERE ({text})")
    except pglast.parser.ParseError:
        return False
    return [type(each.stmt) for each in statements] == [pglast.ast.IndexStmt]


#: Values and columns of each type that an expression may begin with.
LEAVES = {
    "boolean": "active 'f'::boolean",
    "integer": "n \"values\" 2 '3' -1",
    "bigint": "id 3000000000",
    "numeric": "price 1.5",
    "double precision": "ratio 2.5 1::float",
    "text": "name status 'a' 'b'::varchar(3)",
    "date": "day date'2020-02-29'",
    "timestamp": "created_at|AT|TIME|ZONE|'UTC' '2020-01-31'::timestamp",
    "timestamptz": "created_at updated_at '2020-01-31T12:00:00Z'",
    "interval": "interval'1|day' '2|hours'::interval",
    "uuid": "key '12345678-1234-5678-1234-567812345678'::uuid",
    "jsonb": """tags tags->'a' '{"a":|1}'""",
    "geometry": "location 'SRID=4326;POINT(1|2)' ST_MakePoint(1,2) ST_MakeEnvelope(0,0,1,1,3857)",
    "geography": "location::geography 'POINT(1|2)'::geography",
    "text[]": "'{a,b}' ARRAY['a']",
    "regular expression": "'^a' status",
    "LIKE pattern": "'a%' status",
    **{kind: text.replace(" ", "|") for kind, text in VALUES.items()},
}
BY_RESULT = {
    result: [
        (name, types) for name in SIGNATURES for types, gives in SIGNATURES[name] if gives == result
    ]
    for result in {gives for signatures in SIGNATURES.values() for _, gives in signatures}
}


def expressions(kind: str, depth: int = 3) -> st.SearchStrategy[str]:
    """Expressions of a type, with few parentheses: PostgreSQL's precedence puts some together in another way."""
    leaves = st.sampled_from([leaf.replace("|", " ") for leaf in LEAVES[kind].split()])
    if not depth or kind not in BY_RESULT:
        return leaves

    def applied(signature: tuple[str, tuple[str, ...]]) -> st.SearchStrategy[str]:
        name, types = signature
        arguments = st.tuples(*(expressions(each, depth - 1) for each in types))
        plain = arguments.map(lambda parts: written(name, types, list(parts)))
        return plain | plain.map(lambda text: f"({text})")

    return leaves | st.sampled_from(BY_RESULT[kind]).flatmap(applied)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(text=expressions("boolean"))
def test_postgresql_reads_what_is_accepted(text: str, cursor: Any) -> None:
    """Whatever is accepted is SQL, makes an index, and fails for no row but by its values."""
    assume(findings(text, COLUMNS) == [])
    assert is_sql(text)
    try:
        make_table(cursor)
        cursor.execute(f"CREATE INDEX ON facilities (id) WHERE ({text})")
    except psycopg2.DataError:
        # Of the row's values: a division by zero, a text that is no number.
        pass
    finally:
        cursor.connection.rollback()


@pytest.mark.parametrize("text", ["{}", "[1, null]", '"a"', "1e5", "null"])
def test_json(text: str) -> None:
    assert why_not_json(text) == ""


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "1e999", '"\\u0000"', '"\\ud800"', "[" * 100_000, "'a'"]
)
def test_not_json(text: str) -> None:
    assert why_not_json(text)
