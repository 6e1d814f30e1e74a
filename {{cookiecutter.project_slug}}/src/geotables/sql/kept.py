"""Values that take a pass over the rows of a collection to find: kept for a while."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import sqlalchemy as sa

from geotables.collection import Collection
from geotables.context import current
from geotables.db.database import CANCELED, Database

Value = TypeVar("Value")

log = logging.getLogger(__name__)


class Kept(ABC, Generic[Value]):
    """A value that is asked of the database when it is older than ``lifetime`` seconds.

    Rows that this process writes are in it at once (``Database.writes``). Those that others write may be missing for
    up to ``lifetime`` seconds. Where callers see different rows, nothing is kept.
    """

    def __init__(self, database: Database, collection: Collection, lifetime: float) -> None:
        self._database = database
        self._collection = collection
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._value: Value | None = None
        self._writes = -1
        self._until = 0.0
        self._too_slow_until = 0.0

    @abstractmethod
    def _read(self) -> Value:
        """Ask the database."""

    @property
    def _is_shared(self) -> bool:
        """Whether every caller gets the same."""
        return self._collection.where is None

    @property
    def _is_current(self) -> bool:
        return self._database.writes == self._writes and time.monotonic() <= self._until

    def _keep(self) -> Value:
        """Ask the database, and keep what it says."""
        # Counted before the database is asked: what is written meanwhile may not be in the answer.
        writes = self._database.writes
        value = self._read()
        self._value, self._writes, self._until = value, writes, time.monotonic() + self._lifetime
        return value

    def get(self) -> Value | None:
        """The value of the rows that the caller may see.

        None if the database takes longer to find it than a statement may. Where every caller gets the same, it is asked
        again after ``lifetime`` seconds.
        """
        if not self._is_shared:
            return self._in_time(self._read)
        # One request asks the database, the others wait for what it finds.
        with self._lock:
            return self._value if self._is_current else self._in_time(self._keep)

    def _in_time(self, read: Callable[[], Value]) -> Value | None:
        if time.monotonic() < self._too_slow_until:
            return None
        try:
            return read()
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != CANCELED or current.get().gone:
                raise
            kind, reason = type(self).__name__, str(error.orig).strip()
            log.warning("%s of %s: %s", kind, self._collection.name, reason)
            if self._is_shared:
                self._too_slow_until = time.monotonic() + self._lifetime
            return None
