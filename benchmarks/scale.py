"""Measure how the service's cost grows with the table, in one run: what ``make bench-scale`` does.

A small table and a large one, each behind a process of the service, take turns. The ratios are of the large one to the small one:
of the CPU time of the service and of PostgreSQL, and of the latency. The plans are those of the
statements that the service sends for the same requests. At the end the large table gets overviews, and its tiles of the first zooms
are asked of a process that uses them and of one that does not; then pages in a box once more. Rows come by the service's own ``load``, of which the time is told, and
the spatial indexes are made once more, as for a table that had none. Each round is written beside the tables, as a line of CSV.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import measure
from measure import Line, Samples
from peers import Operations, Peer, about, box, get, of_the_service, serve_the_service, tiles
from rows import BUILD, Prepared, prepare, render, write_features

RESULTS = BUILD / "scale.md"
RAW = BUILD / "scale.csv"

#: The operation for which overviews have an index beside those of tiles.
BOX = "page of 100, box with 4,000 rows"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100_000, help="rows of the small table")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    options = parser.parse_args()
    project = render("POINT")
    with RAW.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(Line._fields)
    with ExitStack() as stack:
        small, large = (stack.enter_context(prepare(project, "POINT", 0)) for _ in range(2))
        report = [f"# Scale\n\n{options}\n\n{about(small)}"]
        between = round((options.small * options.rows) ** 0.5)
        report.append(load_table([(small, options.small), (large, between), (large, options.rows)]))
        report.append(index_table([small, large]))
        servers = [
            stack.enter_context(serve_the_service(each, f"{each.rows:,} rows"))
            for each in (small, large)
        ]
        for server, prepared in zip(servers, (small, large), strict=True):
            server.operations = operations(prepared, server)
        report.append(cost_table(servers, large, options))
        report.append(overview_table(large, options))
        for server in servers:
            server.operations = {BOX: server.operations[BOX]}
        report.append(f"With overviews:\n\n{cost_table(servers, large, options)}")
    RESULTS.write_text("\n".join(report), encoding="utf-8")
    print(f"written to {RESULTS}")
    return 0


def operations(prepared: Prepared, server: Peer) -> Operations:
    """The requests: what a box holds grows with the table, unless the box is so much smaller."""
    # Boxes and circles with so many rows are this much wider than those of 10,000,000 rows.
    wider = (10_000_000 / prepared.rows) ** 0.5
    items = "/collections/facilities/items"

    def boxed(size: float, limit: int) -> Any:
        return lambda dice: get(f"{items}?limit={limit}&bbox={box(dice, size)}")

    def around(radius: float) -> Any:
        return lambda dice: get(
            f"/facilities/nearby?lon={dice.uniform(-170, 170):.4f}&lat={dice.uniform(-50, 50):.4f}"
            f"&radius={radius:.0f}&limit=10"
        )

    kinds = of_the_service(prepared, server)
    names = ("one feature", "page of 10", "page of 1,000", "page of 10 at depth")
    return (
        {name: kinds[name] for name in names}
        | {
            "page of 10, box of 5 degrees": boxed(5, 10),
            "page of 100, box of 5 degrees": boxed(5, 100),
            "page of 10, box with 40 rows": boxed(0.48 * wider, 10),
            BOX: boxed(4.8 * wider, 100),
            "within 50 km": around(50_000),
            "within a radius of 20 rows": around(18_000 * wider),
            "10 nearest": kinds["10 nearest"],
        }
        | tiles("/collections/facilities/tiles/WebMercatorQuad/{z}/{y}/{x}", (6, 10, 14))
    )


def load_table(tables: Sequence[tuple[Prepared, int]]) -> str:
    """Fill the tables by the service's own command, with the indexes in place and made after the rows; a table may be filled more than once."""
    lines = ["| rows | load | rows/s | load --index-after | rows/s |", "|---|---|---|---|---|"]
    path = BUILD / "features.geojsonl"
    for prepared, rows in tables:
        write_features(prepared, rows, path)
        cells = [f"{rows:,}"]
        for arguments in (["load", path], ["load", "--index-after", path]):
            with prepared.cursor() as cursor:
                cursor.execute("TRUNCATE facilities RESTART IDENTITY")
            start = time.perf_counter()
            prepared.run(*arguments)
            spent = time.perf_counter() - start
            cells += [f"{spent:.1f} s", f"{rows / spent:,.0f}"]
        prepared.rows = rows
        with prepared.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE facilities")
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    path.unlink()
    return "\n".join(lines) + "\n"


def index_table(tables: Sequence[Prepared]) -> str:
    """Make the spatial indexes anew."""
    lines = ["| rows | index | made in | size | table |", "|---|---|---|---|---|"]
    for prepared in tables:
        with prepared.cursor() as cursor:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%USING gist%'"
                " AND tablename = 'facilities'"
            )
            for name, definition in cursor.fetchall():
                cursor.execute(f'DROP INDEX "{name}"')
                start = time.perf_counter()
                cursor.execute(definition)
                spent = time.perf_counter() - start
                cursor.execute(
                    "SELECT pg_size_pretty(pg_relation_size(%s)),"
                    " pg_size_pretty(pg_table_size('facilities'))",
                    (name,),
                )
                size, table = cursor.fetchone()
                lines.append(f"| {prepared.rows:,} | {name} | {spent:.1f} s | {size} | {table} |")
                print(lines[-1], flush=True)
            cursor.execute("VACUUM ANALYZE facilities")
    return "\n".join(lines) + "\n"


