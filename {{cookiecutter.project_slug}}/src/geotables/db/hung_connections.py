"""Dead connections, and servers that hang: neither may keep a request waiting for ever."""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg2
import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from geotables.context import Context, current

#: Seconds for which a connection that was just used is taken to be alive unless it says otherwise.
FRESH = 5.0

#: The name under which the pool notes when a connection was last given back.
USED = "used"

Part = TypeVar("Part")


@dataclass(slots=True, eq=False)
class Wait:
    """An answer that is waited for over a connection."""

    connection: Any
    until: float
    context: Context
    #: Held while the statement is being cancelled: the connection must not go on to another meanwhile.
    lock: threading.Lock = field(default_factory=threading.Lock)


class HungConnections:
    """Discards dead pooled connections, and aborts queries on a hung server."""

    def __init__(self, patience: float) -> None:
        #: Seconds that a statement may take, unless its execution option ``patience`` says otherwise.
        self.patience = patience
        #: When a statement was answered last, whatever it was.
        self.answered = time.monotonic()
        # By the ids of the connections.
        self._waiting: dict[int, Wait] = {}

    def watch(self, engine: sa.Engine) -> None:
        """Look after the connections of an engine."""
        listeners: dict[str, Callable[..., None]] = {
            "checkout": self._check,
            "before_cursor_execute": self._used,
            "checkin": self._returned,
            "close": lambda connection, _entry: self._end(connection),
        }
        for event, listener in listeners.items():
            sa.event.listen(engine, event, listener)

    def watched(
        self, connection: sa.Connection, parts: Iterable[Part]
    ) -> Generator[Part, None, None]:
        """The parts that come from a cursor, each of which may take as long as a statement; a client may take longer between them."""
        driver: Any = connection.connection.dbapi_connection
        try:
            for part in parts:
                self._end(driver)
                yield part
                self.wait(driver)
        finally:
            # The end of the transaction, unless the connection has ended before it.
            if not driver.closed:
                self.wait(driver)

    def hang_up(self) -> None:
        """Shut the sockets of connections that were last used too long ago: the waiting threads get an error.

        A server that has stopped does not keep its own timeout, and TCP goes on as long as the machine runs.
        """
        now = time.monotonic()
        for key, wait in list(self._waiting.items()):
            if now > wait.until:
                self._waiting.pop(key, None)
                # The connection is another thread's, but its socket may be shut by any.
                with (
                    suppress(OSError, psycopg2.Error),
                    socket.socket(fileno=os.dup(wait.connection.fileno())) as end,
                ):
                    end.shutdown(socket.SHUT_RDWR)

    def cancel(self) -> None:
        """Cancel the statements whose clients have left."""
        for key, wait in list(self._waiting.items()):
            if wait.context.gone:
                with wait.lock, suppress(psycopg2.Error):
                    if self._waiting.get(key) is wait:
                        wait.connection.cancel()

    def _check(self, connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Replace the pool's connections when one is found dead: what ``pool_pre_ping`` does, at a tenth of its cost.

        A server that ends a connection says so on its socket, which costs nothing to see. Only a connection that was
        idle for a while is asked for an answer, since a network may have lost it in silence.

        Raises:
            InvalidatePoolError: It is dead; SQLAlchemy then makes a new one.
        """
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if poll.poll(0) or time.monotonic() - entry.info.get(USED, time.monotonic()) > FRESH:
            self.wait(connection)
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                connection.rollback()
            except connection.Error as error:
                raise sa.exc.InvalidatePoolError from error

    def _used(self, connection: sa.Connection, cursor: Any, *_: Any) -> None:
        # The wait lasts until the connection is returned, or sends another statement: COMMIT can hang as well.
        patience = connection.get_execution_options().get("patience", self.patience)
        self.wait(cursor.connection, patience)

    def _returned(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        self._end(connection)
        entry.info[USED] = time.monotonic()

    def wait(self, connection: Any, patience: float | None = None) -> None:
        """Note that a thread waits for a connection, for at most ``patience`` seconds, until it is returned or used again."""
        self._end(connection)
        until = time.monotonic() + (self.patience if patience is None else patience)
        self._waiting[id(connection)] = Wait(connection, until, current.get())

    def _end(self, connection: Any) -> None:
        """Note that the wait is over, once a cancellation in progress has ended."""
        wait = self._waiting.pop(id(connection), None)
        if wait is not None:
            with wait.lock:
                pass
            # A connection that was lost is closed.
            if not connection.closed:
                self.answered = time.monotonic()
