"""OGC API: the landing page, the conformance classes and the collections. What they link to depends on the faces."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, params
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import CRS84
from geotables.http import formats, json_or_html, openapi
from geotables.http.faces import faces_of, has_face, has_map
from geotables.http.formats import GEOJSON, HTML, JSON, PAGES, SCHEMA, STYLE, XSD, link, url
from geotables.http.parameters import counts_of, extents_of, settings_of
from geotables.ogc import pages
from geotables.sql.extent import Extent

#: Relations of links, by their URIs.
RELATION = "http://www.opengis.net/def/rel/ogc/1.0/{}"
VECTOR_TILESETS = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"
TILING_SCHEMES = "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes"

#: What describes the features of a collection: the rest of its path, its relation, format and title.
DESCRIPTIONS = (
    ("schema", RELATION.format("schema"), SCHEMA, "The properties of the features"),
    # GDAL prefers XML Schema, which tells it more.
    ("schema/feature", "describedby", SCHEMA, "The features as GeoJSON"),
    ("schema/xsd", "describedby", XSD, "The features as an XML Schema"),
    ("queryables", RELATION.format("queryables"), SCHEMA, "What conditions may ask about"),
    ("queryables", "queryables", SCHEMA, "What conditions may ask about"),
    ("sortables", RELATION.format("sortables"), SCHEMA, "What features can be sorted by"),
)

#: The calendar of times.
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"


class Landing:
    """What leads to the collections."""

    def __init__(self, collections: Sequence[Collection]) -> None:
        self._collections = list(collections)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes to a router."""
        for path, endpoint in (
            ("/", self.read_landing_page),
            ("/conformance", self.read_conformance),
            ("/collections", self.read_collections),
        ):
            router.get(path, operation_id=endpoint.__name__, **json_or_html.options())(endpoint)

    async def read_landing_page(self, request: Request) -> Response:
        """What the service is, and where to go from here."""
        if json_or_html.wants_html(request):
            return await run_in_threadpool(pages.landing, request, self._collections)
        settings, app = settings_of(request), request.app
        paths = [
            ("/openapi.json", "service-desc", openapi.MEDIA_TYPE, "The API, for programs"),
            ("/docs", "service-doc", HTML.media_type, "API documentation"),
            ("/conformance", "conformance", JSON.media_type, "What the API conforms to"),
            ("/collections", "data", JSON.media_type, "The collections"),
        ]
        if has_map(app):
            paths.append(("/map", "related", HTML.media_type, "The map"))
        if has_face(app, "tiles"):
            sets = ("/tileMatrixSets", TILING_SCHEMES, JSON.media_type, "Tile matrix sets")
            paths += [sets, ("/style.json", "stylesheet", STYLE.media_type, "MapLibre style")]
        links = [link(url(request, path), *described) for path, *described in paths]
        landing = {"title": settings.title, "description": settings.description, "links": links}
        return _written(request, landing)

    async def read_conformance(self, request: Request) -> Response:
        """The conformance classes of the OGC's standards that the service meets."""
        classes = [name for face in faces_of(request.app) for name in face.conformance]
        if json_or_html.wants_html(request):
            return pages.conformance(request, classes)
        return _written(request, {"title": "Conformance", "conformsTo": classes})

    def read_collections(self, request: Request) -> Response:
        """The collections of the service."""
        if json_or_html.wants_html(request):
            return pages.collections(request, self._collections)
        listed, links = [], []
        for collection in self._collections:
            # Whether the caller may read the rows is for the collection's own routes to ask.
            content = _content(request, collection, may_read=not collection.readers)
            here = url(request, path_of(collection))
            content["links"].append(link(here, "self", JSON.media_type, collection.title))
            listed.append(content)
            links.append(link(here, "item", JSON.media_type, collection.title))
        crs = dict.fromkeys(uri for each in self._collections for uri in each.references)
        content = {
            "title": "Collections",
            "crs": list(crs),
            "collections": listed,
            "links": links,
        }
        return _written(request, content)


def add_collection_to(
    router: APIRouter, collection: Collection, readers: Sequence[params.Depends]
) -> None:
    """Add the route of a collection to a router; examples of requests say who asks where there are readers."""

    def read_collection(request: Request) -> Response:
        """The collection: what it is, where its features are, and in which CRSs they can be had."""
        if json_or_html.wants_html(request):
            extent = extents_of(request, collection).get()
            return pages.collection(request, collection, extent, is_closed=bool(readers))
        return _written(request, _content(request, collection))

    router.get(
        path_of(collection),
        operation_id=f"get_collection_of_{collection.name}",
        **json_or_html.options(),
    )(read_collection)


def path_of(collection: Collection) -> str:
    """The path of a collection."""
    return f"/collections/{collection.name}"


def _content(request: Request, collection: Collection, *, may_read: bool = True) -> dict[str, Any]:
    """A collection; its extent holds every feature that it has, and is told to those who may read them."""
    extent = extents_of(request, collection).get() if may_read else None
    count = counts_of(request, collection).get() if may_read else None
    return {
        "id": collection.name,
        "title": collection.title,
        "description": collection.description,
        "links": _links(request, collection),
        **({"extent": _extent(collection, extent)} if extent else {}),
        "itemType": "feature",
        **({} if count is None else {"itemCount": count}),
        "crs": list(collection.references),
        "storageCrs": collection.storage_crs.uri,
    }


def _links(request: Request, collection: Collection) -> list[dict[str, Any]]:
    """The links of a collection to what the faces serve of it."""
    here, links = url(request, path_of(collection)), []
    if has_face(request.app, "features"):
        # Programs read the first, and add parameters of their own to it.
        links.append(link(f"{here}/items", "items", GEOJSON.media_type, "The features"))
        for each in formats.FEATURES[1:]:
            title = f"The features as {each.name}"
            links.append(link(f"{here}/items?f={each.name}", "items", each.media_type, title))
        for path, rel, each, title in DESCRIPTIONS:
            links.append(link(f"{here}/{path}", rel, each.media_type, title))
    if has_face(request.app, "tiles"):
        links += [
            link(f"{here}/tiles", VECTOR_TILESETS, JSON.media_type, "Vector tiles"),
            link(f"{here}/style.json", "stylesheet", STYLE.media_type, "MapLibre style"),
        ]
    return links


def _extent(collection: Collection, extent: Extent) -> dict[str, Any]:
    content: dict[str, Any] = {"spatial": {"bbox": [list(extent.box)], "crs": CRS84.uri}}
    if collection.time is not None:
        content["temporal"] = {"interval": [list(extent.interval)], "trs": GREGORIAN}
    return content


def _written(request: Request, content: dict[str, Any]) -> Response:
    """A resource as JSON, with links to itself and its other formats."""
    own = formats.own_links(request, JSON, PAGES)
    return formats.json_response(content | {"links": [*own, *content.get("links", ())]})
