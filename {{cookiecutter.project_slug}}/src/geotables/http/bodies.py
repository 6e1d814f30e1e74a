"""Rows as clients send them: JSON that the table can store."""

import re
from collections.abc import Mapping, Sequence, Set
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, create_model
from shapely.geometry.base import BaseGeometry
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from geotables import geometry, json_numbers
from geotables.collection import Collection
from geotables.column_types import member_names, members, values_of
from geotables.http.formats import JSON
from geotables.http.ids import is_same
from geotables.http.merge_patch import merge
from geotables.http.openapi import headers
from geotables.http.parameters import located

#: Application/json, or any other JSON, for rows that are not features.
IS_JSON = re.compile(r"application/([\w.-]+\+)?json", re.IGNORECASE)

#: Bytes of a body that are parsed on the event loop; a longer one would keep it from other requests.
SHORT = 50_000

#: Members that an object may have beyond a row's columns before its members are looked at one by one.
SPARE_MEMBERS = 20


def documented_body(
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


def refused(reason: str, *place: str | int) -> RequestValidationError:
    """The error for a body that cannot be used, and the place in it that is wrong."""
    return RequestValidationError([{"loc": ("body", *place), "msg": reason, "type": "feature"}])


def parsed_stored(value: Any) -> Any:
    """A member that the service has written, with all the digits of its numbers."""
    return json_numbers.loads_stored(orjson.dumps(value))


class Bodies:
    """How bodies become rows of a collection.

    Attributes:
        model: The model that a row must fit before it is written.
        replacement: The model of a row that takes the place of another. Its key stays, and so does what it leaves out in columns
            that clients cannot see: these members are optional, unless ``validates_whole``.
        validates_whole: Whether the model has validators of several members at once (``model_validator``): a change is then
            validated together with what it leaves out.
        has_exact_numbers: Whether a row has numbers that a double may change. Looking for long ones in the text would take as
            long as parsing it.
        row_body: The type of an endpoint's parameter for the JSON of a row. It is a dependency, not the type of a body:
            FastAPI would parse that before it asks who calls.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.model = collection.input_schema
        changed: Any = {
            name: (Annotated[field.annotation, Field(alias=field.alias), *field.metadata], None)
            for name, field in self.model.model_fields.items()
        }
        # The same of a change: what is left out stays as it is.
        self._changed: type[BaseModel] = create_model("ChangedRow", __base__=self.model, **changed)
        self.validates_whole = any(
            validator.info.mode != "before"
            for validator in self.model.__pydantic_decorators__.model_validators.values()
        )
        fields = collection.written
        self._hidden = fields.keys() - collection.shown.keys()
        #: The key, where clients may give it: it stays what it is.
        self.given_key = collection.key.name if collection.has_given_key else None
        unasked = self._hidden | {self.given_key}
        spared = {
            name
            for name, field in self.model.model_fields.items()
            if field.is_required() and (field.alias or name) in unasked
        }
        self.replacement = self.model
        if spared and not self.validates_whole:
            optional = {name: changed[name] for name in spared}
            self.replacement = create_model("ReplacementRow", __base__=self.model, **optional)
        self.has_exact_numbers = any(
            isinstance(column.type, sa.Integer | sa.Numeric | sa.JSON)
            for column in collection.table.columns
            if column.name in fields
        )
        self.row_body: Any = Annotated[Any, Depends(self._row_json)]

    def parsed_json(self, text: bytes) -> Any:
        """Parse the JSON of a body. Every body of the service comes through here."""
        if self.has_exact_numbers:
            return json_numbers.loads(text)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            # It takes NaN, single surrogates and longer numbers, so that what is wrong is said of the member.
            return json_numbers.loads(text)

    async def read(self, request: Request) -> Any:
        """The JSON of a request's body.

        Raises:
            HTTPException: It is not JSON.
        """
        text = await request.body()
        try:
            if len(text) <= SHORT:
                return self.parsed_json(text)
            return await run_in_threadpool(self.parsed_json, text)
        except ValueError as error:
            reason = f"the body is not JSON: {error}"
            raise HTTPException(HTTPStatus.BAD_REQUEST, reason) from error

    async def _row_json(self, request: Request) -> Any:
        """The JSON of a row; None if there is no body.

        Its type must be stated: browsers let any page send a body without one.
        """
        if not await request.body():
            return None
        media_type = request.headers.get("content-type", "")
        if not IS_JSON.fullmatch(media_type.partition(";")[0].strip()):
            sent = media_type or "of a type that is not said"
            reason = f"the body is {sent}, not {JSON.media_type}"
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)
        members = await self.read(request)
        if members is None:
            raise refused("null, where a JSON object is expected")
        return members

    def row(self, members: Any, *, replaces: Any = None) -> BaseModel:
        """The row that a JSON object is to become.

        Args:
            members: The object.
            replaces: The id of the row whose place it takes, if it does.

        Raises:
            RequestValidationError: It is no object, or one that the table cannot store.
        """
        self.check_number(members)
        if replaces is None:
            model = self.model
        else:
            model, members = self.replacement, self.keyed(members, replaces)
        try:
            new = model.model_validate(members)
        except ValidationError as error:
            raise RequestValidationError(located(error, "body")) from error
        if replaces is not None:
            self.check_key(new, replaces)
        return new

    def keyed(self, members: Any, id: Any) -> Any:
        """The members of a row that takes the place of another, with its key where validators may ask for that."""
        if self.given_key is None or not self.validates_whole or not isinstance(members, dict):
            return members
        return {self.given_key: id} | members

    def check_key(self, new: BaseModel, id: Any) -> None:
        """Refuse another key for a row.

        Raises:
            RequestValidationError: The new values have one.
        """
        if self.given_key is not None:
            values = values_of(new)
            if self.given_key in values and not is_same(
                self.collection, values[self.given_key], id
            ):
                raise refused(f"the key of a row stays, and this one is {id}", self.given_key)

    def patch_of(self, body: Any, *place: str | int) -> dict[str, Any]:
        """The members that a JSON merge patch changes.

        Raises:
            RequestValidationError: It is no object, or one that fits no row.
        """
        if not isinstance(body, dict):
            raise refused("a patch is an object", *place)
        self.check_number(body, *place)
        return body

    def merges(self, patch: Mapping[str, Any]) -> bool:
        """Whether the new values depend on the stored ones: in a geometry, in JSON, or for a model that validates whole rows."""
        columns, place = self.collection.table.columns, self.collection.geometry.name
        return self.validates_whole or any(
            not (value.get("type") and (value.get("coordinates") or value.get("geometries")))
            if name == place
            else isinstance(columns[name].type, sa.JSON)
            for name, value in patch.items()
            if isinstance(value, dict) and name in columns
        )

    def change(
        self, patch: Mapping[str, Any], stored: Mapping[str, Any] | None, id: Any
    ) -> tuple[BaseModel, frozenset[str] | None]:
        """The new values of the members that a JSON merge patch (RFC 7396) names, and the names; None if it names none.

        The members that it leaves out are validated only if the model ``validates_whole``: the stored row may break a newer
        rule.

        Args:
            patch: The members; null takes one back to its default.
            stored: The row as the service has written it, whose geometry and JSON a patch may reach into; None: it does not
                (``merges``). A hidden column is not in it: the patch replaces its JSON, and validators of the whole row
                see its default.
            id: The id of the row.

        Raises:
            RequestValidationError: The table cannot store one, or needs one that is taken away.
        """
        fields, place, row = members(self.model), self.collection.geometry.name, stored or {}
        required = {name for name in fields if fields[name].is_required()} | {self.given_key}
        errors: list[dict[str, Any]] = [
            {"loc": ("body", name), "msg": "Field required", "type": "missing"}
            for name, value in patch.items()
            if value is None and name in required and not self.validates_whole
        ]
        given = {name: value for name, value in patch.items() if value is not None}
        if isinstance(given.get(place), dict):
            given[place] = merge(parsed_stored(row.get(place)), given[place])
        try:
            if self.validates_whole:
                kept = fields.keys() & row.keys() - patch.keys()
                whole = {name: parsed_stored(row[name]) for name in kept} | given
                new = self.model.model_validate(self.keyed(whole, id))
            else:
                new = self._changed.model_validate(given)
        except ValidationError as error:
            raise RequestValidationError([*errors, *located(error, "body")]) from error
        if errors:
            raise RequestValidationError(errors)
        self.check_key(new, id)
        columns = self.collection.table.columns
        for field, name in member_names(self.model).items():
            # Merged after it is validated: what is stored need not be what a client may send.
            if isinstance(given.get(name), dict) and isinstance(columns[name].type, sa.JSON):
                setattr(new, field, merge(parsed_stored(row.get(name)), given[name]))
        # Members that the service sets itself change nothing, nor does a null for what no row has.
        names = frozenset(fields.keys() & patch.keys()) - {self.given_key}
        if not names:
            return new, None
        shape = given.get(place)
        if stored is None or shape is None or isinstance(shape, BaseGeometry):
            # A geometry of a feature may be in another CRS than the stored one: the face that read it compares them.
            return new, names
        return new, self.changed(names, shape, stored[place])

    def replaced(
        self, new: BaseModel, given: Any, stored: Mapping[str, Any] | None, place: str
    ) -> frozenset[str]:
        """The members that change when a row takes the place of another: all but hidden ones that it does not give.

        Args:
            new: The other row.
            given: Its geometry, which can be stored.
            stored: The row as the service has written it, in the CRS of ``given``; None: unread.
            place: The member of it that is its geometry.
        """
        kept = self._hidden - values_of(new).keys() | {self.given_key}
        names = frozenset(self.collection.written.keys() - kept)
        return names if stored is None else self.changed(names, given, stored[place])

    def changed(self, names: Set[str], given: Any, stored: Any) -> frozenset[str]:
        """The members of these that change: without the geometry, if it comes back as it is stored."""
        is_unmoved = self._is_unmoved(given, stored)
        return frozenset(names - {self.collection.geometry.name} if is_unmoved else names)

    def _is_unmoved(self, given: Any, stored: Any) -> bool:
        """Whether a geometry comes back as the service has written it.

        It then stays as it is stored: rounded, or transformed there and back, it would move a little with every change.
        """
        srid = self.collection.crs.srid
        try:
            ours, theirs = (
                geometry.read(shape, default_srid=srid) for shape in (parsed_stored(stored), given)
            )
        except ValueError:
            return False
        return geometry.ewkb(ours) == geometry.ewkb(theirs)

    def check_number(self, members: Any, *place: str | int) -> None:
        """Refuse an object with far more members than a row has, each of which would be an error of its own.

        Raises:
            RequestValidationError: It has too many.
        """
        number = len(self.collection.table.columns)
        if isinstance(members, dict) and len(members) > number + SPARE_MEMBERS:
            raise refused(f"{len(members):,} members, where a row has {number}", *place)


@cache
def bodies_of(collection: Collection) -> Bodies:
    """How bodies become rows of a collection; made once."""
    return Bodies(collection)
