"""Parse JSON that is larger than memory, an element at a time."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from geotables.files.sources import streams

_SPACE = re.compile(r"[ \t\n\r]*")


class Parser:
    """Walks through JSON that is larger than memory, an element at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._constants: list[str] = []
        self._scan = json.JSONDecoder(parse_constant=self._constants.append).raw_decode
        self._buffer, self._at, self._ended = "", 0, False
        #: Of the elements that have been read; None before the first one.
        self._element: int | None = None
        #: The lines and bytes before the buffer.
        self._lines, self._bytes = 0, 0
        #: The last value as it was written.
        self.text = ""

    @property
    def constant(self) -> str | None:
        """What the last value has that JSON does not: NaN, Infinity or -Infinity."""
        return self._constants[0] if self._constants else None

    @property
    def place(self) -> str:
        """Where the parser is, for people."""
        before = self._buffer[: self._at]
        line = 1 + self._lines + before.count("\n")
        at = 1 + self._bytes + len(before.encode())
        feature = "" if self._element is None else f"feature {self._element + 1}, "
        return f"{feature}line {line}, byte {at}"

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._fill()

    def members(self) -> Iterator[str]:
        """The names of an object's members; read the value before you ask for the next name."""
        for _ in self._items("{", "}"):
            name = self.value()
            self._expect(":")
            yield name

    def elements(self) -> Iterator[Any]:
        """The elements of an array."""
        self._element = 0
        for _ in self._items("[", "]"):
            yield self.value()
            self._element += 1
        self._element = None

    def value(self) -> Any:
        """The next value, as a whole."""
        self.peek()
        while True:
            self._constants.clear()
            try:
                value, end = self._scan(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._is_cut(error):
                    self._at = error.pos
                    raise ValueError(f"{error.msg}: {self._buffer[error.pos :][:40]!r}") from error
            else:
                # What ends with the buffer may go on: of 1234 it may have 12.
                if self._ended or end < len(self._buffer):
                    self.text = self._buffer[self._at : end]
                    self._at = end
                    return value
            self._fill()

    def _items(self, opening: str, closing: str) -> Iterator[None]:
        self._expect(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self._expect("," + closing) == closing:
                return
            if self.peek() == closing:
                raise ValueError(f"a comma before {closing}, after which nothing comes")

    def _expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            wanted = " or ".join(characters)
            raise ValueError(f"{wanted} expected, not {self._buffer[self._at :][:40]!r}")
        self._at += 1
        return found

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the error may be of the buffer's end rather than of the text."""
        return error.msg.startswith("Unterminated") or error.pos > len(self._buffer) - 16

    def _fill(self) -> None:
        done, rest = self._buffer[: self._at], self._buffer[self._at :]
        self._lines += done.count("\n")
        self._bytes += len(done.encode())
        self._buffer, self._at = rest, 0
        # At least as much again, so that a value of many chunks is not tried once for each of them.
        more = self._stream.read(max(streams.CHUNK, len(rest)))
        try:
            self._buffer += self._decoder.decode(more, not more)
        except UnicodeDecodeError as error:
            # The place is that of the byte.
            self._buffer += error.object[: error.start].decode(errors="replace")
            self._at = len(self._buffer)
            raise
        self._ended = not more
