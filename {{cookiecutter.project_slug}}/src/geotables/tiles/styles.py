"""A style of MapLibre: how the tiles look on the map, in pages, and in every client that reads styles."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Literal, NamedTuple

from fastapi import Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from geotables.collection import Collection
from geotables.context import current
from geotables.http.faces import has_face
from geotables.http.formats import url
from geotables.http.parameters import extents_of, settings_of
from geotables.sql.extent import Extent
from geotables.tiles import mvt

Scheme = Literal["light", "dark"]


class Palette(NamedTuple):
    """The colours of a scheme.

    Attributes:
        sea, land, graticule: What is below the features.
        feature: The features of the first collection.
        tone: Saturation and lightness of the features of the others.
        halo: What is around points.
        brightness, saturation: The background, so that the features stand out.
    """

    sea: str
    land: str
    graticule: str
    feature: str
    tone: str
    halo: str
    brightness: float
    saturation: float


PALETTES: dict[Scheme, Palette] = {
    "light": Palette("#dde7ee", "#f7f5f0", "#b9c7d2", "#0b5cad", "88%, 36%", "#ffffff", 1, -0.3),
    "dark": Palette("#10171d", "#222d36", "#34424d", "#74b9ff", "100%, 73%", "#10171d", 0.4, -0.6),
}

#: The sources that are no collection's; no collection has a colon in its name.
LAND, GRATICULE, BACKGROUND = "base:land", "base:graticule", "base:background"

#: Hues of collections, as far apart as may be, between lime and pink: what a page marks is orange.
LIME, BLUE, PINK = 80, 210, 340

#: What layers draw, the lowest first.
AREAS, LINES, POINTS = "areas", "lines", "points"

#: The layers for geometries of each dimension; areas have outlines.
KINDS = {0: (POINTS,), 1: (LINES,), 2: (AREAS, LINES), None: (AREAS, LINES, POINTS)}

#: The highest zoom that a style begins with, and where Web Mercator ends.
CLOSEST, NORTH = 16, 85

log = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What a style shows.

    Attributes:
        collections: The collections.
        readable: Those of which every caller may know the extent: the style begins there.
        listed: All that the service has: in every style a collection has the same colour.
    """

    collections: Sequence[Collection]
    readable: Sequence[Collection]
    listed: Sequence[Collection]


def document(
    request: Request, shown: Shown, scheme: Scheme, *, has_view: bool = True
) -> dict[str, Any]:
    """A style (version 8 of MapLibre's specification); it needs no glyphs and no sprites."""
    palette = PALETTES[scheme]
    sources, layers = _base(request, palette)
    drawn: list[tuple[str, dict[str, Any]]] = []
    for collection in shown.collections:
        drawn += _drawn(collection, _colour(collection, shown.listed, palette), palette)
        path = f"/collections/{collection.name}/tiles/WebMercatorQuad?f=tilejson"
        sources[collection.name] = {
            "type": "vector",
            "url": url(request, path),
            "promoteId": {collection.name: collection.key.name},
        }
    for kind in KINDS[None]:
        layers += [layer for name, layer in drawn if name == kind]
    view = _view(_extent(request, each) for each in shown.readable) if has_view else {}
    name = settings_of(request).title
    return {"version": 8, "name": name, **view, "sources": sources, "layers": layers}


