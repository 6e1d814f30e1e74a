"""How many rows a collection has."""

import time
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from geotables.db.statements import Statement
from geotables.sql import queries
from geotables.sql.kept import Kept

#: The planner's cost up to which rows are counted although no client asks for their number: a few million rows in memory.
CHEAP = 100_000

#: How many times as long as a count took to go without another one: counting then adds at most a twentieth to pages.
REST = 20

#: Seconds to wait for another request that counts.
LOCK_TIMEOUT = 0.5


class Counts(Kept[int]):
    """The number of rows that answers over many are about."""

    _resting_until = 0.0

    def now(self) -> int:
        """The number as it is, which takes a pass over the rows."""
        # Without the lock, which pages would wait for.
        return self._keep() if self._is_shared else self._read()

    def at_hand(self, least: int) -> int | None:
        """The number if it is known or quick to find; else None.

        Args:
            least: How many there are for certain: if fewer are known, that is out of date.
        """
        if not self._is_shared or not self._lock.acquire(timeout=LOCK_TIMEOUT):
            return None
        try:
            if self._is_current and (self._value or 0) >= least:
                return self._value
            begun = time.monotonic()
            if begun < self._resting_until:
                return None
            number = self._keep() if self._is_cheap() else None
            ended = time.monotonic()
            # What costs too much will do so for a while.
            rest = self._lifetime if number is None else REST * (ended - begun)
            self._resting_until = ended + rest
            return number
        finally:
            self._lock.release()

    def _is_cheap(self) -> bool:
        statement, values = self._explained, self._collection.rows().values
        cost: float = queries.plan(self._database, statement, values)["Total Cost"]
        return cost <= CHEAP

    @property
    def _query(self) -> sa.Select[Any]:
        return queries.count(self._collection, self._collection.rows().expression)

    @cached_property
    def _explained(self) -> Statement:
        return Statement(self._query, explained=True)

    def _read(self) -> int:
        with self._database.read(fresh=self._is_shared) as connection:
            values = self._collection.rows().values
            number: int = connection.execute(self._query, values).scalar_one()
            return number
