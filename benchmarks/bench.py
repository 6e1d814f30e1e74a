"""Measure the rendered service beside its peers, in one run: what ``make bench`` does.

Each server is a process of its own, on the same PostGIS and the same rows. For each operation the servers take turns, round by
round, so that noise meets them all alike. What counts is the CPU time of the server's process for a request, and its ratio to
the rendered service's: the median over the rounds, with the spread between the quartiles.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from peers import Peer, Request, peers, versions
from rows import BUILD, prepare

RESULTS = BUILD / "results.md"

#: Clock ticks of the kernel's accounting in a second.
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    """One round of one operation on one server."""

    cpu_ms: float
    per_second: float
    latencies_ms: list[float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--clients", type=int, default=2, help="connections at once")
    parser.add_argument("--shapes", nargs="*", default=["POINT", "POLYGON"])
    parser.add_argument("--only", nargs="*", help="operations")
    options = parser.parse_args()
    report = [f"# Benchmark\n\n{versions()}\n\n{options}\n"]
    for shape in options.shapes:
        with ExitStack() as stack:
            database = stack.enter_context(prepare(shape, options.rows))
            servers = stack.enter_context(peers(database))
            report.append(f"\n## {shape}, {options.rows:,} rows\n")
            report.append(table(servers, options))
            print(report[-1], flush=True)
    RESULTS.write_text("".join(report), encoding="utf-8")
    print(f"written to {RESULTS}")
    return 0


def table(servers: Sequence[Peer], options: argparse.Namespace) -> str:
    """A Markdown table: an operation a row, a server a column."""
    ours = servers[0]
    lines = ["| operation | " + " | ".join(server.name for server in servers) + " |"]
    lines.append("|" + "---|" * (len(servers) + 1))
    for operation in ours.operations:
        if options.only and operation not in options.only:
            continue
        able = [server for server in servers if operation in server.operations]
        samples = measure(operation, able, options)
        cells = [cell(server, ours, samples) for server in servers]
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def cell(server: Peer, ours: Peer, samples: dict[str, list[Sample]]) -> str:
    """CPU, its ratio to ours with the quartiles, requests per second, p50 and p99."""
    if server.name not in samples:
        return "-"
    mine = samples[server.name]
    ratios = [a.cpu_ms / b.cpu_ms for a, b in zip(mine, samples[ours.name], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    latencies = sorted(latency for sample in mine for latency in sample.latencies_ms)
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.50, 0.99))
    cpu = statistics.median(sample.cpu_ms for sample in mine)
    rate = statistics.median(sample.per_second for sample in mine)
    ratio = (
        "" if server is ours else f" **x{statistics.median(ratios):.2f}** ({low:.2f} to {high:.2f})"
    )
    return f"{cpu:.2f} ms{ratio}<br>{rate:.0f}/s, {p50:.1f}/{p99:.1f} ms"


def measure(
    operation: str, servers: Sequence[Peer], options: argparse.Namespace
) -> dict[str, list[Sample]]:
    """The samples of each server, taken in turns."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    for server in servers:
        run(server, operation, options, seconds=options.seconds / 4, seed=0)
    for number in range(options.rounds):
        for server in random.Random(number).sample(servers, len(servers)):
            samples[server.name].append(
                run(server, operation, options, seconds=options.seconds, seed=number)
            )
    return samples


def run(
    server: Peer, operation: str, options: argparse.Namespace, *, seconds: float, seed: int
) -> Sample:
    """Send requests for a while over a few connections."""
    latencies: list[float] = []
    make = server.operations[operation]
    before, start = cpu_seconds(server), time.perf_counter()
    threads = [
        threading.Thread(
            target=client,
            args=(server, make, random.Random(f"{seed}/{n}"), start + seconds, latencies),
        )
        for n in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    cpu = cpu_seconds(server) - before
    if not latencies:
        raise RuntimeError(f"{server.name}: no answer to {operation}")
    return Sample(cpu / len(latencies) * 1e3, len(latencies) / elapsed, latencies)


def client(
    server: Peer,
    make: Callable[[random.Random], Request],
    dice: random.Random,
    end: float,
    latencies: list[float],
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    while time.perf_counter() < end:
        request = make(dice)
        start = time.perf_counter()
        connection.request(request.method, request.path, request.body, request.headers)
        response = connection.getresponse()
        body = response.read()
        if response.status not in (200, 201, 204):
            raise RuntimeError(f"{server.name}: {request.path}: {response.status} {body[:300]!r}")
        latencies.append((time.perf_counter() - start) * 1e3)
    connection.close()


def cpu_seconds(server: Peer) -> float:
    """User and system time that a server's process has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    sys.exit(main())
