"""The servers that are measured: how each is started, and what an operation is as a request to it."""

from __future__ import annotations

import http.client
import importlib.metadata
import itertools
import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from rows import ROOT, Prepared

HERE = ROOT / "benchmarks"

#: The interpreter of the peers, which need other versions of the same packages.
PEERS_PYTHON = ROOT / "build" / "bench" / "peers" / "bin" / "python"

#: A server of tiles in Rust, which make builds where cargo is there.
MARTIN = ROOT / "build" / "bench" / "martin" / "bin" / "martin"

#: The features of a tile: of the service and of tipg, the default.
FEATURES_OF_A_TILE = 10_000

#: The operations that only the service has.
PATCH, MANY, DELETE = "change one value", "insert 1,000 at once", "delete"


@dataclass
class Request:
    """A request of one operation."""

    path: str
    method: str = "GET"
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


#: Makes a request of one kind, with some random numbers.
Operation = Callable[[random.Random], Request]
Operations = dict[str, Operation]


@dataclass
class Peer:
    """A running server."""

    name: str
    port: int
    pid: int
    postmaster: int
    operations: Operations


def get(path: str) -> Request:
    return Request(path)


def send(method: str, path: str, content: object) -> Request:
    body, headers = json.dumps(content).encode(), {"Content-Type": "application/json"}
    return Request(path, method, body, headers)


def place(dice: random.Random) -> tuple[float, float]:
    return round(dice.uniform(-170, 170), 4), round(dice.uniform(-75, 75), 4)


def box(dice: random.Random, size: float = 5.0) -> str:
    west, south = (round(dice.uniform(-edge, edge - size), 4) for edge in (175, 75))
    return f"{west},{south},{west + size},{south + size}"


def tile(dice: random.Random, zoom: int) -> tuple[int, int, int]:
    """Zoom, row, column of a tile between 60° north and south."""
    side = 2**zoom
    return zoom, int(side * dice.uniform(0.3, 0.7)), int(side * dice.random())


def new(dice: random.Random) -> dict[str, object]:
    return {"name": "new", "location": {"type": "Point", "coordinates": place(dice)}}


def new_features(dice: random.Random, number: int) -> dict[str, object]:
    """A GeoJSON FeatureCollection."""
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": row["location"], "properties": {"name": row["name"]}}
            for row in (new(dice) for _ in range(number))
        ],
    }


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

    def within(radius: int) -> Operation:
        return lambda dice: get(
            "{}?lon={}&lat={}&radius={}&limit=10".format(path, *place(dice), radius)
        )

    return {"within 50 km": within(50_000), "10 nearest": within(20_000_000)}


def tiles(path: str, zooms: Sequence[int] = (2, 6, 10)) -> Operations:
    """Vector tiles; the path has places for zoom, row and column."""

    def at(zoom: int) -> Operation:
        return lambda dice: get(
            path.format(**dict(zip(("z", "y", "x"), tile(dice, zoom), strict=True)))
        )

    return {f"tile, zoom {zoom}": at(zoom) for zoom in zooms}


def writes(prepared: Prepared) -> Operations:
    """Writing through the plain REST resource, and many features at once."""
    if prepared.shape != "POINT":
        return {}
    # The last operation: no other asks for the rows that it has removed.
    last = itertools.count(prepared.rows, -1)
    return {
        "insert": lambda dice: send("POST", "/facilities/", new(dice)),
        "update": lambda dice: send(
            "PUT", f"/facilities/{dice.randint(1, prepared.rows)}", new(dice)
        ),
        PATCH: lambda dice: send(
            "PATCH", f"/facilities/{dice.randint(1, prepared.rows)}", {"name": f"{dice.random()}"}
        ),
        MANY: lambda dice: send("POST", "/collections/facilities/items", new_features(dice, 1000)),
        DELETE: lambda dice: Request(f"/facilities/{next(last)}", "DELETE"),
    }


