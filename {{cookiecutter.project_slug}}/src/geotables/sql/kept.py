"""What takes a pass over the rows of a collection to find out: kept for a while."""

import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from geotables.collection import Collection
from geotables.db.database import Database

Value = TypeVar("Value")


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

    def get(self) -> Value:
        """The value of the rows that the caller may see."""
        if not self._is_shared:
            return self._read()
        # One request asks the database, the others wait for what it finds.
        with self._lock:
            return self._value if self._is_current else self._keep()  # type: ignore[return-value]
