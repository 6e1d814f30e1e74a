"""The map page of rendered services, looked at in a browser: it draws the features, and says what they are."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import npm
import pytest
from browser import Page, browser
from clusters import free_port
from conftest import Bake
from rendering import Project

#: Around the middle, which is what people click first.
PLACES = [(-2.0, 52.0), (-2.2, 51.8), (-1.8, 51.8), (-2.2, 52.2), (-1.8, 52.2)]
SIZE = 0.03

IDLE = 'document.querySelector("#map")?.ariaBusy === "false"'

#: How many pixels of a picture have about the colour of features.
PIXELS = """
(async () => {
  const picture = await fetch("data:image/png;base64,%s");
  const image = await createImageBitmap(await picture.blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let number = 0;
  for (let i = 0; i < data.length; i += 4) {
    const far = [11, 92, 173].map((each, channel) => Math.abs(data[i + channel] - each));
    number += Math.max(...far) < 40;
  }
  return number;
})()
"""

#: The middle of the map in pixels of the window.
MIDDLE = """
(({ x, y, width, height }) => [x + width / 2, y + height / 2])(
  document.querySelector("#map").getBoundingClientRect()
)
"""


#: Colours the first collection by a column.
COLOUR = """
(() => {
  const select = document.querySelector(".layer select");
  select.value = "%s";
  select.dispatchEvent(new Event("change"));
})()
"""


def around(x: float, y: float, kind: str) -> Any:
    """The coordinates of a geometry in the middle of which a place is."""
    west, south, east, north = x - SIZE, y - SIZE, x + SIZE, y + SIZE
    match kind:
        case "Point":
            return [x, y]
        case "LineString":
            return [[west, south], [x, y], [east, north]]
    return [[[[west, south], [east, south], [east, north], [west, north], [west, south]]]]


@contextmanager
def serving(project: Project, database_url: str, **settings: str) -> Iterator[str]:
    """The address of the project's service, which runs for as long."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"PYTHONPATH": "src", "DATABASE_URL": database_url, "TILE_MAX_AGE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", project.package, "serve", "--port", str(port)],
        cwd=project.path,
        env=os.environ | environment | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urlopen(f"{url}/map", timeout=10).close()
                break
            except URLError:
                assert process.poll() is None, "the service has ended"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


#: A picture of one grey pixel.
GREY = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


@contextmanager
def serving_tiles() -> Iterator[tuple[str, list[str]]]:
    """The address of a server of raster tiles, and the paths that it was asked for."""
    asked: list[str] = []

    class Tiles(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(GREY)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Tiles) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def add(url: str, kind: str) -> None:
    """Have the service store features."""
    for number, place in enumerate(PLACES):
        feature = {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": around(*place, kind)},
            "properties": {"name": f"<b>number {number}</b>"},
        }
        headers = {"Content-Type": "application/geo+json"}
        urlopen(Request(url, json.dumps(feature).encode(), headers), timeout=30).close()


def seen(page: Page, url: str) -> bytes:
    """What the map looks like when all is drawn."""
    page.open("about:blank")
    page.open(url)
    page.wait(IDLE)
    return page.screenshot()


def pixels(page: Page, picture: bytes) -> int:
    page.open("about:blank")
    number: int = page.evaluate(PIXELS % base64.b64encode(picture).decode())
    return number


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("Point", {}),
        ("LineString", {"geometry_type": "LINESTRING", "primary_key": "uuid"}),
        ("MultiPolygon", {"geometry_type": "MULTIPOLYGON", "srid": "27700"}),
    ],
)
def test_the_map_shows_the_features(
    bake: Bake, database_url: str, kind: str, parameters: dict[str, str]
) -> None:
    project = bake(**parameters)
    migrated = project.service("migrate", DATABASE_URL=database_url)
    assert migrated.code == 0, migrated
    with serving(project, database_url) as url, browser() as page:
        items = f"{url}/collections/{project.table}/items"
        empty = seen(page, f"{url}/map")
        add(items, kind)
        full = seen(page, f"{url}/map")
        read = page.evaluate('performance.getEntriesByType("resource").map(({ name }) => name)')
        assert sum(name.endswith("f=tilejson") for name in read) == 1, read

        # What is clicked is told, as text, with a link to the feature.
        x, y = page.evaluate(MIDDLE)
        page.click(x, y)
        told = page.wait('document.querySelector(".maplibregl-popup-content")?.innerText')
        assert "<b>number 0</b>" in told
        link = page.evaluate('document.querySelector(".maplibregl-popup-content a").href')
        assert link.startswith(f"{items}/")

        # The features in a box that is drawn are listed.
        page.evaluate('document.querySelector("[name=draw]").click()')
        page.drag((x - 60, y - 60), (x + 60, y + 60))
        assert page.wait('document.querySelector("#results").innerText') == "<b>number 0</b>"
        assert page.evaluate('document.querySelector("#status").innerText') == "1 feature"
        page.evaluate('document.querySelector("[name=view]").click()')
        page.wait(f'document.querySelector("#status").innerText === "{len(PLACES)} features"')

        # A column colours them, and the link to the page tells that.
        page.evaluate(COLOUR % "status")
        legend = '[...document.querySelectorAll(".classes li")].map((entry) => entry.innerText)'
        assert page.evaluate(legend) == ["active"]
        address = page.evaluate("location.href")
        assert address.endswith(f"&by={project.table}:status")
        seen(page, address)
        page.wait(f'{legend}.join() === "active"')

        # Nothing was refused by the policy, not found or wrong.
        assert page.complaints == []
        assert pixels(page, full) > pixels(page, empty) + 100


