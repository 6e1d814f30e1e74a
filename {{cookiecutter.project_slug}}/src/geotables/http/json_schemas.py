"""JSON Schemas and examples that several faces share, made from the columns of a table."""

from typing import Any

import orjson
import shapely
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.column_types import AsText
from geotables.geometry import samples

#: How the OpenAPI document refers to a schema by its name.
REFERENCE = "#/components/schemas/{model}"

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["location", "detail"],
                "properties": {"location": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def reference(name: str) -> dict[str, str]:
    """A schema of the OpenAPI document by its name."""
    return {"$ref": REFERENCE.format(model=name)}


def of_column(column: sa.Column[Any]) -> dict[str, Any]:
    """JSON Schema of a column's values."""
    match column.type:
        case AsText():
            return {"type": "string", "readOnly": True}
        case sa.String(length=int(length)):
            return {"type": "string", "maxLength": length}
        case sa.String():
            return {"type": "string"}
        case sa.Boolean():
            return {"type": "boolean"}
        case sa.Integer():
            return {"type": "integer"}
        case sa.Numeric() | sa.Float():
            return {"type": "number"}
        case sa.DateTime():
            return {"type": "string", "format": "date-time"}
        case sa.Date():
            return {"type": "string", "format": "date"}
        case sa.Uuid():
            return {"type": "string", "format": "uuid"}
        case sa.JSON():
            return {}
    raise NotImplementedError(f"JSON Schema has no type for {column}")


def row_example(collection: Collection) -> dict[str, Any]:
    """A row that the table takes, as a client sends it: the documentation's first request works as it stands."""
    place = orjson.loads(shapely.to_geojson(samples.geometries(collection.geometry)[0]))
    row = collection.example(1) | {collection.geometry.name: place}
    example: dict[str, Any] = orjson.loads(orjson.dumps(row, default=str))
    return example
