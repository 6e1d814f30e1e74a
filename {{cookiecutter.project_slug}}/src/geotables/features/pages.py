"""Features as pages for people."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from starlette.responses import Response

from geotables.collection import Collection
from geotables.features.sequences import names, plain
from geotables.http import html_pages
from geotables.http.ids import in_path
from geotables.sql.row_formats import Feature


def feature(
    collection: Collection, content: Mapping[str, Any], headers: dict[str, str]
) -> Response:
    """One feature: its properties and its geometry."""
    members = {**content["properties"], collection.geometry.name: content["geometry"]}
    title = f"{collection.name} {html_pages.plain(content['id'])}"
    return html_pages.page(title, html_pages.members(members), content["links"], headers)


def features(
    record: Feature,
    rows: Iterable[Sequence[Any]],
    links: Sequence[Mapping[str, Any]],
    headers: dict[str, str],
) -> Response:
    """A page of features: a line for each."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names(record))
    lines = [f"<tr>{head}</tr>"]
    for row in rows:
        _, geometry, *values = row
        id = record.id_of(row)
        # Of an odd id, its encoded path has no character of HTML.
        own = f'<a href="items/{in_path(id)}">{escape(id)}</a>'
        cells = map(html_pages.text, [geometry, *map(plain, record.others, values)])
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in [own, *cells]) + "</tr>")
    return html_pages.page(record.collection.name, html_pages.table(lines), links, headers)
