"""Features as clients send them: JSON of the right type, in a CRS of their choice, that the table can store."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, create_model
from shapely.geometry.base import BaseGeometry
from sqlalchemy.dialects.postgresql import JSONB
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from .. import bulk, geometry, json_numbers, schemas
from ..crs import MERCATOR, WGS84, Reference, lonlat_of_mercator
from ..queries import DEFAULT, GEOMETRY, REFERENCES, STORAGE, TABLE
from .openapi import headers
from .parameters import located
from .patches import merge

#: The model that a row must fit before it is written.
ROW: type[BaseModel] = schemas.{{ cookiecutter.__class_name }}In

_PLACED: Any = {GEOMETRY.name: (Any, ...)}
#: The same for a geometry that has been looked at together with many others.
PLACED_ROW: type[BaseModel] = create_model("PlacedRow", __base__=ROW, **_PLACED)

_CHANGED: Any = {
    name: (Annotated[field.annotation, Field(), *field.metadata], None)
    for name, field in ROW.model_fields.items()
}
#: The same of a change: what is left out stays as it is.
CHANGED_ROW: type[BaseModel] = create_model("ChangedRow", __base__=ROW, **_CHANGED)

#: Whether the schema has validators of several members at once (``model_validator``): a change is then validated
#: together with what it leaves out.
VALIDATES_WHOLE = any(
    validator.info.mode != "before"
    for validator in ROW.__pydantic_decorators__.model_validators.values()
)

JSON = "application/json"
FEATURES = ("application/geo+json", JSON)
PATCHES = ("application/merge-patch+json", *FEATURES)

#: What a feature has besides members that nobody knows, which are ignored (RFC 7946, section 6.1).
FEATURE_MEMBERS = frozenset({"type", "id", "bbox", "geometry", "properties", "links"})

#: Application/json, or any other JSON, for rows that are not features.
IS_JSON = re.compile(r"application/([\w.-]+\+)?json", re.IGNORECASE)

#: Bytes of a body that are parsed on the event loop; a longer one would keep it from other requests.
SHORT = 50_000

#: Members that an object may have beyond a row's columns before its members are looked at one by one.
SPARE_MEMBERS = 20


#: Whether a row has numbers that a double may change. To look for long ones in the text takes as long as to parse it.
HAS_EXACT_NUMBERS = any(
    isinstance(column.type, sa.Integer | sa.Numeric | JSONB)
    for column in TABLE.columns
    if column.name in ROW.model_fields
)


def parsed_json(text: bytes) -> Any:
    """Parse the JSON of a body. Every body of the service comes through here."""
    if HAS_EXACT_NUMBERS:
        return json_numbers.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # It takes NaN, single surrogates and longer numbers, so that what is wrong is said of the member.
        return json_numbers.loads(text)


async def _body(request: Request) -> Any:
    text = await request.body()
    try:
        if len(text) <= SHORT:
            return parsed_json(text)
        return await run_in_threadpool(parsed_json, text)
    except ValueError as error:
        reason = f"the body is not JSON: {error}"
        raise HTTPException(HTTPStatus.BAD_REQUEST, reason) from error


def _json(*media_types: str) -> Any:
    """A dependency that reads the request's JSON, if it is of one of the types."""

    async def read(request: Request) -> Any:
        media_type = request.headers.get("content-type", media_types[0]).partition(";")[0].strip()
        if media_type.lower() not in media_types:
            expected = f"the body is {media_type}, not one of {', '.join(media_types)}"
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, expected)
        return await _body(request)

    return Depends(read)


async def _row_json(request: Request) -> Any:
    """The JSON of a row; None if there is no body. A type has to be said: browsers let any page send a body without one."""
    if not await request.body():
        return None
    said = request.headers.get("content-type", "")
    if not IS_JSON.fullmatch(said.partition(";")[0].strip()):
        reason = f"the body is {said or 'of a type that is not said'}, not {JSON}"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)
    members = await _body(request)
    if members is None:
        raise refused("null, where a JSON object is expected")
    return members


async def _content_crs(request: Request) -> Reference:
    """The CRS of the request's coordinates; its URI may lack the brackets."""
    uri = (
        request.headers.get("content-crs", DEFAULT.uri).strip().removeprefix("<").removesuffix(">")
    )
    if uri not in REFERENCES:
        reason = f"Content-Crs is not one of {', '.join(REFERENCES)}"
        raise HTTPException(HTTPStatus.BAD_REQUEST, reason)
    return REFERENCES[uri]


# Dependencies, not parameters of the type of a body: FastAPI would parse those before it asks who calls.
FeatureBody = Annotated[Any, _json(*FEATURES)]
PatchBody = Annotated[Any, _json(*PATCHES)]
RowBody = Annotated[Any, Depends(_row_json)]
ContentCrs = Annotated[Reference, Depends(_content_crs)]


