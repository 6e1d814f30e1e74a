"""Load a file: its features become rows, all of them in one transaction.

Rows go to PostgreSQL through COPY: straight into the table, or into a temporary one first where the database has yet to
transform them or to compare them with the rows that are there, or where the hooks of the collection are to see them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, compress, groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from geotables.collection import Change, Collection
from geotables.context import current
from geotables.db.statements import execute
from geotables.files.attributes import LEFT_OUT, Attribute, attributes, required, unique
from geotables.files.copying import Rows, copy_into, interruptible, refusing
from geotables.files.indexes import drop, is_empty, make
from geotables.files.properties import Properties
from geotables.files.refusals import LoadError, Refusal
from geotables.files.sources import Batch, Source
from geotables.files.staging import Staging
from geotables.geometry import arrays, metadata
from geotables.identifiers import qualified, quoted


@dataclass(frozen=True, slots=True)
class Result:
    """What has become of the features of a file."""

    loaded: int
    refused: int
    #: Properties that no attribute takes, in the order of their appearance.
    unknown: list[str]
    #: Properties that only the database sets.
    read_only: list[str]
    #: The columns that would hold the unknown ones, as the template's parameter ``attributes`` declares them.
    attributes: list[str]
    #: Whether features bring ids of their own that no attribute takes.
    has_ids: bool
    #: The names of the indexes that were made after the rows.
    indexes: list[str]
    #: What was written, where ``after_commit`` of the collection is to be told.
    changes: list[Change]

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
        empty: What an empty text or cell stands for in a text attribute: ``null``, the column's ``default``, or an empty ``text``;
            None: an empty text for itself, an empty cell of CSV for NULL.
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
    if not loading.loaded and not loading.refused:
        raise LoadError("nothing was loaded: the file has no features")
    if loading.refused and not options.skip_invalid:
        raise LoadError(
            f"nothing was loaded: {loading.refused:,} features are refused"
            " (--skip-invalid loads the others)"
        )
    if not loading.loaded:
        raise LoadError(f"nothing was loaded: each of the {loading.refused:,} features is refused")
    columns = ", ".join(quoted(column.name) for column in collection.table.columns)
    with refusing(connection, collection), interruptible():
        make(connection, indexes)
        # Not what indexes compute: geography takes PostGIS longer than all the columns, and no plan asks for it.
        execute(connection, f"ANALYZE {qualified(collection.table)} ({columns})")
    properties = loading.properties
    return Result(
        loaded=loading.loaded,
        refused=loading.refused,
        unknown=list(properties.unknown),
        read_only=list(properties.read_only),
        attributes=properties.declarations(),
        has_ids=properties.has_ids,
        indexes=list(indexes),
        changes=loading.changes,
    )


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
    with refusing(connection, collection), interruptible():
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
    if options.key is not None and options.key not in (names := unique(collection)):
        listed = f"unique are: {', '.join(names)}" if names else "none is"
        raise LoadError(
            f"--key: {options.key!r} is not a unique attribute of {collection.name}; {listed}"
        )


@dataclass
class _Loading:
    """One file on its way into the table."""

    connection: sa.Connection
    collection: Collection
    source: Source
    options: Options
    refuse: Callable[[Refusal], None]
    watch: Callable[[int], object]
    loaded: int = 0
    refused: int = 0
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attributes = {
            name: Attribute(self.collection, column, json_as_text=self.source.json_as_text)
            for name, column in attributes(self.collection).items()
        }
        self.required = {*required(self.collection), *filter(None, [self.options.key])}
        self.properties = Properties(
            self.collection, self.source, self.options.renamed, self.options.id_to
        )

    def run(self) -> None:
        batches = self.source.batches()
        # The file has said its CRS once a batch is there.
        first = next(batches, None)
        if first is None:
            return
        rows = self._rows(chain([first], batches))
        as_stored = self.source.srid == self.collection.crs.srid
        if as_stored and self.options.key is None and not self.collection.has_hooks:
            self._copy(rows)
        else:
            self._stage(rows)
        if missing := self.options.renamed.keys() - self.properties.seen:
            raise LoadError(f"--map: no feature has a property {', '.join(sorted(missing))}")

    def _copy(self, rows: Iterator[Rows]) -> None:
        # Where anything is refused nothing is loaded: what follows is only looked at.
        wanted = (each for each in rows if self.options.skip_invalid or not self.refused)
        table, place = self.collection.table, self.collection.geometry.name
        for names, run in groupby(wanted, key=attrgetter("names")):
            texts = (each.text() for each in run)
            loaded = copy_into(self.connection, self.collection, table, [*names, place], texts)
            self.loaded += loaded

    def _stage(self, rows: Iterator[Rows]) -> None:
        key = self.options.key
        staging = Staging(self.connection, self.collection, self.source.srid)
        for names, run in groupby(rows, key=attrgetter("names")):
            staging.copy(names, run)
        with interruptible():
            for refusal in staging.refusals(key):
                self._refuse(refusal)
            if key is not None and self.collection.has_hooks:
                staging.lock(key)
            if self.collection.before_write is not None:
                for refusal in staging.ask(self.collection.before_write, key):
                    self._refuse(refusal)
            if self.options.skip_invalid or not self.refused:
                self.loaded = staging.store(key)
                self.changes = staging.changes

    def _rows(self, batches: Iterable[Batch]) -> Iterator[Rows]:
        for batch in batches:
            # All at once: the first are not to be sent before the last are looked at.
            yield from list(self._rows_of(batch))
            self.watch(self.source.progress)

    def _rows_of(self, batch: Batch) -> Iterator[Rows]:
        column = self.collection.geometry
        geometries = arrays.fitted(
            batch.geometries,
            column,
            force_2d=self.options.force_2d,
            make_valid=self.options.make_valid,
        )
        values = {
            name: self.attributes[name].fill(given, self.options.empty)
            for name, given in self.properties.values(batch).items()
        }
        groups = _groups(values, len(batch.positions))
        problems: dict[int, list[str]] = defaultdict(list)
        for index, reason in arrays.problems(geometries, column, self.source.srid):
            problems[index].append(reason)
        checked: dict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
        for names, indices in groups.items():
            for name in self.required.difference(names):
                for index in indices:
                    problems[index].append(f"{name}: a value is required")
            for name in names:
                given = values[name]
                fit, wrong = self.attributes[name].checked([given[index] for index in indices])
                checked[names].append(fit)
                for at, reason in wrong.items():
                    problems[indices[at]].append(reason)
        problems.update({index: [reason] for index, reason in batch.problems.items()})
        for index in sorted(problems):
            self._refuse(
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
                            self.attributes[name].texts(compress(column, fine))
                            for name, column in zip(names, checked[names], strict=True)
                        ),
                        # The columns know the SRID; to set it here would copy each geometry.
                        arrays.to_wkb(geometries[chosen]),
                    ],
                )

    def _refuse(self, refusal: Refusal) -> None:
        self.refused += 1
        self.refuse(refusal)


def _groups(values: Mapping[str, list[Any]], length: int) -> dict[tuple[str, ...], list[int]]:
    """The indices of the features that have the same attributes, by these."""
    if not any(LEFT_OUT in column for column in values.values()):
        return {tuple(values): list(range(length))}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index in range(length):
        names = (name for name, column in values.items() if column[index] is not LEFT_OUT)
        groups[tuple(names)].append(index)
    return groups
