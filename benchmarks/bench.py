"""Measure the rendered service beside its peers, in one run: what ``make bench`` does.

Each server is a process of its own, on the same PostGIS and the same rows. For each operation the servers take turns, round by
round, so that noise meets them all alike. What counts is the CPU time of a request, of the server's process and of PostgreSQL's together,
requests per second and latency, each as a ratio to the rendered service's: the median over the rounds. What was measured is
written beside the tables, as CSV: a line for each round.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import measure
from bulk import download_table, export_table, load_table
from measure import Line, Samples
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
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[1, 2, 8], help="connections at once"
    )
    parser.add_argument("--shapes", nargs="*", default=["POINT", "POLYGON"])
    parser.add_argument(
        "--load", type=int, nargs="+", default=[50_000, 500_000], help="features to load"
    )
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
        tables.append(requests_tables(servers, shape, options))
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
                + "".join(load_table(empty, features, rounds) for features in options.load)
                + export_table(database, fresh, rounds)
                + download_table(fresh, min(options.rows, 1_000_000), rounds)
            )
            print(tables[-1], flush=True)
    return tables


def requests_tables(servers: Sequence[Peer], shape: str, options: argparse.Namespace) -> str:
    """Markdown tables, an operation a row, a server a column: CPU, rate and latency. The CPU also as a plot, and all as CSV."""
    ours = servers[0]
    few, many = min(options.clients), max(options.clients)
    head = [
        f"| {{}} | {' | '.join(server.name for server in servers)} |",
        "|" + "---|" * (len(servers) + 1),
    ]
    cpu = [head[0].format("CPU of a request"), head[1]]
    rate = [head[0].format(f"requests per second, {many} connections"), head[1]]
    latency = [head[0].format(f"median latency, {few} connection{'s' * (few > 1)}"), head[1]]
    points = []
    with (BUILD / f"{shape.lower()}.csv").open("w", encoding="utf-8", newline="") as file:
        raw = csv.writer(file)
        raw.writerow(Line._fields)
        for operation in ours.operations:
            if options.only and operation not in options.only:
                continue
            able = [server for server in servers if operation in server.operations]
            samples = {each: turns(operation, able, each, options) for each in options.clients}
            for clients, found in samples.items():
                for name, rounds in found.items():
                    raw.writerows(Line.of(operation, name, clients, each) for each in rounds)
            joined = {
                each.name: [s for found in samples.values() for s in found[each.name]]
                for each in able
            }
            reference = joined[ours.name]
            points += [
                Point(operation, name, measure.cpu_ratio(mine, reference))
                for name, mine in joined.items()
            ]
            cpu.append(row(operation, servers, joined, cpu_cell))
            rate.append(row(operation, servers, samples[many], rate_cell))
            latency.append(row(operation, servers, samples[few], latency_cell))
            print(cpu[-1], rate[-1], latency[-1], sep="\n", flush=True)
    title = f"{shape}, {options.rows:,} rows: CPU of a request, as a multiple of the service's"
    (BUILD / f"{shape.lower()}.svg").write_text(svg(title, points), encoding="utf-8")
    return "\n\n".join("\n".join(table) for table in (cpu, rate, latency)) + "\n"


def row(
    operation: str,
    servers: Sequence[Peer],
    samples: dict[str, Samples],
    cell: Callable[[Samples, Samples], str],
) -> str:
    ours = samples[servers[0].name]
    cells = [cell(samples[each.name], ours) if each.name in samples else "" for each in servers]
    return f"| {operation} | {' | '.join(cells)} |"


def in_space_table(shuffled: Peer, ordered: Peer, options: argparse.Namespace) -> str:
    samples = turns(IN_A_BOX, [shuffled, ordered], min(options.clients), options)
    first, second = samples[shuffled.name], samples[ordered.name]
    table = (
        "\n| CPU of a request | rows as they came | rows sorted in space |\n|---|---|---|\n"
        f"| {IN_A_BOX} | {cpu_cell(first, first)} | {cpu_cell(second, first)} |\n"
    )
    print(table, flush=True)
    return table


def turns(
    operation: str, servers: Sequence[Peer], clients: int, options: argparse.Namespace
) -> dict[str, Samples]:
    return measure.in_turns(
        operation, servers, rounds=options.rounds, seconds=options.seconds, clients=clients
    )


def cpu_cell(mine: Samples, ours: Samples) -> str:
    """The ratio to ours; of ours, the milliseconds, and which part of them is PostgreSQL's."""
    if mine is not ours:
        return f"{measure.cpu_ratio(mine, ours).median:.2f}"
    total = statistics.median(each.total_ms for each in ours)
    share = statistics.median(each.database_ms / each.total_ms for each in ours)
    return f"{total:.2f} ms, {share:.0%} PostgreSQL"


def rate_cell(mine: Samples, ours: Samples) -> str:
    rates = [[each.per_second for each in samples] for samples in (mine, ours)]
    return (
        f"{statistics.median(rates[1]):,.0f}/s"
        if mine is ours
        else f"{measure.ratio(*rates).median:.2f}"
    )


def latency_cell(mine: Samples, ours: Samples) -> str:
    p50 = measure.latency(ours, 0.50)
    return f"{p50:.1f} ms" if mine is ours else f"{measure.latency(mine, 0.50) / p50:.2f}"


if __name__ == "__main__":
    sys.exit(main())
