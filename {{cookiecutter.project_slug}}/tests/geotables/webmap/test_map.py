"""The map page: it comes with all that it needs, and may load nothing else. (What it looks like, a browser must tell.)"""

import re
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from geotables.service import Service
from geotables.settings import ServiceSettings
from geotables.webmap.page import STATIC

import apps
import markup
from contract import faces
from markup import Page
from rows import Rows


@pytest.fixture
def page(client: TestClient) -> Page:
    response = client.get("/map")
    assert response.status_code == 200
    return markup.read(response)


def assets(page: Page) -> set[str]:
    """The paths of what the page loads, and of what its scripts import."""
    loaded = {urljoin("/map", each) for each in page.loaded}
    (script,) = (path for path in loaded if path.endswith("/map.js"))
    folder = script.removesuffix("map.js")
    read, unread = {f"{folder}maplibre-gl/maplibre-gl-worker.mjs"}, [script]
    while unread:
        path = unread.pop()
        read.add(path)
        text = STATIC.joinpath(path.removeprefix(folder)).read_text("utf-8")
        imported = {urljoin(path, name) for name in re.findall(r'from "\./([^"]+)"', text)} - read
        unread += [each for each in imported if each.endswith((".js", ".mjs")) and each not in read]
    return loaded | read


@faces("tiles")
def test_all_that_the_page_loads_is_there_and_never_asked_for_again(
    client: TestClient, page: Page
) -> None:
    paths = assets(page)
    names = {path.rpartition("/")[2] for path in paths}
    assert {"map.js", "style.js", "maplibre-gl.mjs", "pages.css"} < names
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, path
        assert response.headers["Cache-Control"].endswith("immutable")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if path.endswith("js"):
            assert response.headers["Content-Type"].startswith("text/javascript")
    assert client.get("/map/older/map.js").status_code == 404


@faces("features")
def test_the_page_links_to_the_rows(page: Page, rows: Rows) -> None:
    assert rows.items in page.linked


@faces("features", "ogc")
def test_without_tiles_no_page_leads_to_the_map(
    service: Service, database_url: str, client_of: Callable[[FastAPI], TestClient]
) -> None:
    faces = [name for name in apps.FACES if name != "tiles"]
    client = client_of(apps.create(service, database_url, service.collections, faces))
    for path in ("/", "/collections", "/map"):
        page = markup.read(client.get(path, headers=markup.BROWSER))
        assert "/map" not in page.linked
        assert not any("maplibre" in each for each in page.loaded)
    assert "no vector tiles" in page.texts
    assert f"/collections/{service.collections[0].name}/items" in page.linked
    assert "/map" not in client.get("/").text


@faces("features", "ogc")
def test_all_that_the_page_links_to_is_there(client: TestClient, page: Page) -> None:
    assert page.linked
    for path in page.linked:
        assert client.get(urljoin("/map", path)).status_code == 200, path


def test_a_background_is_the_only_other_origin(
    client: TestClient, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "http" not in client.get("/map").headers["Content-Security-Policy"]
    address = "https://tiles.example.org:8443/{z}/{x}/{y}.png?key=1"
    monkeypatch.setattr(settings, "map_background_url", address)
    response = client.get("/map")
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert "img-src 'self' data: blob: https://tiles.example.org:8443" in policy
    assert "connect-src 'self' https://tiles.example.org:8443" in policy
    assert response.headers["Referrer-Policy"] == "strict-origin"


def test_the_title_is_text(
    client: TestClient, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "title", "<script>alert('&')</script> $title")
    text = client.get("/map").text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt; $title" in text
    assert "<script>" not in text


@faces("ogc", "tiles")
def test_the_landing_page_links_to_the_map(client: TestClient) -> None:
    (link,) = (each for each in client.get("/").json()["links"] if each["href"].endswith("/map"))
    assert link["type"] == "text/html"
    assert "/map" in markup.read(client.get("/", headers={"Accept": "text/html"})).linked
