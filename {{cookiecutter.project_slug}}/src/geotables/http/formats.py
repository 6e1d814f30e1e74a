"""The formats of an answer, and which of them a client wants."""

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from importlib.util import find_spec
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, urlencode

import orjson
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from geotables.file_formats import PACKAGES


class Format(NamedTuple):
    """A format: its name in the parameter ``f``, its media type in the header Accept, and what people call it."""

    name: str
    media_type: str
    label: str

    @property
    def is_json(self) -> bool:
        """Whether it is one JSON value."""
        return self.media_type.endswith("json")

    @property
    def is_text(self) -> bool:
        """Whether it is text of another kind."""
        return self.media_type.startswith("text/") or self.media_type.endswith(("json-seq", "xml"))


JSON = Format("json", "application/json", "JSON")
GEOJSON = Format("geojson", "application/geo+json", "GeoJSON")
HTML = Format("html", "text/html", "HTML")
CSV = Format("csv", "text/csv", "CSV")
SEQUENCE = Format("jsonseq", "application/geo+json-seq", "GeoJSON sequence")
PARQUET = Format("parquet", "application/vnd.apache.parquet", "GeoParquet")
FLATGEOBUF = Format("fgb", "application/flatgeobuf", "FlatGeobuf")
SCHEMA = Format("json", "application/schema+json", "JSON")
XSD = Format("xsd", "application/xml", "XML Schema")
TILEJSON = Format("tilejson", "application/vnd.mapbox.tilejson+json", "TileJSON")
STYLE = Format("style", "application/vnd.mapbox.style+json", "MapLibre style")

#: The formats of each kind of resource; the first is for a client that does not ask for one.
PAGES = (JSON, HTML)
FEATURE = (GEOJSON, HTML)
FEATURES = (GEOJSON, HTML, CSV, SEQUENCE, PARQUET, FLATGEOBUF)
SCHEMAS = (SCHEMA, HTML)

#: The formats that hold any number of features.
STREAMS = (PARQUET, FLATGEOBUF, SEQUENCE)

#: The formats whose packages, of the extra ``formats``, are not installed: no link leads to them.
MISSING = () if all(map(find_spec, PACKAGES)) else (PARQUET, FLATGEOBUF)

#: Other media types in Accept that a format satisfies.
BROADER = {
    GEOJSON.media_type: {"application/json", "application/*", "application/vnd.geo+json"},
    SCHEMA.media_type: {"application/json", "application/*"},
    JSON.media_type: {"application/*"},
    HTML.media_type: {"text/*", "application/xhtml+xml"},
}

#: The names of the formats, by their media types.
NAMES = {each.media_type: each.name for each in (JSON, *FEATURES, SCHEMA, TILEJSON)}


Name = TypeVar("Name")


def _named(value: Any) -> Any:
    # The + of a media type is a space in a query, unless it is written %2B.
    media_type = str(value).partition(";")[0].strip().lower().replace(" ", "+")
    return NAMES.get(media_type, value)


#: The type of the parameter ``f``, which takes a media type for the name of its format, too.
FormatName = Annotated[
    Name | None,
    BeforeValidator(_named),
    Field(description="The format; without it the header Accept is asked."),
]

#: Clients send the same parameters again and again, and a page has several links with all of them.
_quoted = lru_cache(64)(quote_plus)


def negotiated(request: Request, f: str | None, offered: Sequence[Format]) -> Format:
    """The format of an answer: what ``f`` says, else what Accept wants most, else the first."""
    if f is not None:
        return next((each for each in offered if each.name == f), offered[0])
    accepted = request.headers.get("accept", "*/*")
    for media_type in _by_weight(accepted):
        for each in offered:
            if media_type == each.media_type or media_type in BROADER.get(each.media_type, ()):
                return each
        if media_type == "*/*":
            break
    return offered[0]


def wants_page(request: Request) -> bool:
    """Whether a person reads the answer, even if it is an error: a browser opens the address, or ``f`` asks for HTML."""
    if request.method not in ("GET", "HEAD"):
        return False
    wanted = _by_weight(request.headers.get("accept", ""))
    return request.query_params.get("f") == HTML.name or wanted[:1] == (HTML.media_type,)


@lru_cache(64)
def _by_weight(accepted: str) -> tuple[str, ...]:
    """The media types of an Accept header (RFC 9110, section 12.5.1), the most wanted first."""
    weighed = []
    for part in accepted.split(","):
        media_type, *parameters = (each.strip().lower() for each in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            weighed.append((float(weight), media_type))
        except ValueError:
            continue
    weighed.sort(key=lambda each: -each[0])
    return tuple(media_type for weight, media_type in weighed if weight > 0)


def link(href: str, rel: str, media_type: str, title: str) -> dict[str, Any]:
    """A link to another resource (RFC 8288)."""
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def link_header(links: Iterable[Mapping[str, Any]]) -> str:
    """The header Link with some links, for formats that have no place for them."""
    return ", ".join(
        f'<{quote(each["href"], safe=_IN_URL)}>; rel="{each["rel"]}"; type="{each["type"]}"'
        for each in links
    )


#: What a URL may have as it is (RFC 3986).
_IN_URL = "%:/?#[]@!$&'()*+,;=~"


def url(request: Request, path: str) -> str:
    """The URL of a path of the service, as the client reaches it."""
    return str(request.base_url).rstrip("/") + path


def own_links(request: Request, chosen: Format, offered: Sequence[Format]) -> list[dict[str, Any]]:
    """The links of a resource to itself and to its other formats."""
    other = address(request, without={"f"})
    return [
        link(str(request.url), "self", chosen.media_type, "This resource"),
        *(
            link(f"{other}f={each.name}", "alternate", each.media_type, f"As {each.name}")
            for each in offered
            if each is not chosen and each not in MISSING
        ),
    ]


def address(request: Request, *, without: Set[str]) -> str:
    """The URL of a request without some parameters, up to where another one can be added."""
    kept = [each for each in request.query_params.multi_items() if each[0] not in without]
    query = urlencode(kept, quote_via=_quoted)
    return f"{str(request.url).partition('?')[0]}?{query}{'&' * bool(kept)}"


def json_response(
    content: Any,
    media_type: str = JSON.media_type,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response of JSON, in the format that the client wanted."""
    headers = {"Vary": "Accept", **(headers or {})}
    return Response(orjson.dumps(content), status, headers, media_type=media_type)
