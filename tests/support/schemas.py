"""Is a JSON value as an OpenAPI description says? Of JSON Schema, what edge/fmnist_edge/page/openapi.json uses."""

from collections.abc import Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {"type", "properties", "required", "items", "enum", "minimum", "maximum", "minItems", "maxItems", "oneOf", "$ref"}
REMARKS = {"description", "format"}


def differences(value: Any, schema: dict[str, Any], document: dict[str, Any], place: str = "$") -> Iterator[str]:
    """What of the value is not as described; members that are not described count too, unless none is."""
    assert schema.keys() <= KNOWN | REMARKS, f"{place}: {schema.keys() - KNOWN - REMARKS} is not looked at"
    if reference := schema.get("$ref"):
        yield from differences(value, document["components"]["schemas"][reference.rpartition("/")[2]], document, place)
        return
    if choices := schema.get("oneOf"):
        found = [list(differences(value, choice, document, place)) for choice in choices]
        if all(found):
            yield f"{place}: none of {found}"
        return
    types = schema.get("type", list(TYPES))
    allowed = tuple(kind for name in ([types] if isinstance(types, str) else types) for kind in TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        yield f"{place}: {value!r} is no {types}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is not in {schema['enum']}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place}: {value} is out of range"
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{place}: {len(value)} items"
        for number, item in enumerate(value):
            yield from differences(item, schema.get("items", {}), document, f"{place}[{number}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        yield from (f"{place}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, member in value.items():
            if properties and name not in properties:
                yield f"{place}: {name} is not described"
            yield from differences(member, properties.get(name, {}), document, f"{place}.{name}")
