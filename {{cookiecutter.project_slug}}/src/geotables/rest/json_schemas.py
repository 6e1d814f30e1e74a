"""JSON Schemas of rows as clients send them."""

from typing import Any

from geotables.collection import Collection
from geotables.http.json_schemas import REFERENCE


def row_schemas(collection: Collection) -> dict[str, Any]:
    """The schema of a row as a client sends it, by its name, and those that it refers to; none of a read-only collection."""
    if collection.create is None:
        return {}
    schema = collection.create.model_json_schema(ref_template=REFERENCE)
    patch = patch_name(collection)
    return {
        **schema.pop("$defs", {}),
        collection.create.__name__: schema,
        patch: _patch_of(schema) | {"title": patch, "description": "The members that change."},
    }


def patch_name(collection: Collection) -> str:
    """The name of the schema of a row's merge patch."""
    return f"{collection.model.__name__}Patch"


def _patch_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a merge patch (RFC 7396): members may be left out, and null takes one back to its default."""
    left_out = ("default", "required", "additionalProperties", "oneOf")
    patch = {key: value for key, value in schema.items() if key not in left_out}
    if "properties" in schema:
        patch["properties"] = {
            name: _patch_of(member) for name, member in schema["properties"].items()
        }
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        patch["anyOf"] = [_patch_of(alternative) for alternative in alternatives]
    return {"anyOf": [patch, {"type": "null"}]} if "default" in schema else patch
