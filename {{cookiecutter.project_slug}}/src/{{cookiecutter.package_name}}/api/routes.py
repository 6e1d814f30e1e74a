"""What the routes of the API have in common."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette import routing
from starlette.requests import Request
from starlette.responses import Response
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


class Plain:
    """An endpoint as an ASGI application; the application handles its exceptions, as it does those of the middleware."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


class PlainRoute(routing.Route):
    """A route of Starlette's that notes itself for logs and metrics, as FastAPI's do."""

    def matches(self, scope: Scope) -> tuple[routing.Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if found else found


def plain(router: APIRouter) -> Iterator[PlainRoute]:
    """The routes whose endpoints take the request alone and depend on nothing, as Starlette has them.

    FastAPI documents them, and has no other part in them: to look for parameters and dependencies that there are none of
    would take it longer than PostGIS takes to find a row.
    """
    for route in router.routes:
        assert isinstance(route, APIRoute)
        takes = [*inspect.signature(route.endpoint).parameters]
        # A dependency of a route may ask who calls.
        if takes == ["request"] and not route.dependencies:
            yield PlainRoute(
                route.path, Plain(route.endpoint), methods=route.methods, name=route.name
            )
