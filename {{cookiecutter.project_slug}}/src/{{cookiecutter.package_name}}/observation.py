"""What can be seen from outside: logs as lines of JSON, metrics for Prometheus, spans for OpenTelemetry."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .context import current
from .database import Database
from .settings import Settings

#: Seconds, from a row by its id to the default of STATEMENT_TIMEOUT.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Methods that are counted by name: a client may send any word.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


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
        return orjson.dumps(entry, default=str).decode()


def logging_config(settings: Settings) -> dict[str, Any]:
    """The configuration of logging, uvicorn's own logs included."""
    text = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    formatter = {"()": JsonFormatter} if settings.log_format == "json" else text
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
    """What Prometheus asks for; each process has its own."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Requests, by the template of their path",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=BUCKETS,
        )
        # To look for the labels takes the client of Prometheus longer than to count.
        self._labelled = cache(self._seconds.labels)
        self._rows = Counter(
            "database_rows_total",
            "Rows that PostgreSQL returned or changed",
            registry=self.registry,
        )
        self.registry.register(_Pools(database))
        ProcessCollector(registry=self.registry)
        database.count_rows = self._count_rows

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""
        method = method if method in METHODS else "OTHER"
        self._labelled(method, route, status).observe(seconds)

    def _count_rows(self, number: int) -> None:
        if number > 0:
            self._rows.inc(number)


class _Pools(Collector):
    """The pools of connections, looked at when Prometheus asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        pools = GaugeMetricFamily(
            "database_pool_connections",
            "Connections of this process: in use, idle, and as many as there may be",
            labels=["server", "state"],
        )
        for name, engine in self._database.engines.items():
            for state, number in self._database.usage(engine).items():
                pools.add_metric([name, state], number)
        yield pools
        yield GaugeMetricFamily(
            "database_pool_waiting",
            "Requests that wait for a connection",
            value=self._database.waiting,
        )
        if self._database.replica is not None:
            yield GaugeMetricFamily(
                "database_replica_lag_seconds",
                "How far the replica is behind; infinite where it does not answer",
                value=self._database.replica.lag,
            )


def trace_statements(database: Database) -> None:
    """Make a span of each statement, where OpenTelemetry is installed and configured.

    FastAPI brings the spans of the requests; FASTAPI_OTEL_AUTO_CONFIGURE and the usual OTEL_… variables configure both.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    tracer = trace.get_tracer(__name__)

    def span(statement: str) -> AbstractContextManager[Any]:
        # The names that OpenTelemetry's conventions for databases have.
        told = {"db.system.name": "postgresql", "db.query.text": statement}
        operation = statement.partition(" ")[0]
        return tracer.start_as_current_span(operation, kind=trace.SpanKind.CLIENT, attributes=told)

    database.span = span
