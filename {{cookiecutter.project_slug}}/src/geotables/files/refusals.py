"""What is not loaded: features that the table does not take, which are written to a file, or nothing at all."""

import json
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import shapely


class LoadError(ValueError):
    """Nothing was loaded; the message says why."""


class Refusal(NamedTuple):
    """A feature that the table does not take.

    Attributes:
        position: Where it stands in the file, from 1.
        reason: What is wrong with it, a phrase for each thing.
        geometry: Shapely's, in the CRS of the file; None where there is none.
        properties: As the file has them.
    """

    position: int
    reason: str
    geometry: Any
    properties: dict[str, Any]


class Rejects:
    """Writes refused features to a file, each with its position and the reason: a sequence that can be loaded again.

    Their coordinates are those of the file that they come from, in its CRS.
    """

    #: How many reasons are kept, to be shown.
    SHOWN = 10

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: list[str] = []
        self._file: TextIO | None = None

    def __call__(self, refusal: Refusal) -> None:
        if len(self.shown) < self.SHOWN:
            self.shown.append(f"feature {refusal.position}: {refusal.reason}")
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8")
        shape = refusal.geometry
        feature = {
            "type": "Feature",
            "position": refusal.position,
            "reason": refusal.reason,
            "properties": refusal.properties,
            "geometry": None if shape is None else json.loads(shapely.to_geojson(shape)),
        }
        # Unlike orjson, it writes whatever a file may hold.
        self._file.write(json.dumps(feature, default=str) + "\n")

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def __str__(self) -> str:
        """The first reasons, a line each, and where the others are."""
        if self._file is None:
            return ""
        return "\n".join(
            [*self.shown, f"(every refused feature, with the reason: {self.path})", ""]
        )
