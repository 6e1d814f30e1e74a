"""What the routes of the API have in common."""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette import routing
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..threads import Threads

#: As many as anyio has.
THREADS = Threads(40)


class Route(APIRoute):
    """A route whose endpoint, unless it is asynchronous, is called in a thread of the service's own."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _in_thread(endpoint), **options)


def _in_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(endpoint):
        return endpoint

    @wraps(endpoint)
    async def called(*args: Any, **kwargs: Any) -> Any:
        return await THREADS.run(endpoint, *args, **kwargs)

    return called


class PlainRoute(routing.Route):
    """A route of Starlette's that notes itself for logs and metrics, as FastAPI's do."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        # Starlette would handle exceptions here as well as in the application, around every route.
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def matches(self, scope: Scope) -> tuple[routing.Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if found else found


def plain(router: APIRouter) -> Iterator[PlainRoute]:
    """The routes whose endpoints take the request alone and depend on nothing, as Starlette has them.

    FastAPI documents them, and has no other part in them: to look for parameters and dependencies that there are none of
    would take it longer than PostGIS takes to find a row.
    """
    for route in router.routes:
        assert isinstance(route, Route)
        takes = [*inspect.signature(route.endpoint).parameters]
        # A dependency of a route may ask who calls.
        if takes == ["request"] and not route.dependencies:
            yield PlainRoute(route.path, route.endpoint, methods=route.methods, name=route.name)
