"""The map page, made for the collections, and the files with which it and other pages draw maps."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from geotables.collection import Collection
from geotables.http import html_pages
from geotables.http.faces import Face, register

STATIC = Path(__file__).with_name("static")

#: Where the files are.
ASSETS = f"/map/{html_pages.digest(STATIC)}"

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}

#: The land changes with a version of the service, if at all; a FileResponse never answers that it has not changed.
LAND_HEADERS = HEADERS | {"Cache-Control": "public, max-age=86400"}


def install(app: FastAPI, collections: Sequence[Collection]) -> None:
    """Serve the page and its files. They need no key: the page asks for one where the collections do."""
    router = APIRouter(tags=["map"])

    @router.get("/map", response_class=HTMLResponse)
    async def read_map(request: Request) -> Response:
        """The map page."""
        return html_pages.respond(
            request,
            "webmap/templates/map.html",
            headers=HEADERS,
            title="Map",
            mapped=[
                {**known, "columns": _colouring(collection)}
                for known, collection in zip(
                    html_pages.mapped(request, collections), collections, strict=True
                )
            ],
        )

    @router.get("/map/land.json", include_in_schema=False)
    async def read_land() -> Response:
        """The land, at an address that stays: styles that somebody has kept draw it."""
        return FileResponse(STATIC / "land.json", headers=LAND_HEADERS)

    app.include_router(router)
    app.mount(ASSETS, html_pages.Assets(directory=STATIC), "assets")
    html_pages.install(app)
    register(app, Face("webmap", assets=ASSETS))


def _colouring(collection: Collection) -> list[str]:
    """The columns that a map may colour a collection by: those of few values, or of numbers."""
    kinds = (sa.String, sa.Boolean, sa.Integer, sa.Numeric, sa.Float, sa.Date)
    return [column.name for column in collection.properties if isinstance(column.type, kinds)]
