"""Errors as problem details (RFC 9457): what is wrong and where, and nothing of the service's inside."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any

import orjson
import psycopg2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import CheckConstraint, Table
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from geotables.collection import Collection, Refused
from geotables.context import ClientGone, current
from geotables.db.database import CANCELED
from geotables.db.migrations import NOT_MIGRATED
from geotables.geometry import metadata
from geotables.http import formats, html_pages, methods
from geotables.http.parameters import ParameterError
from geotables.identifiers import named_in

log = logging.getLogger(__name__)

#: Seconds after which a client may try again when the database or a connection was not available.
RETRY_AFTER = "5"

CHECK_VIOLATION = "23514"

#: What PostgreSQL's error codes (SQLSTATE, the appendix A of its manual) mean to a client: status and detail.
SQLSTATES: dict[str, tuple[HTTPStatus, str]] = {
    "23502": (HTTPStatus.UNPROCESSABLE_ENTITY, "a value is missing"),
    "23503": (
        HTTPStatus.CONFLICT,
        "another row refers to this one, or the one it refers to is missing",
    ),
    "23505": (HTTPStatus.CONFLICT, "another row has this value already"),
    CHECK_VIOLATION: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "a value is outside of what the table allows",
    ),
    "23P01": (HTTPStatus.CONFLICT, "another row excludes this one"),
    "40001": (HTTPStatus.CONFLICT, "another request changed the same rows"),
    "40P01": (HTTPStatus.CONFLICT, "another request changed the same rows"),
    "54000": (HTTPStatus.UNPROCESSABLE_ENTITY, "a value is too large for the database"),
    "54001": (HTTPStatus.UNPROCESSABLE_ENTITY, "the request is too complex for the database"),
    CANCELED: (HTTPStatus.GATEWAY_TIMEOUT, "the database took too long"),
    # What passes by itself: the server only reads after a failover, rows are locked, a transaction was idle.
    "25006": (HTTPStatus.SERVICE_UNAVAILABLE, "the database takes no writes now"),
    "25P03": (HTTPStatus.SERVICE_UNAVAILABLE, "the transaction was idle for too long"),
    # RAISE EXCEPTION, which is how triggers refuse a row.
    "P0001": (HTTPStatus.UNPROCESSABLE_ENTITY, "a trigger of the table refuses this row"),
    # This version of the service is here before its migration.
    **dict.fromkeys(
        NOT_MIGRATED, (HTTPStatus.SERVICE_UNAVAILABLE, "the database has not been migrated")
    ),
    "55P03": (HTTPStatus.SERVICE_UNAVAILABLE, "another request holds the same rows"),
}

#: PostGIS has one code (XX000) for all that it cannot do; these are about a geometry.
GEOMETRY_ERROR = re.compile(r"(?i)\s*(transform|lwgeom|geos|ptarray|geometry|geography|st_)")

#: Errors about a stored geometry: one from a client is checked before it reaches PostGIS.
STORED_GEOMETRY = re.compile(
    r"(?i)unknown \(0\) SRID|mixed SRID|(geometry|type) (type )?not supported"
)


#: The status, in logs and metrics, of a request whose client left before the answer; nginx has the same.
CLIENT_GONE = 499

#: Errors of one input that are listed, at the most.
LISTED_ERRORS = 20


class Problem(Response):
    """A response with problem details."""

    media_type = "application/problem+json"

    def __init__(self, details: Mapping[str, Any], headers: Mapping[str, str] | None) -> None:
        super().__init__(orjson.dumps(details), details["status"], headers)
        self.details = details
        self.given_headers = headers


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """A response with problem details."""
    title = HTTPStatus(status).phrase
    details = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Problem(details | members, headers)


def install(app: FastAPI) -> None:
    """Have every error of the application answered with problem details."""
    html_pages.install(app)
    for kind in (
        ParameterError,
        RequestValidationError,
        RecursionError,
        HTTPException,
        Refused,
        ClientGone,
        ClientDisconnect,
        PoolTimeout,
        DBAPIError,
        psycopg2.Error,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


async def answer(request: Request, error: Exception) -> Response:
    """The response to an exception: problem details, or a page with them where a browser asks for one."""
    response = _answer(request, error)
    if isinstance(response, Problem) and formats.wants_page(request):
        return html_pages.problem(request, response.details, response.given_headers)
    return response


def _answer(request: Request, error: Exception) -> Response:
    match error:
        case ParameterError():
            return invalid(error.errors, HTTPStatus.BAD_REQUEST)
        case RequestValidationError(body=bytes()):
            # FastAPI does not parse a body that the request does not call JSON.
            media_type = request.headers.get("content-type") or "of a type that is not said"
            return problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is {media_type}, not application/json"
            )
        case RequestValidationError(__cause__=JSONDecodeError() as reason):
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body is not JSON: {reason}")
        case RequestValidationError():
            return invalid(error.errors())
        case RecursionError():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is nested too deeply")
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            allow = {"Allow": methods.allowed(request.scope)}
            return problem(error.status_code, "the path does not have this method", headers=allow)
        case HTTPException(status_code=HTTPStatus.NOT_FOUND, detail="Not Found"):
            return problem(error.status_code, "there is nothing at this path")
        case HTTPException(detail="There was an error parsing the body"):
            # These are FastAPI's words, for whatever it was.
            return problem(
                error.status_code,
                "the body is not JSON in UTF-8, nested too deeply, or has a number that is too long",
            )
        case HTTPException():
            return problem(error.status_code, error.detail, headers=error.headers)
        case Refused():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case ClientGone() | ClientDisconnect():
            return Response(status_code=CLIENT_GONE)
        case DBAPIError() if current.get().gone:
            # Its statement was cancelled.
            return Response(status_code=CLIENT_GONE)
        case PoolTimeout():
            return _unavailable("every connection to the database is in use")
        case DBAPIError():
            return _refused_by_database(request, error)
        case psycopg2.OperationalError() | psycopg2.InterfaceError():
            # Of the driver, where SQLAlchemy has not been in between.
            log.error("database unavailable: %s", error)
            return _unavailable("the database is unavailable")
    log.exception("unexpected error", exc_info=error)
    return _unexpected()


def invalid(
    errors: Sequence[Mapping[str, Any]], status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
) -> Response:
    """The response to input that Pydantic refused."""
    listed = [
        {"location": ".".join(map(str, error["loc"])), "detail": error["msg"]}
        for error in errors[:LISTED_ERRORS]
    ]
    detail = f"{listed[0]['location']}: {listed[0]['detail']}"
    if len(errors) > 1:
        detail += f" (the first of {len(errors):,} errors)"
    return problem(status, detail, errors=listed)


def _refused_by_database(request: Request, error: DBAPIError) -> Response:
    sqlstate = getattr(error.orig, "pgcode", None) or ""
    if sqlstate in SQLSTATES:
        status, detail = SQLSTATES[sqlstate]
        log.warning("refused by the database (%s): %s", sqlstate, str(error.orig).strip())
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return _unavailable(detail)
        broken = _broken_rule(request, error.orig)
        named = "; ".join(f"{kind}: {broken[kind]}" for kind in broken)
        return problem(status, f"{detail} ({named})" if named else detail, **broken)
    if sqlstate in ("XX000", "22023") and STORED_GEOMETRY.search(str(error.orig)):
        log.error("refused by PostGIS: %s", str(error.orig).strip())
        return _unservable(request, error.orig)
    if sqlstate == "XX000" and GEOMETRY_ERROR.match(str(error.orig)):
        log.warning("refused by PostGIS: %s", str(error.orig).strip())
        detail = "PostGIS cannot work with this geometry"
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, _of_a_row(request, error.orig, detail))
    if isinstance(error, DataError):
        if request.method == "GET":
            return problem(HTTPStatus.BAD_REQUEST, "the database cannot compare with a value")
        log.warning("refused by the database (%s): %s", sqlstate, str(error.orig).strip())
        detail = "the database cannot store a value"
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, _of_a_row(request, error.orig, detail))
    if isinstance(error, OperationalError) or error.connection_invalidated:
        log.error("database unavailable: %s", error.orig)
        return _unavailable("the database is unavailable")
    log.error("unexpected error of the database", exc_info=error)
    return _unexpected()


def _unservable(request: Request, error: Any) -> Response:
    """The problem of a row whose geometry is not what the model says, as a column without a type may hold it."""
    table = _table(request, error)
    whose = "a table" if table is None else table.name
    detail = (
        f"{whose} has a row whose geometry cannot be served: it is a curve, a collection of collections, or of another"
        " SRID than the others (whoever runs the service: check --database counts them)"
    )
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _of_a_row(request: Request, error: Any, detail: str) -> str:
    """Why a row that a client writes is refused: it may be for an index's condition, which divides or casts."""
    table = _table(request, error)
    conditions = "" if table is None else metadata.conditions(table)
    if request.method == "GET" or not conditions:
        return detail
    return f"{detail}, or the condition of an index fails for it ({conditions})"