def documented(
    schema: dict[str, Any], media_types: Sequence[str], *names: str, required: bool = True
) -> dict[str, Any]:
    """A request's body and its headers as the OpenAPI document has them."""
    return {
        "parameters": headers(*names),
        "requestBody": {
            "required": required,
            "content": {media_type: {"schema": schema} for media_type in media_types},
        },
    }


def row(members: Any) -> BaseModel:
    """The row that a JSON object is to become.

    Raises:
        RequestValidationError: It is no object, or one that the table cannot store.
    """
    _check_number(members)
    try:
        return ROW.model_validate(members)
    except ValidationError as error:
        raise RequestValidationError(located(error, "body")) from error


def patch_of(body: Any, *place: str | int) -> dict[str, Any]:
    """The members that a JSON merge patch changes.

    Raises:
        RequestValidationError: It is no object, or one that fits no row.
    """
    if not isinstance(body, dict):
        raise refused("a patch is an object", *place)
    _check_number(body, *place)
    return body


def change(
    patch: Mapping[str, Any], stored: Mapping[str, Any]
) -> tuple[BaseModel, frozenset[str] | None]:
    """The new values of the members that a JSON merge patch (RFC 7396) names, and the names; None if it names none.

    The members that it leaves out are validated only if VALIDATES_WHOLE: the stored row may break a newer rule.

    Args:
        patch: The members; null takes one back to its default.
        stored: The row as the service has written it, whose geometry and JSON a patch may reach into.

    Raises:
        RequestValidationError: The table cannot store one, or needs one that is taken away.
    """
    fields = ROW.model_fields
    required = {name for name in fields if fields[name].is_required()}
    errors: list[dict[str, Any]] = [
        {"loc": ("body", name), "msg": "Field required", "type": "missing"}
        for name, value in patch.items()
        if value is None and name in required and not VALIDATES_WHOLE
    ]
    members = {name: value for name, value in patch.items() if value is not None}
    place = members.get(GEOMETRY.name)
    if isinstance(place, dict):
        members[GEOMETRY.name] = merge(_parsed(stored[GEOMETRY.name]), place)
    try:
        if VALIDATES_WHOLE:
            kept = {name: _parsed(stored[name]) for name in fields.keys() - patch.keys()}
            new = ROW.model_validate(kept | members)
        else:
            new = CHANGED_ROW.model_validate(members)
    except ValidationError as error:
        raise RequestValidationError([*errors, *located(error, "body")]) from error
    if errors:
        raise RequestValidationError(errors)
    for name, value in members.items():
        # Merged after it is validated: what is stored need not be what a client may send.
        if name in fields and isinstance(TABLE.c[name].type, JSONB) and isinstance(value, dict):
            setattr(new, name, merge(_parsed(stored[name]), value))
    # Members that the service sets itself change nothing, nor does a null for what no row has.
    names = frozenset(fields.keys() & patch.keys())
    if not names:
        return new, None
    given = members.get(GEOMETRY.name)
    if given is None or isinstance(given, BaseGeometry):
        # A geometry of a feature may be in another CRS than the stored one: ``change_of`` compares them.
        return new, names
    return new, names & replaced(given, stored[GEOMETRY.name])


def replaced(given: Any, stored: Any) -> frozenset[str]:
    """The members that another row in the place of one changes.

    Args:
        given: Its geometry, which can be stored.
        stored: The geometry of the row as the service has written it, in the CRS of ``given``.
    """
    names = frozenset(ROW.model_fields)
    return names - {GEOMETRY.name} if _is_unmoved(given, stored) else names


def _is_unmoved(given: Any, stored: Any) -> bool:
    """Whether a geometry comes back as the service has written it.

    It then stays as it is stored: rounded, or transformed there and back, it would move a little with every change.
    """
    try:
        ours, theirs = (
            geometry.read(each, default_srid=STORAGE.srid) for each in (_parsed(stored), given)
        )
    except ValueError:
        return False
    return geometry.ewkb(ours) == geometry.ewkb(theirs)


def _parsed(stored: Any) -> Any:
    """A member that the service has written, with all the digits of its numbers."""
    return json_numbers.loads_stored(orjson.dumps(stored))


def _check_number(members: Any, *place: str | int) -> None:
    """Refuse an object with far more members than a row has, each of which would be an error of its own."""
    most = len(TABLE.columns) + SPARE_MEMBERS
    if isinstance(members, dict) and len(members) > most:
        raise refused(f"{len(members):,} members, where a row has {len(TABLE.columns)}", *place)


def row_of(feature: Any, crs: Reference, *place: str | int) -> BaseModel:
    """The row that a feature is to become.

    Args:
        feature: GeoJSON, as a client sent it.
        crs: The CRS of its coordinates.
        place: Where it is in the body.

    Raises:
        RequestValidationError: It is no feature, or one that the table cannot store.
    """
    members = _members(feature, *place)
    try:
        shape = _shape(feature.get("geometry"), crs)
    except ValueError as error:
        raise refused(str(error), *place, "geometry") from error
    return _validated(ROW, members, shape, *place)


