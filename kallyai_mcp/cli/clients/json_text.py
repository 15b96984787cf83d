"""Reads JSON with and without comments, and changes one member of a plain JSON text (RFC 8259).

A change leaves every other character as it was, so that the rest of a user's file keeps its layout.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from kallyai_mcp.cli.clients.errors import BadFormatError

_SPACE = " \t\r\n"
_STRING = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"{_STRING}|(?P<extra>//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_STRING}|(?P<extra>,(?=[{_SPACE}]*[}}\]]))", re.DOTALL)
_DECODER = json.JSONDecoder()


def read(text: str, *, comments: bool = False) -> dict[str, Any]:
    """Parse an object.

    Args:
        text: The text, without a byte order mark; an empty text counts as an empty object.
        comments: Allow comments and trailing commas.

    Raises:
        BadFormatError: It is not JSON, or not an object.
    """
    if comments:
        text = without_comments(text)
    if not text.strip(_SPACE):
        return {}
    try:
        data = json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
        raise BadFormatError(reason, line=error.lineno) from None
    except ValueError as error:  # NaN, or an integer of thousands of digits
        raise BadFormatError(str(error), line=1) from None
    except RecursionError:
        raise BadFormatError("it is nested too deeply", line=1) from None
    if not isinstance(data, dict):
        raise BadFormatError("it is not an object", line=_line(text, _skip_space(text, 0)))
    return data


def without_comments(text: str) -> str:
    """`text` with spaces in place of comments and trailing commas; its line numbers stay the same."""
    for pattern in (_COMMENT, _TRAILING_COMMA):
        text = pattern.sub(lambda found: re.sub(r"[^\r\n]", " ", found[0]) if found["extra"] else found[0], text)
    return text


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `value` at `path`, indented as the rest is; missing objects on the path are added.

    Args:
        text: Plain JSON, or "".
        path: The names of the members that lead to the value.
        value: The value, of JSON types.

    Raises:
        BadFormatError: `text` is not a plain JSON object, or a value on the path is not an object.
    """
    read(text)
    style = _Style.of(text)
    if not text.strip(_SPACE):
        return style.dump(_nested(path, value), "") + style.newline
    start, end = _skip_space(text, 0), len(text.rstrip(_SPACE))
    for depth, name in enumerate(path):
        if text[start] != "{":
            raise BadFormatError(f'"{path[depth - 1]}" is not an object', line=_line(text, start))
        member = _find(text, start, name)
        if member is None:
            return _add(text, start, end, f"{json.dumps(name)}{style.colon}", _nested(path[depth + 1 :], value), style)
        start, end = member.value, member.end
    return text[:start] + style.dump(value, _indent(text, start)) + text[end:]


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without the member at `path`, if there is one.

    Args:
        text: Plain JSON, or "".
        path: The names of the members that lead to the value.

    Raises:
        BadFormatError: `text` is not a plain JSON object.
    """
    read(text)
    while True:  # a name may occur twice
        start = _skip_space(text, 0)
        for name in path[:-1]:
            member = _find(text, start, name)
            start = member.value if member is not None else len(text)
        if (member := _find(text, start, path[-1])) is None:
            return text
        members = _members(text, start)
        index = members.index(member)
        if index:
            text = text[: members[index - 1].end] + text[member.end :]
        elif len(members) > 1:
            text = text[: member.start] + text[members[1].start :]
        else:
            text = text[: start + 1] + text[_skip_space(text, member.end) :]


@dataclass(frozen=True)
class _Member:
    """A member of an object: its name, where the member begins, where its value begins, and where both end."""

    name: str
    start: int
    value: int
    end: int


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that begins at `start` of a valid text; none if it is no object."""
    found: list[_Member] = []
    if not text.startswith("{", start):
        return found
    at = _skip_space(text, start + 1)
    while text[at] != "}":
        name, colon = _DECODER.raw_decode(text, at)
        value = _skip_space(text, _skip_space(text, colon) + 1)
        _, end = _DECODER.raw_decode(text, value)
        found.append(_Member(name, at, value, end))
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return found


def _find(text: str, start: int, name: str) -> _Member | None:
    """The member with this name; the last one if there are several, as in JavaScript's JSON.parse."""
    return next((member for member in reversed(_members(text, start)) if member.name == name), None)


@dataclass(frozen=True)
class _Style:
    """The layout of a text; `unit` is the indentation of one level, None for a text on one line."""

    newline: str
    unit: str | None
    comma: str
    colon: str

    @classmethod
    def of(cls, text: str) -> "_Style":
        first = re.search(r'\{\r?\n([ \t]*)"', text)
        is_minified = bool(text.strip(_SPACE)) and not re.search(r"[:,][ \t\r\n]", text)
        on_one_line = len(text.strip(_SPACE)) > len("{}") and "\n" not in text.strip(_SPACE)
        return cls(
            newline="\r\n" if "\r\n" in text else "\n",
            unit=None if on_one_line else (first and first[1]) or "  ",
            comma="," if on_one_line and is_minified else ", ",
            colon=":" if on_one_line and is_minified else ": ",
        )

    def dump(self, value: Any, indent: str) -> str:
        """`value` as JSON in this layout; `indent` is the indentation of the line on which it begins."""
        if self.unit is None:
            return json.dumps(value, ensure_ascii=False, separators=(self.comma, self.colon))
        return json.dumps(value, ensure_ascii=False, indent=self.unit).replace("\n", self.newline + indent)


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _add(text: str, start: int, end: int, name: str, value: Any, style: _Style) -> str:
    """`text` with a new member at the end of the object from `start` to `end`."""
    members = _members(text, start)
    outer = _indent(text, start)
    after = members[-1].end if members else start + 1
    closing = text[after : end - 1]
    if style.unit is None or (members and "\n" not in text[start : members[0].start] + closing):
        new = (style.comma if members else "") + name + style.dump(value, outer)
    else:
        inner = _indent(text, members[-1].start) if members else outer + style.unit
        new = ("," if members else "") + style.newline + inner + name + style.dump(value, inner)
        if not members and "\n" not in closing:
            new += style.newline + outer
    return text[:after] + new + text[after:]


def _indent(text: str, at: int) -> str:
    """The indentation of the line that has the position `at`."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
