"""JSON Schemas of features, made from the columns of a table."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from geotables.collection import Collection
from geotables.features import constraints
from geotables.geometry import GEOJSON_TYPES, GeoJSON
from geotables.http import openapi30
from geotables.http.json_schemas import of_column, reference, row_example

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

#: The types of JSON values that are not null.
JSON_TYPES = ["object", "array", "string", "number", "boolean"]

#: Has a name in the document: client generators would make up the same name for it in each media type.
PATCH: dict[str, Any] = {
    "type": "object",
    "description": "The members of a feature that change (RFC 7396).",
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]},
        "geometry": {"type": "object"},
        "properties": {"type": "object"},
    },
}


def logical(collection: Collection) -> dict[str, Any]:
    """JSON Schema of what a feature has, whatever its format (part 5): its properties, its id and its geometry."""
    schema = properties_of(collection, collection.columns)
    if isinstance(collection.key.type, sa.Numeric):
        # As an id an exact number is a text.
        key = schema["properties"][collection.key.name]
        key |= {"type": "string", "x-ogc-role": "id"}
    required = [
        name
        for name, field in collection.written.items()
        if field.is_required() and name in schema["properties"]
    ]
    return schema | ({"required": required} if required else {})


def geojson(collection: Collection) -> dict[str, Any]:
    """The same of a GeoJSON feature."""
    properties = properties_of(collection, collection.properties)
    shape = GeoJSON(collection.geometry).schema()
    if collection.geometry.nullable:
        shape = {"oneOf": [{"type": "null"}, shape]}
    members = {"id": _id(collection), "geometry": shape, "properties": properties}
    return _geojson("Feature", **members)


def queryables(collection: Collection) -> dict[str, Any]:
    """JSON Schema of what conditions may ask about (part 3, 6.2)."""
    return properties_of(collection, collection.columns)


def properties_of(collection: Collection, columns: Iterable[sa.Column[Any]]) -> dict[str, Any]:
    """JSON Schema of an object that has some columns, and no others, as properties."""
    # The geometry last.
    ordered = sorted(columns, key=lambda column: column is collection.geometry)
    properties = {column.name: property_of(collection, column) for column in ordered}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def property_of(collection: Collection, column: sa.Column[Any]) -> dict[str, Any]:
    """JSON Schema of a column: its values, as far as the model tells, and what it is for."""
    schema: dict[str, Any] = {"title": column.name}
    if column.comment:
        schema["description"] = column.comment
    if column.name not in collection.written or column.name in collection.read_only:
        schema["readOnly"] = True
    if column is collection.geometry:
        kind = collection.geometry_type
        # A geometry has no type: its format says what it is.
        shape = "any" if kind == "GEOMETRY" else GEOJSON_TYPES[kind].lower()
        return schema | {"format": f"geometry-{shape}", "x-ogc-role": "primary-geometry"}
    schema |= {"type": JSON_TYPES} | of_column(column) | constraints.of(column)
    if column is collection.key:
        # An id is a text or an integer: as a property, and in conditions, an exact number is not the id.
        if not isinstance(column.type, sa.Numeric):
            schema["x-ogc-role"] = "id"
    elif column is collection.time:
        schema["x-ogc-role"] = "primary-instant"
    return schema


def feature(collection: Collection) -> dict[str, Any]:
    """JSON Schema of a feature as the service returns it: without some members where a request selects the others."""
    properties = {}
    for column in collection.properties:
        properties[column.name] = of_column(column)
        if column.nullable:
            properties[column.name] = openapi30.nullable(properties[column.name])
    return _geojson(
        "Feature",
        id=_id(collection),
        geometry=openapi30.nullable(GeoJSON(collection.geometry).schema()),
        properties={"type": "object", "properties": properties},
    )


def _id(collection: Collection) -> dict[str, Any]:
    """JSON Schema of a feature's id as the service returns it."""
    if isinstance(collection.key.type, sa.Numeric):
        return {"type": "string"}
    return of_column(collection.key)


def new_feature(collection: Collection) -> dict[str, Any]:
    """JSON Schema of a feature as a client sends it: what has a default, or may be null, may be left out."""
    properties, required = {}, []
    for column in collection.table.columns:
        if column.name not in collection.written or column is collection.geometry:
            continue
        properties[column.name] = of_column(column)
        if isinstance(column.type, sa.Numeric):
            # As the schema of a row has it: many a client has doubles only.
            properties[column.name] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
        if column.nullable or column.server_default is not None:
            properties[column.name] = openapi30.nullable(properties[column.name])
        else:
            required.append(column.name)
    members = {"type": "object", "properties": properties}
    key = collection.key.name
    id = properties.get(key)
    if collection.key not in collection.properties:
        properties.pop(key, None)
    is_id_required = key in required
    if is_id_required:
        required.remove(key)
    shape = GeoJSON(collection.geometry).schema()
    if collection.geometry.nullable:
        shape = openapi30.nullable(shape)
    schema = _geojson(
        "Feature",
        geometry=shape,
        properties=members | ({"required": required} if required else {}),
    )
    if id is not None:
        schema["properties"]["id"] = id
    if is_id_required:
        schema["required"].append("id")
    return schema


def feature_example(collection: Collection) -> dict[str, Any]:
    """The row of ``row_example`` as a feature."""
    properties = row_example(collection)
    geometry = properties.pop(collection.geometry.name)
    key = collection.key.name
    id = {"id": properties.pop(key)} if key in properties else {}
    return {"type": "Feature", **id, "geometry": geometry, "properties": properties}


def collection_of(feature: str, **members: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a FeatureCollection."""
    features = {"type": "array", "items": reference(feature)}
    schema = _geojson("FeatureCollection", features=features)
    schema["properties"] |= members
    return schema


def either(*names: str) -> dict[str, Any]:
    """JSON Schema of what fits one of several schemas."""
    return {"oneOf": [reference(name) for name in names]}


def name_of(collection: Collection, schema: str) -> str:
    """The name that a schema of features has in the OpenAPI document: ``NewFacilityFeature`` for ``NewFeature``."""
    return schema.replace("Feature", f"{collection.model.__name__}Feature")


def feature_schemas(collection: Collection) -> dict[str, Any]:
    """The schemas of features, by their names."""
    one, many, new, new_many = (
        name_of(collection, schema)
        for schema in ("Feature", "FeatureCollection", "NewFeature", "NewFeatureCollection")
    )
    schemas = {
        one: feature(collection),
        many: collection_of(
            one,
            links=LINKS,
            timeStamp={"type": "string", "format": "date-time"},
            numberReturned={"type": "integer", "minimum": 0},
            numberMatched={"type": "integer", "minimum": 0},
            numberEstimated={"type": "integer", "minimum": 0},
        ),
    }
    if not collection.is_writable:
        return schemas
    return schemas | {
        new: new_feature(collection),
        new_many: collection_of(new),
        "FeaturePatch": PATCH,
        name_of(collection, "FeatureOrCollection"): either(one, many),
        name_of(collection, "NewFeatureOrCollection"): either(new, new_many),
    }


def _geojson(type: str, **members: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a GeoJSON object that has a type and some members."""
    return {
        "type": "object",
        "required": ["type", *members],
        "properties": {"type": {"type": "string", "enum": [type]}, **members},
    }
