"""Any number of features as one answer, never in memory as a whole."""

from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import chain

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from geotables.db.database import Database
from geotables.db.statements import Condition, together
from geotables.features.items_query import ItemsQuery
from geotables.sql import stream
from geotables.sql.row_formats import Feature


def sequence(
    database: Database,
    record: Feature,
    query: ItemsQuery,
    conditions: Sequence[Condition],
    *,
    is_sent: bool,
) -> Generator[bytes, None, None]:
    """A GeoJSON text sequence of the features that a client asks for, unless it reads the headers alone."""
    if not is_sent:
        return
    order = query.sortby.by() if "sortby" in query.model_fields_set else ()
    with database.stream() as connection:
        texts = stream.sequence(connection, together(conditions), feature=record, order=order)
        with closing(texts):
            yield from database.hung_connections.watched(connection, texts)


class Stream(StreamingResponse):
    """A response in parts, whose generator is closed with it."""

    def __init__(
        self, parts: Generator[bytes, None, None], headers: dict[str, str], media_type: str
    ) -> None:
        # Read the first part before the answer begins, so that an error is answered as any other.
        first = next(parts, b"")
        super().__init__(chain([first], parts), headers=headers, media_type=media_type)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Give the connection back however the stream has ended, as by a client that leaves.
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._parts.close)
