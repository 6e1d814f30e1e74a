"""Writes FlatGeobuf (https://flatgeobuf.org): FlatBuffers, after their sizes, of a header and of each feature.

What follows has the names of FlatBuffers' format (https://flatbuffers.dev/internals): a table has a slot for each of its fields.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from math import isnan
from struct import pack, unpack_from
from typing import Any, NamedTuple

import numpy as np
import pyarrow
from pyarrow import compute

from .table import Table, ValueRefused, arrow_type, refused

#: What FlatGeobuf calls the types of geometries and of columns, by their numbers.
GEOMETRIES = (
    None,
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
)
POINT, LINESTRING, POLYGON, MULTIPOINT, MULTILINESTRING, MULTIPOLYGON, COLLECTION = range(1, 8)
COLUMNS = {
    "bool_": 2,
    "int16": 3,
    "int32": 5,
    "int64": 7,
    "float32": 9,
    "float64": 10,
    "string": (TEXT := 11),
    "decimal128": TEXT,
    "json": 12,
    "date32": (TIME := 13),
    "timestamp": TIME,
}


class FlatGeobuf:
    """FlatGeobuf without an index (https://flatgeobuf.org): a header, then a feature after the other.

    A geometry that is empty is none.
    """

    def __init__(self, table: Table) -> None:
        self._columns = [each for each in table.columns if each[0] != table.geometry]
        texts = [
            (name, "string") if COLUMNS[kind] in (TEXT, TIME) else (name, kind, *of)
            for name, kind, *of in table.columns
        ]
        self.table = table._replace(columns=texts)
        self._begin = b"fgb\x03fgb\x00" + _sized(self._header())

    def add(self, rows: Any) -> bytes:
        properties = _joined(
            [
                piece
                for number, (name, *type) in enumerate(self._columns)
                for piece in _properties(number, name, type, rows.column(name).chunk(0))
            ]
        )
        places, geometries = self._geometries(rows)
        lengths, sizes = _sizes(geometries), _sizes(properties)
        padding = -sizes % 8
        # The size, then the offset of the table, its offsets of the fields, and the table: the parts begin at byte 32.
        head = np.zeros((rows.num_rows, 8), "<u4")
        head[:, 0] = 36 + lengths + sizes + padding
        head[:, 1:5] = [12, 8 | 12 << 16, 8 << 16, 8]
        head[:, 3] |= np.where(places < 0, 0, 4).astype("<u4")
        head[:, 5] = 12 + places
        head[:, 6] = 12 + lengths
        vectors = np.zeros((rows.num_rows, 2), "<u4")
        vectors[:, 1] = sizes
        padded = _binary(np.zeros(padding.sum(), np.uint8), padding)
        features = _joined([_fixed(head), geometries, _fixed(vectors), properties, padded])
        begin, self._begin = self._begin, b""
        return begin + bytes(features.buffers()[2] or b"")

    def finish(self) -> bytes:
        return self._begin

    def _header(self) -> "_Part":
        table, none = self.table, None
        columns = [_table(_string(name), COLUMNS[kind]) for name, kind, *_ in self._columns]
        # Its slots: name, envelope, geometry type, has z, m, t, tm, columns, number of features, node size of the index, CRS.
        return _table(
            _string(table.name),
            none,
            GEOMETRIES.index(table.geometry_type),
            int(table.has_z),
            *[none] * 3,
            _tables(columns),
            none,
            0,
            _table(_string("EPSG"), table.srid),
        )

    def _geometries(self, rows: Any) -> tuple[Any, Any]:
        """Where in its bytes each geometry is, or -1 where there is none; the bytes of each."""
        if self.table.geometry is None:
            parts: list[_Part | None] = [None] * rows.num_rows
        else:
            coordinates = self.table.points(rows)
            if coordinates is not None and not np.isnan(coordinates).any():
                return _points(coordinates)
            shapes = rows.column(self.table.geometry)
            try:
                parts = [
                    None if wkb is None else _WKB(wkb).geometry() for wkb in shapes.to_pylist()
                ]
            except NotImplementedError as error:
                raise ValueRefused(self.table.geometry, str(error)) from error
        there = [(b"", -1) if part is None else part for part in parts]
        data = pyarrow.array([data for data, _ in there], pyarrow.binary())
        return np.array([at for _, at in there]), data


def _properties(number: int, name: str, type: Sequence[Any], values: Any) -> Iterator[Any]:
    """The values of a column that are not NULL, each after the number of the column."""
    kind, *of = type
    is_there = values.is_valid().to_numpy(zero_copy_only=False)
    before = np.frombuffer(pack("<H", number), np.uint8)
    if COLUMNS[kind] < TEXT:
        plain = values.drop_null().to_numpy(zero_copy_only=False)
        data = plain.view(np.uint8).reshape(len(plain), plain.itemsize)
        cells = np.hstack([np.tile(before, (len(plain), 1)), data])
        yield _binary(cells, is_there * cells.shape[1])
        return
    if COLUMNS[kind] == TIME:
        # They are as they come; this refuses those that are infinite, or not of the years 1 to 9999.
        try:
            values.cast(arrow_type(kind, *of))
        except pyarrow.ArrowInvalid as error:
            raise refused(name, error) from error
    lengths = _sizes(values)[is_there].astype("<u4").view(np.uint8).reshape(-1, 4)
    yield _binary(np.hstack([np.tile(before, (len(lengths), 1)), lengths]), is_there * 6)
    yield pyarrow.BinaryArray.from_buffers(
        pyarrow.binary(), len(values), [None, *values.buffers()[1:]]
    )


def _points(coordinates: Any) -> tuple[Any, Any]:
    """The same of points, which differ in their coordinates alone: these are the last bytes."""
    data, at = _table(None, _vector(bytes(16), 2), *[None] * 4, POINT)
    number = len(coordinates)
    same = np.tile(np.frombuffer(data[:-16], np.uint8), (number, 1))
    return np.full(number, at), _fixed(np.hstack([same, coordinates.view(np.uint8)]))


def _fixed(numbers: Any) -> Any:
    """The bytes of each row of numbers."""
    return _binary(numbers, np.full(len(numbers), numbers.itemsize * numbers.shape[1]))


def _binary(data: Any, sizes: Any) -> Any:
    """Bytes of each row, which are one after the other in data."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(data)]
    return pyarrow.BinaryArray.from_buffers(pyarrow.binary(), len(sizes), buffers)


def _sizes(values: Any) -> Any:
    """How many bytes each of texts, or of other bytes, has."""
    return np.diff(np.frombuffer(values.buffers()[1], np.int32, len(values) + 1))


def _joined(pieces: Sequence[Any]) -> Any:
    """Pieces of each row put one after the other."""
    return compute.binary_join_element_wise(*pieces, b"")


def _uint(number: int) -> bytes:
    return pack("<I", number)


class _Part(NamedTuple):
    """A part of a flat buffer: its bytes, a multiple of 8, and where in them offsets to it point."""

    data: bytes
    at: int


def _sized(root: _Part) -> bytes:
    """A whole buffer, after its size: the bytes of parts are aligned to 8 from there on."""
    return _uint(len(root.data) + 4) + _uint(root.at + 4) + root.data


def _vector(data: bytes, number: int) -> _Part:
    return _Part(b"\0\0\0\0" + _uint(number) + data + bytes(-len(data) % 8), 4)


def _string(text: str) -> _Part:
    data = text.encode()
    return _vector(data + b"\0", len(data))


def _tables(parts: Sequence[_Part]) -> _Part:
    """A vector of tables."""
    offsets, end = [], (4 + 4 * len(parts) + 7) // 8 * 8
    for number, part in enumerate(parts):
        offsets.append(_uint(end + part.at - 4 - 4 * number))
        end += len(part.data)
    padding = bytes(4 * (1 - len(parts) % 2))
    return _Part(
        b"".join([_uint(len(parts)), *offsets, padding, *(part.data for part in parts)]), 0
    )


@cache
def _layout(present: tuple[bool, ...]) -> tuple[bytes, int]:
    """What a table begins with, and where in it the table is: the offsets of its fields, of which each takes four bytes."""
    places = [
        4 * sum(present[: slot + 1]) if is_there else 0 for slot, is_there in enumerate(present)
    ]
    offsets = pack(f"<{len(present) + 2}H", 4 + 2 * len(present), 4 + 4 * sum(present), *places)
    offsets += bytes(-len(offsets) % 4)
    return offsets + pack("<i", len(offsets)), len(offsets)


def _table(*fields: _Part | int | None) -> _Part:
    """A table, with each field in its slot: a part, a number or, where it is None, the default."""
    head, at = _layout(tuple([field is not None for field in fields]))
    there = [field for field in fields if field is not None]
    place, end = len(head), len(head) + 4 * len(there)
    pieces, parts = [head], [bytes(-end % 8)]
    end += -end % 8
    for field in there:
        if isinstance(field, int):
            pieces.append(_uint(field))
        else:
            data, start = field
            pieces.append(_uint(end + start - place))
            parts.append(data)
            end += len(data)
        place += 4
    return _Part(b"".join(pieces + parts), at)


class _WKB:
    """Reads WKB, with the smaller bytes of numbers first, as geometries of FlatGeobuf."""

    def __init__(self, wkb: bytes) -> None:
        self._wkb, self._at = wkb, 0

    def geometry(self) -> _Part | None:
        """The next geometry; None if it is empty."""
        kind = self._kind()
        if kind > COLLECTION:
            raise NotImplementedError(f"a geometry of WKB's type {kind}")
        if kind in (MULTIPOLYGON, COLLECTION):
            parts = [part for _ in range(self._number()) if (part := self.geometry())]
            return _table(*[None] * 6, kind, _tables(parts)) if parts else None
        lines = list(self._lines(kind))
        xy = b"".join([xy for xy, _ in lines])
        # An empty point has coordinates that are no numbers.
        if not xy or (kind == POINT and isnan(unpack_from("<d", xy)[0])):
            return None
        z = b"".join([z for _, z in lines])
        ends = None
        if len(lines) > 1 and kind != MULTIPOINT:
            numbers = accumulate(len(xy) // 16 for xy, _ in lines)
            ends = _vector(pack(f"<{len(lines)}I", *numbers), len(lines))
        return _table(
            ends,
            _vector(xy, len(xy) // 8),
            _vector(z, len(z) // 8) if z else None,
            None,
            None,
            None,
            kind,
        )

    def _lines(self, kind: int) -> Iterator[tuple[bytes, bytes]]:
        """The lines of a geometry, or its points: x and y, and z if it has them."""
        if kind in (POINT, LINESTRING):
            yield self._line(kind)
            return
        for _ in range(self._number()):
            yield self._line(LINESTRING if kind == POLYGON else self._kind())

    def _line(self, kind: int) -> tuple[bytes, bytes]:
        number, start = 1 if kind == POINT else self._number(), self._at
        if not self._has_z:
            self._at += 16 * number
            return self._wkb[start : self._at], b""
        self._at += 24 * number
        xyz = np.frombuffer(self._wkb, "<f8", 3 * number, start).reshape(number, 3)
        return xyz[:, :2].tobytes(), xyz[:, 2].tobytes()

    def _kind(self) -> int:
        (code,) = unpack_from("<I", self._wkb, self._at + 1)
        self._at += 5
        self._has_z, kind = divmod(code, 1000)
        return int(kind)

    def _number(self) -> int:
        (number,) = unpack_from("<I", self._wkb, self._at)
        self._at += 4
        return int(number)
