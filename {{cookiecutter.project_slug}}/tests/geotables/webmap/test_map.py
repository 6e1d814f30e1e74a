"""The map page: it comes with all that it needs, and may load nothing else. (What it looks like, a browser must tell.)"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from geotables.settings import ServiceSettings
from geotables.webmap.page import STATIC

from contract import faces
from rows import Rows


class Addresses(HTMLParser):
    """The addresses in a page: of what it loads, and of where it links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.inline = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "src" or (tag == "link" and name == "href"):
                self.loaded.append(value or "")
            elif name == "href":
                self.linked.append(value or "")
            self.inline |= name == "style" or name.startswith("on")
        self.inline |= tag == "style" or (tag == "script" and "src" not in dict(attributes))


@pytest.fixture
def page(client: TestClient) -> Addresses:
    response = client.get("/map")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    return Addresses(response.text)


def assets(page: Addresses) -> list[str]:
    """The paths of what the page loads, and of what its scripts import."""
    (script,) = (each for each in page.loaded if each.endswith("map.js"))
    text = (STATIC / "map.js").read_text("utf-8")
    imported = re.findall(r'from "\./([^"]+)"|new URL\("([^"]+)", import', text)
    names = [*map("".join, imported), "maplibre-gl/maplibre-gl-worker.mjs"]
    loaded = [each for each in page.loaded if not each.startswith("data:")]
    return [urljoin("/map", each) for each in [*loaded, *(urljoin(script, name) for name in names)]]


def test_the_policy_lets_the_page_load_nothing_from_elsewhere(client: TestClient) -> None:
    policy = client.get("/map").headers["Content-Security-Policy"]
    directives = dict(each.split(maxsplit=1) for each in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert {directives[f"{kind}-src"] for kind in ("script", "worker", "style", "connect")} == {
        "'self'"
    }
    assert "unsafe" not in policy


def test_nothing_in_the_page_is_against_the_policy(page: Addresses) -> None:
    assert not page.inline
    assert all(not re.match("(?!data:)[a-z]+:|//", each) for each in page.loaded)


def test_all_that_the_page_loads_is_there_and_never_asked_for_again(
    client: TestClient, page: Addresses
) -> None:
    paths = assets(page)
    assert len(paths) == 7
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, path
        assert response.headers["Cache-Control"].endswith("immutable")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if path.endswith("js"):
            assert response.headers["Content-Type"].startswith("text/javascript")
    assert client.get("/map/older/map.js").status_code == 404


@faces("features")
def test_the_page_links_to_the_rows(page: Addresses, rows: Rows) -> None:
    assert rows.items.removeprefix("/") in page.linked


@faces("features", "ogc")
def test_all_that_the_page_links_to_is_there(client: TestClient, page: Addresses) -> None:
    assert page.linked
    for path in page.linked:
        assert client.get(urljoin("/map", path)).status_code == 200, path


def test_the_title_is_text(
    client: TestClient, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "title", "<script>alert('&')</script> $title")
    text = client.get("/map").text
    assert "<h1>&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt; $title</h1>" in text


@faces("ogc")
def test_the_landing_page_links_to_the_map(client: TestClient) -> None:
    (link,) = (each for each in client.get("/").json()["links"] if each["href"].endswith("/map"))
    assert link["type"] == "text/html"
    assert 'href="' + link["href"] in client.get("/", headers={"Accept": "text/html"}).text
