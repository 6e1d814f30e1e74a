"""The application: settings, connections and routes put together; importing it does nothing."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from .api import (
    auth,
    edits,
    features,
    health,
    landing,
    map,
    openapi,
    problems,
    rest,
    search,
    tiles,
)
from .api.methods import Methods
from .api.middleware import Bodies, Hosts, Proxies, Requests
from .database import Database
from .extent import Extents
from .lifecycle import lifespan
from .observation import Metrics
from .settings import Settings

#: What pages of the origins in CORS_ORIGINS may do: all that a client outside of a browser could.
CORS: dict[str, Any] = {
    "allow_methods": ["*"],
    "allow_headers": ["*"],
    "expose_headers": ["*"],
}


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
        generate_unique_id_function=_operation_id,
        openapi_url=None,
    )
    database = Database(settings)
    app.state.settings = settings
    app.state.database = database
    app.state.extents = Extents(database, search.TIME, settings.extent_lifetime)
    app.state.metrics = Metrics(database)
    app.state.running = set()
    app.state.readiness = health.Readiness(database)
    # The last is the outermost. CORS is inside of Requests: nginx adds headers of its own for other origins to answers
    # that have no X-Request-ID, and there would be two.
    app.add_middleware(Methods)
    app.add_middleware(Bodies, limit=settings.max_body_size)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    if settings.allowed_hosts:
        app.add_middleware(Hosts, hosts=settings.allowed_hosts)
    app.add_middleware(
        Requests, settings=settings, metrics=app.state.metrics, running=app.state.running
    )
    if settings.compress:
        app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(Proxies, root_path=settings.root_path, trusted=settings.forwarded_allow_ips)
    problems.install(app)
    readers = auth.readers(settings)
    # Routes are tried one by one: those that are asked for most often come first.
    for face in (features, tiles, rest, landing):
        app.include_router(face.router, dependencies=readers)
    app.include_router(edits.router, dependencies=[auth.WRITER])
    app.include_router(health.router)
    app.include_router(health.measured, dependencies=readers)
    map.install(app)
    openapi.install(app, settings)
    return app


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}_{route.tags[0]}" if route.tags else route.name
