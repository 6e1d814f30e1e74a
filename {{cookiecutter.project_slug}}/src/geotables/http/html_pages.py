"""Pages for people: their templates, the files that they load, and what a browser may do in them."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from geotables.collection import Collection
from geotables.context import current
from geotables.http import html_values
from geotables.http.faces import faces_of, has_face, has_map
from geotables.http.formats import HTML, MISSING, Format
from geotables.http.ids import in_path
from geotables.http.parameters import settings_of

#: The files that every page loads.
STATIC = Path(__file__).with_name("static")

#: A template is named by its path from the folder of geotables, such as ``features/templates/item.html``.
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["value"] = html_values.value
TEMPLATES.filters["short"] = html_values.short
TEMPLATES.filters["wkt_type"] = html_values.wkt_type
TEMPLATES.filters["in_path"] = in_path


@cache
def policy(background: str) -> str:
    """What a page may load: nothing from elsewhere but the tiles of a map's background, and no script but the service's own.

    MapLibre draws images that it has made itself, and fetches tiles by scripts.
    """
    parts = urlsplit(background)
    origin = f" {parts.scheme}://{parts.netloc}" if background else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{origin}",
            f"connect-src 'self'{origin}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


class Crumb(NamedTuple):
    """A page on the way to another: its name, and its path from the service's root."""

    name: str
    path: str


HOME = Crumb("Home", "/")
COLLECTIONS = Crumb("Collections", "/collections")


def parents(request: Request, collection: Collection) -> list[Crumb]:
    """The pages above those of a collection; none without the face that has them."""
    if not has_face(request.app, "ogc"):
        return []
    return [HOME, COLLECTIONS, Crumb(collection.title, f"/collections/{collection.name}")]


class Assets(StaticFiles):
    """Files whose address changes with their content, so that a browser never asks for one again."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


@cache
def digest(folder: Path) -> str:
    """A hash of the files of a folder."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def install(app: FastAPI) -> None:
    """Serve the files that every page loads; once, however many faces have pages. They need no key."""
    if not any(getattr(route, "name", None) == "pages" for route in app.routes):
        app.mount(f"/static/{digest(STATIC)}", Assets(directory=STATIC), "pages")


def respond(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> Response:
    """A page made of a template."""
    text = TEMPLATES.get_template(template).render({**_shared(request), **content})
    background = settings_of(request).map_background_url
    own = {"Vary": "Accept", "Content-Security-Policy": policy(background)}
    if background:
        # Servers of tiles ask which site their tiles are for.
        own["Referrer-Policy"] = "strict-origin"
    return HTMLResponse(text, status, {**own, **(headers or {})})


#: What a person reads first of a problem, by its status; of another, the status's own phrase.
HEADINGS = {
    HTTPStatus.BAD_REQUEST: "The address has something that cannot be used",
    HTTPStatus.UNAUTHORIZED: "This needs a key",
    HTTPStatus.FORBIDDEN: "This is not for everybody",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available at the moment",
    HTTPStatus.GATEWAY_TIMEOUT: "This takes too long",
}


def problem(
    request: Request, details: Mapping[str, Any], headers: Mapping[str, str] | None
) -> Response:
    """A page for problem details (RFC 9457); where a key is missing, it takes one."""
    status = details["status"]
    asks_who = settings_of(request).asks_who
    return respond(
        request,
        "http/templates/problem.html",
        status=status,
        headers=headers,
        title=HEADINGS.get(status, details["title"]),
        details=details,
        takes_key=asks_who and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
        request_id=current.get().request_id,
    )


def _shared(request: Request) -> dict[str, Any]:
    """What the templates of every page use."""
    root, app = request.scope.get("root_path", ""), request.app

    def path(path: str) -> str:
        return f"{root}{path}"

    return {
        "service": settings_of(request).title,
        "here": request.scope["path"].removeprefix(root),
        "path": path,
        "asset": lambda name: path(f"/static/{digest(STATIC)}/{name}"),
        "has_map": has_map(app),
        "map_assets": next((path(face.assets) for face in faces_of(app) if face.assets), ""),
        "has_face": lambda name: has_face(app, name),
        "query": lambda without=(), /, **given: query(request, without, **given),
        "crumbs": (),
        "mapped": None,
        "others": (),
    }


def query(request: Request, without: Iterable[str] = (), /, **given: str | int) -> str:
    """The query of a request with other parameters, whatever their names, as a link from its own page."""
    left_out = {*without, *given}
    kept = [each for each in request.query_params.multi_items() if each[0] not in left_out]
    return "?" + urlencode([*kept, *given.items()])


def mapped(request: Request, collections: Iterable[Collection]) -> list[dict[str, str]]:
    """What the scripts of maps need to know of collections."""
    root = request.scope.get("root_path", "")
    return [
        {
            "id": collection.name,
            "title": collection.title,
            "path": f"{root}/collections/{collection.name}",
            "key": collection.key.name,
            "label": "" if (label := html_values.label(collection)) is None else label.name,
        }
        for collection in collections
    ]


def other_formats(
    request: Request, offered: Iterable[Format], without: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """The other formats of a page: what people call them, and their links, without some parameters."""
    return [
        (each.label, query(request, without, f=each.name))
        for each in offered
        if each is not HTML and each not in MISSING
    ]
