"""Features as files for other programs: GeoParquet and FlatGeobuf."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from threading import BoundedSemaphore
from urllib.parse import quote

from starlette.exceptions import HTTPException

from geotables.collection import Collection
from geotables.db.database import Database
from geotables.db.statements import Condition, together
from geotables.features.items_query import ItemsQuery
from geotables.file_formats import FormatError, Layer
from geotables.http.formats import Format
from geotables.http.problems import RETRY_AFTER
from geotables.sql import stream
from geotables.sql.row_formats import Feature


def file(
    places: BoundedSemaphore,
    database: Database,
    record: Feature,
    query: ItemsQuery,
    conditions: Sequence[Condition],
    chosen: Format,
    *,
    is_empty: bool,
    is_sent: bool,
) -> Generator[bytes, None, None]:
    """A file of the features that a client asks for, in parts.

    Args:
        places: Has a place for each file that may be written at once.
        database: Where they are.
        record: What to write of each; their order, their CRS and how many of them are the query's.
        query: What the client asks for.
        conditions: Which features.
        chosen: The format.
        is_empty: Whether to write no features.
        is_sent: Whether the client reads the file, and not its headers alone.

    Raises:
        HTTPException: The format cannot hold them, or too many files are being written.
    """
    collection = record.collection
    place = [collection.geometry] if record.has_geometry else []
    columns = [collection.key, *place, *record.others]
    try:
        layer = Layer(chosen.name, collection, columns, query.crs.srid)
        if not is_sent:
            return
        rows = together([*conditions, *filter(None, [query.token])])
        wanted = layer.query.where(rows.expression).offset(query.offset or None)
        if query.model_fields_set & {"sortby", "limit", "offset", "token"}:
            wanted = wanted.order_by(*query.sortby.by())
        wanted = wanted.limit(0 if is_empty else query.limit)
        with (
            _place_among(places),
            database.stream() as connection,
            closing(stream.chunks(connection, wanted, rows)) as chunks,
            # A part of a file may take many chunks; each is waited for by itself.
            closing(database.hung_connections.watched(connection, chunks)) as watched,
        ):
            yield from layer.write(watched)
    except FormatError as error:
        detail = f"{error}; ask for f=jsonseq or f=csv instead"
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, detail) from error


@contextmanager
def _place_among(places: BoundedSemaphore) -> Iterator[None]:
    """Keep a place while a file is written."""
    if not places.acquire(blocking=False):
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "as many files are being written as DOWNLOADS allows; f=jsonseq and f=csv need no place",
            headers={"Retry-After": RETRY_AFTER},
        )
    try:
        yield
    finally:
        places.release()


def disposition(collection: Collection, chosen: Format) -> dict[str, str]:
    """The header that has a browser save a file under a name of its format."""
    name = f"{quote(collection.name, safe='')}.{chosen.name}"
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
