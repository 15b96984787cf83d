"""Changes one value in a JSON text and leaves every other character as it was.

Comments and trailing commas, which many clients allow in their files, are read over and kept.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from kallyai_mcp.cli.clients.errors import Broken

_SPACE = " \t\r\n"
_BLANKS = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_INDENT = re.compile(r"[ \t]*")


@dataclass(frozen=True)
class _Value:
    """A value: where it begins and ends in the text, what it is, and the members of an object."""

    start: int
    end: int
    data: Any
    members: "tuple[_Member, ...] | None" = None

    def member(self, name: str) -> "_Member | None":
        """The member of that name; of several the last, as JSON.parse has it."""
        return next((found for found in reversed(self.members or ()) if found.name == name), None)


@dataclass(frozen=True)
class _Member:
    """A member of an object: where its name begins, and the comma after it if there is one."""

    name: str
    start: int
    value: _Value
    comma: int | None


def read(text: str, *, comments: bool) -> dict[str, Any]:
    """The object that `text` is; an empty one for a text of nothing but space.

    Args:
        text: JSON (RFC 8259), without a byte order mark.
        comments: Comments and trailing commas are allowed.

    Raises:
        Broken: It is something else.
    """
    root = _Reader(text, comments=comments).document()
    data: dict[str, Any] = root.data if root is not None else {}
    return data


def put(text: str, path: Sequence[str], value: Any, *, comments: bool) -> str:
    """`text` with `value` at `path`; objects on the way that are not there are made.

    What is added is indented, and its lines end, as in the rest of the text.

    Args:
        text: As for `read`.
        path: The names of the members that lead to it.
        value: JSON types.
        comments: As for `read`.

    Raises:
        Broken: It is no JSON object, or what is on the way is none.
    """
    root = _Reader(text, comments=comments).document()
    style = _Style.of(text, root)
    if root is None:
        kept = f"{text.rstrip(_SPACE)}{style.newline}" if text.strip(_SPACE) else ""
        return f"{kept}{style.dump(_nested(path, value), '')}{style.newline}"
    holder = root
    for depth, name in enumerate(path):
        if holder.members is None:
            raise Broken(f'"{path[depth - 1]}" is not an object', line=_line(text, holder.start))
        found = holder.member(name)
        if found is None:
            return _added(text, holder, name, _nested(path[depth + 1 :], value), style)
        holder = found.value
    if holder.data == value:
        return text
    new = style.dump(value, _line_indent(text, holder.start))
    return text[: holder.start] + new + text[holder.end :]


def drop(text: str, path: Sequence[str], *, comments: bool) -> str:
    """`text` without the member at `path`, if it is there.

    Args:
        text: As for `read`.
        path: The names of the members that lead to it.
        comments: As for `read`.

    Raises:
        Broken: It is no JSON object.
    """
    while True:
        holder = _Reader(text, comments=comments).document()
        for name in path[:-1]:
            found = holder.member(name) if holder is not None else None
            holder = found.value if found is not None else None
        last = holder.member(path[-1]) if holder is not None else None
        if holder is None or last is None:
            return text
        text = _cut(text, holder, last)


@dataclass(frozen=True)
class _Style:
    """How a text is laid out."""

    newline: str
    unit: str
    one_line: bool
    item: str
    pair: str

    @classmethod
    def of(cls, text: str, root: _Value | None) -> "_Style":
        members = root.members if root is not None and root.members else ()
        first = members[0].start if members else 0
        indent = _line_indent(text, first)
        own_line = bool(members) and "\n" in text[:first] and text[:first].endswith(indent)
        minified = bool(members) and not re.search(r"[:,][ \t\r\n]", text)
        return cls(
            newline="\r\n" if "\r\n" in text else "\n",
            unit=indent if own_line and indent else "  ",
            one_line=bool(members) and "\n" not in text.strip(_SPACE),
            item="," if minified else ", ",
            pair=":" if minified else ": ",
        )

    def dump(self, value: Any, base: str) -> str:
        """`value` as it stands on a line that is indented by `base`."""
        if self.one_line:
            return json.dumps(value, ensure_ascii=False, separators=(self.item, self.pair))
        lines = json.dumps(value, ensure_ascii=False, indent=self.unit)
        return lines.replace("\n", self.newline + base)

    def member(self, name: str, value: Any, base: str) -> str:
        return json.dumps(name) + self.pair + self.dump(value, base)


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _added(text: str, holder: _Value, name: str, value: Any, style: _Style) -> str:
    """`text` with one member more, as the last of `holder`."""
    assert holder.members is not None  # noqa: S101 - `put` has looked
    close = holder.end - 1
    last = holder.members[-1] if holder.members else None
    trailing = last is not None and last.comma is not None
    before = holder.start + 1 if last is None else last.comma + 1 if last.comma is not None else last.value.end
    # Behind the comments that may follow the last member.
    at = before + len(text[before:close].rstrip(_SPACE))
    base = _line_indent(text, holder.start)
    if last is None:
        own_lines = not style.one_line
    else:
        own_lines = "\n" in text[holder.start : holder.members[0].start] or "\n" in text[last.value.end : close]
    if not own_lines:
        gap = style.item[1:] if last is not None else ""
        new = gap + style.member(name, value, base)
    else:
        indent = base + style.unit if last is None else _line_indent(text, last.start)
        new = style.newline + indent + style.member(name, value, indent)
        if last is None and "\n" not in text[at:close]:
            new += style.newline + base
    comma = "" if last is None or trailing else ","
    return text[:before] + comma + text[before:at] + new + ("," if trailing else "") + text[at:]


def _cut(text: str, holder: _Value, member: _Member) -> str:
    """`text` without `member` of `holder`, and without the space before it; comments stay."""
    assert holder.members is not None  # noqa: S101 - it has a member
    index = holder.members.index(member)
    previous = holder.members[index - 1] if index else None
    before = holder.start + 1 if previous is None or previous.comma is None else previous.comma + 1
    gap = text[before : member.start].rstrip(_SPACE)
    end = member.value.end if member.comma is None else member.comma + 1
    tail = text[end:]
    if _ends_in_line_comment(gap) and tail.partition("\n")[0].strip(_SPACE):
        gap = text[before : member.start]  # what follows on this line must not become part of the comment
    is_last = member is holder.members[-1]
    if is_last and member.comma is None and previous is not None and previous.comma is not None:
        return text[: previous.comma] + gap + tail
    if len(holder.members) == 1 and not (gap + text[end : holder.end - 1]).strip(_SPACE):
        return text[:before] + text[holder.end - 1 :]
    return text[:before] + gap + tail


def _ends_in_line_comment(gap: str) -> bool:
    last = ""
    for found in _COMMENT.finditer(gap):
        last = found[0]
    return last.startswith("//")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _line_indent(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at) + 1
    found = _INDENT.match(text, start, at)
    return found[0] if found else ""


class _Reader:
    """Reads a text and remembers where everything is."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self._text = text
        self._comments = comments
        self._scalars = json.JSONDecoder(parse_constant=_no_constant)

    def document(self) -> _Value | None:
        """The object that the text is; None when it has nothing but space and comments."""
        start = self._gap(0)
        if start == len(self._text):
            return None
        try:
            root = self._value(start)
        except RecursionError:
            raise Broken("it is nested too deeply", line=1) from None
        if (rest := self._gap(root.end)) < len(self._text):
            self._fail(rest, "there is more after the end of the object")
        if root.members is None:
            self._fail(start, "it is not an object")
        return root

    def _gap(self, at: int) -> int:
        """Where the space and comments that begin at `at` end."""
        while True:
            if found := _BLANKS.match(self._text, at):
                at = found.end()
            elif not self._text.startswith(("//", "/*"), at):
                return at
            elif not self._comments:
                self._fail(at, "a comment, which this client does not allow")
            elif found := _COMMENT.match(self._text, at):
                at = found.end()
            else:
                self._fail(at, "a comment that does not end")

    def _value(self, at: int) -> _Value:
        match self._text[at : at + 1]:
            case "{":
                members = tuple(self._members(at + 1))
                close = members[-1].value.end if members else at + 1
                if members and members[-1].comma is not None:
                    close = members[-1].comma + 1
                end = self._gap(close) + 1
                return _Value(at, end, {member.name: member.value.data for member in members}, members)
            case "[":
                return self._array(at)
            case _:
                return self._scalar(at)

    def _members(self, at: int) -> Iterator[_Member]:
        at = self._gap(at)
        while not self._text.startswith("}", at):
            if not self._text.startswith('"', at):
                self._fail(at, "a name in quotation marks or a } is missing")
            name = self._scalar(at)
            colon = self._gap(name.end)
            if not self._text.startswith(":", colon):
                self._fail(colon, "a colon is missing")
            value = self._value(self._gap(colon + 1))
            comma = self._gap(value.end)
            if not self._text.startswith(",", comma):
                if not self._text.startswith("}", comma):
                    self._fail(comma, "a comma or a } is missing")
                yield _Member(name.data, at, value, None)
                return
            yield _Member(name.data, at, value, comma)
            at = self._after_comma(comma, "}")

    def _array(self, start: int) -> _Value:
        items: list[Any] = []
        at = self._gap(start + 1)
        while not self._text.startswith("]", at):
            item = self._value(at)
            items.append(item.data)
            at = self._gap(item.end)
            if self._text.startswith(",", at):
                at = self._after_comma(at, "]")
            elif not self._text.startswith("]", at):
                self._fail(at, "a comma or a ] is missing")
        return _Value(start, at + 1, items)

    def _after_comma(self, comma: int, close: str) -> int:
        at = self._gap(comma + 1)
        if not self._comments and self._text.startswith(close, at):
            self._fail(comma, f"a comma before a {close}, which this client does not allow")
        return at

    def _scalar(self, at: int) -> _Value:
        try:
            data, end = self._scalars.raw_decode(self._text, at)
        except ValueError:
            self._fail(at, "what stands here is no JSON" if at < len(self._text) else "the file ends too early")
        return _Value(at, end, data)

    def _fail(self, at: int, reason: str) -> NoReturn:
        raise Broken(reason, line=_line(self._text, at))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
