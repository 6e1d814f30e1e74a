"""Filters in CQL2 (OGC 21-065r2), as text and as JSON, over the columns of the table.

A library reads text into the tree that CQL2 JSON is; here the tree becomes a condition in SQL. Names in a
filter are looked up among the columns that are shown and the operators, and its values are bound: no text of a client
becomes SQL.
"""

import datetime
import math
import operator
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import cql2
import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from shapely.geometry.base import BaseGeometry

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import MERCATOR, WGS84, WORLD, Bounds, lonlat_of_mercator
from geotables.geometry import bind, boxes, read
from geotables.geometry.metadata import GeometryColumn
from geotables.sql import bbox

#: The conformance classes of CQL2 that this module meets.
CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
    for name in (
        "cql2-text",
        "cql2-json",
        "basic-cql2",
        "advanced-comparison-operators",
        "case-insensitive-comparison",
        "accent-insensitive-comparison",
        "basic-spatial-functions",
        "basic-spatial-functions-plus",
        "spatial-functions",
        "temporal-functions",
        "property-property",
        "arithmetic",
    )
)

#: Characters of a filter, at the most.
MAX_LENGTH = 16_384

#: Operators in a filter, at the most: the parser needs stack for each.
MAX_OPERATORS = 400

#: Characters that the parser may have to read: it tries each pair of parentheses as an expression and again as a list,
#: so it reads what is nested in n of them up to 2**n times.
MAX_WORK = 300_000

#: Levels of the tree, at the most: an operator is two of them, itself and its operands.
MAX_DEPTH = 100

#: Powers in a filter, at the most: the SQL of each repeats its operands several times.
MAX_POWERS = 3

#: Parts of a geometry for which the index is asked one by one, such as the two of a box across the antimeridian; for
#: more, it is asked for their common box.
MAX_PARTS = 8

#: Whole numbers up to here are exact as floating point, to which the parser of text turns all numbers.
MAX_NUMBER = 2**53 - 1

Expression = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]


def property_name(name: str) -> str:
    """A name of a property as CQL2 text has it: in quotes where it needs them."""
    return name if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else f'"{name}"'


class FilterError(ValueError):
    """A filter that cannot be used; the message says where and why."""


def compile_filter(
    collection: Collection, text: str, lang: str, srid: int = WGS84, *, swapped: bool = False
) -> Condition:
    """The condition that a filter states.

    Args:
        collection: What it is about.
        text: The filter.
        lang: ``cql2-text`` or ``cql2-json``.
        srid: The CRS of its geometries: WGS 84, the table's or Web Mercator.
        swapped: Whether their y stands before x.

    Raises:
        FilterError: It is malformed, too long, or asks for what the table does not have.
    """
    return _Filter(collection, srid, swapped).condition(_parsed(text, lang))


