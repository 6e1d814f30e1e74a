"""Errors as problem details (RFC 9457): what is wrong, where, and never how the service works inside."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

log = logging.getLogger(__name__)

#: Seconds after which a client may try again when the database or a connection was not to be had.
RETRY_AFTER = "5"

#: What PostgreSQL's error codes (SQLSTATE, the appendix A of its manual) mean to a client: status and detail.
SQLSTATES: dict[str, tuple[HTTPStatus, str]] = {
    "23502": (HTTPStatus.UNPROCESSABLE_ENTITY, "a value is missing"),
    "23503": (
        HTTPStatus.CONFLICT,
        "another row refers to this one, or the one it refers to is missing",
    ),
    "23505": (HTTPStatus.CONFLICT, "another row has this value already"),
    "23514": (HTTPStatus.UNPROCESSABLE_ENTITY, "a value is outside of what the table allows"),
    "40001": (HTTPStatus.CONFLICT, "another request changed the same rows"),
    "40P01": (HTTPStatus.CONFLICT, "another request changed the same rows"),
    "57014": (HTTPStatus.GATEWAY_TIMEOUT, "the database took too long"),
}


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """A response with problem details."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | members
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Have every error of the application answered with problem details."""
    for kind in (RequestValidationError, HTTPException, PoolTimeout, DBAPIError, Exception):
        app.add_exception_handler(kind, answer)


async def answer(_request: Request, error: Exception) -> Response:
    """The response to an exception."""
    match error:
        case RequestValidationError():
            return invalid(error.errors())
        case HTTPException():
            return problem(error.status_code, error.detail, headers=error.headers)
        case PoolTimeout():
            return _unavailable("every connection to the database is in use")
        case DBAPIError():
            return _refused_by_database(error)
    log.exception("unexpected error", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error, which the service has logged"
    )


def invalid(errors: Sequence[Mapping[str, Any]]) -> Response:
    """The response to input that Pydantic refused."""
    members = [
        {"location": ".".join(map(str, error["loc"])), "detail": error["msg"]} for error in errors
    ]
    detail = "; ".join(f"{member['location']}: {member['detail']}" for member in members)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=members)


def _refused_by_database(error: DBAPIError) -> Response:
    sqlstate = getattr(error.orig, "pgcode", None) or ""
    if sqlstate in SQLSTATES:
        status, detail = SQLSTATES[sqlstate]
        return problem(status, detail)
    if isinstance(error, DataError):
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the database cannot store a value")
    if isinstance(error, OperationalError) or error.connection_invalidated:
        log.error("database unavailable: %s", error.orig)
        return _unavailable("the database is unavailable")
    log.error("unexpected error of the database", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error, which the service has logged"
    )


def _unavailable(detail: str) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": RETRY_AFTER})
