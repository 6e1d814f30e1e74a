"""Filters in CQL2: they find the rows that looking at each of them finds, and nothing hostile gets through."""

import datetime
import json
import math
import operator
import re
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest
import shapely
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import MERCATOR, RADIUS, WGS84
from geotables.features import cql
from geotables.geometry import bind, in_srid, samples

from contract import each, only
from rows import Rows, as_json, value

#: The kinds of values that Python orders as PostgreSQL does; text depends on the collation.
ORDERED = (sa.Integer, sa.Numeric, sa.Float, sa.DateTime, sa.Date, sa.Uuid, sa.Boolean)


@pytest.fixture
def connection(unconstrained_connection: sa.Connection) -> sa.Connection:
    """To the table that takes every value: which rows a filter finds depends on values that these tests choose."""
    return unconstrained_connection


def of_type(*types: type[Any], with_key: bool = True) -> Any:
    """Run a test for each column of some types; without the key, whose values tell rows apart, where it needs others."""
    return each(
        "column",
        lambda c: {
            column.name: column
            for column in c.columns
            if isinstance(column.type, types) and (with_key or column is not c.key)
        },
    )


def found(
    rows: Rows, connection: sa.Connection, text: str, lang: str = "cql2-text", **options: Any
) -> set[Any]:
    """The ids of the rows that a filter finds."""
    query = sa.select(rows.key).where(cql.compile_filter(rows.collection, text, lang, **options))
    return set(connection.scalars(query))


def stored(
    rows: Rows, connection: sa.Connection, column: sa.Column[Any], values: list[Any]
) -> dict[Any, Any]:
    """What a column has in rows with these values, by their ids; an id is as it comes."""
    kinds = [{}] if column.primary_key else [{column.name: value} for value in values]
    rows.insert(connection, rows.spread(len(values)), kinds)
    return dict(connection.execute(sa.select(rows.key, text_of(column))).all())


def written(column: sa.Column[Any]) -> str:
    """The name of a column as CQL2 text."""
    name: str = column.name
    return name if re.fullmatch("[a-z][a-z_]*", name) else f'"{name}"'


def literal(value: Any) -> str:
    """A value as CQL2 text."""
    match value:
        case bool():
            return str(value).lower()
        case datetime.datetime():
            return f"TIMESTAMP('{value.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S.%fZ}')"
        case datetime.date():
            return f"DATE('{value}')"
        case str() | UUID():
            return "'" + str(value).replace("'", "''") + "'"
    return str(value)


