"""OGC API - Tiles: the collection as vector tiles, and as a TileJSON document for MapLibre and its like."""

import hashlib
import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import spatial, tiles
from ..crs import MERCATOR
from ..extent import Extents
from ..queries import GEOMETRY, TABLE
from . import etags, formats, resources
from .formats import FORMAT, JSON, TILEJSON, Format, link, url
from .openapi import answers, in_path
from .parameters import database_of, documented, parsed, settings_of

#: The conformance classes met, of OGC API - Tiles 1.0 (20-057) and of the Tile Matrix Set standard 2.0 (17-083r4).
CONFORMANCE: tuple[str, ...] = (
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilesetmetadata",
)

MVT = Format("mvt", "application/vnd.mapbox-vector-tile")

#: The formats of a tile. Clients that are generated from the OpenAPI document read bytes of the second type alone.
TILE_FORMATS = (MVT, Format("mvt", "application/octet-stream"))

#: The formats of the tile set.
TILESET_FORMATS = (JSON, TILEJSON)

#: The one tile matrix set: its name, its URI, and the link relation that leads to it.
QUAD = "WebMercatorQuad"
QUAD_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{QUAD}"
MATRIX_SET = f"/tileMatrixSets/{QUAD}"
TILING_SCHEME = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"

#: Where the tiles of the collection are; a landing page and a collection link there.
TILESETS = f"/collections/{TABLE.name}/tiles"
TILESET = f"{TILESETS}/{QUAD}"
TILE = TILESET + "/{tileMatrix}/{tileRow}/{tileCol}"
TILESETS_LINK = {
    "rel": "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector",
    "type": JSON.media_type,
    "title": "Vector tiles",
}
MATRIX_SETS_LINK = {
    "rel": "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes",
    "type": JSON.media_type,
    "title": "Tile matrix sets",
}

#: A pixel at zoom 0 in metres, and the same as a scale, at 0.28 mm to a pixel (17-083r4, annex D.1).
CELL_SIZE = tiles.WORLD_SIZE / 256
SCALE = CELL_SIZE / 0.00028

#: The numbers in a tile's address, as the document has them.
ADDRESS = [
    in_path(name, description, {"type": "integer", "minimum": 0})
    for name, description in (
        ("tileMatrix", "The zoom."),
        ("tileRow", "The row, from the north."),
        ("tileCol", "The column, from the west."),
    )
]

router = APIRouter(tags=["Tiles"])


class TilesetQuery(BaseModel):
    """How to write a tile set."""

    model_config = ConfigDict(extra="forbid")

    f: Annotated[Literal["json", "tilejson"] | None, FORMAT] = Field(
        default=None, description="The format; without it the header Accept is asked."
    )


@router.get("/tileMatrixSets", responses=answers(formats=[JSON]), response_class=Response)
async def read_matrix_sets(request: Request) -> Response:
    """The tile matrix sets that tiles are offered in."""
    matrix_set = {"id": QUAD, "title": QUAD, "uri": QUAD_URI, "crs": MERCATOR.uri}
    links = [_link(request, MATRIX_SET, "self", JSON, QUAD)]
    return formats.json({"tileMatrixSets": [matrix_set | {"links": links}]})


@router.get(MATRIX_SET, responses=answers(formats=[JSON]), response_class=Response)
async def read_matrix_set() -> Response:
    """The tile matrix set: how the world is cut into tiles at each zoom."""
    origin = tiles.WORLD_SIZE / 2
    matrices = [
        {
            "id": str(zoom),
            "scaleDenominator": SCALE / 2**zoom,
            "cellSize": CELL_SIZE / 2**zoom,
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": [-origin, origin],
            "tileWidth": 256,
            "tileHeight": 256,
            "matrixWidth": 2**zoom,
            "matrixHeight": 2**zoom,
        }
        for zoom in tiles.ZOOMS
    ]
    return formats.json(
        {
            "id": QUAD,
            "title": "Google Maps Compatible for the World",
            "uri": QUAD_URI,
            "crs": MERCATOR.uri,
            "orderedAxes": ["X", "Y"],
            "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
            "tileMatrices": matrices,
        }
    )


@router.get(TILESETS, responses=answers(formats=[JSON]), response_class=Response)
async def read_tilesets(request: Request) -> Response:
    """The tile sets of the collection."""
    settings = settings_of(request)
    links = [_link(request, TILESETS, "self", JSON, "Tile sets")]
    return formats.json({"links": links, "tilesets": [_tileset(request, settings.title)]})


