"""The map page: the collection for people, drawn by MapLibre from the service's own tiles, without the internet."""

import hashlib
import html
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from ..queries import TABLE
from .parameters import settings_of

STATIC = Path(__file__).parents[1] / "static"


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

router = APIRouter(tags=["map"])


class Assets(StaticFiles):
    """Files whose address changes with their content, so that a browser never asks for one again."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def install(app: FastAPI) -> None:
    """Serve the page and what it needs."""
    app.include_router(router)
    app.mount(f"/{ASSETS}", Assets(directory=STATIC), "assets")


@router.get("/map", response_class=HTMLResponse)
async def read_map(request: Request) -> Response:
    """The map page."""
    page = PAGE.substitute(
        title=html.escape(settings_of(request).title), table=TABLE.name, assets=ASSETS
    )
    return HTMLResponse(page, headers=HEADERS)
