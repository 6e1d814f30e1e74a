"""The bytes of files: decompressed, of a pipe, or of a text in another encoding."""

import gzip
import io
from pathlib import Path
from select import select
from typing import Any, BinaryIO

from geotables.files.sources.base import SourceError

#: Bytes, or characters, that are read at once.
CHUNK = 1 << 20

GZIP = b"\x1f\x8b"


def opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """A file to be read, decompressed if need be."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    return gzip.open(path) if zipped else path.open("rb")


class Pipe(io.FileIO):
    """A pipe that hears of a signal within a second, even where that comes just before it waits."""

    def readinto(self, buffer: Any) -> int | None:
        while not select([self], [], [], 1)[0]:
            pass
        return super().readinto(buffer)


class Recoded(io.RawIOBase):
    """The bytes of a text in UTF-8 that is stored in another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Of a byte at least, unless the stream has ended.
        try:
            self._rest = self._rest or self._text.read(CHUNK).encode()
        except UnicodeDecodeError as error:
            raise SourceError(f"this is not {error.encoding}: {error}") from error
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)
