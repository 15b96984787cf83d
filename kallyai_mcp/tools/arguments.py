"""Reads and validates the arguments that an agent sends; an error names each wrong argument in a
line of its own.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.tools.argument_types import (
    ABSENT,
    NOT_AVAILABLE,
    WrongNumberError,
    stripped,
)
from kallyai_mcp.tools.schemas import NULL, schema_of_arguments
from kallyai_mcp.tools.text.plain import one_line, part

MAX_NAMED = 20
"""How many wrong arguments an error names at most."""

_ZEROS = re.compile(r"\+?0[0:./() -]*")
"""Texts of zeros that models write where their client demands a value: 0, 0000-00-00, 00:00, +0 000
000.
"""

_FEW = 4
"""Clients often send all arguments of a tool that has so few."""

_KIND = re.compile(r"Input should be a valid (\w+)")
"""How pydantic says which kind of value was expected: "boolean"."""

_TOO_MANY_PEOPLE = ". Ask the user what to do; fewer people are another request"
"""An agent that only reads the limit places the call for as many people as it allows."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """A wrong argument: its name, and what is wrong with it, in one line without a period.

    Attributes:
        kind: What is wrong with a phone number (`NumberProblem.kind`); None for anything else.
        meant: The numbers that may be meant, in E.164.
    """

    argument: str
    text: str
    kind: str | None = None
    meant: tuple[str, ...] = ()


class InvalidArgumentsError(KallyAIError, code="invalid_arguments"):
    """Arguments are wrong; there is at least one problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("wrong arguments")
        self.problems = problems


