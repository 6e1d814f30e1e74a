"""Connections to PostGIS, for reading and for writing, and what is sent over them."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import STATUS_READY
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from geotables.context import current
from geotables.db.hung_connections import USED, HungConnections
from geotables.db.replica import Replica
from geotables.db.statements import Row, Statement, json_text
from geotables.settings import ServiceSettings

#: How libpq notices that a server is gone (in seconds, the last in milliseconds), unless a URL says otherwise.
NETWORK = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

#: PostgreSQL's error code (SQLSTATE) of a write where only reading is possible.
READ_ONLY = "25006"

#: The same of a statement that was cancelled: by its timeout, for a client that has left, or by Ctrl-C.
CANCELED = "57014"

#: How many connections the server has for roles that are no superusers.
CONNECTIONS = sa.text(
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " AS available"
)

#: What PostgreSQL, or PgBouncer, says to a new session when it has no connection left: it lives, and is busy.
NONE_LEFT = re.compile(r"too many (?:clients|connections)|connection slots|no more connections")

#: Seconds to wait for a connection before looking whether the client still waits.
SLICE = 0.25

#: What a connection is lent out as: SQLAlchemy's, or the driver's in the pool's wrapping.
Lent = TypeVar("Lent", sa.Connection, PoolProxiedConnection)


class Database:
    """Pools of connections to the primary server, and to a replica if there is one.

    Made once for a process, closed at its end.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        # Sent along with statements, not when connecting: PgBouncer takes no options, and gives each transaction
        # another session. They hold for one transaction, which a statement without BEGIN is as well.
        self._limits = (
            "SET LOCAL TimeZone = 'UTC'; "
            f"SET LOCAL statement_timeout = '{settings.statement_timeout}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{settings.idle_timeout}s'; "
        )
        self._work_mem = f"SET LOCAL work_mem = '{settings.work_mem}'; "
        self._single_process = "SET LOCAL max_parallel_workers_per_gather = 0; "
        # A server that still runs gives a statement up by itself.
        self.hung_connections = HungConnections(settings.statement_timeout + 5)
        self._primary = self._engine(settings.database_url, settings)
        #: The primary server, in transactions.
        self.engine = self._primary.execution_options(isolation_level="READ COMMITTED")
        # The same for sessions, by the driver's own switch: see ``_transaction``.
        self._in_transactions = self._primary.execution_options(in_transactions=True)
        sa.event.listen(self._in_transactions, "engine_connect", _leave_autocommit)
        sa.event.listen(self._primary, "checkin", _return_to_autocommit)
        # Whether a server that the pool is connected to was found to take no writes.
        self._read_only = False
        sa.event.listen(self._primary, "handle_error", self._note_refusal)
        sa.event.listen(self._primary, "checkout", self._leave_read_only)
        self.engines = {"primary": self._primary}
        self.replica: Replica | None = None
        if settings.database_read_url is not None:
            self.engines["replica"] = self._engine(settings.database_read_url, settings)
            self.replica = Replica(self.engines["replica"], self._primary, settings.max_replica_lag)
        # Threads, of which each adds and removes itself.
        self._waiting: set[int] = set()
        self._timeout = settings.pool_timeout
        self._limit = settings.pool_size + settings.max_overflow
        # A client may take long to read a stream: streams use at most half of the pool.
        self._streams = threading.BoundedSemaphore(max(1, self._limit // 2))
        #: Called with the text of each statement; what it returns is entered while the statement runs.
        self.span: Callable[[str], AbstractContextManager[Any]] = nullcontext
        #: Called with the number of rows that each statement has returned or changed.
        self.count_rows: Callable[[int], None] = lambda number: None
        #: How often this process has written: what it keeps of the rows is out of date after that.
        self.writes = 0

    def _engine(self, url: sa.URL, settings: ServiceSettings) -> sa.Engine:
        engine = sa.create_engine(
            url,
            # A single SELECT is its own transaction: BEGIN and ROLLBACK would be two more round trips.
            isolation_level="AUTOCOMMIT",
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=min(settings.pool_timeout, SLICE),
            pool_recycle=settings.pool_recycle,
            # There is nothing to roll back: what begins a transaction ends it.
            pool_reset_on_return=None,
            json_serializer=json_text,
            connect_args={
                **{name: NETWORK[name] for name in NETWORK.keys() - url.query.keys()},
                # Over what a role or the environment sets: tiles and streams are sent on as they come.
                "client_encoding": "utf8",
            },
        )
        self.hung_connections.watch(engine)
        sa.event.listen(engine, "do_execute", self._execute)
        return engine

    def _execute(self, cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        """Send a statement of SQLAlchemy's."""
        with self.span(statement):
            cursor.execute(self._complete(cursor, statement), parameters)
        self.count_rows(cursor.rowcount)
        # It is done; SQLAlchemy would do it again.
        return True

    def _complete(self, cursor: Any, statement: str, needs: str = "") -> str:
        """A statement with the id of the request and, where it begins a transaction, its limits and what it needs.

        Raises:
            ClientGone: The client has left.
        """
        context = current.get()
        context.check()
        if cursor.name is not None:
            # Of a named cursor, psycopg2 makes a declaration that nothing can stand before.
            return statement
        if cursor.connection.status == STATUS_READY:
            statement = f"{self._limits}{needs}{statement}"
        if context.request_id:
            statement = f"/* request {context.request_id} */ {statement}"
        return statement

    def fetch(self, statement: Statement, given: Mapping[str, Any]) -> list[Row]:
        """The rows of a statement that reads, in a transaction of its own.

        Args:
            statement: The statement.
            given: The values of its parameters that differ from use to use, by their names.

        Raises:
            sqlalchemy.exc.DBAPIError: PostgreSQL refuses it, or is gone.
            sqlalchemy.exc.TimeoutError: Every connection is in use.
        """
        values = statement.values(given)
        return self._rows(self._to_read(sa.Engine.raw_connection), statement, values)

    def change(self, statement: Statement, given: Mapping[str, Any]) -> list[Row]:
        """The rows that a statement writes, in a transaction of its own, which is committed.

        Arguments and errors are those of ``fetch``.
        """
        values = statement.values(given)
        lent = self._checked_out(sa.Engine.raw_connection, self._primary)
        rows = self._rows(lent, statement, values)
        self.writes += 1
        return rows

    def _rows(
        self, lent: PoolProxiedConnection, statement: Statement, values: Mapping[str, Any]
    ) -> list[Row]:
        """The rows of a statement, on a connection that is given back; errors are raised as SQLAlchemy does."""
        driver: Any = lent.dbapi_connection
        needs = self._work_mem if statement.needs_work_mem else ""
        needs += self._single_process if statement.single_process else ""
        self.hung_connections.wait(driver)
        try:
            with self.span(statement.text), driver.cursor() as cursor:
                cursor.execute(self._complete(cursor, statement.text, needs), values)
                rows: list[Row] = cursor.fetchall()
                self.count_rows(cursor.rowcount)
                return rows
        except psycopg2.Error as error:
            self._note(error)
            is_gone = bool(driver.closed)
            if is_gone:
                lent.invalidate(error)
            raise sa.exc.DBAPIError.instance(
                statement.text, values, error, psycopg2.Error, connection_invalidated=is_gone
            ) from error
        finally:
            lent.close()

    def _note_refusal(self, context: sa.ExceptionContext) -> None:
        self._note(context.original_exception)

    def _note(self, error: BaseException | None) -> None:
        """Remember that the server takes no writes, as after a failover, if an error says so."""
        self._read_only = self._read_only or getattr(error, "pgcode", None) == READ_ONLY

    def _leave_read_only(self, _connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Have the pool connect anew, maybe to another server, after one has refused to write.

        Raises:
            InvalidatePoolError: It has.
        """
        # A connection that was made just now was never given back: it may be to another server already.
        if self._read_only and USED in entry.info:
            self._read_only = False
            raise sa.exc.InvalidatePoolError

    def read(self, *, fresh: bool = False) -> sa.Connection:
        """A connection for statements that read, each of which is a transaction of its own.

        It is one to the replica, if that answers and keeps up, else to the primary. ``fresh`` prefers the primary: for
        what is kept until this process writes, which the replica may not have yet.
        """
        if fresh and self.replica is not None:
            with suppress(sa.exc.DBAPIError):
                return self._checked_out(sa.Engine.connect, self._primary)
        return self._to_read(sa.Engine.connect)

    def _to_read(self, connect: Callable[[sa.Engine], Lent]) -> Lent:
        if self.replica is not None and self.replica.usable and not current.get().fresh:
            try:
                return self._checked_out(connect, self.replica.engine)
            except (sa.exc.DBAPIError, psycopg2.Error) as error:
                self.replica.lose(error)
        return self._checked_out(connect, self._primary)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a transaction, committed at the end unless an exception leaves it."""
        lent = self._checked_out(sa.Engine.connect, self._primary)
        with lent as connection, _transaction(connection):
            yield connection
        self.writes += 1

    def connect(self) -> sa.Connection:
        """A connection to the primary for transactions that the caller begins, by ``begin``, and ends."""
        return self._checked_out(sa.Engine.connect, self._in_transactions)

    def begin(self, connection: sa.Connection) -> None:
        """Send the limits of a transaction that has just begun on such a connection, and ``work_mem``.

        They do not wait for the first statement: that may be one of many (``executemany``), or declare a cursor.
        """
        connection.exec_driver_sql(self._work_mem)

    @contextmanager
    def stream(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that reads, for rows that come through a cursor, some at a time.

        Its limits hold for each part: for the time in which the server sends it, and in which the client asks for the next.

        Raises:
            sqlalchemy.exc.TimeoutError: There are too many streams.
        """
        if not self._streams.acquire(blocking=False):
            raise sa.exc.TimeoutError("too many streams at once")
        try:
            with self.read() as connection, _transaction(connection):
                # It takes the limits along, which the declaration of a cursor cannot.
                connection.execute(sa.text("SET TRANSACTION READ ONLY"))
                yield connection
        finally:
            self._streams.release()

    def _checked_out(self, connect: Callable[[sa.Engine], Lent], engine: sa.Engine) -> Lent:
        thread, until = threading.get_ident(), time.monotonic() + self._timeout
        self._waiting.add(thread)
        try:
            while True:
                current.get().check()
                try:
                    return connect(engine)
                except sa.exc.TimeoutError:
                    if time.monotonic() >= until:
                        raise
        finally:
            self._waiting.discard(thread)

    @property
    def waiting(self) -> int:
        """How many threads wait for a connection."""
        return len(self._waiting)

    def usage(self, engine: sa.Engine) -> dict[str, int]:
        """How many connections of a pool are in use, how many are idle, and how many there may be."""
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        return {"in_use": pool.checkedout(), "idle": pool.checkedin(), "limit": self._limit}

    @property
    def full(self) -> bool:
        """Whether every connection to the primary is in use."""
        usage = self.usage(self.engine)
        return usage["in_use"] >= usage["limit"]

    def shortage(self, processes: int) -> str:
        """Why the server has too few connections for this number of processes; empty if it has enough."""
        # A connection of its own: it takes none from the requests that come meanwhile.
        with sa.create_engine(self.engine.url, poolclass=sa.NullPool).connect() as connection:
            row = connection.execute(CONNECTIONS).one()
        needed = processes * self._limit
        if needed <= row.available:
            return ""
        return (
            f"{processes} processes of up to {self._limit} connections (POOL_SIZE + MAX_OVERFLOW) need {needed}, "
            f"PostgreSQL has {row.available} (max_connections, without those reserved): "
            "lower the pools, or put PgBouncer in between"
        )

    def accepts_sessions(self) -> bool:
        """Whether the primary server, or PgBouncer before it, takes a new session, or says that it has too many."""
        # By the driver alone: SQLAlchemy would ask for the server's version, and wait for that.
        arguments, options = self.engine.dialect.create_connect_args(self.engine.url)
        try:
            psycopg2.connect(*arguments, **{**NETWORK, **options}).close()
        except psycopg2.Error as error:
            return NONE_LEFT.search(str(error)) is not None
        return True

    def close(self) -> None:
        """Close every connection that is not in use."""
        for engine in self.engines.values():
            engine.dispose()


@contextmanager
def _transaction(connection: sa.Connection) -> Iterator[None]:
    driver: Any = connection.connection.dbapi_connection
    # By the driver's own switch; SQLAlchemy's isolation level would be a round trip.
    driver.autocommit = False
    try:
        with connection.begin():
            yield
    finally:
        if not driver.closed:
            driver.autocommit = True


def _leave_autocommit(connection: sa.Connection) -> None:
    """Have the statements of a connection be in transactions, until it is given back."""
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = False


def _return_to_autocommit(driver: Any, _entry: ConnectionPoolEntry) -> None:
    if driver is not None and not driver.closed and not driver.autocommit:
        # The switch is refused within a transaction.
        driver.rollback()
        driver.autocommit = True