@of_type(*ORDERED, sa.String)
def test_comparisons(connection: sa.Connection, rows: Rows, column: sa.Column[Any]) -> None:
    sample = [value(column, number) for number in range(9)]
    values = stored(rows, connection, column, sample + [None] * column.nullable)
    there = {id: known for id, known in values.items() if known is not None}
    name, some = written(column), sorted({*there.values()})[::3]
    comparisons = {"=": operator.eq, "<>": operator.ne}
    if isinstance(column.type, ORDERED):
        comparisons |= {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
        low, high = some[0], some[-1]
        within = {id for id, known in there.items() if low <= known <= high}
        between = f"{name} BETWEEN {literal(low)} AND {literal(high)}"
        assert found(rows, connection, between) == within
        assert found(rows, connection, f"NOT ({between})") == there.keys() - within
    for one, (sign, compare) in product(some, comparisons.items()):
        expected = {id for id, other in there.items() if compare(other, one)}
        assert found(rows, connection, f"{name} {sign} {literal(one)}") == expected
    listed = ", ".join(map(literal, some))
    among = {id for id, known in there.items() if known in some}
    assert found(rows, connection, f"{name} IN ({listed})") == among
    assert found(rows, connection, f"{name} NOT IN ({listed})") == there.keys() - among
    assert found(rows, connection, f"{name} IS NULL") == values.keys() - there.keys()
    assert found(rows, connection, f"{name} IS NOT NULL AND {name} = {name}") == there.keys()


@of_type(sa.Date, sa.DateTime, sa.Uuid)
def test_strings_stand_for_times_and_ids(
    connection: sa.Connection, collection: Collection, rows: Rows, column: sa.Column[Any]
) -> None:
    values = stored(rows, connection, column, [value(column, number) for number in range(3)])
    id, known = next(iter(values.items()))
    text = known.isoformat() if isinstance(known, datetime.date) else str(known)
    assert id in found(rows, connection, f"{written(column)} = '{text}'")
    with pytest.raises(cql.FilterError, match="nonsense"):
        cql.compile_filter(collection, f"{written(column)} = 'nonsense'", "cql2-text")


@of_type(sa.Integer, sa.Numeric, sa.Float)
def test_arithmetic(connection: sa.Connection, rows: Rows, column: sa.Column[Any]) -> None:
    values = stored(rows, connection, column, [value(column, number) for number in range(9)])
    exact = {id: Decimal(str(value)) for id, value in values.items() if value is not None}
    name = written(column)
    for text, compute in {
        f"{name} + 2 * 3 - 1 > 8": lambda x: x + 5 > 8,
        f"({name} + 1) / 2 <= 2.5": lambda x: (x + 1) / 2 <= Decimal("2.5"),
        f"{name} div 2 = 1": lambda x: x // 2 == 1,
        f"{name} % 3 < 1": lambda x: x % 3 < 1,
        f"{name} ^ 2 >= 4": lambda x: x**2 >= 4,
        f"-{name} < {name} - 1": lambda x: -x < x - 1,
        f"10 / {name} > 2": lambda x: x != 0 and 10 / x > 2,
    }.items():
        assert found(rows, connection, text) == {id for id, x in exact.items() if compute(x)}, text


@of_type(sa.Integer, sa.Numeric, sa.Float)
def test_numbers_do_not_make_the_database_fail(
    connection: sa.Connection, rows: Rows, column: sa.Column[Any]
) -> None:
    stored(rows, connection, column, [value(column, number) for number in range(9)])
    for text in (
        "{} / 0 = 1 OR {} % 0 = 1 OR {} div 0 = 1",
        "{} ^ 9007199254740991 > 1",
        "0 ^ (0 - {}) > 1",
        "(0 - {}) ^ 0.5 > 1",
        "({} + 2) ^ (9 ^ (9 ^ 9)) > 1",
        "{} * 9007199254740991 * 9007199254740991 < 0",
        "{} = 9007199254740991 OR {} = 0.0000000001",
    ):
        assert found(rows, connection, text.replace("{}", written(column))) == set(), text


@of_type(sa.String, with_key=False)
def test_text(connection: sa.Connection, rows: Rows, column: sa.Column[Any]) -> None:
    length = column.type.length or 9
    words = [
        word for word in ("a%b", "a_b", "axb", "AXB", "áxb", "a\\b", "a'b") if len(word) <= length
    ]
    values = stored(rows, connection, column, words)
    name = written(column)
    for text, expected in {
        f"{name} LIKE 'a%'": {"a%b", "a_b", "axb", "a\\b", "a'b"},
        f"{name} LIKE 'a_b'": {"a%b", "a_b", "axb", "a\\b", "a'b"},
        rf"{name} LIKE 'a\%b'": {"a%b"},
        rf"{name} LIKE 'a\_b'": {"a_b"},
        rf"{name} LIKE 'a\\b'": {"a\\b"},
        f"{name} = 'a''b'": {"a'b"},
        f"casei({name}) = casei('Axb')": {"axb", "AXB"},
        f"CASEI({name}) LIKE CASEI('AX%')": {"axb", "AXB"},
        f"accenti({name}) = accenti('àxb')": {"axb", "áxb"},
        f"casei(accenti({name})) IN (casei(accenti('ÀXB')))": {"axb", "AXB", "áxb"},
    }.items():
        known = {id for id, value in values.items() if value in expected}
        assert found(rows, connection, text) == known, text


def day(number: int) -> datetime.datetime:
    return datetime.datetime(2024, 1, number, tzinfo=datetime.UTC)


#: Of an instant on each of the first nine days of a month, those days on which a condition holds.
TIMES = {
    "T_AFTER({}, <3-6>)": {7, 8, 9},
    "T_BEFORE({}, <3-6>)": {1, 2},
    "T_DURING({}, <3-6>)": {4, 5},
    "T_CONTAINS(<3-6>, {})": {4, 5},
    "T_INTERSECTS({}, <3-6>)": {3, 4, 5, 6},
    "T_DISJOINT({}, <3-6>)": {1, 2, 7, 8, 9},
    "T_STARTS({}, <3-6>)": {3},
    "T_STARTEDBY(<3-6>, {})": {3},
    "T_FINISHES({}, <3-6>)": {6},
    "T_FINISHEDBY(<3-6>, {})": {6},
    "T_MEETS({}, <3-6>)": {3},
    "T_METBY({}, <3-6>)": {6},
    "T_EQUALS({}, <3-6>)": set(),
    "T_EQUALS({}, <3-3>)": {3},
    "T_OVERLAPS({}, <3-6>)": set(),
    "T_OVERLAPPEDBY({}, <3-6>)": set(),
    "T_INTERSECTS({}, INTERVAL('..', '..'))": {*range(1, 10)},
    "T_DURING({}, INTERVAL('2024-01-07', '..'))": {8, 9},
    "T_INTERSECTS({}, INTERVAL('..', '2024-01-02'))": {1, 2},
    "T_AFTER({}, DATE('2024-01-07'))": {8, 9},
    "T_BEFORE({}, TIMESTAMP('2024-01-02T00:00:00Z'))": {1},
    "T_EQUALS(INTERVAL({}, {}), INTERVAL('2024-01-02', '2024-01-02'))": {2},
}


@of_type(sa.Date, sa.DateTime, with_key=False)
def test_times(connection: sa.Connection, rows: Rows, column: sa.Column[Any]) -> None:
    timestamps = isinstance(column.type, sa.DateTime)
    days = {number: day(number) if timestamps else day(number).date() for number in range(1, 10)}
    values = stored(rows, connection, column, [*days.values()])
    suffix = "T00:00:00Z" if timestamps else ""
    for condition, expected in TIMES.items():
        text = condition.replace("{}", written(column))
        for first, last in ((3, 6), (3, 3)):
            interval = f"INTERVAL('2024-01-0{first}{suffix}', '2024-01-0{last}{suffix}')"
            text = text.replace(f"<{first}-{last}>", interval)
        # An instant is no day.
        never = timestamps and condition.startswith("T_EQUALS(INTERVAL")
        wanted = [] if never else [days[number] for number in expected]
        known = {id for id, value in values.items() if value in wanted}
        assert found(rows, connection, text) == known, text


@only(lambda c: Rows.of(c).has_timestamps)
def test_intervals(connection: sa.Connection, rows: Rows) -> None:
    """Intervals of two days, of which one begins each day, and another from the third to the eighth."""
    kinds = [{"created_at": day(number), "updated_at": day(number + 2)} for number in range(1, 10)]
    rows.insert(connection, rows.spread(9), kinds)
    there = connection.execute(sa.select(rows.key, rows.table.c.created_at)).all()
    own = {"interval": [{"property": "created_at"}, {"property": "updated_at"}]}
    other = {"interval": ["2024-01-03T00:00:00Z", "2024-01-08T00:00:00Z"]}
    for name, expected in {
        "t_meets": {1},
        "t_overlaps": {2},
        "t_starts": {3},
        "t_during": {4, 5},
        "t_finishes": {6},
        "t_overlappedBy": {7},
        "t_metBy": {8},
        "t_after": {9},
        "t_before": set(),
        "t_disjoint": {9},
        "t_intersects": {1, 2, 3, 4, 5, 6, 7, 8},
    }.items():
        known = {id for id, start in there if start in [day(number) for number in expected]}
        text = json.dumps({"op": name, "args": [own, other]})
        assert found(rows, connection, text, "cql2-json") == known, name


def places(rows: Rows) -> list[str]:
    """Geometries in longitude and latitude, in and around the area of the CRS, as CQL2 text."""
    (x, y), domain = samples.middle(rows.collection.geometry), rows.collection.crs.domain
    x, y = round(x, 6), round(y, 6)
    far, high = round(min(x + 30, 179), 6), round(min((y + domain.ymax) / 2, 89), 6)
    triangle = f"({x} {y}, {far} {y}, {x} {high}, {x} {y})"
    return [
        f"POINT({x} {y})",
        f"LINESTRING({x} {y}, {far} {high}, {far} {y})",
        f"POLYGON({triangle})",
        f"MULTIPOINT(({x} {y}), ({far} {high}))",
        f"MULTIPOLYGON(({triangle}), (({x} -90, {far} -90, {x} -89, {x} -90)))",
        f"GEOMETRYCOLLECTION(POINT({x} {y}), LINESTRING({x} {y}, {far} {high}))",
        f"BBOX({x}, {y}, {far}, {high})",
        f"BBOX({x}, {y}, {far}, {y})",
        f"BBOX({x}, {y}, 0, {far}, {high}, 9)",
        "BBOX(-180, -90, 180, 90)",
        f"BBOX({x}, -90, {x - 1}, 90)",
    ]


def wkt(place: str) -> str:
    """A geometry of CQL2 text as PostGIS reads it."""
    if not place.startswith("BBOX"):
        return place
    numbers = [float(number) for number in place[5:-1].split(",")]
    half = len(numbers) // 2
    (west, south), (east, north) = numbers[:2], numbers[half : half + 2]
    if south == north:
        return f"LINESTRING({west} {south}, {east} {north})"
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return shapely.union_all([shapely.box(x, south, xx, north) for x, xx in spans]).wkt


def insert_narrow(rows: Rows, connection: sa.Connection, number: int) -> None:
    """Rows of which transforming their corners makes the same shapes: none around a pole or across the antimeridian."""
    rows.insert(connection, rows.spread(number))
    box = in_srid(rows.collection.geometry, WGS84)
    width = sa.func.ST_XMax(box) - sa.func.ST_XMin(box)
    connection.execute(sa.delete(rows.table).where(width > 180))


def brute_force(rows: Rows, connection: sa.Connection, function: str, other: Any) -> list[set[Any]]:
    """The rows of which PostGIS says that they are so to a geometry, or that it is so to them, without an index."""
    # Heights take part in a transformation: without them the last digits of longitude and latitude are others.
    own = sa.func.ST_Force2D(sa.func.ST_Transform(rows.collection.geometry, WGS84))
    other = sa.func.ST_SetSRID(other, WGS84)
    return [
        set(connection.scalars(sa.select(rows.key).where(sa.Function(function, *operands))))
        for operands in ((own, other), (other, own))
    ]


@pytest.mark.parametrize(("function", "name"), cql.SPATIAL.items())
def test_geometries(
    connection: sa.Connection, collection: Collection, rows: Rows, function: str, name: str
) -> None:
    insert_narrow(rows, connection, 300)
    for place in places(rows):
        one, other = brute_force(rows, connection, name, sa.func.ST_GeomFromText(wkt(place)))
        assert (
            found(rows, connection, f"{function}({written(collection.geometry)}, {place})") == one
        ), place
        assert (
            found(rows, connection, f"{function}({place}, {written(collection.geometry)})") == other
        ), place


@pytest.mark.parametrize(("function", "name"), cql.SPATIAL.items())
def test_geometries_of_rows(
    connection: sa.Connection, collection: Collection, rows: Rows, function: str, name: str
) -> None:
    insert_narrow(rows, connection, 50)
    own = sa.func.ST_AsGeoJSON(in_srid(collection.geometry, WGS84), 15, 0, type_=sa.Text())
    everything = set(connection.scalars(sa.select(rows.key)))
    for place in connection.scalars(sa.select(own).order_by(rows.key).limit(8)).all():
        one, other = brute_force(
            rows, connection, name, sa.func.ST_Force2D(sa.func.ST_GeomFromGeoJSON(place))
        )
        operands = [{"property": collection.geometry.name}, json.loads(place)]
        for args, expected in ((operands, one), (operands[::-1], other)):
            text = json.dumps({"op": function, "args": args})
            assert found(rows, connection, text, "cql2-json") == expected, place
        with_itself = json.dumps({"op": function, "args": operands[1:] * 2})
        assert found(rows, connection, with_itself, "cql2-json") in (everything, set())
    to_itself = (
        everything if name in ("ST_Intersects", "ST_Within", "ST_Contains", "ST_Equals") else set()
    )
    assert (
        found(
            rows,
            connection,
            f"{function}({written(collection.geometry)}, {written(collection.geometry)})",
        )
        == to_itself
    )


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("function", ["s_intersects", "s_within", "s_disjoint"])
def test_geometries_in_the_crs_of_the_table(
    connection: sa.Connection, collection: Collection, rows: Rows, function: str, swapped: bool
) -> None:
    rows.insert(connection, rows.spread(300))
    xmin, ymin, xmax, ymax = collection.crs.extent
    box = (xmin, ymin, (xmin + xmax) / 2, (ymin + ymax) / 2)
    area = shapely.set_srid(shapely.box(*box), collection.crs.srid)
    compare = sa.Function(
        cql.SPATIAL[function], collection.geometry, bind(area, collection.crs.srid)
    )
    known = set(connection.scalars(sa.select(rows.key).where(compare)))
    options = {"srid": collection.crs.srid, "swapped": swapped}
    order = (1, 0, 3, 2) if swapped else (0, 1, 2, 3)
    bounds = ", ".join(f"{box[axis]:f}" for axis in order)
    assert (
        found(
            rows,
            connection,
            f"{function}({written(collection.geometry)}, BBOX({bounds}))",
            **options,
        )
        == known
    )
    corners = [point[::-1] if swapped else point for point in area.exterior.coords]
    polygon = ", ".join(f"{x:f} {y:f}" for x, y in corners)
    text = f"{function}({written(collection.geometry)}, POLYGON(({polygon})))"
    assert found(rows, connection, text, **options) == known


def test_geometries_in_web_mercator(
    connection: sa.Connection, collection: Collection, rows: Rows
) -> None:
    rows.insert(connection, rows.spread(300))
    (west, south), domain = samples.middle(collection.geometry), collection.crs.domain
    east, north = min(west + 20, 180), min(domain.ymax, south + 20, 85)
    x = [math.radians(lon) * RADIUS for lon in (west, east)]
    y = [math.atanh(math.sin(math.radians(lat))) * RADIUS for lat in (south, north)]
    box = f"BBOX({x[0]:f}, {y[0]:f}, {x[1]:f}, {y[1]:f})"
    lonlat = f"BBOX({west}, {south}, {east}, {north})"
    known = found(rows, connection, f"s_intersects({written(collection.geometry)}, {lonlat})")
    text = f"s_intersects({written(collection.geometry)}, {box})"
    assert found(rows, connection, text, srid=MERCATOR.srid) == known


def test_logic_and_both_languages(connection: sa.Connection, rows: Rows) -> None:
    rows.insert(connection, rows.spread(20))
    ids = sorted(set(connection.scalars(sa.select(rows.key))), key=str)
    one, two = (float(id) if isinstance(id, Decimal) else as_json(id) for id in ids[:2])
    name = rows.key.name

    def equal(value: Any) -> dict[str, Any]:
        return {"op": "=", "args": [{"property": name}, value]}

    tree = {"op": "or", "args": [equal(one), equal(two)]}
    own = written(rows.key)
    text = f"{own} = {literal(ids[0])} OR {own} = {literal(ids[1])}"
    assert found(rows, connection, json.dumps(tree), "cql2-json") == {*ids[:2]}
    assert found(rows, connection, text) == {*ids[:2]}
    assert found(rows, connection, f"NOT ({text})") == {*ids[2:]}
    assert found(rows, connection, f"({text}) AND NOT {own} = {literal(ids[1])}") == {ids[0]}
    assert found(rows, connection, "true") == {*ids}
    assert found(rows, connection, "NOT true") == set()
    assert found(rows, connection, f"({own} = {literal(ids[0])}) = true") == {ids[0]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "syntax error at line 1, column 1"),
        ("{key} =", "syntax error at line 1, column {end}"),
        ("{key} = 1; SELECT 1", "syntax error"),
        ("pg_sleep(1) IS NULL", "'pg_sleep'"),
        ("nothing = 1", "there is no property 'nothing'; there are {first}"),
        ('"no such key" = 1', "there is no property"),
        ("ctid = '(0,1)'", "'ctid'"),
        ("{key} = NaN", "'NaN'"),
        ("1 = 1e400", "beyond"),
        ("1 = 99999999999999999999", "beyond"),
        ("casei('a', 'b') = 'x'", "operands"),
        ("'a' LIKE 'a\\'", "escapes nothing"),
        ("'a\0' = 'a'", "NUL"),
        ("'a'", "no condition"),
        ("{geometry} = {geometry}", "does not compare"),
        ("s_buffer({geometry}, 1)", "'s_buffer'"),
        ("s_intersects({geometry}, 'POINT(0 0)')", "no geometry"),
        ("s_intersects({geometry}, POINT(181 0))", "out of range"),
        ("s_intersects({geometry}, POINT(0 -91))", "out of range"),
        ("s_intersects({geometry}, POLYGON((0 0, 1 1, 0 1, 1 0, 0 0)))", "invalid"),
        ("s_intersects({geometry}, POLYGON((0 0, 1 1)))", "malformed"),
        ("s_intersects({geometry}, BBOX(0, 1, 1, 0))", "wrong way round"),
        ("s_intersects({geometry}, BBOX(0, 0, 1))", "four or six"),
        ("s_intersects({geometry}, BBOX(0, 0, 1, 1e999))", "four or six"),
        ("s_intersects({geometry})", "operands"),
        ("t_after({geometry}, DATE('2024-01-01'))", "takes dates"),
        ("(" * 8000 + "1 = 1" + ")" * 8000, "parentheses"),
        ("(" * 20 + "1 = ", "parentheses"),
        ("casei(" * 30 + "'a'" + ")" * 30 + " = 'a'", "parentheses"),
        ("((((1, 1), 1), 1), 1) = 1", "does not stand"),
        ("NOT " * 4000 + "true", "operators"),
        ("1 = " + "-" * 9000 + "1", "operators"),
        ("1 = 1" + " + 1" * 300, "nested too deeply"),
        ("2 ^ 2 ^ 2 ^ 2 ^ 2 = 2", "powers"),
        ("(" * 10_000 + "1 = 1" + ")" * 10_000, "16,384 characters"),
    ],
)
def test_refusals(collection: Collection, text: str, reason: str) -> None:
    with pytest.raises(cql.FilterError) as error:
        cql.compile_filter(collection, named(collection, text), "cql2-text")
    assert named(collection, reason) in str(error.value)