def _parsed(text: str, lang: str) -> Any:
    """The tree of a filter, not too deep to walk."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"a filter of more than {MAX_LENGTH:,} characters")
    if lang == "cql2-text":
        _verify_parsable(text)
    try:
        tree = cql2.parse_text(text).to_json() if lang == "cql2-text" else orjson.loads(text)
    except Exception as error:  # The library has no common class for what it raises.
        raise FilterError(f"not {lang}: {_reason(error)}") from error
    level, depth, powers = [tree], 0, 0
    while level:
        depth += 1
        powers += sum(isinstance(node, dict) and node.get("op") == "^" for node in level)
        if depth > MAX_DEPTH or powers > MAX_POWERS:
            raise FilterError("the filter is nested too deeply, or has too many powers")
        level = [child for node in level for child in _children(node)]
    return tree


def _children(node: Any) -> Iterable[Any]:
    match node:
        case dict():
            return node.values()
        case list():
            return node
    return ()


def _verify_parsable(text: str) -> None:
    """Refuse text for which the parser would take too much stack or time; it has no limits of its own."""
    text = re.sub(r"'[^']*'", "''", text)
    # The signs of coordinates and of numbers in lists are no operators.
    signless = re.sub(r"(?<=[(,])\s*-?[\d.]+(\s+-?[\d.]+){0,3}\s*(?=[,)])", "", text)
    words = r"\b(and|or|not|in|is|like|between|div)\b"
    if len(re.findall(rf"(?i)[-+*/%^=<>]|{words}", signless)) > MAX_OPERATORS:
        raise FilterError(f"a filter of more than {MAX_OPERATORS} operators")
    depth = work = 0
    for part in re.split(r"([()])", text):
        depth = max(depth + {"(": 1, ")": -1}.get(part, 0), 0)
        work += len(part) << depth
        if work > MAX_WORK:
            raise FilterError("the filter has too many parentheses in one another")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    place = re.match(r"-->\s*(\d+):(\d+)", lines[0])
    return f"syntax error at line {place[1]}, column {place[2]}" if place else lines[0]


def _shown(node: Any) -> str:
    """A part of a filter as CQL2 JSON, cut to a length for messages."""
    text = orjson.dumps(node).decode()
    return text if len(text) <= 80 else f"{text[:80]}…"


def _power(base: Expression, exponent: Expression) -> Expression:
    """A power; NULL where it is undefined or astronomical, for which PostgreSQL would raise an error."""
    magnitude = exponent * sa.func.ln(sa.func.greatest(sa.func.abs(base), Decimal("1e-300")))
    defined = sa.and_(
        sa.or_(base >= 0, exponent % 1 == 0), sa.or_(base != 0, exponent >= 0), magnitude < 700
    )
    return sa.case((defined, sa.func.power(base, exponent, type_=sa.Numeric())))


def _without_accents(text: Expression) -> Expression:
    """Text without its diacritics: decomposed, they are characters of their own."""
    decomposed = sa.func.normalize(text, sa.literal_column("NFD"))
    return sa.func.regexp_replace(decomposed, "[\u0300-\u036f]", "", "g", type_=sa.Text())


class _Interval(NamedTuple):
    """Two instants and the time between them. An instant is an interval that ends where it starts."""

    start: Expression
    end: Expression


COMPARISONS: dict[str, Callable[[Any, Any], Condition]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}

#: Over exact numbers; what is undefined is NULL.
ARITHMETIC: dict[str, Callable[[Any, Any], Expression]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / sa.func.nullif(b, 0, type_=sa.Numeric()),
    "div": lambda a, b: sa.func.div(a, sa.func.nullif(b, 0), type_=sa.Numeric()),
    "%": lambda a, b: a % sa.func.nullif(b, 0, type_=sa.Numeric()),
    "^": _power,
}

TEXT: dict[str, Callable[[Expression], Expression]] = {
    "casei": lambda text: sa.func.lower(text, type_=sa.Text()),
    "accenti": _without_accents,
}

SPATIAL = {
    "s_intersects": "ST_Intersects",
    "s_disjoint": "ST_Disjoint",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
    "s_touches": "ST_Touches",
    "s_crosses": "ST_Crosses",
    "s_overlaps": "ST_Overlaps",
    "s_equals": "ST_Equals",
}

#: The functions that are others when their operands are exchanged.
CONVERSE = {"ST_Within": "ST_Contains", "ST_Contains": "ST_Within"}

#: OGC 21-065r2, tables 5 and 6; the definitions are those of OWL-Time.
TEMPORAL: dict[str, Callable[[_Interval, _Interval], Condition]] = {
    "t_after": lambda a, b: a.start > b.end,
    "t_before": lambda a, b: a.end < b.start,
    "t_disjoint": lambda a, b: sa.or_(a.start > b.end, a.end < b.start),
    "t_intersects": lambda a, b: sa.and_(a.start <= b.end, a.end >= b.start),
    "t_equals": lambda a, b: sa.and_(a.start == b.start, a.end == b.end),
    "t_contains": lambda a, b: sa.and_(a.start < b.start, a.end > b.end),
    "t_during": lambda a, b: sa.and_(a.start > b.start, a.end < b.end),
    "t_starts": lambda a, b: sa.and_(a.start == b.start, a.end < b.end),
    "t_startedby": lambda a, b: sa.and_(a.start == b.start, a.end > b.end),
    "t_finishes": lambda a, b: sa.and_(a.start > b.start, a.end == b.end),
    "t_finishedby": lambda a, b: sa.and_(a.start < b.start, a.end == b.end),
    "t_meets": lambda a, b: a.end == b.start,
    "t_metby": lambda a, b: a.start == b.end,
    "t_overlaps": lambda a, b: sa.and_(a.start < b.start, a.end > b.start, a.end < b.end),
    "t_overlappedby": lambda a, b: sa.and_(a.start > b.start, a.start < b.end, a.end > b.end),
}

LOGICAL = ("and", "or", "not", "isnull", "between", "in", "like")
OPERATORS = (*LOGICAL, *COMPARISONS, *ARITHMETIC, *TEXT, *SPATIAL, *TEMPORAL)


def _kind(expression: Expression) -> str:
    """The kind of values of an expression: those of one kind can be compared."""
    match expression.type:
        case sa.String():
            return "text"
        case sa.Boolean():
            return "boolean"
        case sa.Integer() | sa.Numeric() | sa.Float():
            return "number"
        case sa.DateTime():
            return "timestamp"
        case sa.Date():
            return "date"
        case sa.Uuid():
            return "uuid"
    return type(expression.type).__name__.lower()


#: The kinds that can be compared, and those of them whose values may be given as strings.
COMPARABLE = {"text", "boolean", "number", "timestamp", "date", "uuid"}
READABLE = {"timestamp", "date", "uuid"}


def _read(kind: str, text: str) -> Expression:
    """A value of a kind that is written as a string."""
    try:
        match kind:
            case "date":
                return sa.literal(datetime.date.fromisoformat(text), sa.Date())
            case "uuid":
                return sa.literal(UUID(text), sa.Uuid())
        instant = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise FilterError(f"{text!r:.60} is no {kind}") from error
    if instant.tzinfo is None:
        raise FilterError(
            f"{text!r:.60} is no timestamp: its offset from UTC is missing, such as Z"
        )
    return sa.literal(instant, sa.DateTime(timezone=True))


def _string(text: str) -> Expression:
    if "\0" in text:
        raise FilterError(f"the string {text!r:.60} has a NUL, which no text has")
    return sa.literal(text, sa.Text())


def _number(value: float) -> Expression:
    if isinstance(value, float) and not abs(value) <= MAX_NUMBER:
        raise FilterError(
            f"the number {value:g} is beyond {MAX_NUMBER}, where numbers are not exact"
        )
    if value == math.floor(value) and -(2**63) <= value < 2**63:
        return sa.literal(int(value), sa.BigInteger())
    return sa.literal(Decimal(repr(value)), sa.Numeric())


#: The ends of an interval that is open. As dates, since these fit timestamps as well.
UNBOUNDED = _Interval(
    sa.cast(sa.literal_column("'-infinity'"), sa.Date()),
    sa.cast(sa.literal_column("'infinity'"), sa.Date()),
)


def _timestamp(edge: Expression, *, last: bool) -> Expression:
    """A timestamp, or the first or last instant of a day in UTC."""
    if _kind(edge) == "timestamp":
        return edge
    time: Expression = sa.cast(edge, sa.DateTime())
    if last:
        time = time + sa.literal_column("interval '86399.999999 seconds'", sa.Interval())
    return sa.func.timezone("UTC", time, type_=sa.DateTime(timezone=True))


def _compared(column: GeometryColumn, function: str, literal: BaseGeometry) -> Condition:
    """A geometry column compared with another geometry."""
    parts = shapely.get_parts(literal)
    if function == "ST_Intersects" and len(parts) <= MAX_PARTS:
        return sa.or_(*(bbox.compare(column, function, part) for part in parts))
    return bbox.compare(column, function, literal)


class _Filter(NamedTuple):
    """How a filter is read: what it is about, the CRS of its geometries, and the order of their axes."""

    collection: Collection
    srid: int
    swapped: bool

    def condition(self, node: Any) -> Condition:
        found = self.expression(node)
        if _kind(found) != "boolean":
            raise FilterError(f"{_shown(node)} is no condition")
        return found

    def expression(self, node: Any) -> Expression:
        match node:
            case bool():
                return sa.literal(node, sa.Boolean())
            case int() | float():
                return _number(node)
            case str():
                return _string(node)
            case {"property": str(name)}:
                return self.column(name)
            case {"date": str(text)}:
                return _read("date", text)
            case {"timestamp": str(text)}:
                return _read("timestamp", text)
            case {"op": str(op), "args": list(args)}:
                return self.operation(op.lower(), args)
            case None:
                raise FilterError("NULL equals nothing: IS NULL asks for it")
        raise FilterError(f"{_shown(node)} does not stand where a value or a condition may")

    def column(self, name: str) -> Expression:
        columns = {column.name: column for column in self.collection.columns}
        if name not in columns:
            raise FilterError(f"there is no property {name!r:.60}; there are {', '.join(columns)}")
        column = columns[name]
        if isinstance(column.type, sa.REAL):
            # By the digits that clients see: as a double, 0.1 is no number of single precision.
            return sa.cast(sa.cast(column, sa.Text()), sa.Numeric())
        return text_of(column)

    def operation(self, op: str, args: list[Any]) -> Expression:
        match op, args:
            case "and", [_, *_]:
                return sa.and_(*map(self.condition, args))
            case "or", [_, *_]:
                return sa.or_(*map(self.condition, args))
            case "not", [arg]:
                # SQLAlchemy forgets the type where it negates several conditions at once.
                return sa.type_coerce(sa.not_(self.condition(arg)), sa.Boolean())
            case "isnull", [arg]:
                return self.expression(arg).is_(None)
            case "between", [_, _, _]:
                value, low, high = self.comparable(op, args)
                return sa.and_(value >= low, value <= high)
            case "in", [arg, [_, *_] as choices]:
                value, *members = self.comparable(op, [arg, *choices])
                return value.in_(members)
            case "like", [arg, pattern]:
                return self.text(op, arg).like(self.pattern(pattern))
            case _, [_, _] if op in COMPARISONS:
                return COMPARISONS[op](*self.comparable(op, args))
            case _, [_, _] if op in ARITHMETIC:
                return ARITHMETIC[op](*(self.exact(op, arg) for arg in args))
            case _, [arg] if op in TEXT:
                return TEXT[op](self.text(op, arg))
            case _, [left, right] if op in SPATIAL:
                return self.spatial(SPATIAL[op], left, right)
            case _, [left, right] if op in TEMPORAL:
                return self.temporal(op, left, right)
        if op in OPERATORS:
            raise FilterError(f"{op} does not take {len(args)} operands, or not these")
        raise FilterError(
            f"there is no operator or function {op!r:.60}; there are {' '.join(OPERATORS)}"
        )

    def comparable(self, op: str, nodes: list[Any]) -> list[Expression]:
        """Operands of one kind; a string is read as the kind that the others are."""
        found = [self.expression(node) for node in nodes]
        kinds = {
            _kind(each)
            for node, each in zip(nodes, found, strict=True)
            if not isinstance(node, str)
        }
        if len(kinds) == 1 and kinds <= READABLE:
            (kind,) = kinds
            found = [
                _read(kind, node) if isinstance(node, str) else each
                for node, each in zip(nodes, found, strict=True)
            ]
        kinds = {_kind(each) for each in found}
        if len(kinds) > 1 or not kinds <= COMPARABLE:
            raise FilterError(
                f"{op} does not compare {' and '.join(sorted(kinds))}, as in {_shown(nodes)}"
            )
        return found

    def exact(self, op: str, node: Any) -> Expression:
        """An operand of arithmetic, as an exact number of any size: integers would overflow."""
        found = self.expression(node)
        if _kind(found) != "number":
            raise FilterError(f"{op} takes numbers, not {_shown(node)}")
        return sa.cast(found, sa.Numeric())

    def text(self, op: str, node: Any) -> Expression:
        found = self.expression(node)
        if _kind(found) != "text":
            raise FilterError(f"{op} takes text, not {_shown(node)}")
        return found

    def pattern(self, node: Any) -> Expression:
        """A pattern of LIKE: a string, or one in CASEI or ACCENTI (``patternExpression`` of the grammar)."""
        match node:
            case str() if (len(node) - len(node.rstrip("\\"))) % 2:
                raise FilterError(f"the pattern {_shown(node)} ends with a \\ that escapes nothing")
            case str():
                return _string(node)
            case {"op": str(op), "args": [arg]} if op.lower() in TEXT:
                return TEXT[op.lower()](self.pattern(arg))
        raise FilterError(f"like takes a pattern, not {_shown(node)}")

    def spatial(self, function: str, left: Any, right: Any) -> Condition:
        match self.geometry(left), self.geometry(right):
            case BaseGeometry() as literal, None:
                return _compared(
                    self.collection.geometry, CONVERSE.get(function, function), literal
                )
            case None, BaseGeometry() as literal:
                return _compared(self.collection.geometry, function, literal)
            case operands:
                a, b = (
                    self.collection.geometry
                    if operand is None
                    else bind(operand, int(shapely.get_srid(operand)))
                    for operand in operands
                )
                return sa.Function(function, a, b, type_=sa.Boolean())

    def geometry(self, node: Any) -> BaseGeometry | None:
        """A literal geometry, or None for that of the table."""
        match node:
            case {"property": str(name)} if self.column(name) is self.collection.geometry:
                return None
            case {"bbox": list(numbers)}:
                literal = self.box(numbers)
            case {"type": str(), **members} if {"coordinates", "geometries"} & members.keys():
                literal = self.literal(node)
            case _:
                raise FilterError(f"{_shown(node)} is no geometry")
        srid = self.srid
        if srid == MERCATOR.srid != self.collection.crs.srid:
            literal, srid = shapely.transform(literal, lonlat_of_mercator), WGS84
        coordinates = shapely.get_coordinates(literal)
        if literal.is_empty or shapely.is_empty(shapely.get_parts(literal)).any():
            raise FilterError(f"the geometry {_shown(node)} is empty")
        if not np.isfinite(coordinates).all():
            raise FilterError(f"the geometry {_shown(node)} has a coordinate that is not finite")
        if srid == WGS84 and not WORLD.contain(coordinates):
            raise FilterError(
                f"the geometry {_shown(node)} is out of range: longitude and latitude are {WORLD}"
            )
        if not literal.is_valid:
            reason = shapely.is_valid_reason(literal)
            raise FilterError(f"the geometry {_shown(node)} is invalid: {reason}")
        return shapely.set_srid(literal, srid)

    def literal(self, node: dict[str, Any]) -> BaseGeometry:
        try:
            found = shapely.force_2d(read(node, default_srid=self.srid))
        except ValueError as error:
            raise FilterError(f"{_shown(node)}: {error}") from error
        return shapely.transform(found, lambda xy: xy[:, ::-1]) if self.swapped else found

    def box(self, numbers: list[Any]) -> BaseGeometry:
        """The area of a box, in two parts where it crosses the antimeridian; heights are ignored."""
        if len(numbers) not in (4, 6) or not all(
            type(each) in (int, float) and math.isfinite(each) for each in numbers
        ):
            raise FilterError(f"BBOX takes four or six numbers, not {_shown(numbers)}")
        half = len(numbers) // 2
        low, high = numbers[:2], numbers[half : half + 2]
        (west, south), (east, north) = (low[::-1], high[::-1]) if self.swapped else (low, high)
        crs = self.collection.crs
        degrees = self.srid == WGS84 or (self.srid == crs.srid and crs.geographic)
        if not (south <= north and (degrees or west <= east)):
            raise FilterError(f"BBOX has its corners the wrong way round: {numbers}")
        return shapely.union_all(boxes(Bounds(west, south, east, north)))

    def temporal(self, op: str, left: Any, right: Any) -> Condition:
        intervals = [self.interval(op, node) for node in (left, right)]
        if any(_kind(edge) == "timestamp" for each in intervals for edge in each):
            intervals = [
                _Interval(_timestamp(start, last=False), _timestamp(end, last=True))
                for start, end in intervals
            ]
        return TEMPORAL[op](*intervals)

    def interval(self, op: str, node: Any) -> _Interval:
        match node:
            case {"interval": [start, end]}:
                edges = zip((start, end), UNBOUNDED, strict=True)
                return _Interval(
                    *(open if each == ".." else self.instant(op, each) for each, open in edges)
                )
        instant = self.instant(op, node)
        return _Interval(instant, instant)

    def instant(self, op: str, node: Any) -> Expression:
        """A time or a day: which of them a string is, its length tells."""
        if isinstance(node, str):
            return _read("date" if len(node) <= len("2024-01-31") else "timestamp", node)
        found = self.expression(node)
        if _kind(found) not in ("date", "timestamp"):
            raise FilterError(f"{op} takes dates, timestamps and intervals, not {_shown(node)}")
        return found
