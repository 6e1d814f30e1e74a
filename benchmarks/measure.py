"""Requests to servers in turns, and what each costs: CPU time of the server and of PostgreSQL, requests per second, latency."""

from __future__ import annotations

import http.client
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from peers import Peer, Request, sent

#: The unit of the times in /proc.
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    """One round of one operation on one server.

    Attributes:
        cpu_ms: CPU time of the server's process for a request.
        database_ms: CPU time of PostgreSQL's processes for it.
        per_second: Requests.
        latencies_ms: Of each request.
    """

    cpu_ms: float
    database_ms: float
    per_second: float
    latencies_ms: list[float]

    @property
    def total_ms(self) -> float:
        return self.cpu_ms + self.database_ms


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
    before, start = spent(server), time.perf_counter()
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
    cpu, database = (
        (after - then) / len(latencies) * 1e3
        for after, then in zip(spent(server), before, strict=True)
    )
    if errors:
        raise errors[0]
    return Sample(cpu, database, len(latencies) / elapsed, latencies)


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


def spent(server: Peer) -> tuple[float, float]:
    """CPU seconds of a server's process, and of all processes of its PostgreSQL: backends, workers, writers."""
    return cpu_seconds(server.pid), tree_seconds(server.postmaster)


def tree_seconds(pid: int) -> float:
    """User and system time of a process and its children, also of those that have ended."""
    # proc(5): after the name in brackets, the 14th to 17th field are utime, stime, cutime and cstime.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = sum(map(int, fields[11:15])) / TICKS
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        # One that has ended meanwhile is counted for its parent next time.
        with suppress(OSError):
            seconds += cpu_seconds(int(child))
    return seconds


def ratio(mine: Sequence[float], ours: Sequence[float]) -> Ratio:
    ratios = [a / b for a, b in zip(mine, ours, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Ratio(median, low, high)


def cpu_ratio(mine: Samples, ours: Samples) -> Ratio:
    """How many times as much CPU time a request takes of one server as of another, that of PostgreSQL included."""
    return ratio([each.total_ms for each in mine], [each.total_ms for each in ours])


def latency(samples: Samples, share: float) -> float:
    """Milliseconds in which a share of the requests was answered."""
    latencies = sorted(latency for sample in samples for latency in sample.latencies_ms)
    return latencies[int(len(latencies) * share)]


class Line(NamedTuple):
    """A round, as a line of CSV."""

    operation: str
    server: str
    connections: int
    requests: int
    server_cpu_ms: float
    postgresql_cpu_ms: float
    per_second: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, operation: str, server: str, connections: int, sample: Sample) -> Line:
        measured = (sample.cpu_ms, sample.database_ms, sample.per_second)
        p50, p99 = (latency([sample], share) for share in (0.50, 0.99))
        numbers = (round(each, 3) for each in (*measured, p50, p99))
        return cls(operation, server, connections, len(sample.latencies_ms), *numbers)
