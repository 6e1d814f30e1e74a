"""Load a file: its features become rows, all of them in one transaction.

Rows go to PostgreSQL through COPY: straight into the table, or into a temporary one first where the database has yet to
transform them or to compare them with the rows that are there, or where the hooks of the collection are to see them.
"""

import datetime
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, compress, groupby
from operator import attrgetter
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, NamedTuple, TextIO

import psycopg2
import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry
from psycopg2.extensions import set_wait_callback
from psycopg2.extras import wait_select
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from sqlalchemy.dialects import postgresql

from geotables import geometry, json_numbers
from geotables.collection import BeforeWrite, Change, Collection, Refused
from geotables.column_types import text_of
from geotables.context import current
from geotables.crs import WGS84
from geotables.db.database import CANCELED
from geotables.db.migrations import MIGRATE_FIRST, NOT_MIGRATED
from geotables.db.statements import OWN, Condition, execute, json_text
from geotables.files.fields import Fields
from geotables.files.indexes import drop, is_empty, make
from geotables.files.sources import Batch, Source
from geotables.geometry import arrays, ewkb, in_srid, metadata, parameter
from geotables.identifiers import qualified, quoted
from geotables.sql.stream import chunks
from geotables.sql.writes import differs, own


class LoadError(ValueError):
    """Nothing was loaded; the message says why."""


class Refusal(NamedTuple):
    """A feature that the table does not take.

    Attributes:
        position: Where it stands in the file, from 1.
        reason: What is wrong with it, a phrase for each thing.
        geometry: Shapely's, in the CRS of the file; None where there is none.
        properties: As the file has them.
    """

    position: int
    reason: str
    geometry: Any
    properties: dict[str, Any]


