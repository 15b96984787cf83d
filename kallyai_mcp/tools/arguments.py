"""Arguments as an agent sends them: read, validated once, and each wrong one named in a line to act on."""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kallyai_mcp.tools.argument_types import FULL_TEXT
from kallyai_mcp.tools.text.plain import cut, one_line

_MAX_NAMED = 20
"""How many wrong arguments are named: more than any tool has."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """A wrong argument, and what is wrong with it in one line; `code` is the reference's code for that, if any."""

    argument: str
    text: str
    code: str | None = None


class InvalidArgumentsError(Exception):
    """Arguments are wrong.

    Attributes:
        problems: What is wrong; at least one.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        self.problems = problems


def without_blanks(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` without white space around texts, and without those that are null or blank.

    Many agents send "" for what they don't know.
    """
    trimmed = {name: _trimmed(value) for name, value in arguments.items()}
    return {name: value for name, value in trimmed.items() if value is not None and value != ""}


def _trimmed(value: Any) -> Any:
    if isinstance(value, list):
        items = [item.strip() if isinstance(item, str) else item for item in value]
        return [item for item in items if item != ""]
    return value.strip() if isinstance(value, str) else value


def read_json_texts(arguments: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` with each list and null that was sent as JSON text parsed: some clients send every value as text.

    An argument that takes any text is left alone: a business may be called "null" or "[1]".

    Args:
        arguments: As they were sent.
        properties: The JSON Schema of each argument of the tool.
    """
    return {name: _read_json_text(value, properties.get(name)) for name, value in arguments.items()}


def _read_json_text(value: Any, schema: Mapping[str, Any] | None) -> Any:
    if not isinstance(value, str) or schema is None:
        return value
    if schema["type"] == "string" and schema.keys().isdisjoint(("enum", "format", "pattern")):
        return value
    if value.strip() == "null":
        return None
    if schema["type"] != "array":
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):  # not JSON, or a number too long or a list too deep for Python's parser
        return value
    return parsed if isinstance(parsed, list) else value


def validate(model: type[_Model], name: str, arguments: Mapping[str, Any], now: datetime) -> _Model:
    """`arguments` as a `model`, whose fields have the types of `tools.argument_types`.

    Args:
        model: Its fields are the arguments.
        name: Of the tool or prompt.
        arguments: As they were sent, without those that are blank.
        now: The present moment, with a time zone.

    Raises:
        InvalidArgumentsError: Some are wrong; every one of them is named.
    """
    unknown = list(_unknown_arguments(name, arguments, model.model_fields))
    wrong = {problem.argument: problem for problem in _broken_texts(arguments, model.model_fields)}
    try:
        validated = model.model_validate(dict(arguments), context={"now": now})
    except ValidationError as error:
        for problem in _problems_of(error):
            wrong.setdefault(problem.argument, problem)
    else:
        if not unknown and not wrong:
            return validated
    raise InvalidArgumentsError([*unknown, *wrong.values()])


def _broken_texts(arguments: Mapping[str, Any], known: Collection[str]) -> Iterable[Problem]:
    """Texts, alone or in a list, with half of a surrogate pair: UTF-8 can't encode them (the Unicode Standard, 3.8)."""
    for name in known:
        value = arguments.get(name)
        texts = value if isinstance(value, list) else [value]
        if any("\ud800" <= char <= "\udfff" for text in texts if isinstance(text, str) for char in text):
            yield Problem(name, "holds half of a surrogate pair, which is no text")


def _unknown_arguments(tool: str, given: Iterable[str], known: Collection[str]) -> Iterable[Problem]:
    """A problem for each argument that the tool doesn't have: to ignore it would lose what it says."""
    has = f"; it takes {', '.join(known) or 'none'}"
    for name in given:
        if name not in known:
            word = _shortened(name, 40)
            close = [other for other in known if len(word) > 2 and (word in other or other in word)]
            close = close or difflib.get_close_matches(word, known, n=1)
            if close:
                hint = f"; did you mean {close[0]}?"
            elif "additional_instructions" in known:
                hint = "; put such a wish into additional_instructions"
            else:
                hint, has = has, ""  # all names once are enough
            yield Problem(word or '""', f"{tool} has no such argument{hint}")


def _problems_of(error: ValidationError) -> Iterable[Problem]:
    """What pydantic found, in words for an agent."""
    for entry in error.errors(include_url=False):
        context = entry.get("ctx", {})
        code = getattr(context.get("error"), "code", None)
        yield Problem(str(entry["loc"][0]), _text(entry["type"], context, entry["input"]), code)


def _text(error_type: str, context: Mapping[str, Any], given: Any) -> str:
    if error_type == "missing":
        return "missing"
    if error_type == FULL_TEXT:
        return str(context["text"])
    if error_type == "string_pattern_mismatch" and isinstance(given, str) and (meant := _time_of_day(given)):
        return f"{_quoted(given)} is not a time as HH:MM (24 hours); did you mean {meant}?"
    text = _TEXTS.get(error_type)
    return f"{_quoted(given)} {text(context) if text else 'is not what this argument takes'}"


def _time_of_day(text: str) -> str | None:
    """What "7pm", "7:00 PM", and "19.00" mean as HH:MM; None for anything else."""
    found = re.fullmatch(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(?:([ap])\.?\s?m\.?)?", text.strip().lower())
    if found is None or not (found[2] or found[3]):
        return None
    hours, minutes = int(found[1]), int(found[2] or 0)
    if found[3]:
        hours = hours % 12 + (12 if found[3] == "p" else 0)
    return f"{hours:02}:{minutes:02}" if hours < 24 and minutes < 60 else None


_TEXTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda c: f"is not one of {str(c['expected']).replace(chr(39), '').replace(' or ', ', ')}",
    "less_than_equal": lambda c: f"is over the limit of {c['le']:g}",
    "greater_than_equal": lambda c: f"is under {c['ge']:g}",
    "string_type": lambda _: "is not a text",
    "string_too_long": lambda c: f"is longer than {c['max_length']} characters; shorten it to what the call needs",
    "string_too_short": lambda _: "is too short",
    "string_pattern_mismatch": lambda _: "is not a time as HH:MM (24 hours)",
    "int_type": lambda _: "is not a whole number",
    "int_parsing": lambda _: "is not a whole number",
    "int_from_float": lambda _: "is not a whole number",
    "int_parsing_size": lambda _: "is not a whole number of sensible size",
    "float_type": lambda _: "is not a number",
    "float_parsing": lambda _: "is not a number",
    "finite_number": lambda _: "is not a finite number",
    "bool_type": lambda _: "is neither true nor false",
    "bool_parsing": lambda _: "is neither true nor false",
    "list_type": lambda _: "is not a list",
    "too_long": lambda c: f"has more than {c['max_length']} items",
    "date_from_datetime_parsing": lambda _: "is not a date that exists",
    "value_error": lambda c: str(c["error"]),
}
"""pydantic's error types that these arguments can have, each in words for an agent, which follow the quoted value."""


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return f'"{_shortened(value)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _shortened(f"{value}", 30)
    return "a list" if isinstance(value, list) else "an object"


def _shortened(text: str, limit: int = 60) -> str:
    return cut(one_line(text), limit)


def wrong_arguments(problems: list[Problem], *, places_calls: bool) -> str:
    """The text of an error that names every wrong argument at once, up to as many as any tool has."""
    count = f"Fix {len(problems)} argument{'' if len(problems) == 1 else 's'}"
    lines = [
        f"- {problem.argument}: {problem.text}{'' if problem.text[-1] in '.?' else '.'}"
        for problem in problems[:_MAX_NAMED]
    ]
    if len(problems) > _MAX_NAMED:
        lines.append(f"- and {len(problems) - _MAX_NAMED} more.")
    return "\n".join([f"{'Not called. ' if places_calls else ''}{count}:", *lines])
