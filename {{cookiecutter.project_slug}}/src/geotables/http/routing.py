"""Routes of collections: typed for each, and found as quickly among those of ten as of one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi.routing import APIRoute
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


class CollectionRoute(APIRoute):
    """A route that looks at the beginning of a path before it matches the whole.

    Routes are tried one by one, and with ten collections there are two hundred.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._beginning = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: str = scope["path"]
        # Behind a proxy the path has its prefix, too.
        if not scope.get("root_path") and not path.startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)
