"""Send rows to PostgreSQL by COPY, and say why it refuses one."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any, NamedTuple

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import set_wait_callback
from psycopg2.extras import wait_select

from geotables.collection import Collection
from geotables.db.database import CANCELED
from geotables.db.migrations import MIGRATE_FIRST, NOT_MIGRATED
from geotables.files.refusals import LoadError
from geotables.geometry import metadata
from geotables.identifiers import qualified, quoted

UNIQUE_VIOLATION = "23505"


class Rows(NamedTuple):
    """Features that have values for the same attributes, as COPY reads them."""

    names: tuple[str, ...]
    positions: list[str]
    #: The attributes' values, then the geometries.
    columns: list[Iterable[str]]

    def text(self, *before: Iterable[str]) -> bytes:
        """A line for each feature, with more columns before its own."""
        lines = map("\t".join, zip(*before, *self.columns, strict=True))
        return ("\n".join(lines) + "\n").encode()


def copy_into(
    connection: sa.Connection,
    collection: Collection,
    table: sa.Table,
    columns: Iterable[str],
    texts: Iterator[bytes],
) -> int:
    """Have PostgreSQL read rows as they are made; how many they are."""
    name, listed = qualified(table), ", ".join(map(quoted, columns))
    stream = Stream(texts)
    driver: Any = connection.connection
    with refusing(connection, collection), driver.cursor() as cursor:
        try:
            # psycopg2 prints a SystemError of its own where the server ends the session.
            with redirect_stderr(io.StringIO()):
                cursor.copy_expert(f"COPY {name} ({listed}) FROM STDIN (ENCODING 'UTF8')", stream)
        except psycopg2.Error:
            if stream.error is not None:
                raise stream.error from None
            raise
        return int(cursor.rowcount)


class Stream:
    """What psycopg2 reads for COPY."""

    def __init__(self, texts: Iterator[bytes]) -> None:
        self._texts = texts
        #: What the making of the texts raised: psycopg2 tells only PostgreSQL of it.
        self.error: BaseException | None = None

    def read(self, _size: int) -> bytes:
        try:
            return next(self._texts, b"")
        except BaseException as error:
            self.error = error
            raise


@contextmanager
def refusing(connection: sa.Connection, collection: Collection) -> Iterator[None]:
    """Say why PostgreSQL refuses a row.

    Raises:
        LoadError: It does.
    """
    before = connection.begin_nested()
    try:
        yield
    except (sa.exc.DBAPIError, psycopg2.Error) as error:
        cause: Any = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        reason = _reason(collection, cause)
        driver: Any = connection.connection
        if driver.closed:
            # There is nothing to roll back: the server has ended the session.
            connection.invalidate()
            reason = f"the database has ended the session ({reason})"
        elif cause.pgcode == CANCELED:
            # By Ctrl-C, of which psycopg2 tells the server alone, or by an administrator.
            raise KeyboardInterrupt from error
        elif cause.pgcode == UNIQUE_VIOLATION:
            before.rollback()
            reason = _twice(connection, collection, cause.diag) or reason
        elif cause.pgcode in NOT_MIGRATED:
            reason += f" ({MIGRATE_FIRST})"
        raise LoadError(f"nothing was loaded: {reason}") from error
    before.commit()


def _reason(collection: Collection, error: Any) -> str:
    """Why PostgreSQL refused a row."""
    reason = ": ".join(filter(None, [error.diag.message_primary, error.diag.message_detail]))
    conditions = metadata.conditions(collection.table)
    if conditions and (error.pgcode or "").startswith(("22", "XX")):
        reason += f" (in a value, or in the condition of an index: {conditions})"
    return reason or str(error).strip()


def _twice(connection: sa.Connection, collection: Collection, diagnostics: Any) -> str | None:
    """Whether a value that must be unique is in the table, or several times in the file; None if that is unknown."""
    for constraint in collection.table.constraints:
        if (
            isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
            and constraint.name == diagnostics.constraint_name
            and len(constraint.columns) == 1
        ):
            [column] = constraint.columns
            value = re.fullmatch(
                r"Key \(.*?\)=\((.*)\) already exists\.",
                diagnostics.message_detail or "",
                re.DOTALL,
            )
            if value is None:
                return None
            same = column == sa.cast(sa.literal(value[1], sa.Text()), column.type)
            if connection.scalar(sa.select(sa.select(collection.key).where(same).exists())):
                where = "a row that is there already has it (--key ATTRIBUTE changes that row)"
            else:
                where = "several features of the file have it"
            return f"{column.name} must be unique, and {value[1]!r:.100} is not: {where}"
    return None


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C end a statement: psycopg2 waits for it in C, where Python does not hear of the signal.

    This holds for all connections of the process, which may not copy meanwhile.
    """
    set_wait_callback(wait_select)
    try:
        yield
    finally:
        set_wait_callback(None)
