"""The map page, made for the collections, and the files that it loads."""

import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from geotables.collection import Collection
from geotables.http.faces import Face, register
from geotables.http.parameters import settings_of

STATIC = Path(__file__).with_name("static")


def _digest() -> str:
    """A name for what the files hold."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


#: Where the page and its files are, relative to the service.
ASSETS = f"map/{_digest()}"
PAGE = Template((STATIC / "map.html").read_text("utf-8"))

#: The page takes nothing from elsewhere and runs no script but its own. MapLibre draws images that it has made itself.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'self'",
}

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Assets(StaticFiles):
    """Files whose address changes with their content, so that a browser never asks for one again."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def install(app: FastAPI, collections: Sequence[Collection]) -> None:
    """Serve the page and its files. They need no key: the page asks for one where the collections do."""
    parts = _parts(collections)
    router = APIRouter(tags=["map"])

    @router.get("/map", response_class=HTMLResponse)
    async def read_map(request: Request) -> Response:
        """The map page."""
        title = html.escape(settings_of(request).title)
        return HTMLResponse(PAGE.substitute(parts, title=title), headers=HEADERS)

    app.include_router(router)
    app.mount(f"/{ASSETS}", Assets(directory=STATIC), "assets")
    register(app, Face("webmap"))


def _parts(collections: Sequence[Collection]) -> dict[str, str]:
    """What the page says of the collections, as HTML; the script reads ``collections``."""
    is_one = len(collections) == 1
    listed = [
        {"path": f"collections/{collection.name}", "key": collection.key.name}
        for collection in collections
    ]
    items = [
        _anchor(f"collections/{collection.name}/items", "items" if is_one else collection.title)
        for collection in collections
    ]
    data = _anchor("collections", "Collections")
    if is_one:
        data = _anchor(listed[0]["path"], "Collection")
    return {
        "assets": ASSETS,
        "collections": html.escape(orjson.dumps(listed).decode()),
        "data": data,
        "items": ", ".join(items),
    }


def _anchor(path: str, text: str) -> str:
    return f'<a href="{html.escape(path)}">{html.escape(text)}</a>'
