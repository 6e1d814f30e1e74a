"""Features as CSV (RFC 4180)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from starlette.responses import Response

from geotables.http.formats import CSV
from geotables.sql.row_formats import Feature

#: What only a value in quotes may have.
_QUOTED = re.compile(r'[",\r\n]')


def csv_response(
    record: Feature, rows: Iterable[Sequence[Any]], headers: dict[str, str]
) -> Response:
    """A line for each feature; the geometry is WKT."""
    lines = [_names(record)]
    for row in rows:
        _, geometry, *values = row
        place = [geometry] if record.has_geometry else []
        lines.append([record.key_of(row), *place, *map(_plain, record.others, values)])
    text = "".join(f"{','.join(map(_cell, line))}\r\n" for line in lines)
    return Response(text, headers=headers, media_type=CSV.media_type)


def _names(record: Feature) -> list[Any]:
    """The column heads of a table of features."""
    collection = record.collection
    others = [column.name for column in record.others]
    place = [collection.geometry.name] if record.has_geometry else []
    return [collection.key.name, *place, *others]


def _cell(value: Any) -> str:
    """A value as RFC 4180 has it. NULL is empty and an empty text is in quotes, as PostgreSQL's COPY writes them."""
    if value is None:
        return ""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text


def _plain(column: sa.Column[Any], value: Any) -> Any:
    """A value as plain text: a time or an infinite number without JSON's quotes, true and false as in JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not isinstance(column.type, sa.String | sa.JSON):
        return value.strip('"')
    return value
