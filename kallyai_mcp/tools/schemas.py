"""The JSON Schemas of a tool's arguments and results, without what costs tokens and bytes and tells nothing."""

from collections.abc import Mapping
from typing import Any

_SAYS_NOTHING = frozenset({"title", "default"})
"""A title repeats the name. A default is refused by some strict modes; the descriptions say what matters of it."""


def terse_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the arguments; null is no type in it, and an argument that is null counts as missing."""
    required = {"required": schema["required"]} if schema.get("required") else {}
    return {"type": "object", "properties": _properties(schema), "additionalProperties": False} | required


def terse_output(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the results, in which no value is null (`results.answer`)."""
    parts = {name: _terse(part) for name, part in schema.get("$defs", {}).items()}
    for part in parts.values():
        part.pop("description", None)  # of our class, not for readers
    return {"type": "object", "properties": _properties(schema)} | ({"$defs": parts} if parts else {})


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _terse(part) for name, part in schema["properties"].items()}


def _terse(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING and key != "anyOf"}
    options = [option for option in schema.get("anyOf", ()) if option not in ({"type": "null"}, {"type": "integer"})]
    if not options and "anyOf" in schema:
        options = [{"type": "integer"}]  # beside null; beside a number, it is a number too
    if len(options) > 1:
        raise ValueError(f"has more than one type: {options}")
    for option in options:
        kept = _terse(option) | kept
    if "properties" in kept:
        kept["properties"] = _properties(kept)
    if "items" in kept:
        kept["items"] = _terse(kept["items"])
    return kept
