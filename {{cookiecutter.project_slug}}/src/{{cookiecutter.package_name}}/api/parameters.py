"""What routes share: their database and settings, and the types of query parameters."""

import math
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from ..crs import WORLD, Bounds
from ..database import Database
from ..settings import Settings


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


# Coroutines: a plain function would cost a hop to the thread pool.
Service = Annotated[Database, Depends(_database)]
Configuration = Annotated[Settings, Depends(_settings)]


def _bbox(value: Any) -> Bounds:
    """Read ``west,south,east,north``; with heights in between (six numbers) these are passed over.

    Raises:
        PydanticCustomError: It is no such box; the message has the reason.
    """
    parts = ",".join(value if isinstance(value, list) else [str(value)]).split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise _no_box("it is not made of numbers") from None
    if len(numbers) not in (4, 6):
        raise _no_box(f"it has {len(numbers)} numbers")
    if not all(map(math.isfinite, numbers)):
        raise _no_box("a number is not finite")
    half = len(numbers) // 2
    (west, south), (east, north) = numbers[:2], numbers[half : half + 2]
    if not (WORLD.xmin <= west <= WORLD.xmax and WORLD.xmin <= east <= WORLD.xmax):
        raise _no_box("a longitude is beyond -180 to 180")
    if not (WORLD.ymin <= south <= WORLD.ymax and WORLD.ymin <= north <= WORLD.ymax):
        raise _no_box("a latitude is beyond -90 to 90")
    if south > north:
        raise _no_box("its south is north of its north")
    return Bounds(west, south, east, north)


def _no_box(reason: str) -> PydanticCustomError:
    return PydanticCustomError(
        "bbox", "not a box west,south,east,north in degrees: {reason}", {"reason": reason}
    )


#: A box in WGS 84; it crosses the antimeridian where west > east.
BBox = Annotated[
    Any,
    PlainValidator(_bbox),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}),
]

Longitude = Annotated[float, Field(ge=WORLD.xmin, le=WORLD.xmax, description="Degrees east.")]
Latitude = Annotated[float, Field(ge=WORLD.ymin, le=WORLD.ymax, description="Degrees north.")]

Limit = Annotated[
    int | None,
    Field(
        ge=1,
        description="Rows of the answer, at the most; what the service has as its own maximum is kept.",
    ),
]


def clamped(limit: int | None, settings: Settings) -> int:
    """The number of rows to answer with: a limit above the maximum is lowered, not refused."""
    return min(limit or settings.page_size, settings.max_page_size)