def cost_table(servers: Sequence[Peer], large: Prepared, options: argparse.Namespace) -> str:
    small_server, large_server = servers
    lines = [
        "| operation | CPU, small | CPU, large | ratio | p50, small | p50, large | ratio | plan of the large table |",
        "|" + "---|" * 8,
    ]
    plans = dict(plans_of(large, large_server.operations))
    for operation in large_server.operations:
        samples = turns(operation, servers, options)
        small, big = samples[small_server.name], samples[large_server.name]
        cpu = [statistics.median(each.total_ms for each in found) for found in (small, big)]
        p50 = [measure.latency(found, 0.5) for found in (small, big)]
        lines.append(
            f"| {operation} | {cpu[0]:.2f} ms | {cpu[1]:.2f} ms | {measure.cpu_ratio(big, small)} "
            f"| {p50[0]:.2f} ms | {p50[1]:.2f} ms | x{p50[1] / p50[0]:.2f} | {plans[operation]} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def overview_table(large: Prepared, options: argparse.Namespace) -> str:
    """Tiles with overviews and without: of processes that looked for overviews after they were made, and before."""
    lines = [
        "| operation | CPU, without | CPU, with | ratio | p50, without | p50, with |",
        "|" + "---|" * 6,
    ]
    path = "/collections/facilities/tiles/WebMercatorQuad/{z}/{y}/{x}"
    operations = tiles(path, (0, 1, 2, 3, 4, 6, 10))
    with ExitStack() as stack:
        without = stack.enter_context(serve_the_service(large, "without", EXTENT_LIFETIME="86400"))
        without.operations = operations
        measure.one_round(without, "tile, zoom 10", seconds=0.1, clients=1, seed=0)
        start = time.perf_counter()
        large.run("overviews")
        lines.insert(0, f"Overviews are made in {time.perf_counter() - start:.1f} s.\n")
        print(lines[0], flush=True)
        servers = [without, stack.enter_context(serve_the_service(large, "with"))]
        servers[1].operations = operations
        for operation in operations:
            samples = turns(operation, servers, options)
            cpu, p50 = [], []
            for server in servers:
                found = samples[server.name]
                cpu.append(statistics.median(each.total_ms for each in found))
                p50.append(measure.latency(found, 0.5))
            ratio = measure.cpu_ratio(samples["with"], samples["without"])
            lines.append(
                f"| {operation} | {cpu[0]:.2f} ms | {cpu[1]:.2f} ms | {ratio}"
                f" | {p50[0]:.2f} ms | {p50[1]:.2f} ms |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def turns(
    operation: str, servers: Sequence[Peer], options: argparse.Namespace
) -> dict[str, Samples]:
    """The samples of each server, which are also written as CSV."""
    samples = measure.in_turns(
        operation, servers, rounds=options.rounds, seconds=options.seconds, clients=1
    )
    with RAW.open("a", encoding="utf-8", newline="") as file:
        for name, rounds in samples.items():
            csv.writer(file).writerows(Line.of(operation, name, 1, each) for each in rounds)
    return samples


def plans_of(prepared: Prepared, operations: Operations) -> Iterator[tuple[str, str]]:
    """How PostgreSQL reads the table for each operation: by all the statements that the service sends for it."""
    sys.path.insert(0, str(prepared.project / "src"))
    os.environ["DATABASE_URL"] = prepared.url
    from starlette.testclient import TestClient

    app = import_module(f"{prepared.package}.main").create_app()
    database, sent = app.state.database, []

    def noted(send: Callable[..., Any]) -> Callable[..., Any]:
        def note(statement: Any, given: dict[str, Any]) -> Any:
            sent.append((statement.text, statement.values(given)))
            return send(statement, given)

        return note

    database.fetch = noted(database.fetch)
    with TestClient(app) as client, prepared.cursor() as cursor:
        for name, make in operations.items():
            sent.clear()
            assert client.get(make(random.Random(name)).path).status_code in (200, 204)
            found: list[str] = []
            for statement, values in sent:
                if statement.startswith("EXPLAIN"):
                    continue
                cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
                found += scans(cursor.fetchone()[0][0]["Plan"])
            yield name, ", ".join(dict.fromkeys(found))


def scans(node: dict[str, Any]) -> Iterator[str]:
    """The ways in which a plan reads tables."""
    if "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Heap Scan":
        of = node.get("Index Name") or node.get("Relation Name")
        if of is not None:
            yield f"{node['Node Type']} of {of}"
    for child in node.get("Plans", ()):
        yield from scans(child)


if __name__ == "__main__":
    sys.exit(main())
