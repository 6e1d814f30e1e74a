"""Sessions of SQLAlchemy's ORM, for a team's own endpoints."""

from collections.abc import Iterator
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request
from sqlalchemy.orm import Session, SessionTransaction

from geotables.db.database import Database


class DatabaseSession(Session):
    """A session on the primary server, each of whose transactions has the limits of the service.

    It takes a connection from the pool with its first statement and gives it back at the end of each transaction.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._connection: sa.Connection | None = None
        self._has_ended = False

    def get_bind(self, *_arguments: Any, **_options: Any) -> sa.Connection:
        """The connection of the transaction, whatever is asked for.

        Raises:
            InvalidRequestError: The endpoint has returned: nobody would give the connection back.
        """
        if self._has_ended:
            raise sa.exc.InvalidRequestError(
                "a session ends when its endpoint returns: read before what a streamed answer or a background task needs"
            )
        # Not an engine: the pool is waited for as by all others (POOL_TIMEOUT, and no longer than the client waits).
        if self._connection is None:
            self._connection = self._database.connect()
        return self._connection

    def close(self) -> None:
        """Roll back what is not committed."""
        try:
            super().close()
        finally:
            self.give_back()

    def end(self) -> None:
        """Close it for good."""
        self._has_ended = True
        self.close()

    def give_back(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@sa.event.listens_for(DatabaseSession, "after_begin")
def _begin(
    session: DatabaseSession, transaction: SessionTransaction, connection: sa.Connection
) -> None:
    # Of a savepoint, the limits are those of the transaction around it.
    if not transaction.nested:
        session._database.begin(connection)


@sa.event.listens_for(DatabaseSession, "after_commit")
def _note_writes(session: DatabaseSession) -> None:
    session._database.writes += 1


@sa.event.listens_for(DatabaseSession, "after_transaction_end")
def _give_back(session: DatabaseSession, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.give_back()


def _session(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    session = DatabaseSession(database)
    try:
        yield session
    finally:
        session.end()


#: For an endpoint's parameter ``session: SessionDep``. The endpoint calls ``session.commit()``; what it does not commit is
#: rolled back when it returns, before the answer is sent: a client that reads slowly keeps no connection.
SessionDep = Annotated[Session, Depends(_session, scope="function")]
