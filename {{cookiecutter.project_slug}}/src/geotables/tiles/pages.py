"""Tile sets and tile matrix sets as pages for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from geotables.collection import Collection
from geotables.http import html_pages
from geotables.http.faces import has_face
from geotables.http.formats import HTML, JSON, PAGES, TILEJSON
from geotables.http.html_pages import HOME, Crumb, other_formats, parents
from geotables.sql.extent import Extent
from geotables.tiles import mvt

MATRIX_SETS = Crumb("Tile matrix sets", "/tileMatrixSets")


def tilesets(request: Request, collection: Collection, name: str) -> Response:
    """The tile sets of a collection."""
    return html_pages.respond(
        request,
        "tiles/templates/tilesets.html",
        title="Vector tiles",
        crumbs=parents(request, collection),
        collection=collection,
        name=name,
        others=other_formats(request, PAGES),
    )


def tileset(
    request: Request,
    collection: Collection,
    name: str,
    template: str,
    fields: Sequence[tuple[str, str]],
    extent: Extent | None,
) -> Response:
    """A tile set: where its tiles are, what they hold, and what they look like."""
    tilesets = Crumb("Vector tiles", f"/collections/{collection.name}/tiles")
    return html_pages.respond(
        request,
        "tiles/templates/tileset.html",
        title=name,
        crumbs=[*parents(request, collection), tilesets],
        collection=collection,
        template=template,
        fields=fields,
        zooms=mvt.ZOOMS,
        bounds=list(extent.box) if extent else None,
        mapped=html_pages.mapped(request, [collection]),
        others=other_formats(request, (JSON, TILEJSON, HTML)),
    )


def matrix_sets(request: Request, matrix_set: Mapping[str, str]) -> Response:
    """The tile matrix sets."""
    return html_pages.respond(
        request,
        "tiles/templates/matrix_sets.html",
        title="Tile matrix sets",
        crumbs=[HOME] if has_face(request.app, "ogc") else [],
        matrix_set=matrix_set,
        others=other_formats(request, PAGES),
    )


def matrix_set(
    request: Request, name: str, uri: str, matrices: Sequence[Mapping[str, Any]]
) -> Response:
    """A tile matrix set: its zooms."""
    return html_pages.respond(
        request,
        "tiles/templates/matrix_set.html",
        title=name,
        crumbs=[HOME, MATRIX_SETS] if has_face(request.app, "ogc") else [MATRIX_SETS],
        uri=uri,
        matrices=matrices,
        others=other_formats(request, PAGES),
    )
