"""OGC API - Features: collections as GeoJSON, filtered, sorted, in CRSs of the client's choice, and edited."""

from collections.abc import Sequence

from fastapi import FastAPI, params

from geotables.collection import Collection
from geotables.features import containing, edits, routes, schemas
from geotables.features.json_schemas import feature_schemas
from geotables.features.searches import searches
from geotables.http import html_pages
from geotables.http.faces import Face, register
from geotables.http.routing import CollectionRouter


def install(
    app: FastAPI,
    collections: Sequence[Collection],
    *,
    readers: Sequence[params.Depends] = (),
    writers: Sequence[params.Depends] = (),
) -> None:
    """Serve collections by OGC API - Features.

    Args:
        app: The application.
        collections: The collections.
        readers: Dependencies of every route.
        writers: Dependencies of the routes that write, besides.
    """
    for collection in collections:
        router = CollectionRouter(f"/collections/{collection.name}/", tags=["Features"])
        items = routes.Items(collection)
        items.add_to(router)
        schemas.add_to(router, collection)
        if collection.is_writable:
            edits.Edits(items).add_to(router, [*writers, *collection.writers])
        app.include_router(router, dependencies=[*readers, *collection.readers])
        forms = CollectionRouter(f"/collections/{collection.name}/containing/")
        containing.add_to(forms, collection)
        app.include_router(forms)
    html_pages.install(app)
    # What conforms is the service, whose clients look at OPTIONS of a collection before they edit it.
    writing = edits.CONFORMANCE if any(each.is_writable for each in collections) else ()
    conformance = (*routes.CONFORMANCE, *writing, *schemas.CONFORMANCE)
    register(app, Face("features", conformance, searches, feature_schemas, edits.examples))
