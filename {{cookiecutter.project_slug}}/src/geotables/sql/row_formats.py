"""Row formats: what a SELECT returns of a row, and how that becomes a flat JSON object or a GeoJSON feature."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import repeat
from typing import Any, TypeAlias

import orjson
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.crs import Reference
from geotables.db.statements import Statement
from geotables.geometry import GeometryFormat, in_srid, metadata, of_text
from geotables.geometry.metadata import GeometryColumn

#: The names of the columns of a feature that a client wants.
Selection: TypeAlias = frozenset[str]


class RowFormat(ABC):
    """How rows are written: what is selected of them, and the JSON values that this becomes."""

    def __init__(
        self,
        collection: Collection,
        columns: Iterable[sa.Column[Any]],
        geometry: sa.ColumnElement[Any],
        *,
        geometry_is_json: bool,
    ) -> None:
        self.collection = collection
        self._names: list[str] = []
        self._is_json: list[bool] = []
        self.columns: list[sa.ColumnElement[Any]] = []
        for column in columns:
            value, is_json = _written(column)
            if column is collection.geometry:
                value, is_json = geometry, geometry_is_json
            self._names.append(column.name)
            self._is_json.append(is_json)
            self.columns.append(value.label(column.name))
        self._key = self._names.index(collection.key.name)
        #: The geometry as it is read from what is written of it: rounded, in another CRS perhaps.
        self.rounded = of_text(
            geometry, metadata.srid(collection.geometry), is_json=geometry_is_json
        )
        #: The row with an id, and its version at the end.
        self.by_id = self._by_id(sa.true())
        #: The same, of the rows that a caller may see.
        self.visible_by_id = lru_cache(maxsize=16)(self._by_id)

    def _by_id(self, visible: sa.ColumnElement[bool]) -> Statement:
        one: sa.Select[Any] = sa.select(*self.columns, self.collection.version)
        return Statement(one.where(self.collection.key == sa.bindparam("id"), visible))

    def key_of(self, row: Sequence[Any]) -> Any:
        """The key of a row, for statements about it."""
        key = row[self._key]
        return key.strip('"') if self._is_json[self._key] else key

    def id_of(self, row: Sequence[Any]) -> str:
        """The same as text, which PostgreSQL reads as the very same key."""
        return str(self.key_of(row))

    @abstractmethod
    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Rows that begin with the columns selected, as values for ``orjson``."""

    def encode_one(self, row: Sequence[Any]) -> dict[str, Any]:
        """The same of one row."""
        return self.encode([row])[0]


class Record(RowFormat):
    """A row as a flat JSON object, with its geometry in a format of the caller's choice."""

    def __init__(self, collection: Collection, geometry: GeometryFormat) -> None:
        select, is_json = geometry.select(), geometry.is_json
        super().__init__(collection, collection.columns, select, geometry_is_json=is_json)

    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        return list(_objects(self._names, _columns(rows, self._is_json)))


class Feature(RowFormat):
    """A row as a GeoJSON feature: its id, its geometry as text, and its properties.

    Attributes:
        has_geometry: Whether the geometry is selected; else it is null.
        others: The columns that are selected after the key and the geometry.
    """

    def __init__(
        self,
        collection: Collection,
        geometry: sa.ColumnElement[Any],
        selection: Selection | None = None,
    ) -> None:
        properties = collection.properties
        self.has_geometry = True
        if selection is not None:
            properties = [column for column in properties if column.name in selection]
            self.has_geometry = collection.geometry.name in selection
        if not self.has_geometry:
            geometry = sa.null()
        self.others = [column for column in properties if column is not collection.key]
        columns = [collection.key, collection.geometry, *self.others]
        super().__init__(collection, columns, geometry, geometry_is_json=True)
        self._properties = [column.name for column in properties]
        self._places = [self._names.index(name) for name in self._properties]

    def encode(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        if not rows:
            return []
        columns = _columns(rows, self._is_json)
        ids, geometries = columns[:2]
        if self._is_json[self._key]:
            # As text: JavaScript and GDAL read a number as a double.
            ids = list(map(self.key_of, rows))
        values = [columns[place] for place in self._places]
        # Without a column to tell it, zip() would not know the number of rows.
        properties = _objects(self._properties, values) if values else ({} for _ in ids)
        return [
            {"type": "Feature", "id": id, "geometry": geometry, "properties": each}
            for id, geometry, each in zip(ids, geometries, properties, strict=True)
        ]


def _columns(rows: Sequence[Sequence[Any]], is_json: Sequence[bool]) -> list[Sequence[Any]]:
    """The values of rows, column by column; what PostgreSQL has written as JSON is not parsed."""
    return [
        [text and orjson.Fragment(text) for text in column] if each else column
        for each, column in zip(is_json, zip(*rows, strict=True), strict=False)
    ]


def _objects(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Columns put together to objects; in C, since a long page has thousands of them."""
    return map(dict, map(zip, repeat(names), zip(*columns, strict=True)))


@cache
def record(collection: Collection) -> Record:
    """Rows as the REST resource of a collection writes them."""
    return Record(collection, collection.format)


@lru_cache(maxsize=256)
def geojson(
    collection: Collection, reference: Reference, selection: Selection | None = None
) -> Feature:
    """Features whose geometry is GeoJSON, in a CRS and its order of the axes."""
    coordinates = _in_reference(collection.geometry, reference)
    # Options 0: without them PostGIS adds a "crs" member, which RFC 7946 has removed.
    text = sa.func.ST_AsGeoJSON(coordinates, reference.decimals, 0, type_=sa.Text())
    return Feature(collection, text, selection)


@lru_cache(maxsize=256)
def wkt(
    collection: Collection, reference: Reference, selection: Selection | None = None
) -> Feature:
    """Features whose geometry is WKT, in a CRS and its order of the axes."""
    coordinates = _in_reference(collection.geometry, reference)
    text = sa.func.ST_AsText(coordinates, reference.decimals, type_=sa.Text())
    return Feature(collection, text, selection)


def _in_reference(geometry: GeometryColumn, reference: Reference) -> sa.ColumnElement[Any]:
    coordinates = in_srid(geometry, reference.srid)
    if reference.swapped:
        return sa.func.ST_FlipCoordinates(coordinates, type_=Geometry(srid=reference.srid))
    return coordinates


def _written(column: sa.Column[Any]) -> tuple[sa.ColumnElement[Any], bool]:
    """What to select of a column, and whether it comes as JSON.

    PostgreSQL writes what Python or orjson has no values for: infinite times, exact numbers, NaN.
    """
    if isinstance(column.type, sa.JSON) and not isinstance(column.type, JSONB):
        # As it was written, with spaces and perhaps line breaks, which a sequence of one row to a line cannot have.
        return sa.func.translate(sa.cast(column, sa.Text()), "\n\r", "  ", type_=sa.Text()), True
    if isinstance(column.type, sa.Date | sa.DateTime | sa.Numeric | sa.Float | sa.JSON):
        return sa.cast(sa.func.to_json(column), sa.Text()), True
    return text_of(column), False
