"""Write one file.

Standard input has pickles: the format and the table, CSV of some rows, again and again, and None at the end. Each but the first
is answered by a pickle on standard output: what is ready of the file, or why it cannot be written.
"""

import pickle
import sys
from typing import Any, Protocol

from .flatgeobuf import FlatGeobuf
from .geoparquet import GeoParquet
from .table import Table, ValueRefused


class Writer(Protocol):
    """Writes a file, of which each call returns what is ready.

    Attributes:
        table: What it writes, with the types that it takes.
    """

    table: Table

    def add(self, rows: Any) -> bytes:
        """Add the rows of an Arrow table."""

    def finish(self) -> bytes:
        """End the file."""


FORMATS: dict[str, type[Writer]] = {"parquet": GeoParquet, "fgb": FlatGeobuf}


def main() -> None:
    """Write one file."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    format, about = pickle.load(requests)
    writer: Writer = FORMATS[format](Table(**about))  # type: ignore[call-arg]
    while (text := pickle.load(requests)) is not None:
        try:
            part: bytes | str = writer.add(writer.table.read(text))
        except ValueRefused as error:
            part = str(error)
        pickle.dump(part, answers)
        answers.flush()
    pickle.dump(writer.finish(), answers)


if __name__ == "__main__":
    main()
