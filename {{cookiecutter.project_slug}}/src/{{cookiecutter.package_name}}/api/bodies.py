"""Features as clients send them: JSON of the right type, in a CRS of their choice, that the table can store."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
import orjson
import shapely
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from shapely.geometry.base import BaseGeometry
from starlette.exceptions import HTTPException

from .. import geometry, schemas
from ..crs import DEFAULT, MERCATOR, REFERENCES, STORAGE, WGS84, Reference, lonlat_of_mercator
from ..queries import GEOMETRY, TABLE
from .openapi import headers
from .parameters import located

#: The model that a row must fit before it is written.
ROW: type[BaseModel] = schemas.{{ cookiecutter.__class_name }}In

FEATURES = ("application/geo+json", "application/json")
PATCHES = ("application/merge-patch+json", *FEATURES)


def _json(*media_types: str) -> Any:
    """A dependency that reads the request's JSON, if it is of one of the types."""

    async def read(request: Request) -> Any:
        media_type = request.headers.get("content-type", media_types[0]).partition(";")[0].strip()
        if media_type.lower() not in media_types:
            expected = f"the body is {media_type}, not one of {', '.join(media_types)}"
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, expected)
        try:
            return orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            reason = f"the body is not JSON: {error}"
            raise HTTPException(HTTPStatus.BAD_REQUEST, reason) from error

    return Depends(read)


async def _content_crs(request: Request) -> Reference:
    """The CRS of the request's coordinates; its URI may lack the brackets."""
    uri = (
        request.headers.get("content-crs", DEFAULT.uri).strip().removeprefix("<").removesuffix(">")
    )
    if uri not in REFERENCES:
        reason = f"Content-Crs is not one of {', '.join(REFERENCES)}"
        raise HTTPException(HTTPStatus.BAD_REQUEST, reason)
    return REFERENCES[uri]


FeatureBody = Annotated[Any, _json(*FEATURES)]
PatchBody = Annotated[Any, _json(*PATCHES)]
ContentCrs = Annotated[Reference, Depends(_content_crs)]


def documented(schema: dict[str, Any], media_types: Sequence[str], *names: str) -> dict[str, Any]:
    """A request's body and its headers as the OpenAPI document has them."""
    return {
        "parameters": headers(*names),
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": schema} for media_type in media_types},
        },
    }


def row_of(feature: Any, crs: Reference, *place: str | int) -> BaseModel:
    """The row that a feature is to become.

    Args:
        feature: GeoJSON, as a client sent it.
        crs: The CRS of its coordinates.
        place: Where it is in the body.

    Raises:
        RequestValidationError: It is no feature, or one that the table cannot store.
    """
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise refused("not a GeoJSON object of the type Feature", *place)
    properties = feature.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise refused("the properties of a feature are an object", *place, "properties")
    if GEOMETRY.name in properties:
        raise refused("the geometry is no property", *place, "properties", GEOMETRY.name)
    members = {name: value for name, value in properties.items() if not _is_unset(name, value)}
    try:
        shape = _shape(feature.get("geometry"), crs)
    except ValueError as error:
        raise refused(str(error), *place, "geometry") from error
    try:
        return ROW.model_validate(members | {GEOMETRY.name: shape})
    except ValidationError as error:
        errors = located(error, "body", *place)
        raise RequestValidationError([_in_feature(each, len(place)) for each in errors]) from error


def _shape(given: Any, crs: Reference) -> BaseGeometry:
    """The geometry of a feature, x before y in the CRS of the table or in WGS 84.

    Raises:
        ValueError: It is no GeoJSON geometry.
    """
    if not isinstance(given, dict):
        raise ValueError("not a GeoJSON geometry, which every feature of this collection has")
    shape = geometry.read(given, default_srid=WGS84)
    srid = crs.srid
    if crs.swapped:
        shape = shapely.transform(shape, _swapped, include_z=shape.has_z)
    if srid == MERCATOR.srid != STORAGE.srid:
        shape, srid = shapely.transform(shape, lonlat_of_mercator, include_z=shape.has_z), WGS84
    return shapely.set_srid(shape, srid)


def _swapped(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return coordinates[:, [1, 0, *range(2, coordinates.shape[1])]]


def _is_unset(name: str, value: Any) -> bool:
    """Whether a member is null whose column cannot be: that is how clients write what they leave to its default."""
    return value is None and name in TABLE.c and not TABLE.c[name].nullable


def _in_feature(error: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """An error of a row, at its place in the feature."""
    body, member = error["loc"][: depth + 1], error["loc"][depth + 1 :]
    inner = ("geometry",) if member[:1] == (GEOMETRY.name,) else ("properties", *member)
    return {**error, "loc": (*body, *inner)}


def refused(reason: str, *place: str | int) -> RequestValidationError:
    """The error for a body that cannot be used, and the place in it that is wrong."""
    return RequestValidationError([{"loc": ("body", *place), "msg": reason, "type": "feature"}])
