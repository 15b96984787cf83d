"""From an answer's bytes to a model: the successes. The refusals are read in `refusals`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kallyai_mcp.api.errors import UnreadableResponseError

CORRELATION_HEADERS = ("x-correlation-id", "x-request-id")

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Answer:
    """What came back, free of any HTTP library.

    Attributes:
        status: The HTTP status.
        headers: Looked up by lower-case names.
        body: Decoded from any Content-Encoding.
        whole: False when the body was longer than what is read of one.
        secrets: What was sent and must not come back in an error, such as tokens.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_web_page(self) -> bool:
        """Whether the body is meant for a browser."""
        start = self.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return "html" in self.headers.get("content-type", "").lower() or start.startswith((b"<!doctype html", b"<html"))

    @property
    def correlation_id(self) -> str | None:
        """The id under which the service logged the request, if a header tells it."""
        return next((self.headers[name] for name in CORRELATION_HEADERS if name in self.headers), None)


def parse_json(body: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        ValueError: It is no JSON, not in a Unicode encoding, or nested without end.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_model(model: type[_Model], answer: Answer) -> _Model:
    """Reads a success as `model`.

    Raises:
        UnreadableResponseError: The body is not what the reference says; the error names what is wrong.
    """
    _refuse_unless_whole(answer)
    try:
        return model.model_validate(parse_json(answer.body))
    except ValidationError as error:
        # Not chained, here and below: such errors quote the body, which may hold a token.
        where = {".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False, include_url=False)}
        raise _unreadable(answer, f"without a usable {' and '.join(sorted(filter(None, where))) or 'object'}") from None
    except ValueError:
        raise _unreadable(answer, "that is not JSON" if answer.body else "that is empty") from None


def read_calendar(answer: Answer) -> str:
    """Reads a success as an iCalendar file (RFC 5545), which is in UTF-8.

    Raises:
        UnreadableResponseError: The body is not such a file.
    """
    _refuse_unless_whole(answer)
    try:
        text = answer.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(answer, "that is not text") from None
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        raise _unreadable(answer, "that is not a calendar file")
    return text


def _refuse_unless_whole(answer: Answer) -> None:
    if not answer.whole:
        raise _unreadable(answer, "that is longer than any answer of the API")
    if answer.is_web_page:
        raise _unreadable(answer, "that is a web page; something between here and KallyAI may want a sign-in")


def _unreadable(answer: Answer, what: str) -> UnreadableResponseError:
    return UnreadableResponseError(
        f"KallyAI answered {answer.status} with a body {what}",
        status=answer.status,
        correlation_id=answer.correlation_id,
    )
