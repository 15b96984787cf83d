"""The JSON schemas of arguments and results.

They are as short as they can be: every client reads all of them, and its model pays for them.
"""

import json
import re
from collections import Counter
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema


class _Parts:
    """The parts of a schema that pydantic moves into its `$defs`, and refers to.

    A schema is that of an object, as MCP demands. pydantic makes also that of a model which is a
    part of itself a reference; here, such a part refers to the whole, "#".
    """

    def __init__(self, schema: JsonSchemaValue) -> None:
        defs = schema.pop("$defs", {})
        self._parts = {f"#/$defs/{name}": made for name, made in defs.items()}
        self._whole = schema.get("$ref")
        self._uses = Counter(re.findall(r'"\$ref": "([^"]+)"', json.dumps([schema, defs])))

    def in_place(self, made: Any) -> Any:
        """A part of the schema, in which each other part stands that has no other place."""
        match made:
            case {"$ref": self._whole, **more}:
                return {"$ref": "#", **more}
            case {"$ref": str(ref), **more} if self._uses[ref] == 1:
                return {**self.in_place(self._parts[ref]), **more}
            case dict():
                return {name: self.in_place(value) for name, value in made.items()}
            case list():
                return [self.in_place(value) for value in made]
        return made

    def of_whole(self, schema: JsonSchemaValue) -> Any:
        """The schema, which may be a reference to one of the parts."""
        return self.in_place(self._parts.get(schema.get("$ref", ""), schema))

    def of_several_places(self) -> dict[str, Any]:
        """The parts that stand in several places, by their names."""
        shared = {}
        for ref, made in self._parts.items():
            if ref != self._whole and self._uses[ref] > 1:
                shared[ref.rpartition("/")[2]] = self.in_place(made)
        return shared


class _Terse(GenerateJsonSchema):
    """Schemas without titles, defaults, and null.

    Titles repeat names, most defaults are null or false, and results leave out what is not known.
    """

    def generate(
        self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation"
    ) -> JsonSchemaValue:
        made = super().generate(schema, mode)
        for schema_ in (made, *made.get("$defs", {}).values()):
            schema_.pop("title", None)
            # The docstring of a class here, which tells a client nothing.
            schema_.pop("description", None)
        parts = _Parts(made)
        whole: JsonSchemaValue = parts.of_whole(made)
        shared = parts.of_several_places()
        return whole | {"$defs": shared} if shared else whole

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class _OfResults(_Terse):
    """The schemas of results, which leave out what is not known: no field is required."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        del field, total
        return False


NULL = {"type": "null"}

_LIMITS = frozenset({"enum", "minimum", "maximum", "pattern", "format", "minItems", "maxItems"})
"""The parts of a schema that leave a client no value to send for "nothing", such as an empty
text.
"""


class _OfArguments(_Terse):
    """The schemas of arguments.

    One that may be left out, and is limited, has its default, and may be null, which counts as left
    out. A client that makes its model fill in every argument, and lets it write only what the
    schema allows, would else make it invent a value.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if not _LIMITS & made.keys():
            return made
        outer: JsonSchemaValue = {"anyOf": [made, NULL]}
        if "description" in made:
            outer["description"] = made.pop("description")
        if schema.get("default") is not None:
            outer["default"] = schema["default"]
        return outer


def schema_of(model: type[BaseModel], *, without: Collection[str] = ()) -> dict[str, Any]:
    """The schema of a tool's result, without the fields that it never has."""
    schema = model.model_json_schema(schema_generator=_OfResults)
    for name in without:
        del schema["properties"][name]
    return schema


def schema_of_arguments(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's arguments."""
    return model.model_json_schema(schema_generator=_OfArguments)
