"""OGC API: the landing page, the conformance classes, the collection and its queryables."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ..crs import CRS84
from ..extent import Extent, Extents
from ..queries import INDEXED_ROWS, REFERENCES, STORED, TABLE
from . import edits, features, formats, openapi, pages, resources, tiles
from .features import COLLECTION
from .formats import FORMAT, GEOJSON, HTML, JSON, PAGES, SCHEMA, SCHEMAS, link, url
from .openapi import answers
from .parameters import documented, parsed, settings_of

#: What every face of the service conforms to.
CONFORMANCE = (
    *features.CONFORMANCE,
    *edits.CONFORMANCE,
    *tiles.CONFORMANCE,
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
)

QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
TITLE = TABLE.name.replace("_", " ").capitalize()
DESCRIPTION = (
    "Every row of the table."
    if isinstance(INDEXED_ROWS, sa.True_)
    else f"The rows of the table where {INDEXED_ROWS}."
)

router = APIRouter(tags=["Features"])


class PageQuery(BaseModel):
    """How to write a resource."""

    model_config = ConfigDict(extra="forbid")

    f: Annotated[Literal["json", "html"] | None, FORMAT] = Field(
        default=None, description="The format; without it the header Accept is asked."
    )


OPTIONS: dict[str, Any] = {
    "response_class": Response,
    "responses": answers(HTTPStatus.BAD_REQUEST, formats=PAGES),
    "openapi_extra": {"parameters": documented(PageQuery)},
}


@router.get("/", **OPTIONS)
async def read_landing_page(request: Request) -> Response:
    """What the service is, and where to go from here."""
    settings = settings_of(request)
    links = [
        link(
            url(request, "/openapi.json"),
            "service-desc",
            openapi.MEDIA_TYPE,
            "The API, for programs",
        ),
        link(url(request, "/docs"), "service-doc", HTML.media_type, "API documentation"),
        link(
            url(request, "/conformance"), "conformance", JSON.media_type, "What the API conforms to"
        ),
        link(url(request, "/collections"), "data", JSON.media_type, "The collections"),
        link(url(request, "/map"), "related", HTML.media_type, "The map"),
        {"href": url(request, "/tileMatrixSets")} | tiles.MATRIX_SETS_LINK,
    ]
    landing = {"title": settings.title, "description": settings.description, "links": links}
    return _written(request, landing)


@router.get("/conformance", **OPTIONS)
async def read_conformance(request: Request) -> Response:
    """The conformance classes of the OGC's standards that the service meets."""
    return _written(request, {"title": "Conformance", "conformsTo": CONFORMANCE})


@router.get("/collections", **OPTIONS)
def read_collections(request: Request) -> Response:
    """The one collection of the service, in a list."""
    collection = _collection(request)
    collection["links"].append(link(url(request, COLLECTION), "self", JSON.media_type, TITLE))
    found = {"title": "Collections", "crs": list(REFERENCES), "collections": [collection]}
    return _written(request, found)


@router.get(COLLECTION, **OPTIONS)
def read_collection(request: Request) -> Response:
    """The collection: what it is, where its features are, and in which CRSs they can be had."""
    return _written(request, _collection(request))


@router.get(
    f"{COLLECTION}/queryables",
    response_class=Response,
    responses=answers(HTTPStatus.BAD_REQUEST, formats=SCHEMAS),
    openapi_extra={"parameters": documented(PageQuery)},
)
async def read_queryables(request: Request) -> Response:
    """The properties that conditions may ask about, as JSON Schema."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": url(request, f"{COLLECTION}/queryables"),
        "title": TITLE,
        **resources.queryables(),
    }
    if formats.negotiated(request, parsed(request, PageQuery).f, SCHEMAS) is HTML:
        return pages.resource(schema | {"links": formats.own_links(request, HTML, SCHEMAS)})
    return formats.json(schema, SCHEMA.media_type)


def _collection(request: Request) -> dict[str, Any]:
    """The collection; its extent holds every feature that it has."""
    extents: Extents = request.app.state.extents
    extent = extents.get()
    here = url(request, COLLECTION)
    # Programs read the first, and add parameters of their own to it.
    items = [link(f"{here}/items", "items", GEOJSON.media_type, "The features")] + [
        link(
            f"{here}/items?f={each.name}", "items", each.media_type, f"The features as {each.name}"
        )
        for each in formats.FEATURES[1:]
    ]
    queryables = [
        link(f"{here}/queryables", rel, SCHEMA.media_type, "What conditions may ask about")
        for rel in (QUERYABLES, "queryables", "describedby")
    ]
    vector_tiles = {"href": url(request, tiles.TILESETS)} | tiles.TILESETS_LINK
    return {
        "id": TABLE.name,
        "title": TITLE,
        "description": DESCRIPTION,
        "links": [*items, *queryables, vector_tiles],
        **({"extent": _extent(extent)} if extent else {}),
        "itemType": "feature",
        "crs": list(REFERENCES),
        "storageCrs": STORED.uri,
    }


def _extent(extent: Extent) -> dict[str, Any]:
    return {
        "spatial": {"bbox": [list(extent.box)], "crs": CRS84.uri},
        "temporal": {"interval": [list(extent.interval)], "trs": GREGORIAN},
    }


def _written(request: Request, content: dict[str, Any]) -> Response:
    """A resource in the format that the client wants, with links to itself and its other formats."""
    chosen = formats.negotiated(request, parsed(request, PageQuery).f, PAGES)
    own = formats.own_links(request, chosen, PAGES)
    content = content | {"links": [*own, *content.get("links", ())]}
    return pages.resource(content) if chosen is HTML else formats.json(content)
