"""The seam between a project and geotables: all that geotables knows about a table."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast, get_args

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.orm import DeclarativeBase

from geotables.column_types import AsText, RowIn, members
from geotables.context import Caller, current
from geotables.crs import CRS, CRS84, CRS84H, LATLON, MERCATOR, Reference, stored
from geotables.db.statements import Condition, set_apart, together
from geotables.geometry import GeometryFormat, metadata
from geotables.geometry.metadata import GeometryColumn

if TYPE_CHECKING:
    from fastapi.params import Depends

#: Which rows a caller may see. The expression must be the same object for every caller, with parameters
#: (``sa.bindparam``; of a list, ``sa.any_`` of an ``sa.ARRAY``) for what differs: statements are built once for each expression.
Where = Callable[[Caller], Condition]

#: A row as it is stored; None: it is new.
OldRow: TypeAlias = Mapping[str, Any] | None

#: The same row as it is to be stored; None: it is deleted.
NewRow: TypeAlias = dict[str, Any] | None

#: Called in the transaction before a row is written, with the connection, the caller, the stored row and the new one, whose
#: values it may set; a value that it deletes is not written. Raises ``Refused`` to refuse the row.
BeforeWrite = Callable[[sa.Connection, Caller, OldRow, NewRow], None]


class Refused(ValueError):
    """Raised by ``before_write`` to refuse a row; clients get the message with a 422."""


class Change(NamedTuple):
    """A row that was written: what it was (None: it is new), and what it is (None: it is gone)."""

    old: OldRow
    new: Mapping[str, Any] | None


#: Called after a transaction is committed, with the caller and the rows that it wrote. If it raises, a request logs that and succeeds.
AfterCommit = Callable[[Caller, Sequence[Change]], None]

#: Every row, for every caller.
EVERY_ROW = Condition(sa.true())


class UnsupportedKey(LookupError):
    """Raised for a table whose key is not a single column of an ordered type; the message says what to do."""


#: The types that a key may have, and subclasses of these that it may not.
_KEY_TYPES = (sa.Integer, sa.Numeric, sa.String, sa.Uuid, sa.Date, sa.DateTime)
_NO_KEY_TYPES = (AsText, sa.Enum, sa.Float)


class Collection:
    """A table with a geometry column, as it is served.

    What is not stated here comes from the model's metadata: key, geometry column, type, SRID, dimension, predicate.

    Attributes:
        model: The mapped class.
        create: The schema of a row as a client sends it; None: the collection is read-only.
        read: The schema of a row as the service returns it: a column that it does not have is hidden.
        example: Makes rows that the table takes, by their number: the values of every column in ``create`` but the geometry. Of a
            read-only collection, those that an INSERT has to give.
        title: For people.
        description: For people.
        name: The name of the collection in URLs; the table's, unless it is given.
        readers: Dependencies of the routes that read, beside those of the whole service.
        writers: Dependencies of the routes that write, likewise.
        where: Which rows a caller may see; None: every row.
        before_write: May change or refuse a row before it is written.
        after_commit: Gets the rows that were written, once they are committed.
        table: The model's table.
        geometry: Its geometry column.
    """

    def __init__(
        self,
        model: type[DeclarativeBase],
        *,
        create: type[BaseModel] | None = None,
        read: type[BaseModel],
        example: Callable[[int], dict[str, Any]],
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        readers: Sequence["Depends"] = (),
        writers: Sequence["Depends"] = (),
        where: Where | None = None,
        before_write: BeforeWrite | None = None,
        after_commit: AfterCommit | None = None,
    ) -> None:
        """State how a table is served.

        Raises:
            LookupError: The table has no geometry column, or several and ``read`` does not say which one is served.
        """
        self.model, self.create, self.read, self.example = model, create, read, example
        self.readers, self.writers = list(readers), list(writers)
        self.where, self.before_write, self.after_commit = where, before_write, after_commit
        self.table = cast(sa.Table, model.__table__)
        for column in self.table.columns:
            # SQLAlchemy makes it a quoted_name, which orjson refuses as the name of a member.
            column.name = str(column.name)
        self.geometry: GeometryColumn = metadata.geometry_column(self.table, self.annotated())
        self.name = name or str(self.table.name)
        self.title = title or self.name.replace("_", " ").capitalize()
        self.description = description or self._description()
        self._rows = Condition(self.indexed_rows)

    def __repr__(self) -> str:
        return f"<Collection {self.name}>"

    def annotated(self) -> list[str]:
        """The columns that ``read`` annotates with a format of geometries."""
        return [
            name
            for name, field in members(self.read).items()
            if any(isinstance(each, GeometryFormat) for each in _annotations(field))
        ]

    def _description(self) -> str:
        if self.is_partial:
            return f"The rows of the table where {self.indexed_rows}."
        return "Every row of the table."

    # Not in __init__: a table's module is imported before a command can report the error.
    @cached_property
    def crs(self) -> CRS:
        """The CRS that the table stores.

        Raises:
            UnknownCRS: Its SRID is not one that a table can store.
        """
        return metadata.crs(self.geometry)

    @cached_property
    def key(self) -> sa.Column[Any]:
        """The primary key.

        Raises:
            UnsupportedKey: The table has none, one of several columns, or one of a type that is no key.
        """
        columns = list(self.table.primary_key)
        if len(columns) == 1:
            (key,) = columns
            if isinstance(key.type, _KEY_TYPES) and not isinstance(key.type, _NO_KEY_TYPES):
                return key
            raise UnsupportedKey(
                f"{self.table.fullname}.{key.name}, the primary key, is of the type {key.type!r}, which has no order or no text"
                " that a URL can hold: state primary_key=True in the model for a column of whole or exact numbers, texts,"
                " UUIDs, dates or times that is unique and never NULL, and for no other"
            )
        listed = ", ".join(column.name for column in columns)
        raise UnsupportedKey(
            f"{self.table.fullname} has {f'a primary key of several columns ({listed})' if columns else 'no primary key'},"
            " and an id is one value: give it a column of its own that is (ALTER TABLE … ADD COLUMN id bigint"
            " GENERATED ALWAYS AS IDENTITY UNIQUE NOT NULL), or state primary_key=True in the model for the one column"
            " that is unique and never NULL, and for no other"
        )

    @cached_property
    def has_given_key(self) -> bool:
        """Whether clients may give a new row its key."""
        return self.key.name in self.written and self.key.name not in self.read_only

    @cached_property
    def written(self) -> Mapping[str, FieldInfo]:
        """The fields of ``create``, by the names of the columns; none of a read-only collection."""
        return {} if self.create is None else members(self.create)

    @cached_property
    def shown(self) -> Mapping[str, FieldInfo]:
        """The fields of ``read``, by the names of the columns."""
        return members(self.read)

    @cached_property
    def columns(self) -> list[sa.Column[Any]]:
        """The columns that are shown, in the order of the model."""
        return [column for column in self.table.columns if column.name in self.shown]

    @cached_property
    def properties(self) -> list[sa.Column[Any]]:
        """The columns that are properties of a feature: those shown, without the geometry and without a key called ``id``.

        A key of another name is one, too: GDAL and QGIS know a feature's ``id`` by no other name.
        """
        return [
            column
            for column in self.columns
            if column is not self.geometry and (column is not self.key or column.name != "id")
        ]

    @property
    def is_writable(self) -> bool:
        """Whether clients can write rows at all."""
        return self.create is not None

    @property
    def is_view(self) -> bool:
        """Whether no revision makes the table: it is a view, a materialized view or a foreign table."""
        return metadata.is_view(self.table)

    @property
    def input_schema(self) -> type[BaseModel]:
        """The schema of a row as a client sends it.

        Raises:
            TypeError: The collection is read-only.
        """
        if self.create is None:
            raise TypeError(f"{self.name} is read-only: it has no schema of what clients send")
        return self.create

    @cached_property
    def read_only(self) -> frozenset[str]:
        """The columns that the database sets; what a client sends for them is ignored."""
        return frozenset(getattr(self.create or RowIn, "READ_ONLY", ()))

    @cached_property
    def format(self) -> GeometryFormat:
        """How the REST resource writes the geometry, as the schema ``read`` says."""
        annotations = _annotations(self.shown[self.geometry.name])
        return next(each for each in annotations if isinstance(each, GeometryFormat))

    @cached_property
    def geometry_type(self) -> str:
        """``POINT``, ``MULTIPOLYGON``, …: the type of the geometries, without their dimension."""
        return metadata.geometry_type(self.geometry)

    @cached_property
    def has_z(self) -> bool:
        """Whether the geometries have heights."""
        return metadata.dimension(self.geometry) == 3

    @cached_property
    def storage_crs(self) -> Reference:
        """The CRS of the table, as the OGC names it."""
        return stored(self.crs)

    @cached_property
    def default_crs(self) -> Reference:
        """The CRS of requests and answers that do not say otherwise: longitude, latitude in WGS 84, and a height."""
        return CRS84H if self.has_z else CRS84

    @cached_property
    def references(self) -> dict[str, Reference]:
        """The CRSs that requests and answers may be in, by their URIs."""
        offered = (self.default_crs, CRS84, self.storage_crs, LATLON, MERCATOR)
        return {each.uri: each for each in offered}

    @cached_property
    def indexed_rows(self) -> sa.ColumnElement[bool]:
        """The rows that the geometry's index holds: what every answer over many rows is about."""
        return metadata.indexed_rows(self.geometry)

    @property
    def has_hooks(self) -> bool:
        """Whether writes call ``before_write`` or ``after_commit``."""
        return self.before_write is not None or self.after_commit is not None

    @property
    def is_partial(self) -> bool:
        """Whether the geometry's index leaves rows out."""
        return not isinstance(self.indexed_rows, sa.True_)

    @cached_property
    def version(self) -> sa.ColumnElement[str]:
        """The version of a row: PostgreSQL's number of the transaction that wrote it; in a view, which has none, a hash of it."""
        if self.is_view:
            # Without the hidden columns: a client that knows the others could try values of these until the hash is right.
            row = sa.func.row(*self.columns, type_=sa.Text())
            return sa.func.md5(sa.cast(row, sa.Text()), type_=sa.Text())
        # No column of the model: PostgreSQL has it in every table.
        xmin: sa.ColumnClause[Any] = sa.column("xmin")
        xmin.table = self.table
        return sa.cast(xmin, sa.Text())

    @cached_property
    def time(self) -> sa.Column[datetime.datetime] | None:
        """The column that ``datetime`` asks about: the one attribute that is a time or a date, else ``created_at``."""
        times = [
            column for column in self.columns if isinstance(column.type, sa.DateTime | sa.Date)
        ]
        attributes = [column for column in times if column.name not in self.read_only]
        if len(attributes) == 1:
            return attributes[0]
        return next((column for column in times if column.name == "created_at"), None)

    def visible(self) -> Condition:
        """The rows that the caller of the request may see, inside or outside of the index."""
        return EVERY_ROW if self.where is None else set_apart(self.where(current.get().caller))

    def rows(self) -> Condition:
        """The rows of answers over many: those that the index holds and that the caller may see."""
        if self.where is None:
            return self._rows
        return together([self._rows, self.visible()])


def _annotations(field: FieldInfo) -> list[Any]:
    """What annotates the type of a field, also where the field may be null."""
    inner = [each for part in get_args(field.annotation) for each in get_args(part)[1:]]
    return [*field.metadata, *inner]