def source_page(prepared: Prepared) -> Operations:
    """The usual way, with plain parameters."""
    n, path = prepared.rows, "/facilities/"
    operations = features(prepared, path, item="{items}{id}", deep=f"offset={prepared.depth}")
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

        ours = stack.enter_context(serve_the_service(prepared, prepared.package))
        floor = start("floor", sys.executable, "floor:create_app", SERVICE=prepared.package)
        usual = start("usual way", sys.executable, "source_page:create_app")
        tipg = start("tipg", PEERS_PYTHON, "tipg.main:app", **tipg_settings(prepared))
        pygeoapi = start(
            "pygeoapi", PEERS_PYTHON, "pygeoapi.starlette_app:APP", **pygeoapi_settings(prepared)
        )

        ours.operations = of_the_service(prepared, ours)
        items, offset = "/collections/facilities/items", f"offset={prepared.depth}"
        floor.operations = ours.operations | features(
            prepared, items, deep=f"after={prepared.depth}"
        )
        for operation in (PATCH, MANY, DELETE):
            floor.operations.pop(operation, None)
        usual.operations = source_page(prepared)
        table = "/collections/public.facilities"
        tipg.operations = features(prepared, f"{table}/items", deep=offset)
        tipg.operations |= tiles(f"{table}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}")
        pygeoapi.operations = features(prepared, items, item="{items}/{id}?f=json", deep=offset)
        servers = [ours, floor, usual, tipg, pygeoapi]
        if MARTIN.exists():
            servers.append(stack.enter_context(serve_martin(prepared, "Martin", cache_size=0)))
            servers.append(
                stack.enter_context(serve_martin(prepared, "Martin, cache", cache_size=512))
            )
        yield servers


def of_the_service(prepared: Prepared, server: Peer) -> Operations:
    """What the rendered service can do."""
    items = "/collections/facilities/items"
    before = get(f"{items}?limit=10&offset={prepared.depth - 10}")
    links = json.loads(answer(server, before))["links"]
    (following,) = (link["href"] for link in links if link["rel"] == "next")
    token = parse_qs(urlsplit(following).query)["token"][0]
    return (
        features(prepared, items, deep=f"token={token}")
        | searches()
        | tiles("/collections/facilities/tiles/WebMercatorQuad/{z}/{y}/{x}")
        | writes(prepared)
    )


@contextmanager
def serve_another(prepared: Prepared, ours: Peer) -> Iterator[Peer]:
    """The rendered service on another database."""
    with serve_the_service(prepared, f"{ours.name}, other rows") as server:
        server.operations = of_the_service(prepared, server)
        yield server


