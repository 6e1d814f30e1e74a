"""A row given as query parameters, its place as ``lat`` and ``lon``: handy in a shell."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from geotables.collection import Collection
from geotables.http.bodies import bodies_of
from geotables.http.parameters import Latitude, Longitude, located


class Place(BaseModel):
    """The parameters that make the geometry, in the order of its coordinates."""

    lon: Longitude
    lat: Latitude


class PlaceWithHeight(Place):
    """The same of a table whose points have heights."""

    height: float = Field(allow_inf_nan=False, description="In the vertical units of the CRS.")


class QueryRow:
    """The row of a collection of points that query parameters hold."""

    def __init__(self, collection: Collection) -> None:
        self._bodies = bodies_of(collection)
        self._geometry = collection.geometry.name
        self._place = PlaceWithHeight if collection.has_z else Place
        row, place = self._bodies.model.model_json_schema(), self._place.model_json_schema()
        properties = {**row["properties"], **place["properties"]}
        del properties[self._geometry]
        #: The parameters as the OpenAPI document has them: none is required, since there may be a body.
        self.documented = [_parameter(name, schema) for name, schema in properties.items()]

    def of_body_or_query(self, request: Request, body: Any) -> BaseModel:
        """The row that the body holds, or the query parameters where there is no body.

        Raises:
            RequestValidationError: They hold no row, or there are both.
        """
        parameters: dict[str, Any] = dict(request.query_params)
        if body is not None:
            if parameters:
                message = "either a body or query parameters, not both"
                raise RequestValidationError([{"loc": ("query",), "msg": message, "type": "both"}])
            return self._bodies.row(body)
        place = self._place
        try:
            coordinates = list(place.model_validate(parameters).model_dump().values())
            # A column may have such a name, too.
            columns = self._bodies.collection.written
            members = {
                name: value
                for name, value in parameters.items()
                if name in columns or name not in place.model_fields
            }
            members[self._geometry] = {"type": "Point", "coordinates": coordinates}
            return self._bodies.model.model_validate(members)
        except ValidationError as error:
            where = "query" if parameters else "body or query"
            raise RequestValidationError(located(error, where)) from error


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    # Swagger UI and generated clients send a default along with a body, and then there would be both.
    default = schema.pop("default", None)
    described = {} if default is None else {"description": f"Unless given: {default}"}
    return {"name": name, "in": "query", "schema": schema} | described
