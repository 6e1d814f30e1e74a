"""Take the pictures of the READMEs in Chromium: a service of the world's airports, its map and its table.

The same data and the same versions give the same pictures.
"""

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

import airportsdata
from demo import ROOT, postgis
from PIL import Image

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import NAMES, Page, browser
from clusters import Service
from rendering import render

FOLDER = ROOT / "{{cookiecutter.project_slug}}" / "docs" / "pictures"

#: Each kB is fetched by everybody who reads a README.
LARGEST = 60_000

PARAMETERS = {
    "project_name": "Airports",
    "description": "The airports of the world that airlines fly to.",
    "resource_name": "airport",
    "attributes": "name:text code:str(4)! country:str(2) elevation:int",
    "timestamps": "no",
}

PAGES = {
    "map": "/map#map=3.2/48/12&by=airports:elevation",
    "table": "/collections/airports/items?country=NO&sortby=-elevation&limit=12",
}

DRAWN = (
    'location.href !== "about:blank" && document.readyState === "complete" && '
    '[...document.querySelectorAll("#map, .map")].every((map) => map.ariaBusy === "false")'
)


def main() -> None:
    if not any(map(shutil.which, NAMES)):
        sys.exit("Chromium takes the pictures: as root, apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = render(folder, PARAMETERS)
        features = folder / "airports.geojsonl"
        features.write_text("\n".join(map(json.dumps, airports())), encoding="utf-8")
        with postgis(project.path).server() as server, server.database() as url:
            for command in (["migrate"], ["load", str(features)]):
                project.service(*command, DATABASE_URL=url).passed()
            with Service(project, folder, DATABASE_URL=url) as service, browser() as page:
                page.look(1200, 720, "light")
                for picture, path in PAGES.items():
                    take(page, service.url + path, FOLDER / f"{picture}.png")


def airports() -> list[dict[str, object]]:
    """The airports with a code of the IATA, as features."""
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [airport["lon"], airport["lat"]]},
            "properties": {
                "name": airport["name"],
                "code": airport["icao"],
                "country": airport["country"],
                "elevation": round(airport["elevation"]),
            },
        }
        for airport in sorted(airportsdata.load().values(), key=lambda airport: airport["icao"])
        if airport["iata"]
    ]


def take(page: Page, url: str, file: Path) -> None:
    """Write a page's picture, in as few colours as let it be small."""
    page.open(url)
    page.wait(DRAWN)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours in (256, 128, 64, 32):
        written = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if len(written.getvalue()) <= LARGEST:
            break
    else:
        sys.exit(f"{file.name} is larger than {LARGEST} bytes")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(written.getvalue())
    print(f"{file.relative_to(ROOT)}: {len(written.getvalue())} bytes, {colours} colours")


if __name__ == "__main__":
    main()
