"""What routes share: their database and settings, and the types of parameters."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from geotables.collection import Collection
from geotables.context import current
from geotables.crs import WORLD, Bounds
from geotables.db.database import Database
from geotables.settings import ServiceSettings
from geotables.sql.counts import Counts
from geotables.sql.extent import Extents
from geotables.sql.overviews import Overviews

Query = TypeVar("Query", bound=BaseModel)


class ParameterError(Exception):
    """Query parameters that are unknown, or have values that they cannot have."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = errors


# Functions, not dependencies: FastAPI takes longer to resolve one than PostGIS to find a row.


def database_of(request: Request) -> Database:
    """The database of the application that serves a request."""
    database: Database = request.app.state.database
    return database


def settings_of(request: Request) -> ServiceSettings:
    """The settings of the application that serves a request."""
    settings: ServiceSettings = request.app.state.settings
    return settings


def extents_of(request: Request, collection: Collection) -> Extents:
    """The extent of a collection, as the application that serves a request keeps it."""
    extents: Extents = request.app.state.extents[collection.name]
    return extents


def counts_of(request: Request, collection: Collection) -> Counts:
    """The number of a collection's rows, as the application that serves a request keeps it."""
    counts: Counts = request.app.state.counts[collection.name]
    return counts


def overviews_of(request: Request, collection: Collection) -> Overviews:
    """The overviews of a collection, as the application that serves a request knows them."""
    overviews: Overviews = request.app.state.overviews[collection.name]
    return overviews


def parsed(
    request: Request,
    model: type[Query],
    error: type[ParameterError | RequestValidationError] = ParameterError,
) -> Query:
    """Read the query parameters of a request as a model, which has to forbid others.

    Args:
        request: The request.
        model: The model.
        error: What to raise. The OGC wants 400 (17-069r4, requirements query-param-unknown and query-param-invalid);
            ``RequestValidationError`` is answered with 422, as FastAPI does.

    Raises:
        ParameterError: A parameter is unknown, given twice and no list, or has a value that it cannot have.
    """
    parameters: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in parameters:
            if name not in _lists(model):
                raise error([{"loc": ("query", name), "msg": "it is given twice"}])
            value = f"{parameters[name]},{value}"
        parameters[name] = value
    try:
        return model.model_validate(parameters)
    except ValidationError as invalid:
        raise error(located(invalid, "query")) from invalid


@cache
def _lists(model: type[BaseModel]) -> set[str]:
    """The parameters that are lists: some clients repeat them, whatever the document says, where others write commas."""
    return {each["name"] for each in documented(model) if each["schema"].get("type") == "array"}


def located(error: ValidationError, *place: str | int) -> list[dict[str, Any]]:
    """What Pydantic found wrong, with its place in the request."""
    return [{**each, "loc": (*place, *each["loc"])} for each in error.errors(include_context=False)]


def documented(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters of a model, as the OpenAPI document has them. Each states its style, which clients look for."""
    parameters, described = [], model.model_json_schema()
    for name, schema in described["properties"].items():
        # A parameter is there or not; it is never null.
        schema |= next(iter(schema.pop("anyOf", [])), {})
        schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
        description = {"description": schema.pop("description")} if "description" in schema else {}
        where = {"name": name, "in": "query", "style": "form", "explode": False}
        where["required"] = name in described.get("required", ())
        parameters.append(where | description | {"schema": schema})
    return parameters


def numbers(value: Any) -> list[float]:
    """Read the four numbers of a box, or the six of one with heights.

    Raises:
        ValueError: They are not that; the message has the reason.
    """
    parts = ",".join(value if isinstance(value, list) else [str(value)]).split(",")
    try:
        box = [float(part) for part in parts]
    except ValueError:
        raise ValueError("it is not made of numbers") from None
    if len(box) not in (4, 6):
        raise ValueError(f"it has {len(box)} numbers")
    if not all(map(math.isfinite, box)):
        raise ValueError("a number is not finite")
    return box


def flat(box: Sequence[float]) -> Bounds:
    """A box without its heights, if it has any."""
    half = len(box) // 2
    return Bounds(*box[:2], *box[half : half + 2])


def in_degrees(bounds: Bounds) -> Bounds:
    """Check that a box is one of longitude and latitude, and not too wide; returns it.

    Raises:
        ValueError: It is not; the message has the reason.
    """
    west, south, east, north = bounds
    for longitude in (west, east):
        if not WORLD.xmin <= longitude <= WORLD.xmax:
            raise ValueError(f"the longitude {longitude:.10g} is beyond -180 to 180")
    for latitude in (south, north):
        if not WORLD.ymin <= latitude <= WORLD.ymax:
            raise ValueError(f"the latitude {latitude:.10g} is beyond -90 to 90")
    if south > north:
        edges = f"its southern edge, {south:.10g}, is north of its northern edge, {north:.10g}"
        raise ValueError(edges)
    if east - west + 360 * (west > east) > (widest := current.get().max_bbox_width):
        raise ValueError(f"it is wider than {widest:g} degrees")
    return bounds


def no_box(reason: str, form: str = "west,south,east,north in degrees") -> PydanticCustomError:
    """The error for a box that cannot be used, and what one looks like."""
    return PydanticCustomError(
        "bbox", "not a box {form}: {reason}", {"form": form, "reason": reason}
    )


def _bbox(value: Any) -> Bounds:
    try:
        return in_degrees(flat(numbers(value)))
    except ValueError as error:
        raise no_box(str(error)) from error


#: A box in a document: six numbers if it has heights.
BOX_SCHEMA = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
BOX = WithJsonSchema(BOX_SCHEMA)

#: A box in WGS 84; it crosses the antimeridian where west > east.
BBox = Annotated[Any, PlainValidator(_bbox), BOX]

Longitude = Annotated[float, Field(ge=WORLD.xmin, le=WORLD.xmax, description="Degrees east.")]
Latitude = Annotated[float, Field(ge=WORLD.ymin, le=WORLD.ymax, description="Degrees north.")]

Limit = Annotated[
    int | None,
    Field(
        ge=1,
        description="Rows of the answer, at the most; above the service's own maximum it is lowered to that.",
    ),
]


def clamped(limit: int | None, settings: ServiceSettings) -> int:
    """The number of rows to answer with: a limit above the maximum is lowered, not refused."""
    return min(limit or settings.page_size, settings.max_page_size)
