"""Connections to PostGIS: for reading, for writing, and for sorting."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import sqlalchemy as sa

from .settings import Settings


class Database:
    """A pool of connections; made once for a process, closed at its end."""

    def __init__(self, settings: Settings) -> None:
        self.engine = sa.create_engine(
            settings.database_url,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            pool_recycle=settings.pool_recycle,
            pool_pre_ping=True,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            connect_args={
                "connect_timeout": 10,
                "options": f"-c timezone=UTC -c statement_timeout={settings.statement_timeout}s",
            },
        )
        # A single SELECT is its own transaction: BEGIN and ROLLBACK would be two more round trips.
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._work_mem = sa.text(f"SET LOCAL work_mem = '{settings.work_mem}'")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for statements that read."""
        with self._reading.connect() as connection:
            yield connection

    @contextmanager
    def sort(self) -> Iterator[sa.Connection]:
        """A connection for statements that read and sort: for one transaction it has ``work_mem``."""
        with self.engine.begin() as connection:
            connection.execute(self._work_mem)
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a transaction, committed at the end unless an exception leaves it."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()
