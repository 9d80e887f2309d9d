"""Models as JSON Schema, whole in one piece, for whoever reads contracts.

No word is used by which draft 7 means something else than 2020-12, so that a shape also serves as
an AsyncAPI payload.
"""

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def shape_of(model: type[BaseModel]) -> Schema:
    """Return the JSON Schema of what a model reads; it refers to nothing outside itself."""
    schema = model.model_json_schema(by_alias=True)
    shape: Schema = _whole(schema, schema.pop("$defs", {}))
    return shape


def _whole(node: Any, definitions: Schema) -> Any:
    """Return a schema with what it refers to put in its place, without the titles of fields."""
    if isinstance(node, list):
        return [_whole(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        referred = definitions[node["$ref"].rpartition("/")[2]]
        # What is said of the field comes before what is said of its type.
        node = referred | {name: value for name, value in node.items() if name != "$ref"}
    return {
        name: {field: _whole(shape, definitions) for field, shape in value.items()}
        if name == "properties"
        else _whole(value, definitions)
        for name, value in node.items()
        if name != "title"
    }
