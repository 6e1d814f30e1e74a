"""Spans for OpenTelemetry."""

from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace

from geotables.db.database import Database


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
