"""Arguments as an agent sends them: read without guessing, and every wrong one named in a line that can be acted on."""

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from kallyai_mcp.calls.argument_checks import Problem, shortened
from kallyai_mcp.settings import WAIT_LIMIT


def _no_bool(value: Any) -> Any:
    """Pydantic reads true as 1, which is a guess."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns ValueError into its report, TypeError it lets pass
    return value


PartySize = Annotated[int, Field(ge=1, le=50), BeforeValidator(_no_bool)]
"""How many people; "4" counts, true does not."""

WaitSeconds = Annotated[
    float,
    Field(
        ge=0,
        le=WAIT_LIMIT,
        allow_inf_nan=False,
        description="How long to wait for the call to end; keep it under your client's time-out",
    ),
    BeforeValidator(_no_bool),
]

Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_no_bool)]
Offset = Annotated[int, Field(ge=0), BeforeValidator(_no_bool)]
"""The reference's "List Calls" parameters."""


LONGEST_ID = 200
"""Characters of a call's id; the reference's are UUIDs of 36."""


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
    """`arguments` with each list and null that came as JSON text read; clients that know only texts send them so.

    Not where any text will do: a business may be called "null" or "[1]".

    Args:
        arguments: As they were sent.
        properties: The JSON Schema of each that the tool takes.
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
        listed = json.loads(value)
    except (ValueError, RecursionError):  # no JSON, or what Python's parser refuses: too long a number, too deep
        return value
    return listed if isinstance(listed, list) else value


def _has_half_a_pair(value: Any) -> bool:
    """Whether a text, or one in a list of texts, can't be written down (Unicode, section 3.8)."""
    texts = value if isinstance(value, list) else [value]
    return any("\ud800" <= char <= "\udfff" for text in texts if isinstance(text, str) for char in text)


def problems_in_texts(given: Mapping[str, Any], known: Collection[str]) -> list[Problem]:
    """What is wrong with the texts among the arguments that the tool takes, beyond their types."""
    problems = [
        Problem(name, "holds half of a surrogate pair, which is no text")
        for name, value in given.items()
        if name in known and _has_half_a_pair(value)
    ]
    call_id = given.get("call_id")
    if "call_id" in known and isinstance(call_id, str) and len(call_id) > LONGEST_ID:
        problems.append(Problem("call_id", f"is longer than {LONGEST_ID} characters, which no id is"))
    return problems


def unknown_arguments(tool: str, given: Iterable[str], known: Iterable[str]) -> list[Problem]:
    """A problem for each argument that the tool doesn't take: dropping it in silence would lose what it says."""
    names = list(known)
    problems: list[Problem] = []
    takes = f"; it takes {', '.join(names) or 'none'}"
    for name in given:
        if name not in names:
            word = shortened(name, 40)
            close = [other for other in names if len(word) > 2 and (word in other or other in word)]
            close = close or difflib.get_close_matches(word, names, n=1)
            hint, takes = (f"; did you mean {close[0]}?", takes) if close else (takes, "")  # all names once are enough
            problems.append(Problem(word or '""', f"{tool} has no such argument{hint}"))
    return problems


def problems_of(error: ValidationError) -> list[Problem]:
    """What pydantic found, a line for each argument, without its jargon."""
    problems: dict[str, Problem] = {}
    for entry in error.errors(include_url=False):
        argument = str(entry["loc"][0]) if entry["loc"] else "arguments"
        problems.setdefault(argument, Problem(argument, _words(entry["type"], entry.get("ctx", {}), entry["input"])))
    return list(problems.values())


def _words(kind: str, context: Mapping[str, Any], given: Any) -> str:
    if kind == "missing":
        return "missing"
    word = _SAYINGS.get(kind)
    return f"{_quoted(given)} {word(context) if word else 'is not what this argument takes'}"


_SAYINGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda c: f"is not one of {str(c['expected']).replace(chr(39), '').replace(' or ', ', ')}",
    "less_than_equal": lambda c: f"is over {c['le']:g}",
    "greater_than_equal": lambda c: f"is under {c['ge']:g}",
    "string_type": lambda _: "is not a text",
    "string_too_long": lambda c: f"is longer than {c['max_length']} characters",
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
"""pydantic's error types that these arguments can meet, each worded for an agent."""


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return f'"{shortened(value)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return shortened(f"{value}", 30)
    return "a list" if isinstance(value, list) else "an object"


_MOST = 20
"""How many wrong arguments are named: more than any tool takes."""


def wrong_arguments(problems: list[Problem], *, dials: bool) -> str:
    """The text of a tool error that names every wrong argument at once, up to as many as any tool takes."""
    count = (
        f"{len(problems)} argument{'' if len(problems) == 1 else 's'} need{'s' if len(problems) == 1 else ''} a change"
    )
    lines = [
        f"- {problem.argument}: {problem.text}{'' if problem.text[-1] in '.?' else '.'}" for problem in problems[:_MOST]
    ]
    if len(problems) > _MOST:
        lines.append(f"- and {len(problems) - _MOST} more.")
    return "\n".join([f"{'Not dialled; ' if dials else ''}{count}:", *lines])
