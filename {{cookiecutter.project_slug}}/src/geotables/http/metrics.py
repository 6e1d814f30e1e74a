"""Metrics for Prometheus."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from geotables.db.database import Database

#: Seconds, from a row by its id to the default of STATEMENT_TIMEOUT.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Methods that are counted by name: a client may send any word.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

#: The variable that names the folder in which the processes of a server add up their metrics.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics of this process, or of all processes of the server that share a folder (METRICS_FOLDER)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = CollectorRegistry()
        folder = os.environ.get(METRICS_FOLDER)
        self._together = Path(folder) if folder else None
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Requests, by the template of their path",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._rows = Counter(
            "database_rows_total",
            "Rows that PostgreSQL returned or changed",
            registry=self._registry,
        )
        self._connections = Gauge(
            "database_pool_connections",
            "Connections: in use, idle, and as many as there may be",
            ["server", "state"],
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "database_pool_waiting",
            "Requests that wait for a connection",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        if database.replica is not None:
            self._lag = Gauge(
                "database_replica_lag_seconds",
                "How far the replica is behind; infinite where it does not answer",
                registry=self._registry,
                multiprocess_mode="livemax",
            )
        if self._together is None:
            ProcessCollector(registry=self._registry)
        self.look()

    @property
    def is_shared(self) -> bool:
        """Whether other processes of the server read the metrics of this one."""
        return self._together is not None

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        method = method if method in METHODS else "OTHER"
        self._seconds.labels(method, route, status).observe(seconds)

    def look(self) -> None:
        """Record the pools of this process; the other processes record theirs every second."""
        for name, engine in self._database.engines.items():
            for state, number in self._database.usage(engine).items():
                self._connections.labels(name, state).set(number)
        self._waiting.set(self._database.waiting)
        if self._database.replica is not None:
            self._lag.set(self._database.replica.lag)

    def exposition(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        self.look()
        if self._together is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        living = _living(self._together)
        MultiProcessCollector(registry, str(self._together))  # type: ignore[no-untyped-call]
        registry.register(_Processes(living))
        return generate_latest(registry)

    def count_rows(self, number: int) -> None:
        """Count the rows that a statement returned or changed, if it tells."""
        if number > 0:
            self._rows.inc(number)


def _living(folder: Path) -> list[int]:
    """The processes with metrics in a folder that still run; the gauges of the others are removed."""
    living = []
    for process in sorted({int(file.stem.rpartition("_")[2]) for file in folder.glob("*.db")}):
        try:
            os.kill(process, 0)
        except OSError:
            # It has ended; the system may have given its number to another user's.
            mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
        else:
            living.append(process)
    return living


class _Processes(Collector):
    """Processor time, memory and files of processes, each with its number as a label."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for process in self._processes:
            collector = ProcessCollector(pid=partial(str, process), registry=None)
            for found in collector.collect():
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type)
                )
                for sample in found.samples:
                    family.add_sample(sample.name, {"pid": str(process)}, sample.value)
        yield from families.values()
