"""Routes of collections: typed for each, and found as quickly among those of ten as of one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


def typed(endpoint: Callable[..., Any], **types: Any) -> Callable[..., Any]:
    """An endpoint with other types for some of its parameters, as FastAPI reads them.

    An endpoint that serves every collection takes an id of any type; its route for one knows which.
    """

    @wraps(endpoint)
    def call(*arguments: Any, **named: Any) -> Any:
        return endpoint(*arguments, **named)

    signature = inspect.signature(endpoint)
    parameters = [
        parameter.replace(annotation=types.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
    ]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


class CollectionRouter(APIRouter):
    """The routes of a collection, tried only for paths that contain ``within``: ten collections have 200."""

    def __init__(self, within: str, **options: Any) -> None:
        super().__init__(**options)
        self._within = within

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Anywhere in the path: a proxy, or include_router, may put a prefix before it.
        if scope["type"] == "http" and self._within not in scope["path"]:
            return Match.NONE, {}
        return super().matches(scope)
