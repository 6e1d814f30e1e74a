"""The servers that are measured: how each is started, and what an operation is as a request to it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from rows import ROOT, Prepared

HERE = ROOT / "benchmarks"

#: The interpreter of the peers, which need other versions of the same packages.
PEERS_PYTHON = ROOT / "build" / "bench" / "peers" / "bin" / "python"


@dataclass
class Request:
    """A request of one operation."""

    path: str
    method: str = "GET"
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: The requests of a server, by operation; each is made with some random number.
Operations = dict[str, Callable[[random.Random], Request]]


@dataclass
class Peer:
    """A running server."""

    name: str
    port: int
    pid: int
    operations: Operations


def get(path: str) -> Request:
    return Request(path)


def send(method: str, path: str, content: object) -> Request:
    body, headers = json.dumps(content).encode(), {"Content-Type": "application/json"}
    return Request(path, method, body, headers)


def place(dice: random.Random) -> tuple[float, float]:
    return round(dice.uniform(-170, 170), 4), round(dice.uniform(-75, 75), 4)


def box(dice: random.Random, size: float = 5.0) -> str:
    lon, lat = place(dice)
    return f"{lon},{lat},{lon + size},{lat + size}"


def tile(dice: random.Random, zoom: int) -> tuple[int, int, int]:
    """Zoom, row, column of a tile between 60° north and south."""
    side = 2**zoom
    return zoom, int(side * dice.uniform(0.3, 0.7)), int(side * dice.random())


def features(
    prepared: Prepared, items: str, *, item: str = "{items}/{id}", deep: str
) -> Operations:
    """What every OGC API - Features server can do, under the path of its items."""
    n = prepared.rows
    return {
        "one feature": lambda dice: get(item.format(items=items, id=dice.randint(1, n))),
        "page of 10": lambda dice: get(f"{items}?limit=10"),
        "page of 100": lambda dice: get(f"{items}?limit=100"),
        "page of 1,000": lambda dice: get(f"{items}?limit=1000"),
        "page of 10,000": lambda dice: get(f"{items}?limit=10000"),
        "page of 10 at depth": lambda dice: get(f"{items}?limit=10&{deep}"),
        "page of 100 in a box": lambda dice: get(f"{items}?limit=100&bbox={box(dice)}"),
        "page of 100, filtered": lambda dice: get(f"{items}?limit=100&status=closed"),
    }


def searches(path: str = "/facilities/nearby") -> Operations:
    """Searches in metres."""
    return {
        name: lambda dice, radius=radius: get(
            "{}?lon={}&lat={}&radius={}&limit=10".format(path, *place(dice), radius)
        )
        for name, radius in (("within 50 km", 50_000), ("10 nearest", 20_000_000))
    }


def tiles(path: str) -> Operations:
    """Vector tiles; the path has places for zoom, row and column."""
    return {
        f"tile, zoom {zoom}": lambda dice, zoom=zoom: get(
            path.format(**dict(zip(("z", "y", "x"), tile(dice, zoom), strict=True)))
        )
        for zoom in (2, 6, 10)
    }


def writes(prepared: Prepared) -> Operations:
    """Inserting and updating through the plain REST resource."""

    def row(dice: random.Random) -> dict[str, object]:
        return {"name": "new", "location": {"type": "Point", "coordinates": place(dice)}}

    if prepared.shape != "POINT":
        return {}
    return {
        "insert": lambda dice: send("POST", "/facilities/", row(dice)),
        "update": lambda dice: send(
            "PUT", f"/facilities/{dice.randint(1, prepared.rows)}", row(dice)
        ),
    }


def source_page(prepared: Prepared) -> Operations:
    """The usual way, with plain parameters."""
    n, path = prepared.rows, "/facilities/"
    operations = features(prepared, path, item="{items}{id}", deep=f"offset={n * 9 // 10}")
    operations |= searches()
    if prepared.shape == "POINT":
        query = "name=new&lon={}&lat={}"
        operations["insert"] = lambda dice: Request(f"{path}?" + query.format(*place(dice)), "POST")
        operations["update"] = lambda dice: Request(
            f"{path}{dice.randint(1, n)}?" + query.format(*place(dice)), "PUT"
        )
    return operations


@contextmanager
def peers(prepared: Prepared) -> Iterator[list[Peer]]:
    """Start the servers: the rendered service first, then what it is measured beside."""
    with ExitStack() as stack:

        def start(name: str, python: Path | str, application: str, **environment: str) -> Peer:
            return stack.enter_context(serve(prepared, name, python, application, environment))

        ours = start(prepared.package, sys.executable, f"{prepared.package}.main:create_app")
        floor = start("floor", sys.executable, "floor:create_app", SERVICE=prepared.package)
        usual = start("usual way", sys.executable, "source_page:create_app")
        tipg = start("tipg", PEERS_PYTHON, "tipg.main:app", **tipg_settings(prepared))
        pygeoapi = start(
            "pygeoapi", PEERS_PYTHON, "pygeoapi.starlette_app:APP", **pygeoapi_settings(prepared)
        )

        items, offset = "/collections/facilities/items", f"offset={prepared.rows * 9 // 10}"
        deep = f"token={token(ours, f'{items}?limit=10&{offset}')}"
        shared = searches() | tiles("/collections/facilities/tiles/WebMercatorQuad/{z}/{y}/{x}")
        ours.operations = features(prepared, items, deep=deep) | shared | writes(prepared)
        floor.operations = (
            features(prepared, items, deep=f"after={prepared.rows * 9 // 10}") | shared
        )
        usual.operations = source_page(prepared)
        table = "/collections/public.facilities"
        tipg.operations = features(prepared, f"{table}/items", deep=offset)
        tipg.operations |= tiles(f"{table}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}")
        pygeoapi.operations = features(prepared, items, item="{items}/{id}?f=json", deep=offset)
        yield [ours, floor, usual, tipg, pygeoapi]


def token(server: Peer, path: str) -> str:
    """The token of the page behind one, from its link."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as response:
        links = json.load(response)["links"]
    (following,) = (link["href"] for link in links if link["rel"] == "next")
    return parse_qs(urlsplit(following).query)["token"][0]


