"""FlatGeobuf with its index, by which a reader finds what is in a box: for what ``file_formats`` writes without one.

The index stands before the features and needs the box of each. What is kept of a feature is 36 bytes; the features wait in a file.
"""

import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from struct import pack, unpack_from
from typing import Any, BinaryIO

import numpy as np
import sqlalchemy as sa

from geotables.file_formats import Layer

#: Of the file, before its header.
MAGIC = b"fgb\x03fgb\x00"

#: The boxes below a node; the format's default, which the header need not say.
NODE_SIZE = 16

#: Nodes that are written at once.
SOME = 1 << 14

NODE = np.dtype([("box", "<f8", 4), ("offset", "<u8")])

#: The header's slots (header.fbs of the format): those that point to a part, and the number of features.
NAME, COLUMNS, FEATURES, NODE_SIZE_SLOT, CRS = 0, 7, 8, 9, 10


def boxed(layer: Layer, geometry: sa.Column[Any]) -> sa.Select[Any]:
    """What a layer selects, neighbours one after the other, with the box of each row: x and y of its corners."""
    corners = (sa.func.ST_XMin, sa.func.ST_YMin, sa.func.ST_XMax, sa.func.ST_YMax)
    # Geometries are ordered along a Hilbert curve.
    return layer.query.add_columns(*(corner(geometry) for corner in corners)).order_by(geometry)


def write(layer: Layer, chunks: Iterable[Sequence[Sequence[Any]]], file: BinaryIO) -> None:
    """Write a layer of the rows that ``boxed`` selects, of which each has a geometry."""
    boxes, sizes = array("d"), array("I")

    def lines() -> Iterator[list[Sequence[Any]]]:
        for chunk in chunks:
            for row in chunk:
                boxes.extend(row[1:])
            yield [row[:1] for row in chunk]

    parts = filter(None, layer.write(lines()))
    with tempfile.TemporaryFile() as features:
        first = next(parts)
        start = len(MAGIC) + _size(first, len(MAGIC))
        features.write(first[start:])
        sizes.extend(_sizes(first, start))
        for part in parts:
            features.write(part)
            sizes.extend(_sizes(part, 0))
        header = first[len(MAGIC) : start]
        file.write(MAGIC + (_header(header, len(sizes)) if sizes else header))
        if sizes:
            corners = np.frombuffer(boxes).reshape(-1, 4)
            file.writelines(_index(corners, np.frombuffer(sizes, np.uint32)))
        features.seek(0)
        shutil.copyfileobj(features, file)


def _size(data: bytes, start: int) -> int:
    """The bytes of a buffer that begins with their number."""
    (size,) = unpack_from("<I", data, start)
    return 4 + int(size)


def _sizes(features: bytes, start: int) -> Iterator[int]:
    while start < len(features):
        size = _size(features, start)
        yield size
        start += size


def _header(header: bytes, features: int) -> bytes:
    """A header that says how many features there are, and that they have an index.

    The table is written anew, before the parts of the old one, to which it points.
    """
    (root,) = unpack_from("<I", header, 4)
    table = 4 + root
    places = table - unpack_from("<i", header, table)[0]
    values = dict[int, int]()
    for slot in range((unpack_from("<H", header, places)[0] - 4) // 2):
        (place,) = unpack_from("<H", header, places + 4 + 2 * slot)
        if place and slot != NODE_SIZE_SLOT:
            (values[slot],) = unpack_from("<I", header, table + place)
            if slot in (NAME, COLUMNS, CRS):
                values[slot] += table + place
    # The offsets of eleven slots; the table, after 28 bytes of them; its fields, the one of eight bytes first.
    fields = {FEATURES: 4} | {slot: 12 + 4 * number for number, slot in enumerate(values)}
    length = 12 + 4 * len(values)
    head = pack("<13H2x", 26, length, *(fields.get(slot, 0) for slot in range(11)))
    more = -(-(len(head) + length) // 8) * 8
    data = head + pack("<iQ", len(head), features)
    for slot, value in values.items():
        # From the field to the part, which stands as much later.
        is_offset = slot in (NAME, COLUMNS, CRS)
        data += pack("<I", value + more - (8 + len(data)) if is_offset else value)
    data = data.ljust(more, b"\0") + header[8:]
    return pack("<II", 4 + len(data), 4 + len(head)) + data


def _index(boxes: Any, sizes: Any) -> Iterator[bytes]:
    """The nodes of a packed R-tree, its root first; a node has the box of those below it and where the first of them is."""
    levels = [boxes]
    while len(levels) == 1 or len(levels[-1]) > 1:
        starts = np.arange(0, len(levels[-1]), NODE_SIZE)
        low, high = np.hsplit(levels[-1], 2)
        levels.append(
            np.hstack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)])
        )
    below = 0
    for level in reversed(levels[1:]):
        below += len(level)
        yield _nodes(level, below + NODE_SIZE * np.arange(len(level)))
    end = 0
    # Some at a time: to copy all would take as much memory again.
    for start in range(0, len(boxes), SOME):
        ends = end + np.cumsum(sizes[start : start + SOME], dtype="u8")
        yield _nodes(boxes[start : start + SOME], ends - sizes[start : start + SOME])
        end = ends[-1]


def _nodes(boxes: Any, offsets: Any) -> bytes:
    nodes = np.empty(len(boxes), NODE)
    nodes["box"], nodes["offset"] = boxes, offsets
    return nodes.tobytes()