def named(collection: Collection, text: str) -> str:
    """A text with the names of columns, and where the shortest comparison with the key ends."""
    names = {
        "{key}": written(collection.key),
        "{geometry}": written(collection.geometry),
        "{first}": collection.columns[0].name,
        "{end}": str(len(written(collection.key)) + 3),
    }
    for name, meant in names.items():
        text = text.replace(name, meant)
    return text


@of_type(sa.DateTime)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{time} = NULL", "IS NULL"),
        ("{time} = 1", "does not compare"),
        ("{time} > DATE('2024-01-01')", "does not compare date and timestamp"),
        ("{time} = '2024-01-01T00:00:00'", "offset"),
        ("{time} = TIMESTAMP('2024-02-30T00:00:00Z')", "no timestamp"),
        ("{time} + 1 = 2", "takes numbers"),
        ("casei({time}) = 'x'", "takes text"),
        ("{time} LIKE '2024%'", "takes text"),
        ("casei('a') LIKE {time}", "takes a pattern"),
        ("{time}", "no condition"),
        ("s_intersects({time}, POINT(0 0))", "no geometry"),
        ("t_after({time}, DATE('yesterday'))", "no date"),
    ],
)
def test_refusals_about_times(
    collection: Collection, column: sa.Column[Any], text: str, reason: str
) -> None:
    with pytest.raises(cql.FilterError) as error:
        cql.compile_filter(collection, text.replace("{time}", written(column)), "cql2-text")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "null",
        "[]",
        "{}",
        '{"op": "=", "args": [{"property": ["{key}"]}, 1]}',
        '{"op": "=", "args": []}',
        '{"op": "in", "args": [{"property": "{key}"}, []]}',
        '{"op": "=", "args": ["\\ud800", "a"]}',
        '{"op": "=", "args": ["\\u0000", "a"]}',
        '{"op": "=", "args": [1e400, 1]}',
        '{"op": "t_after", "args": [{"interval": [1, 2]}, {"interval": [".."]}]}',
        '{"op": "t_after", "args": [{"date": 5}, {"timestamp": []}]}',
        '{"op": "not", "args": [' * 2000 + "true" + "]}" * 2000,
        '{"op": "not", "args": [' * 60 + "true" + "]}" * 60,
        "[" * 16_000,
    ],
)
def test_refusals_of_json(collection: Collection, text: str) -> None:
    with pytest.raises(cql.FilterError):
        cql.compile_filter(collection, named(collection, text), "cql2-json")


@pytest.mark.parametrize(
    "text",
    [
        "{key} IS NULL" + " AND {key} IS NULL" * 190,
        "(" * 10 + "1 = 1" + ")" * 10,
        "1 IN (" + ", ".join(map(str, range(2, 1500))) + ")",
        "1 = 2" + " + 1" * 40,
        "NOT NOT NOT NOT true = true",
    ],
    ids=len,
)
def test_long_filters(connection: sa.Connection, rows: Rows, text: str) -> None:
    rows.insert(connection, rows.spread(3))
    assert len(found(rows, connection, named(rows.collection, text))) in (0, rows.count(connection))


@of_type(sa.String)
def test_what_a_client_says_is_bound(
    connection: sa.Connection, collection: Collection, rows: Rows, column: sa.Column[Any]
) -> None:
    rows.insert(connection, rows.spread(3))
    hostile = "' OR 1=1; DROP TABLE x; -- %s %(a)s :a $1 \\"
    escaped = hostile.replace("'", "''")
    condition = cql.compile_filter(collection, f"{written(column)} = '{escaped}'", "cql2-text")
    assert "DROP" not in str(condition)
    assert condition.compile().params == {"param_1": hostile}
    assert found(rows, connection, f"{written(column)} = '{escaped}'") == set()
