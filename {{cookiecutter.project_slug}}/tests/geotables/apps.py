"""Small applications, on collections that a test has changed."""

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from fastapi import Depends, FastAPI, Request, params
from pydantic import BaseModel, create_model
from sqlalchemy import Column

from geotables.collection import Collection
from geotables.context import Caller, current
from geotables.http import health, middleware, openapi, problems, state
from geotables.http.lifecycle import lifespan
from geotables.service import Service

#: The faces of an application, as far as the project has kept their folders.
FACES = [
    name
    for name in ("features", "tiles", "rest", "ogc", "webmap")
    if importlib.util.find_spec(f"geotables.{name}")
]

#: The header that says who calls, where ``identify`` is a dependency.
CALLER = "X-Test-Caller"


async def identify(request: Request) -> None:
    """Believe a caller."""
    current.get().caller = Caller(request.headers.get(CALLER))


def create(
    service: Service,
    url: str,
    collections: Sequence[Collection],
    faces: Iterable[str] = FACES,
    *,
    readers: Sequence[params.Depends] = (),
) -> FastAPI:
    """An application that serves some collections by some faces, to every caller unless ``readers`` refuse some."""
    settings = service.settings(_env_file=None, database_url=url)
    app = FastAPI(
        lifespan=lifespan,
        generate_unique_id_function=openapi.operation_id,
        openapi_url=None,
    )
    state.install(app, settings, collections, service.migrations)
    # The map has no readers.
    guarded: dict[str, Any] = {"readers": readers} if readers else {}
    for name in faces:
        importlib.import_module(f"geotables.{name}").install(app, collections, **guarded)
    health.install(app)
    openapi.install(app)
    middleware.install(app, settings)
    problems.install(app)
    return app


def with_hooks(collection: Collection, **hooks: Any) -> Collection:
    """A collection with these hooks alone, whose callers are believed."""
    none = {"where": None, "before_write": None, "after_commit": None, "writers": []}
    changed = copy(collection)
    for name, value in {**none, "readers": [Depends(identify)], **hooks}.items():
        setattr(changed, name, value)
    return changed


def without(collection: Collection, hidden: Column[Any]) -> Collection:
    """A collection that does not show a column."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in collection.read.model_fields.items()
        if (field.alias or name) != hidden.name
    }
    read = create_model(collection.read.__name__, __base__=BaseModel, **fields)
    return Collection(
        collection.model,
        create=collection.create,
        read=read,
        example=collection.example,
        name=collection.name,
    )
