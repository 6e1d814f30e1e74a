"""Loading and exporting, beside a bare COPY of the same rows."""

from __future__ import annotations

import http.client
import random
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from measure import ratio
from peers import PEERS_PYTHON, Peer
from rows import BUILD, ROOT, Prepared, write_features

#: What the service's own export writes of a row, as PostGIS alone would.
AS_TEXT = "SELECT ST_AsGeoJSON(facilities, 'location', 15) FROM facilities"


def load_table(empty: Prepared, rows: int, rounds: int) -> str:
    """Loading a GeoJSON sequence, beside COPY of rows that are ready to be stored, into the same table."""
    features, ready = BUILD / "features.geojsonl", BUILD / "ready.copy"
    write_features(empty, rows, features)
    columns = "facilities (name, status, location)"

    def clear() -> None:
        with empty.cursor() as cursor:
            cursor.execute("TRUNCATE facilities RESTART IDENTITY")

    def load() -> None:
        empty.run("load", features)

    def copy() -> None:
        with empty.cursor() as cursor, ready.open("rb") as file:
            cursor.copy_expert(f"COPY {columns} FROM STDIN", file)

    clear()
    load()
    with empty.cursor() as cursor, ready.open("wb") as file:
        cursor.copy_expert(f"COPY {columns} TO STDOUT", file)
    spent = _in_turns({"load": load, "copy": copy}, rounds, before=clear)
    clear()
    return (
        f"| load {rows:,} features | {_rate(rows, spent['load'])} | {_rate(rows, spent['copy'])} "
        f"| {ratio(spent['copy'], spent['load'])} | |\n"
    )


def export_table(prepared: Prepared, server: Peer, rounds: int) -> str:
    """Exporting every row to a file, and over HTTP, beside COPY of the features as PostGIS writes them."""
    path, rows = BUILD / "exported", prepared.rows
    peaks: dict[str, dict[int, float]] = {"export": {}, "FlatGeobuf": {}}

    def export(name: str, format: str) -> None:
        command = prepared.command("export", "--format", format, path)
        # Of one run: of the process and of the programs that it starts.
        found = peaks[name] = {}
        with subprocess.Popen(command, cwd=prepared.project, env=prepared.environment) as process:
            # Not what the kernel counts for it in the end, which is at least what this process had when it forked.
            while process.poll() is None:
                for pid in [process.pid, *programs(process.pid)]:
                    found[pid] = max(found.get(pid, 0), peak_megabytes(pid))
                time.sleep(0.02)
        assert process.returncode == 0

    def copy() -> None:
        with prepared.cursor() as cursor, path.open("wb") as file:
            cursor.copy_expert(f"COPY ({AS_TEXT}) TO STDOUT", file)

    def stream() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/collections/facilities/items?f=jsonseq")
        with connection.getresponse() as response:
            features = 0
            while part := response.read(1 << 16):
                features += part.count(b"\x1e")
        assert features >= rows, features

    ways: dict[str, Callable[[], None]] = {
        "export": lambda: export("export", "geojsonseq"),
        "FlatGeobuf": lambda: export("FlatGeobuf", "flatgeobuf"),
        "HTTP": stream,
        "copy": copy,
    }
    spent = _in_turns(ways, rounds)
    path.unlink()
    rss = {name: list(found.values()) for name, found in peaks.items()}
    rss["HTTP"] = [peak_megabytes(server.pid)]
    return "".join(
        f"| {name} of {rows:,} features | {_rate(rows, spent[name])} | {_rate(rows, spent['copy'])} "
        f"| {ratio(spent['copy'], spent[name])} | {' and '.join(f'{each:.0f}' for each in rss[name])} MB |\n"
        for name in ("export", "FlatGeobuf", "HTTP")
    )


def download_table(server: Peer, rows: int, rounds: int) -> str:
    """Reading features into geopandas: from pages of GeoJSON, and from files of a query."""
    items = f"http://127.0.0.1:{server.port}/collections/facilities/items"
    memory: dict[str, list[float]] = {"pages": [], "parquet": [], "fgb": []}
    script = ROOT / "benchmarks" / "into_geopandas.py"

    def read(way: str) -> float:
        command = [str(PEERS_PYTHON), str(script), way, items, str(rows)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                memory[way] += map(peak_megabytes, programs(server.pid))
                time.sleep(0.02)
            assert process.stdout is not None
            # Without the start of Python and the imports.
            return float(process.stdout.read())

    taken = _in_turns({way: partial(read, way) for way in memory}, rounds)
    service = peak_megabytes(server.pid)
    return (
        f"\n| {rows:,} features into geopandas | the rate | of that of pages of GeoJSON"
        " | peak memory of the service | and of the program |\n|---|---|---|---|---|\n"
        + "".join(
            f"| {name} | {_rate(rows, taken[way])} | {ratio(taken['pages'], taken[way])}"
            f" | {service:.0f} MB | {max(memory[way], default=0):.0f} MB |\n"
            for name, way in (("GeoParquet", "parquet"), ("FlatGeobuf", "fgb"))
        )
    )


def programs(pid: int) -> list[int]:
    """The processes that a process has started."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    try:
        return [int(child) for children in lists for child in children.read_text().split()]
    except OSError:
        # It has ended, or one of its threads.
        return []


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had at once."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        # It has ended.
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _in_turns(
    ways: Mapping[str, Callable[[], float | None]],
    rounds: int,
    before: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of each way, round by round: those that it returns, or that it takes."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in random.Random(number).sample(list(ways), len(ways)):
            before()
            start = time.perf_counter()
            seconds = ways[name]()
            spent[name].append(time.perf_counter() - start if seconds is None else seconds)
    return spent


def _rate(rows: int, seconds: list[float]) -> str:
    return f"{rows / sorted(seconds)[len(seconds) // 2]:,.0f}/s"
