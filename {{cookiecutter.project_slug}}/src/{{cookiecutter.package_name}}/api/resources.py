"""JSON Schemas of what the service takes and returns as an OGC API, made from the columns of the table."""

from typing import Any

import orjson
import shapely
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from .. import examples, samples, spatial
from ..geometry import GEOJSON_TYPES, GeoJSON
from ..queries import GEOMETRY, TABLE, Feature
from ..schemas import READ_ONLY, {{ cookiecutter.__class_name }}In

LINKS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["href", "rel"],
        "properties": {
            name: {"type": "string"} for name in ("href", "rel", "type", "title", "hreflang")
        },
    },
}

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


#: A name of its own: generated clients would make one of each media type that it is sent in, by the same name.
PATCH: dict[str, Any] = {
    "type": "object",
    "description": "The members of a feature that change (RFC 7396).",
    "properties": {"geometry": {"type": "object"}, "properties": {"type": "object"}},
}


def of_column(column: sa.Column[Any]) -> dict[str, Any]:
    """JSON Schema of a column's values."""
    match column.type:
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
        case JSONB():
            return {}
    raise NotImplementedError(f"JSON Schema has no type for {column}")


def queryables() -> dict[str, Any]:
    """JSON Schema of what conditions may ask about (part 3, 6.2)."""
    kind = spatial.geometry_type(GEOMETRY)
    name = "any" if kind == "GEOMETRY" else GEOJSON_TYPES[kind].lower()
    properties = {
        column.name: {"title": column.name} | of_column(column)
        for column in TABLE.columns
        if column is not GEOMETRY
    }
    properties["id"]["x-ogc-role"] = "id"
    # A geometry has no type: its format says what it is.
    properties[GEOMETRY.name] = {
        "title": GEOMETRY.name,
        "format": f"geometry-{name}",
        "x-ogc-role": "primary-geometry",
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def feature() -> dict[str, Any]:
    """JSON Schema of a feature as the service returns it."""
    properties = {}
    for column in Feature.properties:
        properties[column.name] = of_column(column)
        if column.nullable:
            properties[column.name]["nullable"] = True
    return _geojson(
        "Feature",
        id=of_column(TABLE.c.id),
        geometry=GeoJSON(GEOMETRY).schema(),
        properties={"type": "object", "required": list(properties), "properties": properties},
    )


def new_feature() -> dict[str, Any]:
    """JSON Schema of a feature as a client sends it: what has a default, or may be null, may be left out."""
    properties, required = {}, []
    for column in Feature.properties:
        if column.name not in READ_ONLY:
            properties[column.name] = of_column(column)
            if isinstance(column.type, sa.Numeric):
                # As the schema of a row has it: many a client has doubles only.
                properties[column.name] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
            if column.nullable or column.server_default is not None:
                properties[column.name]["nullable"] = True
            else:
                required.append(column.name)
    members = {"type": "object", "properties": properties}
    return _geojson(
        "Feature",
        geometry=GeoJSON(GEOMETRY).schema(),
        properties=members | ({"required": required} if required else {}),
    )


def row_example() -> dict[str, Any]:
    """A row that the table takes, as a client sends it: the documentation's first request works as it stands."""
    place = orjson.loads(shapely.to_geojson(samples.geometries(GEOMETRY)[0]))
    row = examples.row(1) | {GEOMETRY.name: place}
    example: dict[str, Any] = orjson.loads(orjson.dumps(row, default=str))
    return example


def feature_example() -> dict[str, Any]:
    """The same row as a feature."""
    properties = row_example()
    return {"type": "Feature", "geometry": properties.pop(GEOMETRY.name), "properties": properties}


def collection_of(feature: str, **members: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a FeatureCollection."""
    features = {"type": "array", "items": {"$ref": f"#/components/schemas/{feature}"}}
    made = _geojson("FeatureCollection", features=features)
    made["properties"] |= members
    return made


def _geojson(type: str, **members: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a GeoJSON object that has a type and some members."""
    return {
        "type": "object",
        "required": ["type", *members],
        "properties": {"type": {"type": "string", "enum": [type]}, **members},
    }


def _either(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}


#: The schemas of the OpenAPI document, by name.
SCHEMAS = {
    "Problem": PROBLEM,
    "Feature": feature(),
    "FeatureCollection": collection_of(
        "Feature",
        links=LINKS,
        timeStamp={"type": "string", "format": "date-time"},
        numberReturned={"type": "integer", "minimum": 0},
        numberMatched={"type": "integer", "minimum": 0},
        numberEstimated={"type": "integer", "minimum": 0},
    ),
    {{ cookiecutter.__class_name }}In.__name__: {{ cookiecutter.__class_name }}In.model_json_schema(),
    "NewFeature": new_feature(),
    "NewFeatureCollection": collection_of("NewFeature"),
    "FeaturePatch": PATCH,
    "FeatureOrCollection": _either("Feature", "FeatureCollection"),
    "NewFeatureOrCollection": _either("NewFeature", "NewFeatureCollection"),
}
