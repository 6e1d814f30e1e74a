"""The pages of a rendered service, looked at in a browser: light and dark, on a phone and on a desktop, by mouse and by keyboard."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import npm
import pytest
from browser import Page, browser
from clusters import Service
from conftest import Bake
from rendering import Project

#: A desktop and a phone, each in one scheme: what is wrong with colours or with widths is seen in one of them.
SCREENS = ((1280, 800, "light"), (390, 844, "dark"))

#: Whether a page is there as a whole, and whether its maps are drawn, if it has any.
THERE = 'location.href !== "about:blank" && document.readyState === "complete"'
DRAWN = (
    f'{THERE} && [...document.querySelectorAll(".map")].every((map) => map.ariaBusy === "false")'
)

#: Features of a page.
ROWS = '[...document.querySelectorAll("tr[data-id]")].map((row) => row.cells[1].innerText)'

NAMES = [f"Place {number}" for number in range(12)]


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core, which finds what keeps people out."""
    return (npm.modules() / "axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    return bake_once(
        attributes="name:text? level:int=1 height:float? is_open:bool=true built:date?"
        " seen:datetime? tags:json={}",
        geometry_type="POLYGON",
        srid="27700",
    )


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as page:
        yield page


def add(url: str, table: str) -> None:
    """Have the service store features."""
    for number, name in enumerate(NAMES):
        west, south = -2 + number / 100, 52 + number % 3 / 100
        ring = [(west, south), (west + 0.005, south), (west + 0.005, south + 0.005), (west, south)]
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "name": name,
                "level": number % 4,
                "height": number * 12345.678,
                "is_open": number % 2 == 0,
                "built": "1990-05-17",
                "seen": "2024-01-05T09:30:00.5Z",
                "tags": {"owners": [{"name": "Ann", "share": 0.5}], "note": None},
            },
        }
        headers = {"Content-Type": "application/geo+json"}
        body = json.dumps(feature).encode()
        urlopen(Request(f"{url}/collections/{table}/items", body, headers), timeout=30).close()


def faults(page: Page, axe: str) -> list[str]:
    """What axe-core finds that is serious."""
    page.evaluate(f"{axe}; 0")
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def show(page: Page, address: str, until: str = THERE) -> None:
    """Go to a page, and wait until it is there."""
    page.open("about:blank")
    page.open(address)
    page.wait(until)


def test_pages(project: Project, database_url: str, page: Page, axe: str, tmp_path: Path) -> None:
    project.service("migrate", DATABASE_URL=database_url).passed()
    with Service(project, tmp_path, DATABASE_URL=database_url) as service:
        add(service.url, project.table)
        collection = f"/collections/{project.table}"
        paths = {
            **dict.fromkeys(("/", "/collections", "/conformance", "/map", collection), 200),
            **dict.fromkeys((f"{collection}/items", f"{collection}/items/1"), 200),
            **dict.fromkeys((f"{collection}/queryables", f"{collection}/tiles"), 200),
            f"{collection}/tiles/WebMercatorQuad": 200,
            "/tileMatrixSets/WebMercatorQuad": 200,
            "/nowhere": 404,
            f"{collection}/items?limit=x": 400,
        }
        for screen in SCREENS:
            page.look(*screen)
            for path, status in paths.items():
                page.complaints.clear()
                # Without a graphics card maps take their time.
                show(page, service.url + path, DRAWN if screen is SCREENS[0] else THERE)
                assert faults(page, axe) == [], (path, screen)
                # The page itself is not scrolled to the side.
                assert page.evaluate("document.documentElement.scrollWidth") <= screen[0], path
                refused = [each for each in page.complaints if f"status of {status} " in each]
                assert page.complaints == refused, (path, screen)
        page.look(*SCREENS[0])
        uses_the_table(page, f"{service.url}{collection}/items")


def uses_the_table(page: Page, items: str) -> None:
    """Sort, filter and page by what a page has for it, and by the keyboard alone."""
    show(page, f"{items}?limit=5")
    assert page.evaluate(ROWS) == NAMES[:5]
    follow(page, '[rel="next"]')
    assert page.evaluate(ROWS) == NAMES[5:10]
    follow(page, '[rel="prev"]')
    assert page.evaluate(ROWS) == NAMES[:5]
    follow(page, 'thead a[href*="sortby=height"]')
    follow(page, 'thead a[href*="sortby=-height"]')
    assert page.evaluate(ROWS) == NAMES[:-6:-1]
    page.evaluate('document.querySelector("input[name=level]").focus()')
    page.send("Input.insertText", text="3")
    enter(page)
    assert page.evaluate(ROWS) == ["Place 11", "Place 7", "Place 3"]
    assert page.evaluate('document.querySelector(".chips").innerText').startswith("level = 3")
    follow(page, ".chips a")
    assert page.evaluate(ROWS) == NAMES[:-6:-1]

    # The first stop of the keyboard leads past the navigation.
    show(page, items)
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate('document.querySelector("tr[data-id] a").focus()')
    enter(page)
    assert page.evaluate('document.querySelector("h1").innerText') == NAMES[0]
    assert page.evaluate('document.querySelectorAll(".panel .list a").length') == 5


def follow(page: Page, selector: str) -> None:
    """Click what a page has, and wait for the page that it leads to."""
    page.evaluate("window.seen = true")
    page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
    arrive(page)


def enter(page: Page) -> None:
    """Press the enter key, and wait for the page that it leads to."""
    page.evaluate("window.seen = true")
    page.send(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r"
    )
    arrive(page)


def arrive(page: Page) -> None:
    page.wait(f"window.seen === undefined && {THERE}")


def test_a_key_opens_the_pages_where_reading_is_closed(
    project: Project, database_url: str, page: Page, tmp_path: Path
) -> None:
    project.service("migrate", DATABASE_URL=database_url).passed()
    digest = hashlib.sha256(b"s3cret").hexdigest()
    closed = {"READ_ACCESS": "closed", "API_KEYS": f"reader:{digest}:read"}
    give = (
        'document.querySelector("#key-given").value = "%s";'
        ' document.querySelector("#key button").click()'
    )
    page.look(*SCREENS[0])
    with Service(project, tmp_path, DATABASE_URL=database_url, **closed) as service:
        page.open(f"{service.url}/collections")
        page.wait('document.querySelector("#key")?.hidden === false')
        page.evaluate(give % "wrong")
        page.wait('document.querySelector("#key-wrong").textContent === "This key is not valid."')
        page.complaints.clear()
        page.evaluate(give % "s3cret")
        title: Any = 'document.querySelector("h1")?.innerText === "%s"'
        page.wait(title % "Collections")
        # The tab has the key: for other pages, and for what their maps load.
        page.evaluate('document.querySelector(".card .name a").click()')
        page.wait(f"{title % 'Facilities'} && {DRAWN}")
        assert [each for each in page.complaints if "status of 401" not in each] == []
