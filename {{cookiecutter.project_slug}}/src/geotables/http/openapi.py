"""The OpenAPI document, in version 3.0, which the clients of OGC APIs understand, and a page that shows it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from geotables.collection import Collection
from geotables.http import formats, json_schemas, openapi30
from geotables.http.faces import faces_of
from geotables.http.formats import Format
from geotables.http.json_schemas import reference
from geotables.http.parameters import BOX_SCHEMA
from geotables.settings import ServiceSettings

#: The media type that clients look for, to the letter: without a space.
MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"

LIMIT = {"$ref": "#/components/parameters/limit"}

#: What the headers of a request are for.
HEADERS = {
    "Content-Crs": "The CRS of the coordinates in the body, by its URI.",
    "If-Match": "The tag of the version that is to be changed.",
    "If-None-Match": "The tag of the version that the client has.",
    "Prefer": "return=minimal, for an answer without a body, or return=representation (RFC 7240).",
}

#: Errors that every route may answer with, and those that take a body, that write, and that ask who calls.
ANYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
TO_WRITE = (HTTPStatus.FORBIDDEN,)
WITH_ACCESS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def read_openapi(request: Request) -> Response:
    """The document, with the address of the service as this client reaches it."""
    described = {**request.app.openapi(), "servers": [{"url": formats.url(request, "")}]}
    return Response(orjson.dumps(described), media_type=MEDIA_TYPE)


@router.get("/docs")
async def read_docs(request: Request) -> Response:
    """The document as a page for people, whose scripts come from the package fastapi-offline, not from the internet."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon.png",
    )
    # For screen readers, which FastAPI's page tells no language.
    return HTMLResponse(bytes(page.body).replace(b"<html>", b'<html lang="en">', 1))


def install(app: FastAPI) -> None:
    """Have the application describe itself in OpenAPI 3.0."""
    app.openapi = cache(partial(document, app))  # type: ignore[method-assign]
    app.include_router(router)
    assets = StaticFiles(packages=[("fastapi_offline", "static")])
    app.mount("/docs/assets", assets, name="docs_assets")


def operation_id(route: APIRoute) -> str:
    """The id of an operation whose route states none, for ``FastAPI(generate_unique_id_function=…)``: its function's name."""
    return route.name


def answers(
    *errors: HTTPStatus,
    success: HTTPStatus = HTTPStatus.OK,
    formats: Sequence[Format] = (),
    schema: str | None = None,
) -> dict[int | str, dict[str, Any]]:
    """The answers of a route as the document has them: its success in each format, and its errors."""
    body = reference(schema) if schema else {"type": "object"}
    text, binary = {"type": "string"}, {"type": "string", "format": "binary"}
    content = {
        each.media_type: {"schema": body if each.is_json else text if each.is_text else binary}
        for each in formats
    }
    return {int(success): {"description": success.phrase, "content": content}, **refusals(*errors)}


def refusals(*errors: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The answers of a route other than its success."""
    return {int(status): {"description": status.phrase} for status in errors}


def headers(*names: str) -> list[dict[str, Any]]:
    """Headers of a request, as the document has them."""
    schema = {"type": "string"}
    return [
        {"name": name, "in": "header", "description": HEADERS[name], "schema": schema}
        for name in names
    ]


def path_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter in a route's path, as the document has it."""
    parameter = {"name": name, "in": "path", "required": True}
    return parameter | {"description": description, "schema": schema}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application."""
    settings: ServiceSettings = app.state.settings
    collections: list[Collection] = app.state.collections
    described = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.0.3",
        description=app.description,
        servers=[{"url": app.root_path or "/"}],
        routes=app.routes,
    )
    components = described.setdefault("components", {})
    schemas = {**components.get("schemas", {}), "Problem": json_schemas.PROBLEM}
    examples: dict[str, Any] = {}
    for collection in collections:
        for face in faces_of(app):
            schemas |= face.schemas(collection)
            examples |= face.examples(collection)
    components["parameters"] = {"limit": _limit(settings)}
    # Operations that ask who calls say so themselves.
    described["security"] = []
    if not settings.asks_who:
        components.pop("securitySchemes", None)
    paths = described["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            if not settings.asks_who:
                operation.pop("security", None)
            _complete(operation, writes=method != "get")
            if path in examples:
                # Every member of a patch is optional: the whole row is one, too.
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    content["example"] = examples[path]
    components["schemas"] = {
        name: openapi30.schema(schema) for name, schema in _referred(paths, schemas).items()
    }
    described["paths"] = openapi30.schemas_within(paths)
    return described


def _referred(paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas that the paths refer to, or one of these does."""
    wanted, referred = _references(paths), set[str]()
    while wanted:
        referred |= wanted
        wanted = _references([schemas[name] for name in wanted]) - referred
    return {name: schema for name, schema in schemas.items() if name in referred}


def _references(node: Any) -> set[str]:
    """The names of the schemas that a part of the document refers to."""
    pattern = json_schemas.REFERENCE.format(model='([^"]+)')
    return set(re.findall(f'"{pattern}"', orjson.dumps(node).decode()))


def _limit(settings: ServiceSettings) -> dict[str, Any]:
    """The parameter ``limit``, which clients look up to know how large a page may be."""
    return {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "Features of the answer, at the most; more than the maximum is the maximum.",
        "style": "form",
        "explode": False,
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": settings.max_page_size,
            "default": min(settings.page_size, settings.max_page_size),
        },
    }


def _complete(operation: dict[str, Any], *, writes: bool) -> None:
    """Add the errors that an operation may answer with, all of them as problem details."""
    responses = operation["responses"]
    statuses = (
        *ANYWHERE,
        *(TO_WRITE if writes else ()),
        *(WITH_BODY if "requestBody" in operation else ()),
        *(WITH_ACCESS if "security" in operation else ()),
    )
    for status in statuses:
        responses.setdefault(str(int(status)), {"description": status.phrase})
    problem: dict[str, Any] = {"application/problem+json": {"schema": reference("Problem")}}
    if any("text/html" in response.get("content", ()) for response in responses.values()):
        # What has a page for people has one where something is wrong, too.
        problem["text/html"] = {"schema": {"type": "string"}}
    for status, response in responses.items():
        if status >= "400":
            response["content"] = problem
            response["description"] = HTTPStatus(int(status)).phrase
    for number, parameter in enumerate(operation.get("parameters", ())):
        if BOX_SCHEMA.items() <= parameter.get("schema", {}).items():
            # One value, with commas: FastAPI would have it repeated.
            parameter |= {"style": "form", "explode": False}
        if parameter.get("name") == "limit":
            operation["parameters"][number] = LIMIT
