"""Reads and validates the arguments that an agent sends; an error names each wrong argument in a line of its own."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kallyai_mcp.calls.numbers import NumberProblem
from kallyai_mcp.tools.argument_types import PHONE_NUMBER
from kallyai_mcp.tools.text import argument_words as words
from kallyai_mcp.tools.text.plain import cut, one_line

MAX_NAMED = 20
"""How many wrong arguments an error names at most. No tool has so many arguments."""

_NOT_AVAILABLE = frozenset({"", "n/a", "n.a.", "<unknown>", "not specified", "not provided"})
"""Texts that can't be a value; many agents send them for what they don't know."""

_ABSENT = _NOT_AVAILABLE | {"na", "none", "null", "nil", "undefined", "unknown", "-"}
"""What models write where their client demands a value. A business may be called "None"."""

_ZEROS = re.compile(r"\+?0[0:./() -]*")
"""Texts of zeros that models write then: 0, 0000-00-00, 00:00, +0 000 000."""

_FEW = 4
"""Clients often send all arguments of a tool that has so few."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """A wrong argument: its name, what is wrong with it, and its value.

    `kind` is the type of pydantic's error, or one of `tools.text.argument_words`; `context` has the values that the
    sentence about it needs.
    """

    argument: str
    kind: str
    given: Any = None
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> NumberProblem | None:
        """What is wrong with a phone number; None for other arguments."""
        return self.context["problem"] if self.kind == PHONE_NUMBER else None

    @property
    def text(self) -> str:
        """What is wrong, in one line without a period, for people and agents."""
        given = _quoted(self.given)
        return words.wrong_number(self.number, given) if self.number else words.wrong(self.kind, given, self.context)

    @property
    def text_for_agents(self) -> str:
        """What is wrong, and what an agent should do about it, if that is not obvious."""
        advice = words.ADVICE.get(self.number.kind) if self.number is not None else None
        return f"{self.text}; {advice}" if advice else self.text


class InvalidArgumentsError(Exception):
    """Arguments are wrong; there is at least one problem."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__()
        self.problems = problems