@contextmanager
def serve(
    prepared: Prepared, name: str, python: Path | str, application: str, environment: dict[str, str]
) -> Iterator[Peer]:
    """Serve an application with one uvicorn process on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(python), "-m", "uvicorn", application, "--port", str(port)]
    command += ["--no-access-log", "--log-level", "warning"]
    if application.endswith("create_app"):
        command.append("--factory")
    with subprocess.Popen(command, cwd=HERE, env=prepared.environment | environment) as process:
        try:
            wait_for(port)
            yield Peer(name, port, process.pid, {})
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def tipg_settings(prepared: Prepared) -> dict[str, str]:
    return {
        "TIPG_DB_SCHEMAS": '["public"]',
        "TIPG_DEFAULT_FEATURES_LIMIT": "10",
        "TIPG_MAX_FEATURES_PER_QUERY": "10000",
    }


def pygeoapi_settings(prepared: Prepared) -> dict[str, str]:
    url = urlsplit(prepared.url)
    folder = prepared.project.parent
    settings = {
        "BENCH_HOST": url.hostname or "",
        "BENCH_PORT": str(url.port),
        "BENCH_DATABASE": url.path.strip("/"),
        "BENCH_USER": unquote(url.username or ""),
        "BENCH_PASSWORD": unquote(url.password or ""),
        "PYGEOAPI_CONFIG": str(HERE / "pygeoapi.yml"),
        "PYGEOAPI_OPENAPI": str(folder / "pygeoapi-openapi.yml"),
    }
    command = ["openapi", "generate", settings["PYGEOAPI_CONFIG"]]
    subprocess.run(
        [
            str(PEERS_PYTHON.with_name("pygeoapi")),
            *command,
            "--output-file",
            settings["PYGEOAPI_OPENAPI"],
        ],
        env=os.environ | settings,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return settings


def versions() -> str:
    """What is measured, and on what."""
    packages = ["fastapi", "sqlalchemy", "psycopg2-binary", "geoalchemy2", "orjson", "uvicorn"]
    here = {name: importlib.metadata.version(name) for name in packages}
    script = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in ('tipg', 'pygeoapi')))"
    there = subprocess.check_output([str(PEERS_PYTHON), "-c", script], text=True).strip()
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; "
        + ", ".join(f"{name} {version}" for name, version in here.items())
        + f"; peers: {there}"
    )
