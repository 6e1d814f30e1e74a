"""Answers of the API as pages for people: plain HTML, without scripts or anything from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

import orjson
from starlette.responses import HTMLResponse, Response

from ..queries import GEOMETRY, Feature
from .tables import plain

PAGE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #bbb; padding: .25rem .75rem; text-align: left; vertical-align: top }
td { max-width: 30rem; overflow-wrap: anywhere }
</style>
<main>
<h1>$title</h1>
$content
<h2>Links</h2>
<ul>
$links
</ul>
</main>
</html>
"""
)

#: Characters of a value that a page shows, at the most.
LONGEST = 2_000

#: Nothing is loaded, and no script runs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def resource(content: Mapping[str, Any]) -> Response:
    """A resource of the API: its members as a table."""
    members = {name: value for name, value in content.items() if name not in ("title", "links")}
    title = str(content.get("title") or content.get("id") or "Resource")
    return _page(title, _members(members), content["links"], {"Vary": "Accept"})


def feature(content: Mapping[str, Any], headers: dict[str, str]) -> Response:
    """One feature: its properties and its geometry."""
    members = {**content["properties"], GEOMETRY.name: content["geometry"]}
    return _page(
        f"{GEOMETRY.table.name} {content['id']}", _members(members), content["links"], headers
    )


def features(
    record: Feature,
    rows: Iterable[Sequence[Any]],
    links: Sequence[Mapping[str, Any]],
    headers: dict[str, str],
) -> Response:
    """A page of features: a line for each."""
    names = ["id", GEOMETRY.name, *(column.name for column in record.properties)]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = [f"<tr>{head}</tr>"]
    for id, geometry, *values in rows:
        own = f'<a href="items/{id}">{id}</a>'
        cells = [geometry, *map(plain, record.properties, values)]
        lines.append(
            "<tr>" + "".join(f"<td>{each}</td>" for each in [own, *map(_text, cells)]) + "</tr>"
        )
    return _page(GEOMETRY.table.name, _table(lines), links, headers)


def _page(
    title: str, content: str, links: Sequence[Mapping[str, Any]], headers: dict[str, str]
) -> Response:
    items = [
        f'<li><a rel="{escape(each["rel"])}" href="{escape(each["href"])}">{escape(each["title"])}</a>'
        for each in links
    ]
    page = PAGE.substitute(title=escape(title), content=content, links="\n".join(items))
    return HTMLResponse(page, headers=headers | {"Content-Security-Policy": POLICY})


def _members(members: Mapping[str, Any]) -> str:
    return _table(
        f'<tr><th scope="row">{escape(name)}</th><td>{_text(value)}</td></tr>'
        for name, value in members.items()
    )


def _table(lines: Iterable[str]) -> str:
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _text(value: Any) -> str:
    """A value as HTML: text as it is, anything else as JSON."""
    text = orjson.dumps(value).decode()
    if text == "null":
        return ""
    # Only a text is parsed: a number may be too large for orjson.
    if text.startswith('"'):
        text = orjson.loads(text)
    return escape(text[:LONGEST] + "…" * (len(text) > LONGEST))
