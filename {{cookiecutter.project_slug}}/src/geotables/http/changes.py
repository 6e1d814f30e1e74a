"""Change and delete single rows, for REST and Features: none undoes a change that its client has not seen (If-Match)."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fastapi import Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from geotables.db.statements import Condition, Row
from geotables.http import etags
from geotables.http.parameters import database_of
from geotables.sql import writes
from geotables.sql.row_formats import RowFormat
from geotables.sql.writes import Writing

#: Makes the new values of a row, and the names of those to write (None: nothing), from the stored row; None: it is not read.
NewValues: TypeAlias = Callable[[Mapping[str, Any] | None], tuple[BaseModel, frozenset[str] | None]]


class Changes:
    """Changes rows of a collection, with one statement where the new values do not depend on the stored ones."""

    def __init__(self, record: RowFormat, missing: Callable[[Any], HTTPException]) -> None:
        """State what changes return.

        Args:
            record: What is returned of a row.
            missing: The error of an id that no row has.
        """
        self._record, self._collection, self._missing = record, record.collection, missing

    def update(
        self,
        request: Request,
        id: Any,
        change: NewValues,
        *,
        shape: Any = None,
        before: RowFormat | None = None,
        merges: bool = False,
    ) -> Row:
        """Change a row; returns it as it is stored then, and its version.

        Args:
            request: The request.
            id: The id of the row.
            change: What becomes of it.
            shape: Its geometry as the client sent it: one that comes back as it was written stays as it is stored.
            before: How rows are written in the CRS of ``shape``.
            merges: Whether the change depends on what is stored.

        Raises:
            HTTPException: There is no such row, or it is not as the client knows it.
        """
        before = before or self._record
        if not merges and self._is_single(request):
            new, names = change(None)
            if names:
                row = writes.update(
                    database_of(request),
                    self._record,
                    self._matching(request, id),
                    new,
                    names,
                    shape=shape,
                    before=before,
                )
                if row is not None:
                    return row
        # Read the row: the new values depend on it, or it tells why nothing was changed.
        with writes.transaction(database_of(request), self._collection) as writing:
            self._lock(request, writing, id)
            stored = writing.connection.execute(before.by_id.query, {"id": id}).one()
            new, names = change(before.encode_one(stored))
            return stored if names is None else writing.update(self._record, id, new, names)

    def delete(self, request: Request, id: Any) -> None:
        """Remove a row.

        Raises:
            HTTPException: There is no such row, or it is not as the client knows it.
        """
        database, collection = database_of(request), self._collection
        if self._is_single(request) and writes.delete(
            database, collection, self._matching(request, id)
        ):
            return
        with writes.transaction(database, collection) as writing:
            self._lock(request, writing, id)
            writing.delete(id)

    def _is_single(self, request: Request) -> bool:
        """Whether one statement can do it: no hooks are called, and its condition does not have If-None-Match."""
        return writes.are_single(self._collection) and "if-none-match" not in request.headers

    def _matching(self, request: Request, id: Any) -> Condition:
        return writes.matching(self._collection, id, etags.expected(request))

    def _lock(self, request: Request, writing: Writing, id: Any) -> None:
        version = writing.lock(id)
        etags.check(request, version)
        if version is None:
            raise self._missing(id)
