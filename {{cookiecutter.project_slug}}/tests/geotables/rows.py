"""Rows to test with: what clients send, and what SQL inserts."""

import datetime
import functools
import json
from collections import defaultdict
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from geoalchemy2.shape import from_shape
from httpx2 import Response
from shapely.geometry.base import BaseGeometry

from geotables import geometry
from geotables.collection import Collection
from geotables.crs import WGS84
from geotables.geometry import samples
from geotables.http.ids import in_path
from geotables.identifiers import named_in, qualified, quoted


class Rows:
    """Rows of a collection, and what tests ask about its table.

    Attributes:
        collection: The collection.
        table: Its table, for SQLAlchemy.
        key: The primary key; its name may be any.
        path: The REST resource, such as ``/facilities/``.
        collection_path: ``/collections/facilities``.
        items: ``/collections/facilities/items``.
        tileset: ``/collections/facilities/tiles/WebMercatorQuad``.
    """

    @classmethod
    @functools.cache
    def of(cls, collection: Collection) -> "Rows":
        """The rows of a collection."""
        return cls(collection)

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.table, self.key = collection.table, collection.key
        self.path = f"/{collection.name}/"
        self.collection_path = f"/collections/{collection.name}"
        self.items = f"{self.collection_path}/items"
        self.tileset = f"{self.collection_path}/tiles/WebMercatorQuad"

    # What SQL names. A table that was adopted may have a schema, and names that are quoted.

    @cached_property
    def sql(self) -> str:
        """The table, in SQL."""
        return qualified(self.table)

    @cached_property
    def key_sql(self) -> str:
        """The primary key, in SQL."""
        return quoted(self.key.name)

    @cached_property
    def id_sql(self) -> str:
        """The same as text."""
        if isinstance(self.key.type, sa.Date | sa.DateTime):
            return f"(to_json({self.key_sql}) #>> '{{}}')"
        return f"CAST({self.key_sql} AS text)"

    @cached_property
    def geometry_sql(self) -> str:
        """The geometry column, in SQL."""
        return quoted(self.collection.geometry.name)

    @cached_property
    def indexed_sql(self) -> str:
        """The partial index's condition, as a part of ``sa.text``, where a colon would begin the name of a parameter."""
        return str(self.collection.indexed_rows).replace(":", r"\:")

    # The columns.

    @cached_property
    def columns(self) -> dict[str, sa.Column[Any]]:
        """Every column that is shown, but the geometry, by name."""
        geometry = self.collection.geometry
        return {column.name: column for column in self.collection.columns if column is not geometry}

    @cached_property
    def queryable(self) -> dict[str, sa.Column[Any]]:
        """Those that can be sorted by, and that a parameter of their own asks about: all but JSON."""
        return {
            name: column
            for name, column in self.columns.items()
            if not isinstance(column.type, sa.JSON)
        }

    @cached_property
    def feature_names(self) -> list[str]:
        """The names of a feature's properties: those columns, without a key that is called ``id``."""
        return [name for name in self.columns if name != "id" or self.key.name != "id"]

    @cached_property
    def writable(self) -> list[sa.Column[Any]]:
        """The columns that a client writes, without the geometry; of a read-only collection, those that SQL inserts."""
        collection = self.collection
        if collection.create is None:
            return [column for column in self.table.columns if column.name in collection.example(0)]
        return [
            column
            for column in self.table.columns
            if column is not collection.geometry
            and column.name in collection.written
            and column.name not in collection.read_only
        ]

    @cached_property
    def properties(self) -> list[sa.Column[Any]]:
        """Those of them that are properties of a feature, whose id is the key."""
        return [column for column in self.writable if column is not self.key]

    @cached_property
    def unique(self) -> set[str]:
        """The columns of unique constraints, and the key if clients give it."""
        key = {self.key.name} if self.is_given else set()
        return key | {
            column.name
            for constraint in self.table.constraints
            if isinstance(constraint, sa.UniqueConstraint)
            for column in constraint.columns
        }

    @cached_property
    def unique_alone(self) -> set[str]:
        """Those of which a value is in one row at the most, whatever the others have."""
        alone = {
            constraint.columns[0].name
            for constraint in self.table.constraints
            if isinstance(constraint, sa.UniqueConstraint) and len(constraint.columns) == 1
        }
        return self.unique & (alone | {self.key.name})

    @cached_property
    def required(self) -> set[str]:
        """The columns that a client must give, without the geometry."""
        return {
            column.name
            for column in self.writable
            if not column.nullable and column.server_default is None
        }

    @cached_property
    def required_members(self) -> set[str]:
        """What a client must give of a row."""
        geometry = self.collection.geometry
        return self.required | (set() if geometry.nullable else {geometry.name})

    @cached_property
    def asked(self) -> list[str]:
        """The columns that a partial index asks about, without those that tell rows apart."""
        named = set(named_in(str(self.collection.indexed_rows)))
        return [
            column.name
            for column in self.writable
            if column.name in named and column.name not in self.unique
        ]

    @cached_property
    def kinds(self) -> int:
        """How many rows, from number 0 on, have every combination of values that a partial index asks about."""
        # Of a condition over many columns there would be hundreds.
        seen = [repr(self.asked_for(number)) for number in range(32)]
        return max(seen.index(row) for row in seen) + 1

    @cached_property
    def has_timestamps(self) -> bool:
        """Whether the rows show ``created_at`` and ``updated_at``, which the database sets."""
        return {"created_at", "updated_at"} <= self.columns.keys() & self.collection.read_only

    @cached_property
    def no_id(self) -> Any:
        """An id that no row has."""
        match self.key.type:
            case sa.Uuid():
                return UUID(int=0)
            case sa.Integer():
                return 2**62
            case sa.Numeric():
                return Decimal("-1.25")
            case sa.Date():
                return datetime.date(1, 1, 1)
            case sa.DateTime():
                return datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
        return "no row has this"

    @cached_property
    def is_given(self) -> bool:
        """Whether clients give the key."""
        return self.key in self.writable

    # Where rows are.

    def text(self, id: Any) -> str:
        """An id as text, the same whether SQL, JSON or a tile has written it."""
        match self.key.type:
            case sa.Numeric() if not isinstance(id, str):
                return format(Decimal(str(id)).normalize(), "f")
            case sa.DateTime() if isinstance(id, datetime.datetime):
                time, _, fraction = id.astimezone(datetime.UTC).isoformat()[:-6].partition(".")
                return f"{time}{'.' * bool(fraction)}{fraction.rstrip('0')}+00:00"
        return str(id)

    def at(self, id: Any) -> str:
        """The path of a row."""
        return self.path + in_path(self.text(id))

    def item(self, id: Any) -> str:
        """The path of the same row as a feature."""
        return f"{self.items}/{in_path(self.text(id))}"

    # What a client sends.

    @property
    def samples(self) -> list[BaseGeometry]:
        """A geometry of each type that the table stores, in WGS 84."""
        return samples.geometries(self.collection.geometry)

    def body(self, number: int = 1, /, **members: Any) -> dict[str, Any]:
        """What a client sends of a row: no more than it must, and the members given."""
        row = self.collection.example(number)
        return self._sent(
            {name: value for name, value in row.items() if name in self.required} | members
        )

    def full_body(self, number: int = 1, /, **members: Any) -> dict[str, Any]:
        """What a client sends of a row when it leaves nothing out, and the members given."""
        return self._sent(self.collection.example(number) | members)

    def change(self, number: int = 1, /, **members: Any) -> dict[str, Any]:
        """The body of a row for one that is there, whose key stays."""
        return self._keyless(self.body(number, **members))

    def full_change(self, number: int = 1, /, **members: Any) -> dict[str, Any]:
        """The full body of a row for one that is there."""
        return self._keyless(self.full_body(number, **members))

    def _keyless(self, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name != self.key.name}

    def _sent(self, values: Mapping[str, Any]) -> dict[str, Any]:
        place = {self.collection.geometry.name: self.samples[0]}
        return {name: as_json(value) for name, value in {**place, **values}.items()}

    def asked_for(self, number: int) -> dict[str, Any]:
        """What a row has for the columns that a partial index asks about."""
        row = self.collection.example(number)
        return {name: row[name] for name in self.asked}

    def in_wgs84(self, connection: sa.Connection, member: Any) -> BaseGeometry:
        """The geometry of an answer, whichever format it has."""
        given = geometry.read(member, default_srid=self.collection.crs.srid)
        transformed = sa.func.ST_AsEWKB(geometry.bind(given, WGS84), type_=sa.LargeBinary())
        return shapely.from_wkb(bytes(connection.scalar(sa.select(transformed))))

    def in_storage(self, connection: sa.Connection, place: BaseGeometry) -> BaseGeometry:
        """A geometry in WGS 84 as the table stores it: in the storage CRS, with z if it has heights."""
        if self.collection.has_z:
            place = shapely.set_srid(shapely.force_3d(place), shapely.get_srid(place))
        stored = geometry.bind(place, self.collection.crs.srid)
        query = sa.select(sa.func.ST_AsBinary(stored, type_=sa.LargeBinary()))
        return shapely.from_wkb(bytes(connection.scalar(query)))

    # What SQL inserts and finds.

    def count(self, connection: sa.Connection) -> int:
        """How many rows there are."""
        number: int = connection.execute(
            sa.select(sa.func.count()).select_from(self.table)
        ).scalar_one()
        return number

    def indexed_ids(self, connection: sa.Connection) -> list[Any]:
        """The ids of the rows that answers over many rows are about, in their order."""
        query = sa.select(self.key).where(self.collection.indexed_rows).order_by(self.key)
        return list(connection.scalars(query))

    def insert(
        self,
        connection: sa.Connection,
        geometries: Sequence[BaseGeometry],
        kinds: Sequence[Mapping[str, Any]] = ({},),
        names: Names[str] | None = None,
    ) -> None:
        """Insert example rows by plain SQL, as many as the unique columns tell apart, on both sides of a predicate.

        Args:
            connection: To the database.
            geometries: Of each row its own, in the storage CRS.
            kinds: Other values, which the rows have in turn: for the table that is not constrained.
            names: The columns that are not left out; all that a client writes, unless given.
        """
        if names is None:
            names = [column.name for column in self.writable]
        taken: set[tuple[str, Any]] = set()
        inserted: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        for number, shape in enumerate(geometries):
            example = self.collection.example(number)
            row = {name: example[name] for name in names} | kinds[number % len(kinds)]
            unique = {(name, row[name]) for name in self.unique & row.keys()}
            if not unique & taken:
                taken |= unique
                stored = from_shape(shape, srid=self.collection.crs.srid)
                inserted[frozenset(row)].append(row | {self.collection.geometry.name: stored})
        for batch in inserted.values():
            connection.execute(sa.insert(self.table), batch)

    def spread(self, number: int) -> list[BaseGeometry]:
        """Geometries all over the storage CRS, of every type that the column stores; always the same."""
        return _spread(self.collection, number)

    def around_the_world(self) -> sa.TextClause:
        """A query of the ids of rows that lie across the antimeridian, or beyond it where the CRS has other coordinates for the
        same place: their longitudes go around the world the wrong way, and brute force finds them where they are not.
        """
        return sa.text(
            f"SELECT {self.key_sql} FROM (SELECT {self.key_sql}, {self.geometry_sql} AS stored,"
            f" ST_Transform({self.geometry_sql}, 4326) AS lonlat FROM {self.sql}) AS found"
            " WHERE ST_XMax(lonlat) - ST_XMin(lonlat) > 180 OR ST_Distance(ST_Centroid(stored),"
            f" ST_Centroid(ST_Transform(lonlat, {self.collection.crs.srid}))) > 1"
        )


