"""How many rows collections have, as far as that is cheap to tell: for pages that list them."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from geotables.collection import Collection
from geotables.db.database import Database
from geotables.db.statements import Statement
from geotables.identifiers import qualified

#: Rows that are counted, at the most.
COUNTED = 1_000


class Size(NamedTuple):
    """How many rows there are: exactly, by PostgreSQL's statistics, or at least."""

    rows: int
    how: str


def find(database: Database, collections: Iterable[Collection]) -> dict[str, Size]:
    """The sizes of collections, by their names, found by one statement.

    Statistics are of all rows of a table: a collection that leaves some out, or shows callers different ones, has none.
    Neither has a view, of which the first rows may cost as much as all of them.
    """
    cheap = tuple(filter(_is_cheap, collections))
    rows = database.fetch(_sizes(cheap), {}) if cheap else []
    return {collection.name: _size(*row) for collection, row in zip(cheap, rows, strict=True)}


def _is_cheap(collection: Collection) -> bool:
    return collection.where is None and not collection.is_partial and not collection.is_view


def _size(_number: int, counted: int, estimated: float | None) -> Size:
    if counted <= COUNTED:
        return Size(counted, "exactly")
    # A table that has not been analyzed has -1.
    if estimated is not None and estimated > COUNTED:
        return Size(int(estimated), "about")
    return Size(COUNTED, "more than")


@lru_cache(maxsize=16)
def _sizes(collections: tuple[Collection, ...]) -> Statement:
    counts = [_counted(number, collection.table) for number, collection in enumerate(collections)]
    return Statement(sa.union_all(*counts).order_by("number"), single_process=True)  # type: ignore[arg-type]


def _counted(number: int, table: sa.Table) -> sa.Select[Any]:
    """The number of rows up to a limit, and the one that the last ANALYZE or VACUUM has noted."""
    few = sa.select(sa.literal_column("1")).select_from(table).limit(COUNTED + 1).subquery()
    noted = (
        sa.select(sa.column("reltuples"))
        .select_from(sa.table("pg_class", schema="pg_catalog"))
        .where(sa.column("oid") == sa.func.to_regclass(qualified(table)))
        .scalar_subquery()
    )
    counted = sa.select(sa.func.count()).select_from(few).scalar_subquery()
    return sa.select(sa.literal_column(str(number)).label("number"), counted, noted)
