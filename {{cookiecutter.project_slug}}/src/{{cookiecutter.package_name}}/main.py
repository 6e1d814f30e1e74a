"""The application: settings, connections and routes put together; importing it does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from .api import problems, rest
from .database import Database
from .settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, for ``uvicorn --factory``; it connects to the database when it is first asked.

    Raises:
        pydantic.ValidationError: The environment lacks a setting, or has a wrong one.
    """
    settings = settings or Settings()
    app = FastAPI(
        title=settings.title,
        description=settings.description,
        lifespan=_lifespan,
        max_body_size=settings.max_body_size,
        generate_unique_id_function=_operation_id,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = Database(settings)
    problems.install(app)
    app.include_router(rest.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.database.close()


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}_{route.tags[0]}" if route.tags else route.name
