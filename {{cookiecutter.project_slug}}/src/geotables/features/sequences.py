"""Features as CSV and as GeoJSON text sequences."""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import anyio
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from geotables.http.formats import CSV, SEQUENCE, link_header
from geotables.sql.row_formats import Feature
from geotables.sql.stream import texts


def headers(
    own: Mapping[str, str],
    counts: Mapping[str, int],
    links: Iterable[Mapping[str, Any]],
    *,
    returned: int | None = None,
) -> dict[str, str]:
    """The headers of features in a format that has no place for what a FeatureCollection says of them.

    Args:
        own: The headers of every format.
        counts: How many features there are, as ``numberMatched`` if it is exact.
        links: The links of the answer.
        returned: How many features it has; None: that is not known when it begins.
    """
    numbers = {"Matched": counts.get("numberMatched"), "Returned": returned}
    told = {
        f"OGC-Number{name}": str(number) for name, number in numbers.items() if number is not None
    }
    return {**own, **told, "Link": f"{own['Link']}, {link_header(links)}"}


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


_QUOTED = re.compile(r'[",\r\n]')


def sequence_response(features: Iterable[dict[str, Any]], headers: dict[str, str]) -> Response:
    """A GeoJSON text for each feature, each after a record separator (RFC 8142)."""
    return Response(texts(features), headers=headers, media_type=SEQUENCE.media_type)


class Stream(StreamingResponse):
    """Features of any number, never in memory as a whole."""

    def __init__(
        self, parts: Generator[bytes, None, None], headers: dict[str, str], media_type: str
    ) -> None:
        # Read the first part before the answer begins, so that an error is answered as any other.
        first = next(parts, b"")
        super().__init__(chain([first], parts), headers=headers, media_type=media_type)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Give the connection back however the stream has ended, as by a client that leaves.
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._parts.close)


def _plain(column: sa.Column[Any], value: Any) -> Any:
    """A value as plain text: a time or an infinite number without JSON's quotes, true and false as in JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not isinstance(column.type, sa.String | sa.JSON):
        return value.strip('"')
    return value