def _base(request: Request, palette: Palette) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The sources and layers below the features."""
    settings = settings_of(request)
    # The coasts are too coarse to be looked at closely.
    sea = _by_zoom(5, palette.sea, 8, palette.land)
    sources: dict[str, Any] = {}
    layers: list[dict[str, Any]] = [
        {"id": "sea", "type": "background", "paint": {"background-color": sea}}
    ]
    if has_face(request.app, "webmap"):
        sources[LAND] = {"type": "geojson", "data": url(request, "/map/land.json")}
        paint: dict[str, Any] = {"fill-color": palette.land}
        layers.append({"id": "land", "source": LAND, "type": "fill", "paint": paint})
    if settings.map_background_url:
        sources[BACKGROUND] = {
            "type": "raster",
            "tiles": [settings.map_background_url],
            "tileSize": 256,
            "maxzoom": 19,
            # MapLibre takes it for HTML.
            "attribution": escape(settings.map_background_attribution),
        }
        paint = {
            "raster-brightness-max": palette.brightness,
            "raster-saturation": palette.saturation,
        }
        layers.append({"id": "background", "source": BACKGROUND, "type": "raster", "paint": paint})
    sources[GRATICULE] = {"type": "geojson", "data": _graticule()}
    paint = {"line-color": palette.graticule, "line-width": 0.5}
    layers.append({"id": "graticule", "source": GRATICULE, "type": "line", "paint": paint})
    return sources, layers


def _graticule() -> dict[str, Any]:
    """A meridian and a parallel every 30 degrees."""
    meridians = [[[x, -NORTH], [x, NORTH]] for x in range(-180, 181, 30)]
    parallels = [[[-180, y], [180, y]] for y in range(-60, 61, 30)]
    return {"type": "MultiLineString", "coordinates": [*meridians, *parallels]}


def _colour(collection: Collection, listed: Sequence[Collection], palette: Palette) -> str:
    index = listed.index(collection)
    if not index:
        return palette.feature
    width = PINK - LIME
    hue = PINK - ((PINK - BLUE + index * width / len(listed)) % width)
    return f"hsl({round(hue)}, {palette.tone})"


def _drawn(
    collection: Collection, colour: str, palette: Palette
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The layers of a collection, each with the kind of geometries that it draws."""
    looks: dict[str, dict[str, Any]] = {
        AREAS: {"type": "fill", "paint": {"fill-color": colour, "fill-opacity": 0.35}},
        LINES: {
            "type": "line",
            "layout": {"line-cap": "round", "line-join": "round"},
            "paint": {"line-color": colour, "line-width": _by_zoom(0, 0.75, 12, 2)},
        },
        POINTS: {
            "type": "circle",
            "paint": {
                "circle-color": colour,
                "circle-radius": _by_zoom(0, 2, 6, 4, 14, 7),
                "circle-stroke-color": palette.halo,
                "circle-stroke-width": _by_zoom(0, 0.4, 6, 1),
            },
        },
    }
    geometries = {AREAS: ["Polygon"], LINES: ["LineString", "Polygon"], POINTS: ["Point"]}
    dimension = mvt.DIMENSIONS.get(collection.geometry_type)
    for kind in KINDS[dimension]:
        layer = {
            "id": f"{collection.name}:{kind}",
            "source": collection.name,
            "source-layer": collection.name,
            **looks[kind],
        }
        if dimension is None:
            names = [f"{prefix}{name}" for name in geometries[kind] for prefix in ("", "Multi")]
            layer["filter"] = ["in", ["geometry-type"], ["literal", names]]
        yield kind, layer


def _by_zoom(*stops: float | str) -> list[Any]:
    return ["interpolate", ["linear"], ["zoom"], *stops]


def _extent(request: Request, collection: Collection) -> Extent | None:
    """Where a collection is, as far as the database can tell: what the style draws does not depend on it."""
    try:
        return extents_of(request, collection).get()
    except (DBAPIError, PoolTimeout):
        if current.get().gone:
            raise
        log.warning("the style begins without %s", collection.name, exc_info=True)
        return None


def _view(extents: Iterable[Extent | None]) -> dict[str, Any]:
    """Where the features are, as large as fits on a small screen."""
    boxes = [extent.box for extent in extents if extent is not None]
    if not boxes:
        return {}
    # A box that crosses the antimeridian ends beyond it.
    west = min(west for west, _, _, _ in boxes)
    east = max(east + 360 * (west > east) for west, _, east, _ in boxes)
    south = max(-NORTH, min(south for _, south, _, _ in boxes))
    north = min(NORTH, max(north for _, _, _, north in boxes))
    part = max((east - west) / 360, (north - south) / 180, 2.0**-CLOSEST)
    center = [round((west + east) / 2, 7), round((south + north) / 2, 7)]
    return {"center": center, "zoom": max(0, round(-math.log2(part) - 0.2, 1))}