@dataclass(slots=True)
class Result:
    """What has become of the features of a file."""

    loaded: int = 0
    refused: int = 0
    #: Properties that no attribute takes, in the order of their appearance.
    unknown: dict[str, None] = field(default_factory=dict)
    #: Properties that only the database sets.
    read_only: dict[str, None] = field(default_factory=dict)
    #: The columns that would hold the unknown ones, as the template's parameter ``attributes`` declares them.
    attributes: list[str] = field(default_factory=list)
    #: Whether features bring ids of their own that no attribute takes.
    has_ids: bool = False
    #: The names of the indexes that were made after the rows.
    indexes: list[str] = field(default_factory=list)
    #: What was written, where ``after_commit`` of the collection is to be told.
    changes: list[Change] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.loaded:,} rows loaded"]
        if self.refused:
            lines[0] += f", {self.refused:,} features refused"
        if self.indexes:
            lines.append(f"made after the rows: {', '.join(self.indexes)}")
        if self.has_ids:
            lines.append("ignored: the features' own ids (--id-to ATTRIBUTE keeps them)")
        if self.read_only:
            lines.append(f"ignored, since the database sets them: {', '.join(self.read_only)}")
        if self.unknown:
            lines.append(
                f"ignored, since no column has this name: {', '.join(self.unknown)}"
                " (--map PROPERTY=ATTRIBUTE takes one)"
            )
        if self.attributes:
            lines.append(
                f"columns that would hold them: {' '.join(self.attributes)}"
                " (docs/extending.md adds one)"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    Attributes:
        key: A unique attribute: a feature replaces the row that has the same value. None: every feature is a new row.
        renamed: Attributes by the names that the file has for them, where they differ.
        skip_invalid: Load the others where features are refused.
        force_2d: Drop z and m.
        make_valid: Repair invalid geometries.
        id_to: An attribute that gets the features' own ids.
        empty: What an empty text stands for in a text attribute, one of ``EMPTY``; None: itself.
        index_after: Make the indexes of an empty table after its rows; until then others wait who want to read it.
    """

    key: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    skip_invalid: bool = False
    force_2d: bool = False
    make_valid: bool = False
    id_to: str | None = None
    empty: str | None = None
    index_after: bool = False


#: What an empty cell may stand for in a text attribute: NULL, the column's default, or an empty text.
EMPTY = ("null", "default", "text")


#: Where a feature does not have an attribute at all: the row gets the database's default.
LEFT_OUT: Any = object()


class Attribute:
    """A column that features have a value for, under the rules that the REST resource has for it."""

    def __init__(
        self, collection: Collection, column: sa.Column[Any], *, json_as_text: bool
    ) -> None:
        self.column = column
        self.name = column.name
        known = collection.written[column.name]
        rule: Any = Annotated[known.annotation, Field(), *known.metadata]
        self._is_text = isinstance(column.type, sa.String)
        if json_as_text and isinstance(column.type, sa.JSON):
            rule = Annotated[rule, BeforeValidator(_from_json)] | None
        elif isinstance(column.type, sa.Date | sa.DateTime):
            read_time = _as_python_time if collection.has_hooks else _as_time
            rule = Annotated[rule, WrapValidator(read_time)]
        self._json_as_text = json_as_text
        values: Any = GenericAlias(list, (rule,))
        self._values: TypeAdapter[list[Any]] = TypeAdapter(
            values, config=ConfigDict(coerce_numbers_to_str=True)
        )
        self._text = _text_writer(column.type)

    def fill(self, values: list[Any], empty: str | None) -> list[Any]:
        """The values, where a null that the column does not take counts as left out.

        Args:
            values: As the file has them. Formats without null have an empty text for it.
            empty: What an empty text stands for, of ``Options``.
        """
        if empty == "default":
            values = [LEFT_OUT if value in (None, "") else value for value in values]
        elif not self._is_text and (
            self._json_as_text or not isinstance(self.column.type, sa.JSON)
        ):
            values = [None if value == "" else value for value in values]
        elif self._is_text and empty is not None:
            wanted, other = ("", None) if empty == "text" else (None, "")
            values = [wanted if value == other else value for value in values]
        if self.column.nullable:
            return values
        return [LEFT_OUT if value is None else value for value in values]

    def checked(self, values: list[Any]) -> tuple[list[Any], dict[int, str]]:
        """The values as the column holds them, and what is wrong with those that it cannot hold, by their indices."""
        try:
            return self._values.validate_python(values), {}
        except ValidationError as error:
            problems: dict[int, str] = {}
            for each in error.errors(include_url=False, include_input=False):
                problems.setdefault(int(each["loc"][0]), f"{self.name}: {each['msg']}")
        valid = [value for index, value in enumerate(values) if index not in problems]
        rest = iter(self._values.validate_python(valid))
        return [None if index in problems else next(rest) for index in range(len(values))], problems

    def texts(self, values: Iterable[Any]) -> list[str]:
        """Checked values as COPY reads them."""
        write = self._text
        return [r"\N" if value is None else write(value) for value in values]


def _from_json(value: Any) -> Any:
    """JSON of a format that has texts only."""
    return json_numbers.loads(value) if isinstance(value, str) else value


#: Times as programs write them: 2020/01/31 by GDAL, without an offset by most.
_TIME = re.compile(
    r"\s*(\d{4})([-/])(\d\d)\2(\d\d)"
    r"(?:[T ]\s?(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s?(?:(Z|[+-]\d\d)(?::?(\d\d))?)?)?\s*"
)
#: What PostgreSQL stores and Python does not, as ``export`` writes it.
_BEYOND_PYTHON = re.compile(
    r"-?infinity|(\d{5,6}-\d\d-\d\d([T ][\d:.]+([+-][\d:]+)?)?|\d{4,6}-\d\d-\d\d([T ][\d:.]+([+-][\d:]+)?)? BC)"
)
_AMBIGUOUS = re.compile(r"\s*\d{1,2}([-./])\d{1,2}\1(\d{4}|\d\d)\b.*")


def _as_time(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A date or a time; without an offset it is UTC, and a date is its first moment."""
    if isinstance(value, datetime.datetime):
        value = value.isoformat()
    elif isinstance(value, datetime.date):
        value = f"{value}T00:00:00Z"
    if not isinstance(value, str):
        return validate(value)
    if match := _TIME.fullmatch(value):
        year, _, month, day, time, offset, minutes = match.groups()
        offset = "Z" if offset in (None, "Z") else f"{offset}:{minutes or '00'}"
        return validate(f"{year}-{month}-{day}T{time or '00:00'}{offset}")
    if _BEYOND_PYTHON.fullmatch(value):
        return value
    if _AMBIGUOUS.fullmatch(value):
        reason = f"{value!r:.40}: day and month may be either way round; write it like 2020-01-31"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return validate(value)


def _as_python_time(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A date or a time that Python has a value for, which the hooks are given."""
    moment = _as_time(value, validate)
    if isinstance(moment, str):
        reason = f"{moment:.40} is infinite, or not of the years 1 to 9999"
        raise PydanticCustomError("time", "{reason}", {"reason": reason})
    return moment


def _text_writer(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], str]:
    match kind:
        case sa.String():
            return _escaped
        case sa.JSON():
            return lambda value: _escaped(json_text(value))
        case sa.Uuid():
            return attrgetter("hex")
    return str


def _escaped(text: str) -> str:
    """Text as COPY reads it."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def attributes(collection: Collection) -> dict[str, sa.Column[Any]]:
    """The columns that features have values for, by their names."""
    return {
        column.name: column
        for column in collection.table.columns
        if column is not collection.geometry
        if column.name in collection.written
    }


def required(collection: Collection) -> list[str]:
    """The attributes that no feature can leave out."""
    return [
        column.name
        for column in attributes(collection).values()
        if not column.nullable and column.server_default is None
    ]


def load(
    connection: sa.Connection,
    collection: Collection,
    source: Source,
    options: Options,
    refuse: Callable[[Refusal], None],
    watch: Callable[[int], object],
) -> Result:
    """Make a row of each feature of a file.

    Args:
        connection: In a transaction, for the caller to commit and then to ``announce`` what was written; after an exception
            it can only be rolled back.
        collection: What the rows are of. Calls its ``before_write`` for each row; a command has no caller, so ``where`` hides none.
        source: The file.
        options: How to load.
        refuse: Called with each feature that the table does not take.
        watch: Called now and then with how much of the file has been read.

    Raises:
        LoadError: A feature is refused and ``skip_invalid`` is not set, every one is, or PostgreSQL refuses a row.
        SourceError: The file cannot be read to its end.
    """
    _check_options(collection, options)
    # Loading may take any time.
    connection.execute(
        sa.text(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
        )
    )
    indexes = _locked(connection, collection, index_after=options.index_after)
    loading = _Loading(connection, collection, source, options, refuse, watch)
    loading.run()
    if not loading.result.loaded and not loading.result.refused:
        raise LoadError("nothing was loaded: the file has no features")
    if loading.result.refused and not options.skip_invalid:
        raise LoadError(
            f"nothing was loaded: {loading.result.refused:,} features are refused"
            " (--skip-invalid loads the others)"
        )
    if not loading.result.loaded:
        raise LoadError(
            f"nothing was loaded: each of the {loading.result.refused:,} features is refused"
        )
    columns = ", ".join(quoted(column.name) for column in collection.table.columns)
    with _refusing(connection, collection), _interruptible():
        make(connection, indexes)
        # Not what indexes compute: geography takes PostGIS longer than all the columns, and no plan asks for it.
        execute(connection, f"ANALYZE {qualified(collection.table)} ({columns})")
    loading.result.indexes = list(indexes)
    loading.result.attributes = loading.attributes()
    return loading.result


def _locked(
    connection: sa.Connection, collection: Collection, *, index_after: bool
) -> Mapping[str, str]:
    """Lock the table, where Ctrl-C ends the wait as it does not end that of COPY; the indexes to be made in the end.

    Raises:
        LoadError: The table has rows already, is in use, or has no indexes.
    """
    if metadata.is_view(collection.table):
        if index_after:
            raise LoadError(
                f"nothing was loaded: {collection.name} is a view or a foreign table, which --index-after is not for"
            )
        return {}
    mode = "ACCESS EXCLUSIVE" if index_after else "ROW EXCLUSIVE"
    lock = f"LOCK TABLE {qualified(collection.table)} IN {mode} MODE"
    if index_after:
        # Whoever comes after it waits as long.
        lock = f"SET LOCAL lock_timeout = '5s'; {lock}; SET LOCAL lock_timeout TO DEFAULT"
    with _refusing(connection, collection), _interruptible():
        execute(connection, lock)
        if not index_after:
            return {}
        if not is_empty(connection, collection.table):
            raise LoadError(
                f"nothing was loaded: {collection.name} has rows; --index-after is for an empty table"
            )
        return drop(connection, collection.table)


def announce(collection: Collection, result: Result) -> None:
    """Tell ``after_commit`` of a collection what was written, once it is committed."""
    if collection.after_commit is not None and result.changes:
        collection.after_commit(current.get().caller, result.changes)


def _check_options(collection: Collection, options: Options) -> None:
    if not collection.is_writable:
        raise LoadError(f"{collection.name} is read-only: nothing can be loaded into it")
    known = attributes(collection)
    for name in filter(None, [*options.renamed.values(), options.id_to]):
        if name not in known:
            listed = ", ".join(known)
            raise LoadError(f"{collection.name} has no attribute {name!r}; it has {listed}")
    if options.id_to in options.renamed.values():
        raise LoadError(f"--id-to and --map both fill {options.id_to}")
    if options.key is not None and options.key not in (unique := _unique_attributes(collection)):
        listed = f"unique are: {', '.join(unique)}" if unique else "none is"
        raise LoadError(
            f"--key: {options.key!r} is not a unique attribute of {collection.name}; {listed}"
        )


def _unique_attributes(collection: Collection) -> list[str]:
    keys = [
        [column.name for column in constraint.columns]
        for constraint in collection.table.constraints
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    ]
    return [name for name in attributes(collection) if [name] in keys]


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


class _Loading:
    """One file on its way into the table."""

    def __init__(
        self,
        connection: sa.Connection,
        collection: Collection,
        source: Source,
        options: Options,
        refuse: Callable[[Refusal], None],
        watch: Callable[[int], object],
    ) -> None:
        self.result = Result()
        self._connection = connection
        self._collection = collection
        self._source = source
        self._options = options
        self._refuse = refuse
        self._watch = watch
        self._attributes = {
            name: Attribute(collection, column, json_as_text=source.json_as_text)
            for name, column in attributes(collection).items()
        }
        self._required = {*required(collection), *filter(None, [options.key])}
        #: The properties that were there, in the order of their appearance.
        self._seen: dict[str, None] = {}

    @cached_property
    def _unknown(self) -> Fields:
        """What is known of the properties that no attribute takes."""
        return self._source.fields()

    def attributes(self) -> list[str]:
        """Declare the columns that would hold the properties that no attribute takes."""
        if not self.result.unknown:
            return []
        return [
            field.declaration(re.sub(r"\W+", "_", field.name).strip("_").lower())
            for field in self._unknown.all()
            if field.name in self.result.unknown and field.type
        ]

    def run(self) -> None:
        batches = self._source.batches()
        # The file has said its CRS once a batch is there.
        first = next(batches, None)
        if first is None:
            return
        rows = self._rows(chain([first], batches))
        as_stored = self._source.srid == self._collection.crs.srid
        if as_stored and self._options.key is None and not self._collection.has_hooks:
            self._copy(rows)
        else:
            self._stage(rows)
        if missing := self._options.renamed.keys() - self._seen:
            raise LoadError(f"--map: no feature has a property {', '.join(sorted(missing))}")

    def _copy(self, rows: Iterator[Rows]) -> None:
        # Where anything is refused nothing is loaded: what follows is only looked at.
        wanted = (each for each in rows if self._options.skip_invalid or not self.result.refused)
        table, place = self._collection.table, self._collection.geometry.name
        for names, run in groupby(wanted, key=attrgetter("names")):
            texts = (each.text() for each in run)
            loaded = _copy(self._connection, self._collection, table, [*names, place], texts)
            self.result.loaded += loaded

    def _stage(self, rows: Iterator[Rows]) -> None:
        key = self._options.key
        staging = Staging(self._connection, self._collection, self._source.srid)
        for names, run in groupby(rows, key=attrgetter("names")):
            staging.copy(names, run)
        with _interruptible():
            for refusal in staging.refusals(key):
                self._refused(refusal)
            if key is not None and self._collection.has_hooks:
                staging.lock(key)
            if self._collection.before_write is not None:
                for refusal in staging.ask(self._collection.before_write, key):
                    self._refused(refusal)
            if self._options.skip_invalid or not self.result.refused:
                self.result.loaded = staging.store(key)
                self.result.changes = staging.changes

    def _rows(self, batches: Iterable[Batch]) -> Iterator[Rows]:
        for batch in batches:
            # All at once: the first are not to be sent before the last are looked at.
            yield from list(self._rows_of(batch))
            self._watch(self._source.progress)

    def _rows_of(self, batch: Batch) -> Iterator[Rows]:
        column = self._collection.geometry
        geometries = arrays.fitted(
            batch.geometries,
            column,
            force_2d=self._options.force_2d,
            make_valid=self._options.make_valid,
        )
        values = self._values(batch)
        groups = _groups(values, len(batch.positions))
        problems: dict[int, list[str]] = defaultdict(list)
        for index, reason in arrays.problems(geometries, column, self._source.srid):
            problems[index].append(reason)
        checked: dict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
        for names, indices in groups.items():
            for name in self._required.difference(names):
                for index in indices:
                    problems[index].append(f"{name}: a value is required")
            for name in names:
                given = values[name]
                fit, wrong = self._attributes[name].checked([given[index] for index in indices])
                checked[names].append(fit)
                for at, reason in wrong.items():
                    problems[indices[at]].append(reason)
        problems.update({index: [reason] for index, reason in batch.problems.items()})
        for index in sorted(problems):
            self._refused(
                Refusal(
                    batch.positions[index],
                    "; ".join(problems[index]),
                    batch.geometries[index],
                    batch.properties[index],
                )
            )
        for names, indices in groups.items():
            fine = [index not in problems for index in indices]
            chosen = list(compress(indices, fine))
            if chosen:
                yield Rows(
                    names,
                    [str(batch.positions[index]) for index in chosen],
                    [
                        *(
                            self._attributes[name].texts(compress(column, fine))
                            for name, column in zip(names, checked[names], strict=True)
                        ),
                        # The columns know the SRID; to set it here would copy each geometry.
                        arrays.to_wkb(geometries[chosen]),
                    ],
                )

    def _values(self, batch: Batch) -> dict[str, list[Any]]:
        """The values of each attribute, for all the features of a batch."""
        seen: dict[str, Any] = {}
        for properties in batch.properties:
            seen.update(properties)
        self._seen.update(dict.fromkeys(seen))
        sources = _sources(self._attributes, seen, self._options.renamed)
        columns = {
            name: [properties.get(source, LEFT_OUT) for properties in batch.properties]
            for name, source in sources.items()
        }
        taken = set(sources.values())
        has_ids = any(each is not None for each in batch.ids)
        if (id_to := self._options.id_to) is not None:
            taken.discard(sources.get(id_to, ""))
            # Formats without ids have them among the properties, under the name of the key where ``export`` wrote them.
            key = self._collection.key.name
            own = key if key in seen else "id"
            if not has_ids or own != "id":
                taken.add(own)
            ids = batch.ids if has_ids else [each.get(own) for each in batch.properties]
            columns[id_to] = [LEFT_OUT if each is None else each for each in ids]
        elif has_ids and self._collection.has_given_key:
            # They are the keys, as ``export`` wrote them.
            columns.setdefault(
                self._collection.key.name,
                [LEFT_OUT if each is None else each for each in batch.ids],
            )
        elif has_ids:
            self.result.has_ids = True
        read_only = self._collection.read_only
        for name in seen:
            if name not in taken:
                ignored = self.result.read_only if name in read_only else self.result.unknown
                ignored[name] = None
        if unknown := self.result.unknown:
            self._unknown.add(
                {name: value for name, value in properties.items() if name in unknown}
                for properties in batch.properties
            )
        return {
            name: self._attributes[name].fill(column, self._options.empty)
            for name, column in columns.items()
        }

    def _refused(self, refusal: Refusal) -> None:
        self.result.refused += 1
        self._refuse(refusal)


def _sources(
    attributes: Mapping[str, Attribute], properties: Iterable[str], renamed: Mapping[str, str]
) -> dict[str, str]:
    """The property of each attribute: the one that is said to be, else its namesake, else one in another case."""
    sources: dict[str, str] = {}
    named = [name for name in properties if name not in renamed]
    folded: dict[str, list[str]] = {}
    for name in named:
        folded.setdefault(name.casefold(), []).append(name)
    for attribute in attributes:
        given = [name for name in properties if renamed.get(name) == attribute]
        exact = [name for name in named if name == attribute]
        # A Shapefile has ten characters for a name.
        short = attribute[:10].casefold()
        cut = folded.get(short, []) if len(attribute) > 10 and short not in attributes else []
        found = given or exact or folded.get(attribute.casefold(), []) or cut
        if len(found) > 1:
            raise LoadError(
                f"{attribute} may be any of the properties {', '.join(found)}: say which one with"
                f" --map {found[0]}={attribute}"
            )
        if found and (given or attribute not in renamed.values()):
            sources[attribute] = found[0]
    return sources


def _groups(values: Mapping[str, list[Any]], length: int) -> dict[tuple[str, ...], list[int]]:
    """The indices of the features that have the same attributes, by these."""
    if not any(LEFT_OUT in column for column in values.values()):
        return {tuple(values): list(range(length))}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index in range(length):
        names = (name for name, column in values.items() if column[index] is not LEFT_OUT)
        groups[tuple(names)].append(index)
    return groups


class Staging:
    """A temporary table: features wait there to be transformed, and to be compared with the rows that are there."""

    def __init__(self, connection: sa.Connection, collection: Collection, srid: int) -> None:
        self._connection = connection
        self._collection = collection
        if not connection.scalar(_KNOWN_SRID, {"srid": srid}):
            raise LoadError(f"EPSG:{srid} is no CRS that PostGIS knows")
        self._srid, self._stored_srid = srid, collection.crs.srid
        self._kinds: dict[tuple[str, ...], int] = {}
        self._attributes = list(attributes(collection))
        #: The columns that may have values, without the geometry: a hook may set any.
        self._values = self._attributes
        self._position = sa.Column(
            f"{OWN}position",
            sa.BigInteger(),
            # What a hook changes or refuses is found by it.
            primary_key=collection.before_write is not None,
            autoincrement=False,
        )
        self._kind = sa.Column(f"{OWN}kind", sa.Integer())
        self._geometry = sa.Column(collection.geometry.name, self._geometry_type(srid))
        #: What a hook has put in the place of the geometry, in the CRS of the table.
        self._place: sa.Column[Any] | None = None
        if collection.before_write is not None:
            self._place = sa.Column(f"{OWN}place", self._geometry_type(self._stored_srid))
            columns = (each.name for each in collection.table.c if each is not collection.geometry)
            self._values = [*dict.fromkeys([*self._attributes, *columns])]
        self._table = sa.Table(
            f"{OWN}rows",
            sa.MetaData(),
            self._position,
            self._kind,
            *(sa.Column(name, collection.table.c[name].type) for name in self._values),
            self._geometry,
            *([] if self._place is None else [self._place]),
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DROP",
        )
        self._table.create(connection)
        #: What was written, where ``after_commit`` is to be told.
        self.changes: list[Change] = []

    def _geometry_type(self, srid: int) -> Geometry:
        has_z = self._collection.has_z
        return Geometry(
            f"GEOMETRY{'Z' * has_z}", srid=srid, dimension=2 + has_z, spatial_index=False
        )

    def copy(self, names: tuple[str, ...], run: Iterable[Rows]) -> None:
        """Take rows that have values for these attributes."""
        kind = self._kinds.setdefault(names, len(self._kinds))
        columns = [self._position.name, self._kind.name, *names, self._geometry.name]
        texts = (rows.text(rows.positions, [str(kind)] * len(rows.positions)) for rows in run)
        _copy(self._connection, self._collection, self._table, columns, texts)

    def refusals(self, key: str | None) -> Iterator[Refusal]:
        """Give up the rows that the table would refuse."""
        refused = self._refused(key)
        if refused is None:
            return
        query = self._features(refused.c.reason).join_from(
            self._table, refused, self._position == refused.c.position
        )
        # A page at a time, since they may be all.
        found = self._connection.execute(
            query.order_by(refused.c.position), execution_options={"yield_per": 1000}
        )
        for position, wkb, reason, *values in found:
            yield self._refusal(position, reason, wkb, values)
        self._connection.execute(
            sa.delete(self._table).where(self._position.in_(sa.select(refused.c.position)))
        )

    def _features(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The rows as the file has them: position, geometry, what else is asked for, attributes."""
        return sa.select(
            self._position,
            sa.func.ST_AsBinary(self._geometry, type_=sa.LargeBinary()),
            *columns,
            *(self._table.c[name] for name in self._attributes),
        )

    def _refusal(
        self, position: int, reason: str, wkb: bytes | None, values: Sequence[Any]
    ) -> Refusal:
        pairs = zip(self._attributes, values, strict=True)
        properties = {name: value for name, value in pairs if value is not None}
        shape = None if wkb is None else shapely.from_wkb(bytes(wkb))
        return Refusal(position, reason, shape, properties)

    def _refused(self, key: str | None) -> sa.Subquery | None:
        """The positions of the rows that the table would refuse, each with the reason."""
        position, found = self._position.label("position"), []
        if key is not None:
            first = sa.func.first_value(self._position).over(
                partition_by=self._table.c[key], order_by=self._position
            )
            same = sa.select(position, first.label("first")).subquery()
            reason = sa.func.concat(f"{key}: feature ", same.c.first, " has the same")
            twice = sa.select(same.c.position, reason.label("reason"))
            found.append(twice.where(same.c.position > same.c.first))
        if self._srid not in (self._stored_srid, WGS84):
            self._connection.execute(_TRANSFORMED)
            crs = self._collection.crs
            placed = sa.func.pg_temp.transformed(self._geometry, crs.srid)
            extent = sa.func.ST_MakeEnvelope(*crs.extent, crs.srid)
            outside = sa.literal(f"a place outside of {crs}").label("reason")
            found.append(
                sa.select(position, outside).where(
                    self._geometry.is_not(None), placed.bool_op("@")(extent).is_not(True)
                )
            )
        if not found:
            return None
        each = sa.union_all(*found).subquery()
        reasons = sa.func.string_agg(each.c.reason, "; ").label("reason")
        return sa.select(each.c.position, reasons).group_by(each.c.position).subquery()

    def lock(self, key: str) -> None:
        """Keep others from changing the rows that are to be replaced, which the hooks are shown."""
        self._connection.execute(self._replaced(key, self._collection.key).with_for_update())

    def _replaced(self, key: str, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The rows of the table that have the key of one of these."""
        staged = sa.select(self._table.c[key])
        return sa.select(*columns).where(self._collection.table.c[key].in_(staged))

    def ask(self, before_write: BeforeWrite, key: str | None) -> Iterator[Refusal]:
        """Have a hook look at each row, and change it; give up those that it refuses."""
        caller, place = current.get().caller, self._geometry.name
        for page in chunks(self._connection, self._shown(key), Condition(sa.true())):
            kinds, refused = list(self._kinds), dict[int, str]()
            changes: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
            for position, kind, shape, *values in page:
                staged = dict(zip(self._values, values, strict=False))
                given = {name: staged[name] for name in kinds[kind]}
                given[place] = None
                if shape is not None:
                    given[place] = geometry.read(shape, default_srid=self._stored_srid)
                old = self._row(values[len(staged) :])
                # Of a row that is there a feature may leave things out.
                whole = (old or {}) | given
                new = {name: own(value) for name, value in whole.items()}
                try:
                    before_write(self._connection, caller, old, new)
                except Refused as error:
                    refused[position] = str(error)
                    continue
                changed = {
                    name: value
                    for name, value in new.items()
                    if name not in whole or differs(whole[name], value)
                }
                names = [name for name in given if name in new] + [*(changed.keys() - given.keys())]
                if changed or len(names) < len(given):
                    stored = tuple(sorted(name for name in names if name != place))
                    number = self._kinds.setdefault(stored, len(self._kinds))
                    changes[tuple(sorted(changed))].append(
                        {_POSITION: position, self._kind.name: number} | changed
                    )
            for names_changed, rows in changes.items():
                self._change(names_changed, rows)
            yield from self._given_up(refused)

    def _shown(self, key: str | None) -> sa.Select[Any]:
        """The rows as a hook is shown them: position, kind, geometry and values, then those of the row that each replaces."""
        staged = [
            self._position,
            self._kind,
            in_srid(self._geometry, self._stored_srid),
            *(text_of(self._table.c[name]) for name in self._values),
        ]
        if key is None:
            return sa.select(*staged).order_by(self._position)
        table = self._collection.table
        same = table.c[key] == self._table.c[key]
        query = sa.select(*staged, *map(text_of, table.columns)).join_from(
            self._table, table, same, isouter=True
        )
        return query.order_by(self._position)

    def _row(self, values: Sequence[Any]) -> dict[str, Any] | None:
        """A row of the table, as hooks are given it; None if there is none."""
        row = dict(zip(self._collection.table.columns.keys(), values, strict=False))
        if row.get(self._collection.key.name) is None:
            return None
        shape = row[self._geometry.name]
        if shape is not None:
            row[self._geometry.name] = geometry.read(shape, default_srid=self._stored_srid)
        return row

    def _change(self, names: Sequence[str], rows: list[dict[str, Any]]) -> None:
        """Give rows the values that a hook has set."""
        # The parameters are numbered: SQLAlchemy may take two columns' names for one parameter's.
        numbered = {name: f"{OWN}{number}" for number, name in enumerate(names)}
        kind = self._kind.name
        values: dict[str, Any] = {kind: sa.bindparam(_KIND)}
        for name, parameter_name in numbered.items():
            if name != self._geometry.name:
                values[name] = sa.bindparam(parameter_name, type_=self._table.c[name].type)
            elif self._place is not None:
                there = parameter(parameter_name, WGS84)
                values[self._place.name] = sa.func.ST_Transform(there, self._stored_srid)
                # Without a place of the hook's, a row has that of the file.
                values[name] = sa.case((there.is_(None), sa.null()), else_=self._geometry)
        same = self._position == sa.bindparam(_POSITION)
        update = sa.update(self._table).where(same).values(values)
        self._connection.execute(
            update,
            [
                {_POSITION: row[_POSITION], _KIND: row[kind]}
                | {
                    parameter_name: _ewkb(row[name]) if name == self._geometry.name else row[name]
                    for name, parameter_name in numbered.items()
                }
                for row in rows
            ],
        )

    def _given_up(self, refused: Mapping[int, str]) -> Iterator[Refusal]:
        """Give up rows for these reasons, by their positions."""
        if refused:
            are_refused = self._position.in_(list(refused))
            query = self._features().where(are_refused).order_by(self._position)
            for position, wkb, *values in self._connection.execute(query).all():
                yield self._refusal(position, refused[position], wkb, values)
            self._connection.execute(sa.delete(self._table).where(are_refused))

    def store(self, key: str | None) -> int:
        """Put the rows into the table; how many they are."""
        old: dict[Any, dict[str, Any]] = {}
        if key is not None and self._collection.after_commit is not None:
            query = self._replaced(key, *map(text_of, self._collection.table.columns))
            for values in self._connection.execute(query):
                if row := self._row(values):
                    old[row[self._collection.key.name]] = row
        return sum(self._store(names, kind, key, old) for names, kind in self._kinds.items())

    def _store(
        self, names: tuple[str, ...], kind: int, key: str | None, old: Mapping[Any, dict[str, Any]]
    ) -> int:
        collection, place = self._collection, self._geometry.name
        placed: sa.ColumnElement[Any] = in_srid(self._geometry, self._stored_srid)
        if self._place is not None:
            placed = sa.func.coalesce(self._place, placed)
        rows = sa.select(*(self._table.c[name] for name in names), placed).where(self._kind == kind)
        insert = postgresql.insert(collection.table).from_select([*names, place], rows)
        if key is not None:
            # What a feature leaves out stays as it is in a row that is there.
            touched = {
                column.name: column.onupdate.arg
                for column in collection.table.columns
                if isinstance(column.onupdate, sa.ColumnDefault)
            }
            given = {name: insert.excluded[name] for name in (*names, place)}
            insert = insert.on_conflict_do_update(index_elements=[key], set_=touched | given)
        with _refusing(self._connection, collection):
            if collection.after_commit is None:
                return self._connection.execute(insert).rowcount
            returned = map(text_of, collection.table.columns)
            written = self._connection.execute(insert.returning(*returned)).all()
        for values in written:
            new = self._row(values)
            if new is not None:
                self.changes.append(Change(old.get(new[collection.key.name]), new))
        return len(written)


def _ewkb(shape: Any) -> bytes | None:
    return None if shape is None else ewkb(shape)


#: The parameters that are no columns.
_POSITION, _KIND = f"{OWN}at", f"{OWN}of"


_KNOWN_SRID = sa.text("SELECT EXISTS (SELECT FROM spatial_ref_sys WHERE srid = :srid)")

#: Where coordinates lead that their CRS does not define: an error, or a place that is not theirs, which does not lead
#: back to them. Of a row among many it should be NULL.
_TRANSFORMED = sa.text(
    """
    CREATE OR REPLACE FUNCTION pg_temp.transformed(given geometry, srid integer) RETURNS geometry
    LANGUAGE plpgsql AS $$
    DECLARE
        placed geometry;
        back geometry;
        tolerance float := 1e-6 * (1 + greatest(
            abs(ST_XMin(given)), abs(ST_XMax(given)), abs(ST_YMin(given)), abs(ST_YMax(given))
        ));
    BEGIN
        placed := ST_Transform(given, srid);
        back := ST_Transform(placed, ST_SRID(given));
        IF ST_Expand(given, tolerance) ~ back AND ST_Expand(back, tolerance) ~ given THEN
            RETURN placed;
        END IF;
        RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END
    $$
    """
)


def _copy(
    connection: sa.Connection,
    collection: Collection,
    table: sa.Table,
    columns: Iterable[str],
    texts: Iterator[bytes],
) -> int:
    """Have PostgreSQL read rows as they are made; how many they are."""
    name, listed = qualified(table), ", ".join(map(quoted, columns))
    stream = _Stream(texts)
    driver: Any = connection.connection
    with _refusing(connection, collection), driver.cursor() as cursor:
        try:
            # psycopg2 prints a SystemError of its own where the server ends the session.
            with redirect_stderr(io.StringIO()):
                cursor.copy_expert(f"COPY {name} ({listed}) FROM STDIN (ENCODING 'UTF8')", stream)
        except psycopg2.Error:
            if stream.error is not None:
                raise stream.error from None
            raise
        return int(cursor.rowcount)


def _reason(collection: Collection, error: Any) -> str:
    """Why PostgreSQL refused a row."""
    reason = ": ".join(filter(None, [error.diag.message_primary, error.diag.message_detail]))
    conditions = metadata.conditions(collection.table)
    if conditions and (error.pgcode or "").startswith(("22", "XX")):
        reason += f" (in a value, or in the condition of an index: {conditions})"
    return reason or str(error).strip()


@contextmanager
def _refusing(connection: sa.Connection, collection: Collection) -> Iterator[None]:
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


UNIQUE_VIOLATION = "23505"


class Rejects:
    """Writes refused features to a file, each with its position and the reason: a sequence that can be loaded again.

    Their coordinates are those of the file that they come from, in its CRS.
    """

    #: How many reasons are kept, to be shown.
    SHOWN = 10

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: list[str] = []
        self._file: TextIO | None = None

    def __call__(self, refusal: Refusal) -> None:
        if len(self.shown) < self.SHOWN:
            self.shown.append(f"feature {refusal.position}: {refusal.reason}")
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8")
        shape = refusal.geometry
        feature = {
            "type": "Feature",
            "position": refusal.position,
            "reason": refusal.reason,
            "properties": refusal.properties,
            "geometry": None if shape is None else json.loads(shapely.to_geojson(shape)),
        }
        # Unlike orjson, it writes whatever a file may hold.
        self._file.write(json.dumps(feature, default=str) + "\n")

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def __str__(self) -> str:
        """The first reasons, a line each, and where the others are."""
        if self._file is None:
            return ""
        return "\n".join(
            [*self.shown, f"(every refused feature, with the reason: {self.path})", ""]
        )


class _Stream:
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
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C end a statement: psycopg2 waits for it in C, where Python does not hear of the signal.

    This holds for all connections of the process, which may not copy meanwhile.
    """
    set_wait_callback(wait_select)
    try:
        yield
    finally:
        set_wait_callback(None)
