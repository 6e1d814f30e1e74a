"""HEAD and OPTIONS, on every path of the application."""

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: Marks the scope of a request of which only the headers of the answer are sent.
HEADERS_ONLY = "headers only"


class HeadAndOptionsMiddleware:
    """Answers HEAD as GET, whose body the server leaves out, and OPTIONS with the methods of the path.

    Clients look: QGIS lets people edit where OPTIONS lists the methods for it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope.get("method"):
            case "HEAD":
                as_get = {**scope, "method": "GET", HEADERS_ONLY: True}
                await self.app(as_get, receive, send)
                # The route that was found, for logs and metrics.
                scope["route"] = as_get.get("route")
            case "OPTIONS" if methods := allowed(scope):
                response = Response(headers={"Allow": methods})
                await response(scope, receive, send)
            case _:
                await self.app(scope, receive, send)


def allowed(scope: Scope) -> str:
    """The methods that a request's path has, as the header Allow lists them; empty if there is no such path."""
    app: Starlette = scope["app"]
    found = [method for method in METHODS if _has(app.routes, {**scope, "method": method})]
    if "GET" in found:
        found.insert(1, "HEAD")
    return ", ".join([*found, "OPTIONS"]) if found else ""


def _has(routes: list[BaseRoute], scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
