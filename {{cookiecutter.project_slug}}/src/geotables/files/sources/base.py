"""What every kind of file gives: features, a batch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from geotables.files.fields import Fields
from geotables.geometry.arrays import Geometries

#: Features of a batch. Larger ones gain nothing, and PostgreSQL would wait for them.
BATCH = 2_000

#: Bytes of a batch that is read as columns, at the most.
BATCH_SIZE = 1 << 26


class SourceError(ValueError):
    """A file cannot be read; the message names it, and what would help."""


class OpenOptions(NamedTuple):
    """How to read a file; None: as it says itself.

    Attributes:
        srid: The SRID of its coordinates.
        layer: Which one, of a file that has several.
        encoding: Of its texts; where the file does not say it, it is UTF-8.
        linearize: Make lines of curves.
        x: The column of a table without geometries that holds longitudes or eastings; None: it is found by its name.
        y: The column of latitudes or northings.
        z: The column of heights.
    """

    srid: int | None = None
    layer: str | None = None
    encoding: str | None = None
    linearize: bool = False
    x: str | None = None
    y: str | None = None
    z: str | None = None


@dataclass(slots=True)
class Batch:
    """Features that follow one another in a file.

    Attributes:
        positions: Where each stands in the file, from 1.
        geometries: Shapely's, without an SRID; None where there is none.
        properties: By the names that the file has for them.
        problems: What cannot be read, by the index in the batch.
        ids: The features' own ids; empty where the format has none.
    """

    positions: list[int]
    geometries: Geometries
    properties: list[dict[str, Any]]
    problems: dict[int, str]
    ids: list[Any] = field(default_factory=list)


class Source(Protocol):
    """A file of features."""

    #: The SRID of the coordinates; of GeoJSON it is known when the first batch is.
    srid: int
    #: What ``size`` and ``progress`` count.
    unit: str
    #: How much there is to read; None: unknown.
    size: int | None
    #: How much has been read.
    progress: int
    #: Whether the values of JSON attributes are texts that hold JSON.
    json_as_text: bool

    @property
    def reading(self) -> str:
        """How it is read, for people: what was found or taken for granted, and the options that say otherwise."""

    def batches(self) -> Iterator[Batch]:
        """The features, in the order of the file.

        Raises:
            SourceError: The file is broken.
        """

    def fields(self) -> Fields:
        """What the file says of the properties, to which those of its batches can be added."""
