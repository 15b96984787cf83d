"""Reads scenario files: TOML with one `[[line]]` for each number."""

import tomllib
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kallyai_mcp.sandbox.simulator.scenario import Line


class ScenarioFileError(ValueError):
    """A scenario file is not valid.

    The message has a line for each problem: where it is, and what is expected.
    """


class ScenarioFile(BaseModel):
    """The content of a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: tuple[Line, ...] = Field(description="The lines of the file, each with its number")


def read_scenarios(text: str) -> tuple[Line, ...]:
    """Return the lines of a scenario file.

    Raises:
        ScenarioFileError: The text is not TOML, does not fit the schema, or has a number twice.
    """
    try:
        content = tomllib.loads(text)
        lines = ScenarioFile.model_validate(content).line
    except tomllib.TOMLDecodeError as error:
        raise ScenarioFileError(f"not valid TOML: {error}") from None
    except ValidationError as invalid:
        problems = [
            f"{_place(content, each['loc'])}: {expected(each['type'], each['msg'])}"
            for each in invalid.errors()
        ]
        raise ScenarioFileError("\n".join(problems)) from None
    counted = Counter(line.number for line in lines)
    twice = sorted(number for number, count in counted.items() if count > 1)
    if twice:
        raise ScenarioFileError(f"more than one [[line]] has the number {', '.join(twice)}")
    return lines


def _place(content: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """Return where a problem is: the line by its number, then the keys; items of lists count from
    1.
    """
    match location:
        case ("line", int(index), *rest):
            number = _number(content["line"][index])
            keys = ".".join(map(_key, rest))
            return " ".join(filter(None, ["line", _key(index), number, keys]))
        case _:
            return ".".join(map(str, location))


def _number(entry: object) -> str:
    """The number of a line, in parentheses; empty if it has none."""
    number = entry.get("number") if isinstance(entry, dict) else None
    return f"({number})" if number else ""


def _key(part: int | str) -> str:
    return str(part + 1) if isinstance(part, int) else part


def expected(kind: str, message: str) -> str:
    """Return what is wrong with a value, in words that fit after its key; of one of pydantic's
    errors.
    """
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind == "missing":
        return "this key is missing"
    if kind == "string_too_short":
        return "must have at least 1 character"
    return message.removeprefix("Value error, ").removeprefix("Input ")
