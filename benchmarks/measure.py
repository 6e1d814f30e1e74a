"""Requests to servers in turns, and what each costs: CPU time of the server's process, requests per second, latency."""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from peers import Peer, Request, sent


@dataclass
class Sample:
    """One round of one operation on one server."""

    cpu_ms: float
    per_second: float
    latencies_ms: list[float]


class Ratio(NamedTuple):
    """A ratio of two servers' rounds, round by round: the median, and the quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"**x{self.median:.2f}** ({self.low:.2f} to {self.high:.2f})"


Samples = list[Sample]


def in_turns(
    operation: str, servers: Sequence[Peer], *, rounds: int, seconds: float, clients: int
) -> dict[str, Samples]:
    """The samples of each server by its name: round by round, each time in another order."""
    samples: dict[str, Samples] = {server.name: [] for server in servers}
    for server in servers:
        one_round(server, operation, seconds=seconds / 4, clients=clients, seed=-1)
    for number in range(rounds):
        # The same requests go to all of them.
        for server in random.Random(number).sample(servers, len(servers)):
            samples[server.name].append(
                one_round(server, operation, seconds=seconds, clients=clients, seed=number)
            )
    return samples


def one_round(server: Peer, operation: str, *, seconds: float, clients: int, seed: int) -> Sample:
    """Send requests for a while over a few connections."""
    latencies: list[float] = []
    errors: list[Exception] = []
    make = server.operations[operation]
    before, start = cpu_seconds(server.pid), time.perf_counter()
    threads = [
        threading.Thread(
            target=_client,
            args=(server, make, random.Random(f"{seed}/{n}"), start + seconds, latencies, errors),
        )
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    cpu = cpu_seconds(server.pid) - before
    if errors:
        raise errors[0]
    return Sample(cpu / len(latencies) * 1e3, len(latencies) / elapsed, latencies)


def _client(
    server: Peer,
    make: Callable[[random.Random], Request],
    dice: random.Random,
    end: float,
    latencies: list[float],
    errors: list[Exception],
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        while not latencies or time.perf_counter() < end:
            request = make(dice)
            start = time.perf_counter()
            sent(connection, server, request)
            latencies.append((time.perf_counter() - start) * 1e3)
    except Exception as error:
        errors.append(error)
    finally:
        connection.close()


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    # What clock_getcpuclockid(3) gives on Linux: nanoseconds, where /proc has hundredths of a second.
    return time.clock_gettime((~pid << 3) | 2)


def ratio(mine: Sequence[float], ours: Sequence[float]) -> Ratio:
    ratios = [a / b for a, b in zip(mine, ours, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Ratio(median, low, high)


def cpu_ratio(mine: Samples, ours: Samples) -> Ratio:
    """How many times as much CPU time a request takes, of one server and another."""
    return ratio([each.cpu_ms for each in mine], [each.cpu_ms for each in ours])


def latency(samples: Samples, share: float) -> float:
    """Milliseconds in which a share of the requests was answered."""
    latencies = sorted(latency for sample in samples for latency in sample.latencies_ms)
    return latencies[int(len(latencies) * share)]