def without_blanks(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` without white space around texts, and without those that are null, blank, or "N/A"."""
    trimmed = {name: _trimmed(value) for name, value in arguments.items()}
    return {
        name: value for name, value in trimmed.items() if value is not None and not _is_one_of(value, _NOT_AVAILABLE)
    }


def _trimmed(value: Any) -> Any:
    if isinstance(value, list):
        items = [item.strip() if isinstance(item, str) else item for item in value]
        return [item for item in items if not _is_one_of(item, _ABSENT)]
    return value.strip() if isinstance(value, str) else value


def without_placeholders(given: Mapping[str, Any], sent: AbstractSet[str], tool: Mapping[str, Any]) -> dict[str, Any]:
    """`given` without values that a model made up because its client demands all arguments ("strict" mode).

    This is so if all arguments of the tool were `sent`, and they are many. Then "none" and 0 stand for no value, also
    for `wait_seconds`: with that 0, the model would be answered before the call has ended, and might never ask for the
    outcome. Without it, such values are taken at their word or refused. A number of people is never dropped: the call
    would be placed for the wrong number. `tool` is the schema of the tool's arguments.
    """
    names = tool["properties"].keys()
    if len(names) <= _FEW or names - sent:
        return dict(given)
    has_day = not _is_zero(given.get("appointment_date", 0))  # without a day, 00:00 does not mean midnight
    kept = {"party_size", *tool.get("required", ()), *(["appointment_time"] if has_day else [])}
    return {name: value for name, value in given.items() if name in kept or not _is_placeholder(value)}


def _is_placeholder(value: Any) -> bool:
    return _is_one_of(value, _ABSENT) or _is_zero(value)


def _is_one_of(value: Any, texts: Collection[str]) -> bool:
    return isinstance(value, str) and value.casefold() in texts


def _is_zero(value: Any) -> bool:
    if isinstance(value, str):
        return _ZEROS.fullmatch(value) is not None
    return value == 0 and not isinstance(value, bool)


def read_json_texts(arguments: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments`, with lists and nulls parsed that were sent as JSON text; some clients send every value as text.

    `properties` are the schemas of the tool's arguments, by their names. An argument that accepts any text is not
    parsed, because a business may be called "null" or "[1]".
    """
    return {name: _read_json_text(name, value, properties.get(name)) for name, value in arguments.items()}


def _read_json_text(name: str, value: Any, schema: Mapping[str, Any] | None) -> Any:
    if not isinstance(value, str) or schema is None:
        return value
    is_any_text = schema["type"] == "string" and schema.keys().isdisjoint(("enum", "format", "pattern"))
    if is_any_text and name != "appointment_time":  # its format is said in words alone
        return value
    if value.strip() == "null":
        return None
    if schema["type"] != "array":
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):  # not JSON, or a number too long or a list too deep for Python's parser
        parsed = None
    if isinstance(parsed, list):
        return parsed
    return [value] if schema["items"]["type"] == "string" else value  # one text in place of a list of texts


def validate(
    model: type[_Model], name: str, arguments: Mapping[str, Any], now: datetime, *, lacking: Collection[str] = ()
) -> _Model:
    """Validate the `arguments` of the tool or prompt `name`, at `now` in the user's time zone.

    The fields of `model` are the arguments, with the types of `tools.argument_types`. Those in `lacking` are required,
    too.
    """
    unknown = list(_unknown_arguments(name, arguments, model.model_fields))
    texts = {name: value for name, value in arguments.items() if name in model.model_fields}
    wrong = {name: Problem(name, "surrogates") for name, value in texts.items() if _is_broken(value)}
    wrong |= {argument: Problem(argument, f"lacks_{argument}") for argument in lacking}
    try:
        validated = model.model_validate(dict(arguments), context={"now": now})
    except ValidationError as error:
        for problem in _problems_of(error):
            wrong.setdefault(problem.argument, problem)
    else:
        if not unknown and not wrong:
            return validated
    raise InvalidArgumentsError([*unknown, *wrong.values()])


def _is_broken(value: Any) -> bool:
    """Whether a text, or one in a list, has half of a surrogate pair, which UTF-8 can't encode (Unicode, 3.8)."""
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    return any("\ud800" <= char <= "\udfff" for text in texts for char in text)


def _unknown_arguments(tool: str, given: Iterable[str], known: Collection[str]) -> Iterable[Problem]:
    """A problem for each argument that the tool doesn't have. They are not ignored, because the user may mean them."""
    kind = "unknown" if known else "unknown_takes_none"
    kind = "unknown_wish" if "additional_instructions" in known else kind
    for name in given:
        if name not in known:
            yield Problem(_shortened(name, 40) or '""', kind, context={"tool": tool, "takes": ", ".join(known)})
            kind = "unknown_again"  # only the first problem lists the arguments that the tool takes


def _problems_of(error: ValidationError) -> Iterable[Problem]:
    """The problems that pydantic found."""
    for entry in error.errors(include_url=False):
        kind, given, context = entry["type"], entry["input"], entry.get("ctx", {})
        name, *within = entry["loc"]
        # A field of an object in a list is named like this: candidates[1].respondent_phone
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{_shortened(part, 40)}" for part in within)
        is_item_of_texts = kind == "string_type" and within == within[:1]
        yield Problem(f"{name}{'' if is_item_of_texts else path}", kind, given, context)


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


def wrong_arguments(problems: Sequence[Problem], *, places_calls: bool) -> str:
    """The text of an error about wrong arguments: each one with what is wrong, up to `MAX_NAMED`.

    With `places_calls`, the text begins by saying that nobody was called.
    """
    named = [(problem.argument, problem.text_for_agents) for problem in problems[:MAX_NAMED]]
    lines = [f"- {argument}: {text}{'' if text[-1] in '.?' else '.'}" for argument, text in named]
    if len(problems) > MAX_NAMED:
        lines.append(f"- and {len(problems) - MAX_NAMED} more.")
    return "\n".join([words.fix(len(problems), places_calls=places_calls), *lines])