def rows_of(features: Sequence[Any], crs: Reference, *place: str | int) -> list[BaseModel]:
    """The rows that features are to become.

    Args:
        features: GeoJSON, as a client sent it.
        crs: The CRS of their coordinates.
        place: Where the array of them is in the body.

    Raises:
        RequestValidationError: One is no feature, or the table cannot store it.
    """
    shapes = _shapes(features, crs)
    storable = bulk.storable(shapes, _placed_srid(crs))
    # Why one cannot be stored is for ``row_of`` to say.
    return [
        _validated(PLACED_ROW, _members(each, *place, number), shapes[number], *place, number)
        if storable[number]
        else row_of(each, crs, *place, number)
        for number, each in enumerate(features)
    ]


def _members(feature: Any, *place: str | int) -> dict[str, Any]:
    """The properties of a feature that a row is to have."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise refused("not a GeoJSON object of the type Feature", *place)
    properties = feature.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise refused("the properties of a feature are an object", *place, "properties")
    _check_number(properties, *place, "properties")
    if GEOMETRY.name in properties:
        raise refused("the geometry is no property", *place, "properties", GEOMETRY.name)
    return {name: value for name, value in properties.items() if not _is_unset(name, value)}


def _validated(
    model: type[BaseModel], members: dict[str, Any], shape: BaseGeometry, *place: str | int
) -> BaseModel:
    """A row of the properties and the geometry of a feature."""
    try:
        return model.model_validate(members | {GEOMETRY.name: shape})
    except ValidationError as error:
        errors = located(error, "body", *place)
        raise RequestValidationError([_in_feature(each, len(place)) for each in errors]) from error


def change_of(
    patch: Mapping[str, Any], stored: Mapping[str, Any], crs: Reference
) -> tuple[BaseModel, frozenset[str] | None]:
    """The same of a patch of a feature.

    Args:
        patch: The feature's members.
        stored: The feature as the service has written it, in the CRS of the patch where that has a geometry.
        crs: The CRS of the patch.

    Raises:
        RequestValidationError: It is no patch of a feature, or the table cannot store it.
    """
    if patch.get("type", "Feature") != "Feature":
        raise refused("not a patch of a GeoJSON object of the type Feature")
    for name in patch:
        if name in ROW.model_fields and name not in FEATURE_MEMBERS:
            inner = "geometry" if name == GEOMETRY.name else f"properties.{name}"
            raise refused(f"a feature has this as {inner}", name)
    members = dict(patch_of(patch.get("properties", {}), "properties"))
    if GEOMETRY.name in members:
        raise refused("the geometry is no property", "properties", GEOMETRY.name)
    given = stored["geometry"]
    if "geometry" in patch:
        try:
            given = merge(_parsed(given), patch["geometry"])
            members[GEOMETRY.name] = _shape(given, crs)
        except ValueError as error:
            raise refused(str(error), "geometry") from error
    try:
        new, names = change(members, stored["properties"] | {GEOMETRY.name: stored["geometry"]})
    except RequestValidationError as error:
        raise RequestValidationError([_in_feature(each, 0) for each in error.errors()]) from error
    return new, None if names is None else names & replaced(given, stored["geometry"])


def _shape(given: Any, crs: Reference) -> BaseGeometry:
    """The geometry of a feature, x before y in the CRS of the table or in WGS 84.

    Raises:
        ValueError: It is no GeoJSON geometry.
    """
    if not isinstance(given, dict):
        raise ValueError("not a GeoJSON geometry, which every feature of this collection has")
    return _placed(geometry.read(given, default_srid=WGS84), crs)


def _shapes(features: Sequence[Any], crs: Reference) -> bulk.Geometries:
    """The geometries of all the features at once; None where there is none, or where it is malformed."""
    given = [each.get("geometry") if isinstance(each, dict) else None for each in features]
    shapes = bulk.read([shape if isinstance(shape, dict) else None for shape in given])
    placed: bulk.Geometries = _placed(shapes, crs)
    return placed


def _placed(shapes: Any, crs: Reference) -> Any:
    """A geometry as a client sent it, or an array of them, x before y in the CRS of the table or in WGS 84."""
    has_z = bool(np.any(shapely.has_z(shapes)))
    srid = _placed_srid(crs)
    if crs.swapped:
        shapes = shapely.transform(shapes, _swapped, include_z=has_z)
    if srid != crs.srid:
        shapes = shapely.transform(shapes, lonlat_of_mercator, include_z=has_z)
    return shapely.set_srid(shapes, srid)


def _placed_srid(crs: Reference) -> int:
    """The SRID for coordinates of a CRS: Web Mercator becomes WGS 84 here, unless it is what the table stores."""
    return WGS84 if crs.srid == MERCATOR.srid != STORAGE.srid else crs.srid


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
