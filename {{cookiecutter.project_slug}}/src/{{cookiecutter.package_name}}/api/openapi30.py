"""JSON Schemas in the dialect of OpenAPI 3.0, which is older than that of Pydantic."""

from typing import Any

NULL = {"type": "null"}


def schemas_within(node: Any) -> Any:
    """A part of an OpenAPI document, its schemas in the dialect of 3.0."""
    match node:
        case list():
            return [schemas_within(each) for each in node]
        case dict():
            return {
                key: schema(value) if key == "schema" else schemas_within(value)
                for key, value in node.items()
            }
    return node


def schema(given: Any) -> Any:
    """A schema without null, constants, tuples, and exclusive limits that are numbers."""
    if not isinstance(given, dict):
        return given
    found = {key: _member(key, value) for key, value in given.items()}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if found.pop("prefixItems", None):
        found.setdefault("items", {})
    if "examples" in found:
        found["example"] = found.pop("examples")[0]
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if type(found.get(exclusive)) in (int, float):
            found |= {limit: found[exclusive], exclusive: True}
    return _without_null(found)


def _member(key: str, value: Any) -> Any:
    match key:
        case "properties":
            return {name: schema(each) for name, each in value.items()}
        case "items" | "additionalProperties" | "not":
            return schema(value)
        case "anyOf" | "oneOf" | "allOf":
            return [each if each == NULL else schema(each) for each in value]
    return value


def _without_null(found: dict[str, Any]) -> dict[str, Any]:
    """Null is no type in OpenAPI 3.0, which has ``nullable`` instead."""
    if NULL not in found.get("anyOf", ()):
        return found
    others = [each for each in found.pop("anyOf") if each != NULL]
    if len(others) == 1 and "$ref" not in others[0]:
        return {**others[0], **found, "nullable": True}
    return found | {"anyOf": others, "nullable": True}
