"""Values of columns as people read them, in HTML."""

import json
import re
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup, escape

from geotables.collection import Collection
from geotables.geometry import GEOJSON_TYPES

#: Characters of a text that a page shows, and that a cell of a table does, at the most.
LONGEST = 2_000
LONGEST_IN_A_TABLE = 160

#: Members of an object or an array that are shown, at the most, and how deep.
MEMBERS = 200
DEPTH = 8

#: No value.
NONE = Markup('<span class="none" title="no value">–</span>')

#: Names of columns that people know a row by, the best first.
LABELS = ("name", "title", "label", "description")

#: A code, which is not broken between two lines.
CODE = re.compile(r"(?=.{2,40}$)\S*[-\d]\S*")

LINK = re.compile(r"https?://[^\s<>\"]+")


def value(value: Any, column: sa.Column[Any], longest: int = LONGEST) -> Markup:
    """A value that the database has returned of a column."""
    if value is None:
        return NONE
    match column.type:
        case _ if column.primary_key or column.foreign_keys:
            plain = value if isinstance(column.type, sa.String) else str(value).strip('"')
            return Markup('<span class="id">{}</span>').format(plain)
        case sa.DateTime():
            return _moment(str(value).strip('"'))
        case sa.Date():
            return Markup("<time>{}</time>").format(str(value).strip('"'))
        case sa.Boolean():
            return Markup("yes" if value else "no")
        case sa.Integer() | sa.Numeric() | sa.Float():
            return number(str(value).strip('"'))
        case sa.Uuid():
            return Markup('<span class="id">{}</span>').format(value)
        case sa.JSON():
            return _json_text(value, longest)
    return text(str(value), longest)


def short(of: Any, column: sa.Column[Any]) -> Markup:
    """The same for a cell of a table."""
    return value(of, column, LONGEST_IN_A_TABLE)


def text(text: str, longest: int = LONGEST) -> Markup:
    """A text: a link if it is a web address, and cut where it is long."""
    if LINK.fullmatch(text):
        shown = text if len(text) <= longest else f"{text[:longest]}…"
        return Markup('<a href="{}" rel="nofollow noopener">{}</a>').format(text, shown)
    if len(text) > longest:
        return Markup("{}…").format(text[:longest])
    if CODE.fullmatch(text):
        return Markup('<span class="word">{}</span>').format(text)
    return escape(text)


def number(text: str) -> Markup:
    """A number, the digits of a long one in groups; a copy of it has no gaps."""
    match = re.fullmatch(r"(-?)(\d{5,})(\.\d+)?", text)
    if match is None:
        return Markup('<span class="number">{}</span>').format(text)
    sign, digits, decimals = match.groups()
    first = len(digits) % 3 or 3
    groups = re.findall(r"\d{3}", digits[first:])
    parted = Markup().join(Markup("<span>{}</span>").format(group) for group in groups)
    return Markup('<span class="number">{}{}{}{}</span>').format(
        sign.replace("-", "−"), digits[:first], parted, decimals or ""
    )


def _moment(text: str) -> Markup:
    """A time: to the second, with its offset from UTC."""
    match = re.fullmatch(r"(\d+-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(?:\.\d+)?(.*)", text)
    if match is None:
        return escape(text)
    day, minutes, seconds, offset = match.groups()
    seconds = "" if seconds in (None, ":00") else seconds
    zone = "UTC" if offset in ("+00:00", "Z") else offset
    return Markup('<time datetime="{}" title="{}">{} {}{} {}</time>').format(
        text, text, day, minutes, seconds, zone
    )


class _Number(str):
    """A number of a JSON text, to the digit."""

    __slots__ = ()


def _json_text(text: str, longest: int) -> Markup:
    """A JSON value: lists for objects and arrays, in a disclosure where a cell of a table has little room."""
    try:
        parsed = json.loads(text, parse_float=_Number, parse_int=_Number)
        written = _json(parsed, longest)
    except (RecursionError, ValueError):
        return Markup("<code>{}</code>").format(text[:longest])
    if longest == LONGEST or not isinstance(parsed, dict | list) or not parsed:
        return written
    return Markup("<details><summary>{}</summary>{}</details>").format(_summary(parsed), written)


