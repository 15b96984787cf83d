"""Shortens the JSON Schemas of a tool's arguments and results: what tells a model nothing is removed."""

from collections.abc import Mapping
from typing import Any

_REMOVED = frozenset({"title", "default"})
"""A title repeats the name. Some strict modes refuse a default; a description states it where it matters."""


def terse_input(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the arguments. It does not allow null, although an argument that is null counts as missing."""
    required = {"required": schema["required"]} if schema.get("required") else {}
    return {"type": "object", "properties": _properties(schema), "additionalProperties": False} | required


def terse_output(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the results. It does not allow null, because `results.answer` leaves such fields out."""
    parts = {name: _terse(part) for name, part in schema.get("$defs", {}).items()}
    for part in parts.values():
        part.pop("description", None)  # the docstring of a class here, which tells a client nothing
    return {"type": "object", "properties": _properties(schema)} | ({"$defs": parts} if parts else {})


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _terse(part) for name, part in schema["properties"].items()}


def _terse(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in _REMOVED and key != "anyOf"}
    options = [option for option in schema.get("anyOf", ()) if option not in ({"type": "null"}, {"type": "integer"})]
    if not options and "anyOf" in schema:
        options = [{"type": "integer"}]  # "integer or null"; "integer or number" has become "number" above
    if len(options) > 1:
        raise ValueError(f"has more than one type: {options}")
    for option in options:
        kept = _terse(option) | kept
    if "properties" in kept:
        kept["properties"] = _properties(kept)
    if "items" in kept:
        kept["items"] = _terse(kept["items"])
    return kept