def _table(request: Request, error: Any) -> Table | None:
    """The table that an error is about: the one that PostgreSQL names, else that of the collection in the path."""
    collections: list[Collection] = getattr(request.app.state, "collections", [])
    if name := error.diag.table_name:
        tables = [
            table
            for every in {collection.table.metadata for collection in collections}
            for table in every.tables.values()
            if table.name == name and table.schema in (error.diag.schema_name, None)
        ]
        # One of a schema that the model says, before one of the default schema.
        return max(tables, key=lambda table: table.schema is not None, default=None)
    path = getattr(request.scope.get("route"), "path_format", "").split("/")
    return next((collection.table for collection in collections if collection.name in path), None)


def _broken_rule(request: Request, error: Any) -> dict[str, Any]:
    """The constraint that PostgreSQL names in an error, and the columns that it is about."""
    constraint = error.diag.constraint_name
    table = _table(request, error)
    # For a key the detail reads "Key (name)=(value) already exists.", in the language of the server; for a check it has
    # the values of the row, which may read like that.
    detail = "" if error.pgcode == CHECK_VIOLATION else error.diag.message_detail or ""
    key = re.search(r"\((.+?)\)=\(", detail)
    about = error.diag.column_name or (key[1] if key else "")
    if table is not None and constraint and not about:
        checks = [each for each in table.constraints if isinstance(each, CheckConstraint)]
        about = next((str(each.sqltext) for each in checks if each.name == constraint), "")
    if table is not None:
        named = {about, *named_in(about)}
        names = [column.name for column in table.columns if column.name in named]
        about = ", ".join(names) or about
    return {kind: text for kind, text in (("constraint", constraint), ("column", about)) if text}


def _unexpected() -> Response:
    detail = "an unexpected error, which the service has logged"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _unavailable(detail: str) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": RETRY_AFTER})
