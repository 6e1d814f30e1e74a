"""OGC API, what its standards have in common: the landing page, the conformance classes and the collections."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, params

from geotables.collection import Collection
from geotables.http import html_pages
from geotables.http.faces import Face, register
from geotables.http.routing import CollectionRouter
from geotables.ogc.landing import Landing, add_collection_to

#: OGC API - Common 1.0, parts 1 (19-072) and 2 (20-024).
CONFORMANCE = (
    *(
        f"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/{name}"
        for name in ("core", "landing-page", "json", "html", "oas30")
    ),
    *(
        f"http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/{name}"
        for name in ("collections", "json", "html")
    ),
)


def install(
    app: FastAPI,
    collections: Sequence[Collection],
    *,
    readers: Sequence[params.Depends] = (),
    writers: Sequence[params.Depends] = (),
) -> None:
    """Serve what leads to the collections; nothing here writes."""
    router = APIRouter(tags=["Features"])
    Landing(collections).add_to(router)
    app.include_router(router, dependencies=readers)
    for collection in collections:
        router = CollectionRouter(f"/collections/{collection.name}", tags=["Features"])
        dependencies = [*readers, *collection.readers]
        add_collection_to(router, collection, dependencies)
        app.include_router(router, dependencies=dependencies)
    html_pages.install(app)
    register(app, Face("ogc", CONFORMANCE))