@functools.cache
def _spread(collection: Collection, number: int) -> list[BaseGeometry]:
    crs = collection.crs
    extent, random = crs.extent, np.random.default_rng(1)
    # Up to a hundredth of the extent in size; the largest shape measures three units.
    sizes = (extent.xmax - extent.xmin) / 300 * random.random(number)
    # A datum's shift would carry what lies at the very edge across the antimeridian, and a line around the world.
    edge = 0.1 if crs.geographic and crs.srid != WGS84 else 0.0
    x = (
        extent.xmin
        + edge
        + random.random(number) * (extent.xmax - extent.xmin - 2 * edge - 3 * sizes)
    )
    y = extent.ymin + random.random(number) * (extent.ymax - extent.ymin - 3 * sizes)
    found = []
    for index, place in enumerate(zip(x, y, strict=True)):
        shapes = samples.geometries(collection.geometry, place, sizes[index])
        found.append(shapely.set_srid(shapes[index % len(shapes)], crs.srid))
    return found


def as_json(value: Any) -> Any:
    """A value as a client sends it."""
    if isinstance(value, BaseGeometry):
        return json.loads(shapely.to_geojson(value))
    return orjson.loads(orjson.dumps(value, default=str))


def same_place(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Whether two geometries have the same coordinates, to a tenth of a metre."""
    if one.geom_type != other.geom_type:
        return False
    ours, theirs = (shapely.get_coordinates(each, include_z=True) for each in (one, other))
    return ours.shape == theirs.shape and np.allclose(
        ours, theirs, rtol=0, atol=1e-6, equal_nan=True
    )


def refused(response: Response, place: str, reason: str = "") -> None:
    """Assert that a request was refused as invalid, with the place and the reason."""
    assert response.status_code == 422, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert [error["location"] for error in errors] == [place], response.text
    assert reason in errors[0]["detail"]


def integer_bits(column: sa.Column[Any]) -> int:
    """The bits of a column's integers, without the sign."""
    return {sa.BigInteger: 63, sa.SmallInteger: 15}.get(type(column.type), 31)


def value(column: sa.Column[Any], number: int = 1) -> Any:
    """A value of a column's type, whatever the constraints of its table: for one that is not constrained."""
    match column.type:
        case sa.String():
            return str(number)[: column.type.length]
        case sa.Boolean():
            return number % 2 == 0
        case sa.Integer():
            return number
        case sa.Numeric():
            return Decimal(number % 10).scaleb(-(column.type.scale or 0))
        case sa.Float():
            return number + 0.5
        case sa.DateTime():
            return datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
                hours=number
            )
        case sa.Date():
            return datetime.date(2020, 1, 1) + datetime.timedelta(days=number)
        case sa.Uuid():
            return UUID(int=number)
        case sa.JSON():
            return {"number": number}
    raise NotImplementedError(f"no sample of the type of {column}")
