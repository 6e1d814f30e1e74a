"""Conditions of partial indexes. CREATE INDEX takes every one that is accepted here."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immutable import CASTS, SIGNATURES, TYPES, why_not_json
from predicate import findings, repaired

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
    "location": "geometry",
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
""".strip().splitlines()


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert findings(text, COLUMNS) == []


@pytest.fixture
def cursor(database_url: str) -> Iterator[Any]:
    connection = psycopg2.connect(database_url)
    yield connection.cursor()
    connection.close()


def test_postgis_takes_what_is_accepted(cursor: Any) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    cursor.execute(f"CREATE TABLE facilities ({columns})")
    for number, text in enumerate(ACCEPTED):
        cursor.execute(f"CREATE INDEX i{number} ON facilities (id) WHERE ({text})")


#: How an operator or function that has a syntax of its own is written.
SYNTAX = {
    "at": "{} AT TIME ZONE {}",
    "extract": "extract({} FROM {})",
    "similar": "{} SIMILAR TO {}",
}
#: A value where no column will do.
VALUES = {"time zone": "'UTC'", "part of a date": "'year'", "escape character": "'!'"}


def call(name: str, types: tuple[str, ...]) -> str:
    arguments = [VALUES.get(kind, f'"{kind}"') for kind in types]
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
    ("name::varchar(3) = 'a'", "limits of text"),
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
    ("name COLLATE \"C\" = 'a'", "not expected"),
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
        ("now() > created_at", ""),
        ("true", ""),
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
    if findings(text, COLUMNS):
        better = repaired(text, COLUMNS)
        assert not better or findings(better, COLUMNS) == []


@pytest.mark.parametrize("text", ["{}", "[1, null]", '"a"', "1e5", "null"])
def test_json(text: str) -> None:
    assert why_not_json(text) == ""


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "1e999", '"\\u0000"', '"\\ud800"', "[" * 100_000, "'a'"]
)
def test_not_json(text: str) -> None:
    assert why_not_json(text)