def _summary(parsed: dict[str, Any] | list[Any]) -> str:
    """What an object or an array is about, in a few words."""
    if isinstance(parsed, list):
        return f"{len(parsed)} {'value' if len(parsed) == 1 else 'values'}"
    names = ", ".join(parsed)
    return names if len(names) <= 32 else f"{names[:32]}…"


def _json(parsed: Any, longest: int, depth: int = 0) -> Markup:
    match parsed:
        case None:
            return NONE
        case bool():
            return Markup("yes" if parsed else "no")
        case _Number():
            return Markup('<span class="number">{}</span>').format(parsed)
        case str():
            return text(parsed, longest)
        case {} | [] if not parsed:
            return Markup('<span class="none">empty</span>')
        case _ if depth >= DEPTH:
            return Markup('<span class="none">…</span>')
        case dict():
            members = [
                Markup("<dt>{}</dt><dd>{}</dd>").format(name, _json(member, longest, depth + 1))
                for name, member in list(parsed.items())[:MEMBERS]
            ]
            return Markup('<dl class="json">{}</dl>').format(Markup().join(members))
        case list():
            items = [
                Markup("<li>{}</li>").format(_json(item, longest, depth + 1))
                for item in parsed[:MEMBERS]
            ]
            return Markup('<ul class="json">{}</ul>').format(Markup().join(items))
    raise TypeError(f"{parsed!r} is no JSON value")


def label(collection: Collection) -> sa.Column[Any] | None:
    """The column that people know a row by: its name before a code; None if no column is text."""
    texts = {
        column.name.casefold(): column
        for column in collection.properties
        if isinstance(column.type, sa.String) and not column.foreign_keys
    }
    named = [name for name in texts if name.endswith(("name", "title"))]
    best = next(iter([*(name for name in LABELS if name in texts), *named, *texts]), None)
    return None if best is None else texts[best]


def type_of(column: sa.Column[Any]) -> str:
    """The type of a column, in words."""
    match column.type:
        case sa.String(length=int(length)):
            return f"text, up to {length} characters"
        case sa.String():
            return "text"
        case sa.Boolean():
            return "yes or no"
        case sa.Integer():
            return "whole number"
        case sa.Numeric(precision=int(), scale=int(scale)):
            return f"number with {scale} decimals"
        case sa.Numeric() | sa.Float():
            return "number"
        case sa.DateTime():
            return "date and time"
        case sa.Date():
            return "date"
        case sa.Uuid():
            return "UUID"
        case sa.JSON():
            return "JSON"
    return str(column.type).lower()


#: What people call the geometries of a type.
SHAPES = {
    "POINT": "points",
    "MULTIPOINT": "points",
    "LINESTRING": "lines",
    "MULTILINESTRING": "lines",
    "POLYGON": "areas",
    "MULTIPOLYGON": "areas",
}


def shapes(collection: Collection) -> str:
    """What people call the geometries of a collection."""
    return SHAPES.get(collection.geometry_type, "shapes of several kinds")


def geometry_type(collection: Collection) -> str:
    """The type of a collection's geometries and their CRS."""
    kind = GEOJSON_TYPES.get(collection.geometry_type, "Geometry")
    heights = " with heights" if collection.has_z else ""
    return f"{kind}{heights} in {collection.crs.name} (EPSG:{collection.crs.srid})"


def wkt_type(text: str) -> str:
    """The type of a geometry that is WKT."""
    kind = text.partition("(")[0].split()[0]
    return GEOJSON_TYPES.get(kind, kind.capitalize())


def distance(metres: float) -> str:
    """A distance, to a few digits."""
    if metres < 1_000:
        return f"{metres:.0f} m"
    return f"{metres / 1_000:.1f} km" if metres < 100_000 else f"{metres / 1_000:,.0f} km"
