"""Rows that wait in a temporary table: to be transformed, compared with the rows that are there, and shown to hooks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

from geotables import geometry
from geotables.collection import BeforeWrite, Change, Collection, Refused
from geotables.column_types import text_of
from geotables.context import current
from geotables.crs import WGS84
from geotables.db.statements import OWN, Condition
from geotables.files.attributes import attributes
from geotables.files.copying import Rows, copy_into, refusing
from geotables.files.refusals import LoadError, Refusal
from geotables.geometry import ewkb, in_srid, parameter
from geotables.sql.stream import chunks
from geotables.sql.writes import differs, own


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
        copy_into(self._connection, self._collection, self._table, columns, texts)

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
        with refusing(self._connection, collection):
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
