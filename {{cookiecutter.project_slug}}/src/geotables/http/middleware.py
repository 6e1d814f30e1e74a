"""The middleware of every request: its id and limits, proxies, hosts, the size of its body."""

import fnmatch
import logging
import os
import re
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

import anyio
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from geotables.context import Context, current
from geotables.http import problems
from geotables.http.methods import HeadAndOptionsMiddleware
from geotables.http.metrics import Metrics
from geotables.settings import ServiceSettings

log = logging.getLogger("access")

#: An id that is harmless in a log and in a comment of SQL.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

#: A prefix that is harmless in a link.
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")

#: Headers of every answer that does not have its own, for browsers.
SECURITY = [
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]

#: Seconds after which a request is checked for a client that has left.
LONG = 1.0

#: Paths that monitors ask for all the time: they are logged at the level debug.
QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})

#: What pages of the origins in CORS_ORIGINS may do: all that a client outside of a browser could.
CORS: dict[str, Any] = {
    "allow_methods": ["*"],
    "allow_headers": ["*"],
    "expose_headers": ["*"],
}


def install(app: FastAPI, settings: ServiceSettings) -> None:
    """Add the middleware to an application, after ``state.install``."""
    # The last is the outermost. CORS is inside of RequestContextMiddleware, which adds X-Request-ID: to answers without it
    # nginx adds CORS headers of its own, and there would be two.
    app.add_middleware(HeadAndOptionsMiddleware)
    app.add_middleware(BodyLimitMiddleware, limit=settings.max_body_size)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    if settings.allowed_hosts:
        app.add_middleware(AllowedHostsMiddleware, hosts=settings.allowed_hosts)
    app.add_middleware(
        RequestContextMiddleware,
        settings=settings,
        metrics=app.state.metrics,
        running=app.state.running,
    )
    if settings.compress:
        app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(
        ForwardedMiddleware, root_path=settings.root_path, trusted=settings.forwarded_allow_ips
    )


class Running:
    """A request that is being answered, and whether its client still waits."""

    def __init__(self, context: Context, receive: Receive, *, has_body: bool) -> None:
        self.context = context
        self._receive = receive
        self._began = perf_counter()
        # Until the whole body has arrived only the application receives, and notices by itself that the client leaves.
        self._watched = not has_body
        self._kept: Message | None = None

    async def receive(self) -> Message:
        """Receive a message, for the application."""
        message, self._kept = self._kept or await self._receive(), None
        self._watched = not message.get("more_body", False)
        return message

    def answered(self) -> None:
        """Stop watching a client that has its answer: work after the answer goes on."""
        self._watched = self.context.gone = False

    async def look(self) -> None:
        """Check whether the client has left, once it has waited for a while."""
        if not self._watched or self.context.gone or perf_counter() - self._began < LONG:
            return
        with anyio.CancelScope() as at_once:
            at_once.cancel()
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.context.gone = True
            else:
                self._kept = message


