"""The one tile matrix set: how the world is cut into tiles (OGC 17-083r4)."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from geotables.crs import MERCATOR
from geotables.http import formats, json_or_html
from geotables.http.formats import JSON, link, url
from geotables.tiles import mvt, pages

#: The one tile matrix set: its name, its URI and its path.
QUAD = "WebMercatorQuad"
QUAD_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{QUAD}"
MATRIX_SET = f"/tileMatrixSets/{QUAD}"

#: A pixel at zoom 0 in metres, and the same as a scale, at 0.28 mm to a pixel (17-083r4, annex D.1).
CELL_SIZE = mvt.WORLD_SIZE / 256
SCALE = CELL_SIZE / 0.00028

router = APIRouter(tags=["Tiles"])


@router.get("/tileMatrixSets", **json_or_html.options())
async def read_matrix_sets(request: Request) -> Response:
    """The tile matrix sets that tiles are offered in."""
    matrix_set = {"id": QUAD, "title": QUAD, "uri": QUAD_URI, "crs": MERCATOR.uri}
    if json_or_html.wants_html(request):
        return pages.matrix_sets(request, matrix_set)
    links = [link(url(request, MATRIX_SET), "self", JSON.media_type, QUAD)]
    return formats.json_response({"tileMatrixSets": [matrix_set | {"links": links}]})


@router.get(MATRIX_SET, **json_or_html.options())
async def read_matrix_set(request: Request) -> Response:
    """The tile matrix set: how the world is cut into tiles at each zoom."""
    origin = mvt.WORLD_SIZE / 2
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
        for zoom in mvt.ZOOMS
    ]
    if json_or_html.wants_html(request):
        return pages.matrix_set(request, QUAD, QUAD_URI, matrices)
    return formats.json_response(
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
