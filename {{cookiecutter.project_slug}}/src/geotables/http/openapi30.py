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


def schema(original: Any) -> Any:
    """A schema without null, constants, tuples, and exclusive limits that are numbers."""
    if not isinstance(original, dict):
        return original
    rewritten = {key: _member(key, value) for key, value in original.items()}
    if "const" in rewritten:
        rewritten["enum"] = [rewritten.pop("const")]
    if rewritten.pop("prefixItems", None):
        rewritten.setdefault("items", {})
    if "examples" in rewritten:
        rewritten["example"] = rewritten.pop("examples")[0]
    if rewritten.get("type") == "object" and "properties" not in rewritten:
        # Generators of clients take an object of which nothing is said for one without members.
        rewritten.setdefault("additionalProperties", True)
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if type(rewritten.get(exclusive)) in (int, float):
            rewritten |= {limit: rewritten[exclusive], exclusive: True}
    return _without_null(rewritten)


def _member(key: str, value: Any) -> Any:
    match key:
        case "properties":
            return {name: schema(member) for name, member in value.items()}
        case "items" | "additionalProperties" | "not":
            return schema(value)
        case "anyOf" | "oneOf" | "allOf":
            return [part if part == NULL else schema(part) for part in value]
    return value


def _without_null(rewritten: dict[str, Any]) -> dict[str, Any]:
    """Null is no type in OpenAPI 3.0, which has ``nullable`` instead."""
    if NULL not in rewritten.get("anyOf", ()):
        return rewritten
    others = [part for part in rewritten.pop("anyOf") if part != NULL]
    if len(others) == 1 and "$ref" not in others[0]:
        return nullable({**others[0], **rewritten})
    return nullable(rewritten | {"anyOf": others})


#: Null, and nothing else.
ONLY_NULL = {"type": "object", "nullable": True, "enum": [None]}


def nullable(original: dict[str, Any]) -> dict[str, Any]:
    """A schema that null fits, too. ``nullable`` says nothing without a type: it is for the first of alternatives, and not beside $ref."""
    # Without a type, null fits already.
    made = original | {"nullable": True} if "type" in original else original
    for key in ("oneOf", "anyOf"):
        if key in original:
            first, *others = original[key]
            parts = [first, *others, ONLY_NULL] if "$ref" in first else [nullable(first), *others]
            return made | {key: parts}
    return made