@router.get(
    TILESET,
    response_class=Response,
    responses=answers(HTTPStatus.BAD_REQUEST, formats=TILESET_FORMATS),
    openapi_extra={"parameters": documented(TilesetQuery)},
)
def read_tileset(request: Request) -> Response:
    """The tile set: what its tiles hold and where they are; as TileJSON 3.0 too."""
    query, settings = parsed(request, TilesetQuery), settings_of(request)
    if formats.negotiated(request, query.f, TILESET_FORMATS) is TILEJSON:
        return formats.json(
            _tilejson(request, settings.title, settings.description), TILEJSON.media_type
        )
    return formats.json(_tileset(request, settings.title) | {"layers": [_layer()]})


@router.get(
    TILE,
    response_class=Response,
    responses={
        **answers(HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND, formats=TILE_FORMATS),
        int(HTTPStatus.NO_CONTENT): {"description": "No row lies in the tile."},
    },
    openapi_extra={"parameters": ADDRESS},
)
def read_tile(request: Request) -> Response:
    """The rows of a tile as a Mapbox Vector Tile, in one layer that is named as the collection.

    The number of rows is limited. Where a tile has more, it shows the largest, or a sample of points, and the header
    ``Tile-Limit`` says how many. A geometry that mixes points, lines and areas becomes a feature for each of them.
    """
    z, y, x = (_index(request.path_params[each["name"]]) for each in ADDRESS)
    tile, settings = tiles.Tile(z, x, y), settings_of(request)
    if not tile.exists:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{QUAD} has no such tile")
    content, is_full = tiles.find(database_of(request), tile, settings.tile_limit)
    age = settings.tile_max_age
    headers = {
        "Cache-Control": f"public, max-age={age}" if age else "no-cache",
        "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
        "Vary": "Accept",
    }
    if is_full:
        headers["Tile-Limit"] = str(settings.tile_limit)
    if etags.is_known(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if not content:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    chosen = formats.negotiated(request, None, TILE_FORMATS)
    return Response(content, headers=headers, media_type=chosen.media_type)


def _index(text: str) -> int:
    """A number in a tile's address. Anything else there is the address of no tile."""
    return int(text) if re.fullmatch("[0-9]{1,8}", text) else -1


def _tileset(request: Request, title: str) -> dict[str, Any]:
    """Tile set metadata (17-083r4, requirements class tilesetmetadata)."""
    template = _link(request, TILE, "item", MVT, "Tiles") | {"templated": True}
    return {
        "title": title,
        "dataType": "vector",
        "crs": MERCATOR.uri,
        "tileMatrixSetURI": QUAD_URI,
        "links": [
            _link(request, TILESET, "self", JSON, "Tile set"),
            _link(request, f"{TILESET}?f=tilejson", "alternate", TILEJSON, "TileJSON"),
            _link(request, MATRIX_SET, TILING_SCHEME, JSON, QUAD),
            template,
        ],
    }


def _layer() -> dict[str, Any]:
    fields = {name: {"type": kind} for name, kind in _properties().items()}
    layer = {
        "id": TABLE.name,
        "dataType": "vector",
        "propertiesSchema": {"type": "object", "properties": fields},
    }
    dimension = tiles.DIMENSIONS.get(spatial.geometry_type(GEOMETRY))
    return layer if dimension is None else layer | {"geometryDimension": dimension}


def _properties() -> dict[str, str]:
    """The properties of a tile's features: name and type, which is a string where tiles have no better one."""
    return {
        column.name: resources.of_column(column).get("type", "string")
        for column in TABLE.columns
        if column is not GEOMETRY
    }


def _tilejson(request: Request, title: str, description: str) -> dict[str, Any]:
    """TileJSON 3.0.0. The addresses of its tiles have the row before the column, too."""
    extents: Extents = request.app.state.extents
    extent = extents.get()
    zooms = {"minzoom": tiles.ZOOMS[0], "maxzoom": tiles.LAST_ZOOM}
    fields = {name: kind.capitalize() for name, kind in _properties().items()}
    return {
        "tilejson": "3.0.0",
        "name": title,
        "description": description,
        "tiles": [url(request, TILESET + "/{z}/{y}/{x}")],
        "vector_layers": [{"id": TABLE.name, "fields": fields, **zooms}],
        **zooms,
        **({"bounds": list(extent.box)} if extent else {}),
    }


def _link(request: Request, path: str, rel: str, format: Format, title: str) -> dict[str, Any]:
    return link(url(request, path), rel, format.media_type, title)