class RequestContextMiddleware:
    """Gives each request an id and its limits, and logs and counts it.

    Only ``ForwardedMiddleware`` and compression are around it. It answers the exceptions that no handler has.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics, running: set[Running]
    ) -> None:
        self.app = app
        self._settings = settings
        self._metrics = metrics
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, started = perf_counter(), 500, False
        context, has_body = self._context(scope)
        running = Running(context, receive, has_body=has_body)

        async def answer(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = message["headers"] = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                headers += [header for header in SECURITY if header[0] not in names]
                headers.append((b"x-request-id", context.request_id.encode()))
            elif not message.get("more_body", False):
                running.answered()
            await send(message)

        token = current.set(context)
        self._running.add(running)
        try:
            await self.app(scope, running.receive, answer)
        except Exception as error:
            if started and context.gone:
                return
            response = await problems.answer(Request(scope), error)
            if started:
                # The answer has begun: break off the connection.
                raise
            if self._settings.debug:
                response = problems.problem(status, "".join(traceback.format_exception(error)))
            await response(scope, receive, answer)
        finally:
            self._running.discard(running)
            self._note(scope, context, status, perf_counter() - began)
            current.reset(token)

    def _context(self, scope: Scope) -> tuple[Context, bool]:
        """The context of a request, and whether it has a body."""
        request_id, fresh, has_body = "", False, False
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                request_id = value.decode()
            elif name == b"cache-control":
                fresh = b"no-cache" in value.lower()
            elif name in (b"content-length", b"transfer-encoding"):
                has_body = True
        context = Context(
            request_id or os.urandom(8).hex(),
            fresh,
            self._settings.max_vertices,
            self._settings.max_bbox_width,
        )
        return context, has_body

    def _note(self, scope: Scope, context: Context, status: int, seconds: float) -> None:
        method, path = scope["method"], scope["path"]
        route = getattr(scope.get("route"), "path_format", "none")
        self._metrics.count_request(method, route, status, seconds)
        level = logging.DEBUG if _route_path(scope) in QUIET and status < 500 else logging.INFO
        if log.isEnabledFor(level):
            fields = {
                "method": method,
                "path": path,
                "query": scope["query_string"].decode("latin-1"),
                "status": status,
                "seconds": round(seconds, 6),
                "client": (scope.get("client") or [None])[0],
                "caller": context.caller.name,
            }
            # Not log.log(): looking up the calling line, always this one, would double the cost.
            values, extra = (method, path, status), {"fields": fields}
            record = log.makeRecord(
                log.name, level, __file__, 0, "%s %s %d", values, None, extra=extra
            )
            log.handle(record)


def _route_path(scope: Scope) -> str:
    """The path of a request as the service's routes have it: without the prefix that a proxy serves it under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class ForwardedMiddleware:
    """Believes trusted proxies about the client, the scheme, and the prefix that the service is reached under.

    The prefix is X-Forwarded-Prefix, else ROOT_PATH. Whether the proxy removes it from the path makes no difference,
    unless it begins as a path of the service's own does: then the proxy has to remove it.
    """

    def __init__(self, app: ASGIApp, root_path: str, trusted: Sequence[str]) -> None:
        self._root_path = root_path
        # uvicorn's own would leave no trace of the address that a request came from.
        self._believing = ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type]
        self._own: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (prefix := self._prefix(scope)):
            path = scope["path"]
            is_whole = f"{path}/".startswith(f"{prefix}/") and not self._is_own(scope, prefix)
            scope["root_path"] = prefix
            # The path of an ASGI scope has the prefix (https://asgi.readthedocs.io, root_path).
            scope["path"] = path if is_whole else prefix + path
        await self._believing(scope, receive, send)  # type: ignore[arg-type]

    def _prefix(self, scope: Scope) -> str:
        client = scope.get("client")
        if client and client[0] in self._believing.trusted_hosts:
            # Each proxy on the way adds what it removed.
            prefixes = Headers(scope=scope).getlist("x-forwarded-prefix")
            prefix = "".join(part.strip().rstrip("/") for part in ",".join(prefixes).split(","))
            if PREFIX.fullmatch(prefix):
                return prefix
        return self._root_path

    def _is_own(self, scope: Scope, prefix: str) -> bool:
        if not self._own:
            paths = [*scope["app"].openapi()["paths"], "/docs", "/openapi.json", "/static"]
            self._own = frozenset(path.split("/")[1] for path in paths)
        return prefix.split("/")[1] in self._own


class AllowedHostsMiddleware:
    """Refuses requests for hosts that the service does not answer for. An orchestrator's probes may name any."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self._known = re.compile("|".join(map(fnmatch.translate, hosts)), re.IGNORECASE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _route_path(scope).startswith("/health/"):
            host = re.sub(r":\d+$", "", Headers(scope=scope).get("host", ""))
            if not self._known.fullmatch(host):
                refusal = problems.problem(
                    HTTPStatus.MISDIRECTED_REQUEST, "this host is not served"
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class BodyLimitMiddleware:
    """Refuses bodies that are too large: at once by Content-Length, else as soon as they exceed the limit.

    Starlette's own limit does not answer with problem details.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        size, reason = 0, f"the body is larger than {self._limit:,} bytes"

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
            return message

        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limit:
            refusal = problems.problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
            await refusal(scope, receive, send)
            return
        await self.app(scope, counted, send)
