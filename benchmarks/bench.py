"""Measure the rendered service beside its peers, in one run: what ``make bench`` does.

Each server is a process of its own, on the same PostGIS and the same rows. For each operation the servers take turns, round by
round, so that noise meets them all alike. What counts is the CPU time of the server's process for a request, and its ratio to
the rendered service's: the median over the rounds, with the spread between the quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import measure
from bulk import export_table, load_table
from measure import Samples
from peers import Peer, about, about_the_peers, peers, see_that_they_agree, serve_another
from plot import Point, svg
from rows import BUILD, prepare, render

RESULTS = BUILD / "results.md"

#: The operation that is measured on rows sorted in space, too.
IN_A_BOX = "page of 100 in a box"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--clients", type=int, default=2, help="connections at once")
    parser.add_argument("--shapes", nargs="*", default=["POINT", "POLYGON"])
    parser.add_argument("--load", type=int, default=100_000, help="features to load")
    parser.add_argument("--only", nargs="*", help="operations; no loading, no export")
    options = parser.parse_args()
    report = [f"# Benchmark\n\n{options}\n"]
    for shape in options.shapes:
        report.append(f"\n## {shape}, {options.rows:,} rows\n\n")
        print(report[-1], flush=True)
        report += measured(shape, options)
    RESULTS.write_text("".join(report), encoding="utf-8")
    print(f"written to {RESULTS} and beside it")
    return 0


def measured(shape: str, options: argparse.Namespace) -> list[str]:
    """The tables of a geometry type."""
    project = render(shape)
    with ExitStack() as stack:
        database = stack.enter_context(prepare(project, shape, options.rows))
        servers = stack.enter_context(peers(database))
        tables = [about(database), about_the_peers(), see_that_they_agree(servers, database)]
        print(*tables, sep="", flush=True)
        tables.append(requests_table(servers, shape, options))
        if not options.only or IN_A_BOX in options.only:
            ordered = stack.enter_context(
                prepare(project, shape, options.rows, sorted_in_space=True)
            )
            other = stack.enter_context(serve_another(ordered, servers[0]))
            tables.append(in_space_table(servers[0], other, options))
        if not options.only:
            # Of a process that has answered nothing yet, the memory is that of a stream alone.
            fresh = stack.enter_context(serve_another(database, servers[0]))
            empty = stack.enter_context(prepare(project, shape, 0))
            rounds = min(options.rounds, 5)
            tables.append(
                "\n| | the service | COPY | the service's rate, of COPY's | peak memory |\n|---|---|---|---|---|\n"
                + load_table(empty, options.load, rounds)
                + export_table(database, fresh, rounds)
            )
            print(tables[-1], flush=True)
    return tables


def requests_table(servers: Sequence[Peer], shape: str, options: argparse.Namespace) -> str:
    """A Markdown table, an operation a row, a server a column; and the same as a plot."""
    ours = servers[0]
    lines = ["| operation | " + " | ".join(server.name for server in servers) + " |"]
    lines.append("|" + "---|" * (len(servers) + 1))
    points = []
    for operation in ours.operations:
        if options.only and operation not in options.only:
            continue
        able = [server for server in servers if operation in server.operations]
        samples = turns(operation, able, options)
        cells = [
            cell(samples[server.name], samples[ours.name]) if server in able else "-"
            for server in servers
        ]
        points += [
            Point(operation, name, measure.cpu_ratio(mine, samples[ours.name]))
            for name, mine in samples.items()
        ]
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    title = f"{shape}, {options.rows:,} rows: CPU of a request, as a multiple of the service's"
    (BUILD / f"{shape.lower()}.svg").write_text(svg(title, points), encoding="utf-8")
    return "\n".join(lines) + "\n"


def in_space_table(shuffled: Peer, ordered: Peer, options: argparse.Namespace) -> str:
    samples = turns(IN_A_BOX, [shuffled, ordered], options)
    first, second = samples[shuffled.name], samples[ordered.name]
    table = (
        "\n| | rows as they came | rows sorted in space |\n|---|---|---|\n"
        f"| {IN_A_BOX} | {cell(first, first)} | {cell(second, first)} |\n"
    )
    print(table, flush=True)
    return table


def turns(
    operation: str, servers: Sequence[Peer], options: argparse.Namespace
) -> dict[str, Samples]:
    return measure.in_turns(
        operation,
        servers,
        rounds=options.rounds,
        seconds=options.seconds,
        clients=options.clients,
    )


def cell(mine: Samples, ours: Samples) -> str:
    """CPU, its ratio to ours with the quartiles, requests per second, p50 and p99."""
    cpu = statistics.median(sample.cpu_ms for sample in mine)
    rate = statistics.median(sample.per_second for sample in mine)
    compared = "" if mine is ours else f" {measure.cpu_ratio(mine, ours)}"
    p50, p99 = (measure.latency(mine, share) for share in (0.50, 0.99))
    return f"{cpu:.2f} ms{compared}<br>{rate:.0f}/s, {p50:.1f}/{p99:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
