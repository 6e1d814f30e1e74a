"""A standby server to read from."""

import logging
import math
import time

import sqlalchemy as sa

log = logging.getLogger(__name__)

#: How far a server is in the write-ahead log, in bytes: what it has written, or replayed if it is a standby.
POSITION = sa.text(
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'"
)

#: Seconds that a server has to tell its position.
PATIENCE = 2


class Replica:
    """A standby, which is read from as long as it answers and keeps up with the primary.

    ``measure`` is called every second; in between, requests rely on what it has found.
    """

    def __init__(self, engine: sa.Engine, primary: sa.Engine, max_lag: float) -> None:
        self.engine = engine
        #: Seconds that it is behind the primary; infinite while it does not answer.
        self.lag = math.inf
        self._primary = primary
        self._max_lag = max_lag
        # Positions of the primary that the standby has not reached, each after the time when it was seen; the oldest first.
        self._ahead: list[tuple[float, int]] = []

    @property
    def usable(self) -> bool:
        """Whether it may be read from."""
        return self.lag <= self._max_lag

    def lose(self, error: Exception) -> None:
        """Stop reading from it, until it has answered again."""
        self._note(math.inf, str(error))

    def measure(self) -> None:
        """Find out how far it is behind."""
        try:
            replayed = _position(self.engine)
        except sa.exc.DBAPIError as error:
            self.lose(error)
            return
        now = time.monotonic()
        try:
            written = _position(self._primary)
        except sa.exc.DBAPIError:
            # Nothing is written, so it does not get further behind; and it is all that there is to read from.
            now = self._ahead[-1][0] if self._ahead else now
        else:
            # What was written beyond the position of a new primary is lost.
            self._ahead = [(when, at) for when, at in self._ahead if at <= written]
            self._ahead.append((now, written))
        self._ahead = [(when, at) for when, at in self._ahead if at > replayed]
        self._note(now - self._ahead[0][0] if self._ahead else 0.0, "it is too far behind")

    def _note(self, lag: float, reason: str) -> None:
        before, self.lag = self.usable, lag
        if before and not self.usable:
            log.warning("reads go to the primary, not to the replica: %s", reason)
        elif self.usable and not before:
            log.info("reads go to the replica")


def _position(engine: sa.Engine) -> int:
    with engine.connect().execution_options(patience=PATIENCE) as connection:
        return int(connection.execute(POSITION).scalar_one())