def without_blanks(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` without white space around texts, and without those that are null, blank, "null",
    or "N/A".
    """
    trimmed = {name: stripped(value) for name, value in arguments.items()}
    return {name: value for name, value in trimmed.items() if not _is_blank(value)}


def blank_texts(arguments: Mapping[str, Any]) -> list[str]:
    """The names of those that were sent as a text of nothing but white space."""
    return [name for name, value in arguments.items() if stripped(value) == ""]


def read(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tool without those that stand for no value; `schema` is that of the tool's
    arguments.

    If all of many arguments were sent, the client makes its model fill in each of them ("strict"
    mode). Then "none" and 0 stand for no value, too, also for `wait_seconds`: with that 0, the
    model would be answered before the call has ended, and might never ask for the outcome. A number
    of people is never dropped: the call would be placed for the wrong number.
    """
    properties = schema["properties"]
    given = without_blanks(arguments)
    fills_in_all = len(properties) > _FEW and arguments.keys() >= properties.keys()
    if not fills_in_all:
        return given
    kept = {"party_size", *schema.get("required", ())}
    # Without a day, 00:00 does not mean midnight.
    if not _is_zero(given.get("appointment_date", 0)):
        kept.add("appointment_time")
    return {name: value for name, value in given.items() if name in kept or not _is_no_value(value)}


def _is_blank(value: Any) -> bool:
    return value is None or _is_one_of(value, NOT_AVAILABLE)


def _is_no_value(value: Any) -> bool:
    return _is_one_of(value, ABSENT) or _is_zero(value)


def _is_one_of(value: Any, texts: Collection[str]) -> bool:
    return isinstance(value, str) and value.casefold() in texts


def _is_zero(value: Any) -> bool:
    if isinstance(value, str):
        return _ZEROS.fullmatch(value) is not None
    return value == 0 and not isinstance(value, bool)


def validate(
    model: type[_Model],
    tool: str,
    arguments: Mapping[str, Any],
    now: datetime,
    *,
    lacking: Sequence[Problem] = (),
    blank: Collection[str] = (),
) -> _Model:
    """Validate the `arguments` of a tool, at `now` in the user's time zone.

    The fields of `model` are the arguments, with the types of `tools.argument_types`. If anything
    is `lacking`, that is an error, too. The `blank` ones are not among the arguments.
    """
    problems = list(lacking)
    try:
        validated = model.model_validate(dict(arguments), extra="forbid", context={"now": now})
    except ValidationError as error:
        problems += _problems_of(error, model, tool, blank)
    else:
        if not problems:
            return validated
    raise InvalidArgumentsError(problems)


def problems(
    model: type[BaseModel], tool: str, arguments: Mapping[str, Any], now: datetime
) -> list[Problem]:
    """What is wrong with the arguments of a tool, as `validate` would say it; none if nothing is.

    It raises `RefusedNumberError` as validation does.
    """
    try:
        validate(model, tool, arguments, now)
    except InvalidArgumentsError as error:
        return list(error.problems)
    return []


def _problems_of(
    error: ValidationError, model: type[BaseModel], tool: str, blank: Collection[str]
) -> Iterator[Problem]:
    """The problems that pydantic found; an argument that is missing for it may have been `blank`.

    Only the first unknown argument is told which ones the tool takes.
    """
    properties = schema_of_arguments(model)["properties"]
    takes = f"; it takes {', '.join(properties) or 'none'}"
    for entry in error.errors(include_url=False):
        name, *within = entry["loc"]
        if name in blank:
            yield Problem(str(name), f"blank. {_expected(properties[name])}")
        elif name in properties:
            yield _problem_of(f"{name}{_path(within)}", entry, properties[name])
        else:
            yield Problem(one_line(str(name), 40) or '""', f"{tool} has no such argument{takes}")
            takes = ""


def _problem_of(argument: str, entry: ErrorDetails, schema: Mapping[str, Any]) -> Problem:
    text = _what_is_wrong(entry, schema)
    error = entry.get("ctx", {}).get("error")
    if isinstance(error, WrongNumberError):
        return Problem(argument, text, error.problem.kind, error.problem.meant)
    return Problem(argument, f"{text}{_too_many_people(argument, entry)}")


def _path(within: Sequence[int | str]) -> str:
    """Where in an argument a wrong value is: "[1].respondent_phone"."""
    return "".join(
        f"[{key}]" if isinstance(key, int) else f".{one_line(key, 40)}" for key in within
    )


def _what_is_wrong(entry: ErrorDetails, schema: Mapping[str, Any]) -> str:
    """What pydantic found, as it follows the name of the argument with this schema."""
    given = _quoted(entry["input"])
    why = entry.get("ctx", {}).get("error", "")
    expected = _expected(schema)
    kind = _KIND.match(entry["msg"])
    if kind is not None and kind[1] != expected:
        expected = f"{kind[1]}: {expected}"
    match entry["type"]:
        case "value_error":  # of one of our types
            return f"{given} {why}"
        case "missing":
            return f"missing. {expected}"
        case "string_too_long":
            most = entry["ctx"]["max_length"]
            return f"expected up to {most} characters; got {len(entry['input'])}"
        case "extra_forbidden":
            return f"there is no such key; expected {expected}"
        case "string_unicode":
            return f"{given} has half of a surrogate pair, which is no character"
        case _:
            return f"expected {expected}; got {given}{part(': {}', why)}"


def _too_many_people(argument: str, entry: ErrorDetails) -> str:
    """That the user is asked what to do if they are more than KallyAI accepts; else ""."""
    are_too_many = argument == "party_size" and entry["type"] == "less_than_equal"
    return _TOO_MANY_PEOPLE if are_too_many else ""


def _expected(schema: Mapping[str, Any]) -> str:
    """What an argument may be, by its schema: its values, its bounds, or else its description or
    its type.
    """
    values = next((one for one in schema.get("anyOf", ()) if one != NULL), schema)
    if "enum" in values:
        *first, last = values["enum"]
        return f"{', '.join(first)}{',' if len(first) > 1 else ''} or {last}"
    if "maximum" in values:
        return f"{values['minimum']} to {values['maximum']}"
    if "minimum" in values:
        return f"{values['minimum']} or more"
    return str(schema.get("description") or values["type"])


def _quoted(value: Any) -> str:
    match value:
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case str():
            return f'"{one_line(value, 60)}"'
        case _:
            return one_line(json.dumps(value), 30)


def wrong_arguments(problems: Sequence[Problem], *, places_calls: bool) -> str:
    """The text of an error about wrong arguments: each one with what is wrong, up to `MAX_NAMED`.

    With `places_calls`, the text begins by saying that nobody was called.
    """
    lines = [f"- {problem.argument}: {_with_period(problem.text)}" for problem in problems]
    if len(lines) > MAX_NAMED:
        lines[MAX_NAMED:] = [f"- and {len(problems) - MAX_NAMED} more."]
    not_called = "Not called. " if places_calls else ""
    several = "s" if len(problems) > 1 else ""
    return "\n".join([f"{not_called}Fix {len(problems)} argument{several}:", *lines])


def _with_period(text: str) -> str:
    return text if text[-1] in ".?" else f"{text}."