def answer(server: Peer, request: Request) -> bytes:
    """The body of the answer to a single request, which has to be a success."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        return sent(connection, server, request)
    finally:
        connection.close()


def sent(connection: http.client.HTTPConnection, server: Peer, request: Request) -> bytes:
    connection.request(request.method, request.path, request.body, request.headers)
    response = connection.getresponse()
    body = response.read()
    if response.status not in (200, 201, 204):
        raise RuntimeError(f"{server.name}: {request.path}: {response.status} {body[:300]!r}")
    return body


def see_that_they_agree(servers: Sequence[Peer], prepared: Prepared) -> str:
    """See that all servers give the same rows, and the floor the very same answers but for links and the like.

    Raises:
        RuntimeError: One does not: to compare what they cost would mean nothing.
    """
    ours, floor, *_ = servers
    checked = 0
    for operation in ours.operations.keys() - writes(prepared).keys():
        seed = random.Random(operation).random()
        expected = answer(ours, ours.operations[operation](random.Random(seed)))
        for server in servers[1:]:
            if operation not in server.operations:
                continue
            given = answer(server, server.operations[operation](random.Random(seed)))
            if operation.startswith("tile"):
                # Two programs write a tile in two ways.
                same = bool(given) == bool(expected) and (server is not floor or given == expected)
            else:
                same = ids(given) == ids(expected) and (
                    server is not floor or rows_of(given) == rows_of(expected)
                )
            if not same:
                raise RuntimeError(f"{operation}: {server.name} and {ours.name} disagree")
            checked += 1
    return (
        f"\nThe servers were asked {checked} times, and agreed, before anything was measured.\n\n"
    )


def rows_of(body: bytes) -> list[dict[str, Any]]:
    """The features of an answer, or the one that it is, without links."""
    content = json.loads(body)
    if isinstance(content, dict):
        content = content.get("features", content.get("items", [content]))
    return [{name: value for name, value in row.items() if name != "links"} for row in content]


def ids(body: bytes) -> list[str]:
    return sorted(str(row["id"]) for row in rows_of(body))


@contextmanager
def serve(
    prepared: Prepared, name: str, python: Path | str, application: str, environment: dict[str, str]
) -> Iterator[Peer]:
    """Serve an application with one uvicorn process on a free port."""
    command = [str(python), "-m", "uvicorn", application]
    command += ["--no-access-log", "--log-level", "warning"]
    if application.endswith("create_app"):
        command.append("--factory")
    command += ["--port", "{port}"]
    with started(prepared, name, command, prepared.environment | environment) as peer:
        yield peer


@contextmanager
def serve_the_service(prepared: Prepared, name: str, **settings: str) -> Iterator[Peer]:
    """Serve the rendered service by its own command, which logs every request, with further settings."""
    command = prepared.command("serve", "--port", "{port}")
    with started(prepared, name, command, {**prepared.environment, **settings}) as peer:
        yield peer


@contextmanager
def serve_martin(prepared: Prepared, name: str, cache_size: int) -> Iterator[Peer]:
    """Serve tiles by Martin, in as many threads as it takes for itself; the cache is of so many megabytes."""
    url = urlsplit(prepared.url)
    user = f"{url.username}:{quote(prepared.password)}"
    address = f"postgresql://{user}@{url.hostname}:{url.port}{url.path}"
    command = [str(MARTIN), address, "--listen-addresses", "127.0.0.1:{port}"]
    command += ["--cache-size", str(cache_size), "--max-feature-count", str(FEATURES_OF_A_TILE)]
    with started(prepared, name, command, {**os.environ, "RUST_LOG": "error"}) as peer:
        peer.operations = tiles("/facilities/{z}/{x}/{y}")
        yield peer


@contextmanager
def started(
    prepared: Prepared, name: str, command: list[str], environment: dict[str, str]
) -> Iterator[Peer]:
    """A process that serves on a free port, which its command names as ``{port}``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [each.replace("{port}", str(port)) for each in command]
    with subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield Peer(name, port, process.pid, prepared.postmaster, {})
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
        "BENCH_PASSWORD": prepared.password,
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


#: The packages whose versions are told: of the service, and of the peers.
HERE_WITH = (
    *("fastapi", "starlette", "sqlalchemy", "psycopg2-binary", "geoalchemy2", "orjson"),
    *("uvicorn", "uvloop", "httptools"),
)
THERE_WITH = ("tipg", "asyncpg", "pygeoapi", "fastapi", "starlette", "uvicorn")

#: The settings of PostgreSQL that matter.
SETTINGS = ("shared_buffers", "work_mem", "fsync", "jit", "max_parallel_workers_per_gather")


def about(prepared: Prepared) -> str:
    """What is measured, and on what."""
    here = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in HERE_WITH)
    with prepared.cursor() as cursor:
        cursor.execute("SELECT version(), postgis_lib_version()")
        postgresql, postgis = cursor.fetchone()
        cursor.execute(
            "SELECT string_agg(name || ' ' || current_setting(name), ', ')"
            f" FROM pg_settings WHERE name IN {SETTINGS}"
        )
        (settings,) = cursor.fetchone()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"- Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; load before: {load}\n"
        f"- the service, the floor and the usual way: {here}; the service with its default settings\n"
        f"- {postgresql.partition(' (')[0]}, PostGIS {postgis}; {settings}\n"
    )


def about_the_peers() -> str:
    script = f"import importlib.metadata as m; print(*(f'{{n}} {{m.version(n)}},' for n in {THERE_WITH}))"
    there = subprocess.check_output([str(PEERS_PYTHON), "-c", script], text=True)
    if MARTIN.exists():
        there += subprocess.check_output([str(MARTIN), "--version"], text=True)
    return f"- the peers: {there.rstrip().rstrip(',').replace(chr(10), ' ')}\n"
