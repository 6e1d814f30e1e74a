"""Answers of the API as pages for people: plain HTML, without scripts or anything from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, Response

from geotables.http.formats import FORMAT

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


class FormatQuery(BaseModel):
    """How to write a resource."""

    model_config = ConfigDict(extra="forbid")

    f: Annotated[Literal["json", "html"] | None, FORMAT] = Field(
        default=None, description="The format; without it the header Accept is asked."
    )


def resource(content: Mapping[str, Any]) -> Response:
    """A resource of the API: its members as a table."""
    shown = {name: value for name, value in content.items() if name not in ("title", "links")}
    title = str(content.get("title") or content.get("id") or "Resource")
    return page(title, members(shown), content["links"], {"Vary": "Accept"})


def page(
    title: str, content: str, links: Sequence[Mapping[str, Any]], headers: dict[str, str]
) -> Response:
    """A page with a title, content that is HTML already, and links."""
    items = [
        f'<li><a rel="{escape(link["rel"])}" href="{escape(link["href"])}">{escape(link["title"])}</a>'
        for link in links
    ]
    text = PAGE.substitute(title=escape(title), content=content, links="\n".join(items))
    return HTMLResponse(text, headers=headers | {"Content-Security-Policy": POLICY})


def members(content: Mapping[str, Any]) -> str:
    """A table with a line for each member of a JSON object."""
    return table(
        f'<tr><th scope="row">{escape(name)}</th><td>{text(value)}</td></tr>'
        for name, value in content.items()
    )


def table(lines: Iterable[str]) -> str:
    """A table of lines that are HTML already."""
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def text(value: Any) -> str:
    """A value as HTML: text as it is, anything else as JSON."""
    written = plain(value)
    return escape(written if len(written) <= LONGEST else f"{written[:LONGEST]}…")


def plain(value: Any) -> str:
    """A value as text: text as it is, anything else as JSON, and null as nothing."""
    written = orjson.dumps(value).decode()
    if written == "null":
        return ""
    # Only a text is parsed: a number may be too large for orjson.
    return orjson.loads(written) if written.startswith('"') else written
