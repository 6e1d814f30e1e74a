"""What can be seen from outside: logs as lines of JSON, metrics for Prometheus, spans for OpenTelemetry."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from opentelemetry import trace
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

from geotables.context import current
from geotables.db.database import Database
from geotables.settings import ServiceSettings

#: Seconds, from a row by its id to the default of STATEMENT_TIMEOUT.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Methods that are counted by name: a client may send any word.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


#: The variable that names the folder in which the processes of a server add up their metrics.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

#: Characters that end a line or control a terminal. A client may send any of them: in a path, a header, a value.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: what was logged, and the request that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current.get().request_id:
            entry["request_id"] = request_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            entry["trace_id"] = format(span.trace_id, "032x")
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = orjson.dumps(entry, default=str).decode()
        # JSON escapes the first 32 only.
        return CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


class TextFormatter(logging.Formatter):
    """A record as a line for people; the lines of a traceback are indented, so that none can pass for a record."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _visible(super().formatMessage(record))

    def formatException(self, exception: Any) -> str:
        lines = super().formatException(exception).split("\n")
        return "\n".join(f"    {_visible(line)}" for line in lines)


def _visible(text: str) -> str:
    """Text without control characters: each is written as its escape sequence."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def logging_config(settings: ServiceSettings) -> dict[str, Any]:
    """The configuration of logging, uvicorn's own logs included."""
    formatter = {"()": JsonFormatter if settings.log_format == "json" else TextFormatter}
    handler = {
        "class": "logging.StreamHandler",
        "formatter": "chosen",
        "stream": "ext://sys.stdout",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": formatter},
        "handlers": {"stdout": handler},
        # Alembic lists its plugins at every start.
        "loggers": {"alembic.runtime.plugins": {"level": "WARNING"}},
        "root": {"handlers": ["stdout"], "level": settings.log_level.upper()},
    }


class Metrics:
    """What Prometheus asks for: of this process, or of all processes of the server that share a folder (METRICS_FOLDER)."""

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
        """Whether other processes read what this one takes note of."""
        return self._together is not None

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""
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
        """All of it in the text format of Prometheus."""
        self.look()
        if self._together is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        living = _living(self._together)
        MultiProcessCollector(registry, str(self._together))  # type: ignore[no-untyped-call]
        registry.register(_Processes(living))
        return generate_latest(registry)

    def count_rows(self, number: int) -> None:
        """Take note of the rows that a statement returned or changed, if it tells."""
        if number > 0:
            self._rows.inc(number)


def _living(folder: Path) -> list[int]:
    """The processes that still run of those with metrics in a folder; the gauges of the others go."""
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


def trace_statements(database: Database) -> None:
    """Make a span of each statement, where OpenTelemetry is installed and configured.

    FastAPI brings the spans of the requests; FASTAPI_OTEL_AUTO_CONFIGURE and the usual OTEL_… variables configure both.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    tracer = trace.get_tracer(__name__)

    def span(statement: str) -> AbstractContextManager[Any]:
        # The names that OpenTelemetry's conventions for databases have.
        attributes = {"db.system.name": "postgresql", "db.query.text": statement}
        operation = statement.partition(" ")[0]
        return tracer.start_as_current_span(
            operation, kind=trace.SpanKind.CLIENT, attributes=attributes
        )

    database.span = span