def test_maps_have_the_background_that_the_settings_name(
    bake: Bake, database_url: str, tmp_path: Path
) -> None:
    project = bake(geometry_type="GEOMETRY")
    assert project.service("migrate", DATABASE_URL=database_url).code == 0
    said = 'document.querySelector(".maplibregl-ctrl-attrib-inner")?.textContent'
    with serving_tiles() as (tiles, asked), browser() as page:
        background = {
            "MAP_BACKGROUND_URL": tiles + "/{z}/{x}/{y}.png",
            "MAP_BACKGROUND_ATTRIBUTION": "<i>Tiles</i> & others",
        }
        with serving(project, database_url, **background) as url:
            for path in ("/map", "/", f"/collections/{project.table}"):
                asked.clear()
                page.open(f"{url}{path}")
                assert page.wait(said) == "<i>Tiles</i> & others"
                page.wait('document.querySelector(".map")?.ariaBusy === "false"')
                assert any(re.fullmatch(r"/\d+/\d+/\d+\.png", each) for each in asked), path
            for scheme in ("light", "dark"):
                with urlopen(f"{url}/style.json?scheme={scheme}", timeout=30) as response:
                    (tmp_path / f"{scheme}.json").write_bytes(response.read())
        assert page.complaints == []
    validator = "@maplibre/maplibre-gl-style-spec/dist/gl-style-validate.mjs"
    assert npm.node(validator, "light.json", "dark.json", folder=tmp_path) == ""


def test_the_map_asks_for_the_key_where_reading_is_closed(bake: Bake, database_url: str) -> None:
    project = bake()
    assert project.service("migrate", DATABASE_URL=database_url).code == 0
    digest = hashlib.sha256(b"s3cret").hexdigest()
    closed = {"READ_ACCESS": "closed", "API_KEYS": f"reader:{digest}:read"}
    give = 'document.querySelector("dialog input").value = "%s"; document.querySelector("dialog button").click()'
    with serving(project, database_url, **closed) as url, browser() as page:
        page.open(f"{url}/map")
        assert "a valid key is needed" in page.wait(
            'document.querySelector("dialog[open]")?.innerText'
        )
        page.evaluate(give % "wrong")
        page.wait('document.querySelector("dialog").open')
        page.evaluate(give % "s3cret")
        page.wait(IDLE)
        # It has been told once, and the tiles have come.
        page.evaluate('document.querySelector("[name=view]").click()')
        page.wait('document.querySelector("#status").innerText === "0 features"')
        assert not page.evaluate('document.querySelector("dialog").open')
        refused = [each for each in page.complaints if "401" in each]
        assert len(refused) == 2 and refused == page.complaints
