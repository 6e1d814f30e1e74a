"""Logs as lines of JSON, or as lines for people."""

import logging
import re
from datetime import UTC, datetime
from typing import Any

import orjson
from opentelemetry import trace

from geotables.context import current
from geotables.settings import ServiceSettings

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
