"""The settings in the docs, in the registry's entry, and in the bundle's form."""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp import setting_values as read
from kallyai_mcp.setting_values import Declaration
from kallyai_mcp.settings import SERVER, declarations

Json = dict[str, Any]


def setting_tables() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """For each section of docs/settings.md its title, and a row for each setting."""
    tables: dict[str, list[tuple[str, str, str]]] = {}
    for one in declarations():
        row = (f"`{one.variable}`", _default_in_words(one), _meaning(one))
        tables.setdefault(one.about.group, []).append(row)
    return list(tables.items())


def _default_in_words(one: Declaration) -> str:
    if one.about.unset:
        return one.about.unset
    return f"`{_as_text(one.default)}`" if one.default not in (None, ()) else "none"


def _meaning(one: Declaration) -> str:
    example = f" (such as `{one.about.example}`)" if one.about.example else ""
    switched_on = "`1`: " if one.read is read.switch else ""
    return f"{switched_on}{one.about.meaning}{example}"


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def environment_variables() -> list[Json]:
    """What the registry's entry says of each setting of a server that a client starts."""
    return [_environment_variable(one) for one in declarations() if _is_for_any_client(one)]


def _is_for_any_client(one: Declaration) -> bool:
    return one.about.group != SERVER and not one.about.extra


def _environment_variable(one: Declaration) -> Json:
    entry: Json = {"name": one.variable, "description": _sentence(one)}
    entry |= _format(one)
    if one.default not in (None, ()) and not one.about.unset:
        entry["default"] = str(one.default).lower() if one.read is read.switch else str(one.default)
    if isinstance(one.read, read.OneOf):
        entry["choices"] = list(one.read.choices)
    if one.about.example:
        entry["placeholder"] = one.about.example
    if one.about.is_secret:
        entry["isSecret"] = True
    return entry


def _format(one: Declaration) -> Json:
    if one.read is read.switch:
        return {"format": "boolean"}
    if one.read is read.folder:
        return {"format": "filepath"}
    if isinstance(one.read, read.Number | read.WholeNumber) or one.read is read.calls:
        return {"format": "number"}
    return {}


def _sentence(one: Declaration) -> str:
    words = one.about.words
    unset = one.about.unset.replace("`", "")
    empty = f". Empty: {unset}" if unset else ""
    return f"{words[0].upper()}{words[1:]}{empty}."


def form_options(existing: Mapping[str, Json]) -> dict[str, Json]:
    """The options of the bundle's form, in the order that it has; new ones come last."""
    made = {one.name: _option(one) for one in declarations() if one.about.title}
    order = [name for name in existing if name in made]
    return {name: made[name] for name in (*order, *made)}


def _option(one: Declaration) -> Json:
    example = one.about.example
    option: Json = {
        "type": "string",
        "title": one.about.title,
        "description": _sentence(one) + (f" Such as {example}." if example else ""),
        "required": False,
        "default": "" if one.default in (None, ()) else one.default,
    }
    if one.read is read.switch:
        option["type"] = "boolean"
    if isinstance(one.read, read.Number):
        option |= {"type": "number", "min": 0, "max": one.read.most}
    return option
