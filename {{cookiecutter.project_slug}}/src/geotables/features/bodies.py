"""Features as clients send them: GeoJSON in a CRS of their choice, that the table can store."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from shapely.geometry.base import BaseGeometry
from starlette.exceptions import HTTPException

from geotables import geometry
from geotables.collection import Collection
from geotables.column_types import member_names
from geotables.crs import MERCATOR, WGS84, Reference, lonlat_of_mercator
from geotables.geometry import arrays
from geotables.http.bodies import bodies_of, parsed_stored, refused
from geotables.http.formats import GEOJSON, JSON
from geotables.http.ids import id_type, is_same
from geotables.http.merge_patch import merge
from geotables.http.parameters import located

#: The media types of a feature, and of a patch of one.
FEATURES = (GEOJSON.media_type, JSON.media_type)
PATCHES = ("application/merge-patch+json", *FEATURES)

#: The members of a feature; others are foreign members, which are ignored (RFC 7946, section 6.1).
FEATURE_MEMBERS = frozenset({"type", "id", "bbox", "geometry", "properties", "links"})


class FeatureBodies:
    """How features in bodies become rows of a collection.

    Attributes:
        feature_body: The type of an endpoint's parameter for the JSON of a feature or a collection of them.
        patch_body: The same for a patch of a feature.
        content_crs: The same for the CRS of the request's coordinates.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.rows = bodies_of(collection)
        self._geometry = collection.geometry.name
        self._id: TypeAdapter[Any] = TypeAdapter(id_type(collection))
        placed: Any = {
            field: (Annotated[Any, Field(alias=name)], ...)
            for field, name in member_names(self.rows.model).items()
            if name == self._geometry
        }
        # The model of a row whose geometry has been checked already, together with many others.
        self._placed_row: type[BaseModel] = create_model(
            "PlacedRow", __base__=self.rows.model, **placed
        )
        # Dependencies, not parameters of the type of a body: FastAPI would parse those before it asks who calls.
        self.feature_body: Any = Annotated[Any, Depends(self._json_of(*FEATURES))]
        self.patch_body: Any = Annotated[Any, Depends(self._json_of(*PATCHES))]
        self.content_crs: Any = Annotated[Reference, Depends(self._content_crs)]

    def _json_of(self, *media_types: str) -> Callable[..., Any]:
        """A dependency that reads the request's JSON, if it is of one of the types."""

        async def read(request: Request) -> Any:
            header = request.headers.get("content-type", media_types[0])
            media_type = header.partition(";")[0].strip()
            if media_type.lower() not in media_types:
                expected = f"the body is {media_type}, not one of {', '.join(media_types)}"
                raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, expected)
            return await self.rows.read(request)

        return read

    async def _content_crs(self, request: Request) -> Reference:
        """The CRS of the request's coordinates; its URI may lack the brackets."""
        references = self.collection.references
        header = request.headers.get("content-crs", self.collection.default_crs.uri)
        uri = header.strip().removeprefix("<").removesuffix(">")
        if uri not in references:
            reason = f"Content-Crs is not one of {', '.join(references)}"
            raise HTTPException(HTTPStatus.BAD_REQUEST, reason)
        return references[uri]

    def row_of(
        self, feature: Any, crs: Reference, *place: str | int, replaces: Any = None
    ) -> BaseModel:
        """The row that a feature is to become.

        Args:
            feature: GeoJSON, as a client sent it.
            crs: The CRS of its coordinates.
            place: Where it is in the body.
            replaces: The id of the feature whose place it takes, if it does.

        Raises:
            RequestValidationError: It is no feature, or one that the table cannot store.
        """
        members = self._members(feature, *place)
        try:
            shape = self._shape(feature.get("geometry"), crs)
        except ValueError as error:
            raise refused(str(error), *place, "geometry") from error
        if replaces is None:
            return self._validated(self.rows.model, feature, members, shape, *place)
        members = self.rows.keyed(members, replaces)
        new = self._validated(self.rows.replacement, feature, members, shape, *place)
        try:
            self.rows.check_key(new, replaces)
        except RequestValidationError as error:
            raise self._in_feature(error.errors(), feature) from error
        return new

    def rows_of(
        self, features: Sequence[Any], crs: Reference, *place: str | int
    ) -> list[BaseModel]:
        """The rows that features are to become.

        Args:
            features: GeoJSON, as a client sent it.
            crs: The CRS of their coordinates.
            place: Where the array of them is in the body.

        Raises:
            RequestValidationError: One is no feature, or the table cannot store it.
        """
        shapes = self._shapes(features, crs)
        storable = arrays.storable(shapes, self.collection.geometry, self._placed_srid(crs))
        rows = []
        for number, feature in enumerate(features):
            if storable[number]:
                members = self._members(feature, *place, number)
                shape = shapes[number]
                model = self._placed_row
                rows.append(self._validated(model, feature, members, shape, *place, number))
            else:
                # Why it cannot be stored is for ``row_of`` to say.
                rows.append(self.row_of(feature, crs, *place, number))
        return rows

    def merges(self, patch: Mapping[str, Any]) -> bool:
        """Whether what becomes of a feature depends on what is stored, too."""
        properties = patch.get("properties")
        members = properties if isinstance(properties, dict) else {}
        return self.rows.merges({**members, self._geometry: patch.get("geometry")})

    def change_of(
        self, patch: Mapping[str, Any], stored: Mapping[str, Any] | None, crs: Reference, id: Any
    ) -> tuple[BaseModel, frozenset[str] | None]:
        """The new values of the members that a patch of a feature changes, and their names; None if it changes none.

        Args:
            patch: The feature's members.
            stored: The feature as the service has written it, in the CRS of the patch where that has a geometry; None: the
                change does not depend on it.
            crs: The CRS of the patch.
            id: The id of the feature.

        Raises:
            RequestValidationError: It is no patch of a feature, or the table cannot store it.
        """
        if patch.get("type", "Feature") != "Feature":
            raise refused("not a patch of a GeoJSON object of the type Feature")
        for name in patch:
            if name in self.collection.written and name not in FEATURE_MEMBERS:
                inner = "geometry" if name == self._geometry else f"properties.{name}"
                raise refused(f"a feature has this as {inner}", name)
        members = dict(self.rows.patch_of(patch.get("properties", {}), "properties"))
        if self._geometry in members:
            raise refused("the geometry is no property", "properties", self._geometry)
        members |= self._key_of(patch, members)
        before = stored and stored["geometry"]
        shape = before
        if "geometry" in patch:
            try:
                shape = merge(parsed_stored(before), patch["geometry"])
                members[self._geometry] = self._shape(shape, crs)
            except ValueError as error:
                raise refused(str(error), "geometry") from error
        row = stored and stored["properties"] | {self._geometry: before}
        try:
            new, names = self.rows.change(members, row, id)
        except RequestValidationError as error:
            raise self._in_feature(error.errors(), patch) from error
        if names is None or stored is None:
            return new, names
        return new, self.rows.changed(names, shape, before)

    def _members(self, feature: Any, *place: str | int) -> dict[str, Any]:
        """The properties of a feature that a row is to have."""
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise refused("not a GeoJSON object of the type Feature", *place)
        properties = feature.get("properties")
        if properties is None:
            properties = {}
        if not isinstance(properties, dict):
            raise refused("the properties of a feature are an object", *place, "properties")
        self.rows.check_number(properties, *place, "properties")
        if self._geometry in properties:
            raise refused("the geometry is no property", *place, "properties", self._geometry)
        members = {
            name: value for name, value in properties.items() if not self._is_unset(name, value)
        }
        return members | self._key_of(feature, members, *place)

    def _key_of(
        self, feature: Mapping[str, Any], properties: Mapping[str, Any], *place: str | int
    ) -> dict[str, Any]:
        """The key that a feature gives its row, as its id or as a property, where clients give keys."""
        key, id = self.rows.given_key, feature.get("id")
        if key is None or id is None:
            return {}
        if not self._is_same(properties.get(key, id), id):
            raise refused(f"the id of the feature is another: {id}", *place, "properties", key)
        return {key: id}

    def _is_same(self, key: Any, id: Any) -> bool:
        """Whether a property and an id are one key, as 1.5 and ``"1.50"`` are."""
        if key == id:
            return True
        try:
            return is_same(self.collection, *map(self._id.validate_python, (key, id)))
        except ValidationError:
            return False

    def _validated(
        self,
        model: type[BaseModel],
        feature: Mapping[str, Any],
        members: dict[str, Any],
        shape: BaseGeometry | None,
        *place: str | int,
    ) -> BaseModel:
        """A row of the properties and the geometry of a feature."""
        try:
            return model.model_validate(members | {self._geometry: shape})
        except ValidationError as error:
            errors = located(error, "body", *place)
            raise self._in_feature(errors, feature, len(place)) from error

    def _shape(self, shape: Any, crs: Reference) -> BaseGeometry | None:
        """The geometry of a feature, x before y in the CRS of the table or in WGS 84; None where it may have none.

        Raises:
            ValueError: It is no GeoJSON geometry.
        """
        if shape is None and self.collection.geometry.nullable:
            return None
        if not isinstance(shape, dict):
            raise ValueError("not a GeoJSON geometry, which every feature of this collection has")
        placed: BaseGeometry = self._placed(geometry.read(shape, default_srid=WGS84), crs)
        return placed

    def _shapes(self, features: Sequence[Any], crs: Reference) -> arrays.Geometries:
        """The geometries of all the features at once; None where there is none, or where it is malformed."""
        shapes = [each.get("geometry") if isinstance(each, dict) else None for each in features]
        read = arrays.read([shape if isinstance(shape, dict) else None for shape in shapes])
        placed: arrays.Geometries = self._placed(read, crs)
        return placed

    def _placed(self, shapes: Any, crs: Reference) -> Any:
        """A geometry as a client sent it, or an array of them, x before y in the CRS of the table or in WGS 84."""
        has_z = bool(np.any(shapely.has_z(shapes)))
        srid = self._placed_srid(crs)
        if crs.swapped:
            shapes = shapely.transform(shapes, _swapped, include_z=has_z)
        if srid != crs.srid:
            shapes = shapely.transform(shapes, lonlat_of_mercator, include_z=has_z)
        return shapely.set_srid(shapes, srid)

    def _placed_srid(self, crs: Reference) -> int:
        """The SRID for coordinates of a CRS: Web Mercator becomes WGS 84 here, unless it is what the table stores."""
        return WGS84 if crs.srid == MERCATOR.srid != self.collection.crs.srid else crs.srid

    def _is_unset(self, name: str, value: Any) -> bool:
        """Whether a member is null and its column NOT NULL: clients write null for what they leave to its default."""
        columns = self.collection.table.columns
        return value is None and name in columns and not columns[name].nullable

    def _in_feature(
        self, errors: Sequence[Mapping[str, Any]], feature: Mapping[str, Any], depth: int = 0
    ) -> RequestValidationError:
        """The errors of a row, at their places in the feature."""
        places = {self._geometry: ("geometry",), self.rows.given_key: self._place_of_key(feature)}
        found = []
        for error in errors:
            body, member = error["loc"][: depth + 1], error["loc"][depth + 1 :]
            inner = places.get(member[0]) if member else None
            found.append({**error, "loc": (*body, *(inner or ("properties", *member)))})
        return RequestValidationError(found)

    def _place_of_key(self, feature: Mapping[str, Any]) -> tuple[str, ...]:
        """Where a feature has the key of its row: its id, unless only its properties have it."""
        name = self.collection.key.name
        is_id = name == "id" or feature.get("id") is not None
        if is_id or name not in (feature.get("properties") or {}):
            return ("id",)
        return ("properties", name)


def _swapped(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return coordinates[:, [1, 0, *range(2, coordinates.shape[1])]]


@cache
def feature_bodies_of(collection: Collection) -> FeatureBodies:
    """How features in bodies become rows of a collection; made once."""
    return FeatureBodies(collection)
