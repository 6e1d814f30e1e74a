"""The routes of OGC API - Tiles: tile matrix sets, tile sets and tiles."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request
from fastapi.params import Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from geotables.collection import Collection
from geotables.crs import MERCATOR
from geotables.geometry import metadata, samples
from geotables.http import etags, formats, html_pages, json_or_html, json_schemas
from geotables.http.faces import Face, Search, register
from geotables.http.formats import HTML, JSON, STYLE, TILEJSON, Format, FormatName, link, url
from geotables.http.openapi import answers, path_parameter
from geotables.http.parameters import (
    database_of,
    documented,
    extents_of,
    overviews_of,
    parsed,
    settings_of,
)
from geotables.http.routing import CollectionRouter
from geotables.sql import overviews
from geotables.tiles import matrix_sets, mvt, pages, styles
from geotables.tiles.matrix_sets import MATRIX_SET, QUAD, QUAD_URI

#: The conformance classes met, of OGC API - Tiles 1.0 (20-057) and of the Tile Matrix Set standard 2.0 (17-083r4).
CONFORMANCE = (
    *(
        f"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/{name}"
        for name in ("core", "tileset", "tilesets-list", "geodata-tilesets", "mvt", "oas30")
    ),
    *(
        f"http://www.opengis.net/spec/tms/2.0/conf/{name}"
        for name in ("tilematrixset", "json-tilematrixset", "json-tilesetmetadata")
    ),
)

MVT = Format("mvt", "application/vnd.mapbox-vector-tile", "Mapbox Vector Tile")

#: The formats of a tile. Clients that are generated from the OpenAPI document read bytes of the second type alone.
TILE_FORMATS = (MVT, MVT._replace(media_type="application/octet-stream"))

#: The formats of the tile set.
TILESET_FORMATS = (JSON, TILEJSON, HTML)

#: The relation of links to the tile matrix set.
TILING_SCHEME = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"

#: What TileJSON calls the types of values; in tiles all others are strings.
VALUE_TYPES = {"boolean": "Boolean", "integer": "Number", "number": "Number"}

#: The numbers in a tile's address, as the document has them.
ADDRESS = [
    path_parameter(name, description, {"type": "integer", "minimum": 0})
    for name, description in (
        ("tileMatrix", "The zoom."),
        ("tileRow", "The row, from the north."),
        ("tileCol", "The column, from the west."),
    )
]


class TilesetQuery(BaseModel):
    """How to write a tile set."""

    model_config = ConfigDict(extra="forbid")

    f: FormatName[Literal["json", "tilejson", "html"]] = None


class StyleQuery(BaseModel):
    """Which style."""

    model_config = ConfigDict(extra="forbid")

    scheme: styles.Scheme = Field(default="light", description="The colours, for light or dark.")
    view: bool = Field(default=True, description="Whether it begins where the features are.")


def install(
    app: FastAPI,
    collections: Sequence[Collection],
    *,
    readers: Sequence[Depends] = (),
    writers: Sequence[Depends] = (),
) -> None:
    """Serve the tiles of each collection, what they look like, and the tile matrix set that all have; nothing here writes."""
    for collection in collections:
        dependencies = [*readers, *collection.readers]
        router = Tiles(collection, is_public=not dependencies).router()
        app.include_router(router, dependencies=dependencies)
        here = f"/collections/{collection.name}/style.json"
        router = CollectionRouter(here, tags=["Tiles"])
        shown = styles.Shown([collection], [collection], collections)
        _add_style(router, here, shown, f"get_style_of_{collection.name}")
        app.include_router(router, dependencies=dependencies)
    router = APIRouter(tags=["Tiles"])
    # Whether the caller may read the rows of a collection with readers is for its own routes to ask.
    readable = [each for each in collections if not each.readers]
    _add_style(router, "/style.json", styles.Shown(collections, readable, collections), "get_style")
    app.include_router(router, dependencies=list(readers))
    app.include_router(matrix_sets.router, dependencies=list(readers))
    html_pages.install(app)
    register(app, Face("tiles", CONFORMANCE, searches))


def _add_style(router: APIRouter, path: str, shown: styles.Shown, operation_id: str) -> None:
    """Add the route of a style to a router."""

    @router.get(
        path,
        response_class=Response,
        responses=answers(HTTPStatus.BAD_REQUEST, formats=[STYLE]),
        openapi_extra={"parameters": documented(StyleQuery)},
        operation_id=operation_id,
    )
    def read_style(request: Request) -> Response:
        """How maps look, as a style of MapLibre: the one of the map page."""
        query = parsed(request, StyleQuery)
        style = styles.document(request, shown, query.scheme, has_view=query.view)
        return formats.json_response(style, STYLE.media_type)


class Tiles:
    """The tiles of a collection; of one that is public, caches may share them."""

    def __init__(self, collection: Collection, *, is_public: bool) -> None:
        self._collection = collection
        # Where not everybody may read, or callers see different rows, no cache may share what one of them got.
        self._sharing = "public" if is_public and collection.where is None else "private"
        self._style = f"/collections/{collection.name}/style.json"
        self._tilesets = f"/collections/{collection.name}/tiles"
        self._tileset = f"{self._tilesets}/{QUAD}"
        self._tile = self._tileset + "/{tileMatrix}/{tileRow}/{tileCol}"
        # The properties of a tile's features: name and type, which is a string where tiles have no better one.
        self._properties: dict[str, str] = {
            column.name: json_schemas.of_column(column).get("type", "string")
            for column in collection.columns
            if column is not collection.geometry
        }
        if isinstance(collection.key.type, sa.Numeric):
            self._properties[collection.key.name] = "string"

    def router(self) -> APIRouter:
        """The routes of the collection."""
        name = self._collection.name
        router = CollectionRouter(f"/collections/{name}/tiles", tags=["Tiles"])
        router.get(
            self._tilesets,
            operation_id=f"{name}.collection.vector.getTileSetsList",
            **json_or_html.options(),
        )(self.read_tilesets)
        router.get(
            self._tileset,
            response_class=Response,
            responses=answers(HTTPStatus.BAD_REQUEST, formats=TILESET_FORMATS),
            openapi_extra={"parameters": documented(TilesetQuery)},
            operation_id=f"{name}.collection.vector.getTileSet",
        )(self.read_tileset)
        router.get(
            self._tile,
            response_class=Response,
            responses={
                **answers(HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND, formats=TILE_FORMATS),
                int(HTTPStatus.NO_CONTENT): {"description": "No row lies in the tile."},
            },
            openapi_extra={"parameters": ADDRESS},
            operation_id=f"{name}.collection.vector.getTile",
        )(self.read_tile)
        return router

    async def read_tilesets(self, request: Request) -> Response:
        """The tile sets of the collection."""
        if json_or_html.wants_html(request):
            return pages.tilesets(request, self._collection, QUAD)
        links = [_link(request, self._tilesets, "self", JSON, "Tile sets")]
        return formats.json_response({"links": links, "tilesets": [self._metadata(request)]})

    def read_tileset(self, request: Request) -> Response:
        """The tile set: what its tiles hold and where they are; as TileJSON 3.0 too."""
        query = parsed(request, TilesetQuery)
        chosen = formats.negotiated(request, query.f, TILESET_FORMATS)
        if chosen is TILEJSON:
            return formats.json_response(self._tilejson(request), TILEJSON.media_type)
        if chosen is HTML:
            extent = extents_of(request, self._collection).get()
            template = url(request, self._tileset + "/{z}/{y}/{x}")
            fields = list(self._properties.items())
            return pages.tileset(request, self._collection, QUAD, template, fields, extent)
        return formats.json_response(self._metadata(request) | {"layers": [self._layer()]})

    def read_tile(self, request: Request) -> Response:
        """The rows of a tile as a Mapbox Vector Tile, in one layer that is named as the collection.

        The number of rows is limited. Where a tile has more, it shows the largest, or a sample of points, and the header
        ``Tile-Limit`` says how many. A geometry that mixes points, lines and areas becomes a feature for each of them.
        """
        z, y, x = (_index(request.path_params[parameter["name"]]) for parameter in ADDRESS)
        tile, settings = mvt.Tile(z, x, y), settings_of(request)
        if not tile.exists:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{QUAD} has no such tile")
        limit, age = settings.tile_limit, settings.tile_max_age
        likely = overviews_of(request, self._collection).of(tile)
        content, is_full = mvt.find(database_of(request), self._collection, tile, limit, likely)
        headers = {
            "Cache-Control": f"{self._sharing}, max-age={age}" if age else "no-cache",
            "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
            "Vary": "Accept",
        }
        if is_full:
            headers["Tile-Limit"] = str(limit)
        if etags.is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if not content:
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        chosen = formats.negotiated(request, None, TILE_FORMATS)
        return Response(content, headers=headers, media_type=chosen.media_type)

    def _metadata(self, request: Request) -> dict[str, Any]:
        """Tile set metadata (17-083r4, requirements class tilesetmetadata)."""
        template = _link(request, self._tile, "item", MVT, "Tiles") | {"templated": True}
        return {
            "title": self._collection.title,
            "dataType": "vector",
            "crs": MERCATOR.uri,
            "tileMatrixSetURI": QUAD_URI,
            "links": [
                _link(request, self._tileset, "self", JSON, "Tile set"),
                _link(request, f"{self._tileset}?f=tilejson", "alternate", TILEJSON, "TileJSON"),
                _link(request, MATRIX_SET, TILING_SCHEME, JSON, QUAD),
                _link(request, self._style, "stylesheet", STYLE, "MapLibre style"),
                template,
            ],
        }

    def _layer(self) -> dict[str, Any]:
        fields = {name: {"type": kind} for name, kind in self._properties.items()}
        layer = {
            "id": self._collection.name,
            "dataType": "vector",
            "propertiesSchema": {"type": "object", "properties": fields},
        }
        dimension = mvt.DIMENSIONS.get(self._collection.geometry_type)
        return layer if dimension is None else layer | {"geometryDimension": dimension}

    def _tilejson(self, request: Request) -> dict[str, Any]:
        """TileJSON 3.0.0. The addresses of its tiles have the row before the column, too."""
        collection = self._collection
        # Maps begin with it, and show features without bounds, too.
        extent = extents_of(request, collection).at_hand()
        zooms = {"minzoom": mvt.ZOOMS[0], "maxzoom": mvt.LAST_ZOOM}
        fields = {name: VALUE_TYPES.get(kind, "String") for name, kind in self._properties.items()}
        return {
            "tilejson": "3.0.0",
            "name": collection.title,
            "description": collection.description,
            "tiles": [url(request, self._tileset + "/{z}/{y}/{x}")],
            "vector_layers": [{"id": collection.name, "fields": fields, **zooms}],
            **zooms,
            **({"bounds": list(extent.box)} if extent else {}),
        }


def searches(collection: Collection) -> Iterator[Search]:
    """The spatial queries of a collection."""
    lon, lat = samples.middle(collection.geometry)
    gist = next(metadata.gist_indexes(collection.geometry))
    # The first reaches beyond what most CRSs cover.
    for zoom in (1, 16):
        tile = mvt.Tile.at(lon, lat, zoom)
        statement, values = mvt.statement(collection, tile, limit=10)
        yield Search(f"a tile of zoom {zoom}", statement, values, [gist])
    if overview := overviews.example(collection):
        statement, values = mvt.statement(collection, tile, 10, overview)
        yield Search("a tile of an overview", statement, values, [overview.index()])


def _index(text: str) -> int:
    """A number in a tile's address. Anything else there is the address of no tile."""
    return int(text) if re.fullmatch("[0-9]{1,8}", text) else -1


def _link(request: Request, path: str, rel: str, format: Format, title: str) -> dict[str, Any]:
    return link(url(request, path), rel, format.media_type, title)
