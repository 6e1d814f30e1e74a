"""CSV: texts separated by commas, semicolons, tabs or bars."""

import csv
import io
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from geotables.collection import Collection
from geotables.files.fields import Fields
from geotables.files.sources import arrow, streams
from geotables.files.sources.base import BATCH, BATCH_SIZE, Batch, OpenOptions, SourceError
from geotables.files.sources.places import Places


class CSV:
    """A table with a column of WKT, or with columns of coordinates.

    A cell that is empty is null, one that is empty between quotes is an empty text.
    """

    unit = "B"
    json_as_text = True

    def __init__(self, path: Path, collection: Collection | None, options: OpenOptions) -> None:
        self.path = path
        self.size: int | None = path.stat().st_size
        self.progress = 0
        self._encoding = encoding = options.encoding
        self._pyarrow, _ = arrow.packages(path)
        try:
            with streams.opened(path) as file:
                # A spreadsheet writes a mark before UTF-8. More than the header is decoded here.
                text = io.TextIOWrapper(
                    file, encoding or "utf-8-sig", errors="surrogateescape", newline=""
                )
                head = text.readline()
                head.encode()
                self._delimiter = max(",;\t|", key=head.count)
                self._names = next(csv.reader([head], delimiter=self._delimiter), [])
        except UnicodeError as error:
            raise SourceError(
                f"{path}: its header is not {encoding or 'UTF-8 (--encoding names another)'}: {error}"
            ) from error
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        if twice := {name for name in self._names if self._names.count(name) > 1}:
            raise SourceError(f"{path} has several columns called {', '.join(sorted(twice))}")
        self._places = Places(path, collection, self._names, options)
        self.srid = options.srid or self._places.srid
        self.reading = (
            f"CSV separated by {self._delimiter!r}, {encoding or 'UTF-8'} (--encoding),"
            f" {self._places.reading} in EPSG:{self.srid} (--source-crs)"
        )

    def batches(self) -> Iterator[Batch]:
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

        broken: list[Any] = []

        def note(row: Any) -> str:
            broken.append(row)
            return "skip"

        with streams.opened(self.path) as file:
            try:
                reader = open_csv(
                    file,
                    # One thread, so that a row that is broken has a number.
                    ReadOptions(
                        block_size=BATCH_SIZE, encoding=self._encoding or "utf8", use_threads=False
                    ),
                    ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=note,
                    ),
                    ConvertOptions(
                        # Decoded here, so that what is not of the encoding has a place.
                        column_types=dict.fromkeys(self._names, self._pyarrow.binary()),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    ),
                )
                position = 0
                for block in reader:
                    self.progress = file.tell()
                    numbers = {row.number - 1 for row in broken}
                    for start in range(0, block.num_rows, BATCH):
                        rows = block.slice(start, BATCH)
                        after = (
                            each for each in itertools.count(position + 1) if each not in numbers
                        )
                        positions = list(itertools.islice(after, rows.num_rows))
                        position = positions[-1]
                        yield self._batch(positions, rows)
            except (OSError, ValueError, EOFError, zlib.error) as error:
                raise SourceError(f"{self.path} is broken: {error}") from error
        if broken:
            yield Batch(
                [row.number - 1 for row in broken],
                np.full(len(broken), None),
                [{} for _ in broken],
                {
                    at: f"{row.actual_columns} columns where there are {row.expected_columns}: {row.text!r:.60}"
                    for at, row in enumerate(broken)
                },
            )

    def fields(self) -> Fields:
        return Fields({}, as_text=True)

    def _batch(self, positions: list[int], columns: Any) -> Batch:
        problems: dict[int, str] = {}
        values = {
            name: arrow.cells(name, columns.column(name), None, problems) for name in self._names
        }
        geometries, unread = self._places.geometries(values, self.srid)
        return Batch(positions, geometries, arrow.rows(values, len(positions)), unread | problems)
