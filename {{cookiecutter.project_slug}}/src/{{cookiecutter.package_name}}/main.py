"""The application, put together from top to bottom; importing this does nothing."""

from fastapi import FastAPI

from geotables import features, ogc, rest, tiles, webmap
from geotables.http import health, middleware, openapi, problems, state
from geotables.http.lifecycle import lifespan

from . import auth, routes
from .settings import Settings
from .tables import COLLECTIONS, MIGRATIONS


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, for ``uvicorn --factory``; it connects to the database with the first request that needs it.

    Raises:
        pydantic.ValidationError: The environment lacks a setting, or has a wrong one.
        UnsafeProduction: A setting is not fit for production.
    """
    settings = settings or Settings()
    settings.refuse_unsafe_production()
    app = FastAPI(
        title=settings.title,
        description=settings.description,
        lifespan=lifespan,
        generate_unique_id_function=openapi.operation_id,
        openapi_url=None,
    )
    state.install(app, settings, COLLECTIONS, MIGRATIONS)

    # The faces. Routes are tried one by one: those that are asked for most often come first.
    readers, writers = auth.readers(settings), auth.writers()
    features.install(app, COLLECTIONS, readers=readers, writers=writers)
    tiles.install(app, COLLECTIONS, readers=readers)
    rest.install(app, COLLECTIONS, readers=readers, writers=writers)
    ogc.install(app, COLLECTIONS, readers=readers)
    webmap.install(app, COLLECTIONS)

    app.include_router(routes.router, dependencies=readers)
    health.install(app, readers=readers)
    openapi.install(app)
    middleware.install(app, settings)
    problems.install(app)
    return app
