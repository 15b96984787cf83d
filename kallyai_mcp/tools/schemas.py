"""JSON schemas as short as they can be: every client reads all of them, and its model pays for them."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema


class _Terse(GenerateJsonSchema):
    """Without titles, which repeat names; without defaults, which some strict modes refuse; and without null.

    An argument that is null counts as missing, and results leave out what is not known.
    """

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        made = super().generate(schema, mode)
        for part in (made, *made.get("$defs", {}).values()):
            part.pop("title", None)
            part.pop("description", None)  # the docstring of a class here, which tells a client nothing
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        made = super().union_schema(schema)
        return {"type": "number"} if made == {"anyOf": [{"type": "integer"}, {"type": "number"}]} else made


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's arguments or of its result."""
    return model.model_json_schema(schema_generator=_Terse)
