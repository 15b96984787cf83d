"""Reads successful responses, and the times in the headers of all.

`error_responses` reads the other bodies.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kallyai_mcp.api.errors import UnreadableResponseError
from kallyai_mcp.api.models import Call

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ApiResponse:
    """An HTTP response, independent of the HTTP library, with its Content-Encoding decoded.

    The names of `headers` are in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_web_page(self) -> bool:
        """Whether the body is HTML."""
        start = self.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        begins_as_html = start.startswith((b"<!doctype html", b"<html"))
        return begins_as_html or "html" in self.headers.get("content-type", "").lower()

    @property
    def correlation_id(self) -> str | None:
        """The service's id of the request, if a header has it."""
        return self.headers.get("x-correlation-id") or self.headers.get("x-request-id")


def read_model(model: type[Model], response: ApiResponse) -> Model:
    """Reads a successful response as `model`; raises `UnreadableResponseError`."""
    if response.is_web_page:
        raise _unreadable(
            response, "that is a web page; something between here and KallyAI may want a sign-in"
        )
    try:
        return model.model_validate(json.loads(response.body))
    except ValidationError as error:
        # `from None`, here and below, because the causes quote the body, which may contain a token.
        problems = error.errors(include_input=False, include_url=False)
        where = {".".join(map(str, problem["loc"])) for problem in problems}
        named = " and ".join(sorted(filter(None, where)))
        raise _unreadable(response, f"without a usable {named or 'object'}") from None
    except (ValueError, RecursionError):
        raise _unreadable(
            response, "that is not JSON" if response.body else "that is empty"
        ) from None


def read_call(response: ApiResponse, *, id_: str | None = None, number: str | None = None) -> Call:
    """Reads a successful response as a call, and checks that it is the requested one; raises as
    `read_model`.

    A cache or a proxy may confuse two responses. `id_` (UUIDs are equal in any case: RFC 9562,
    section 4) and `number` (E.164) are None if they are not known. The response may have no number,
    or a part.
    """
    call = read_model(Call, response)
    has_another_id = id_ is not None and call.call_id.casefold() != id_.casefold()
    if has_another_id or _is_to_another(call, number):
        raise _unreadable(response, "about another call")
    return call


def _is_to_another(call: Call, number: str | None) -> bool:
    """Whether a call has a whole number, and it is not `number`."""
    repeated = re.sub(r"[\s().-]", "", call.submission.respondent_phone or "")
    is_whole = re.fullmatch(r"\+[1-9][0-9]{6,14}", repeated) is not None
    return number is not None and is_whole and repeated != number


def _unreadable(response: ApiResponse, what: str) -> UnreadableResponseError:
    return UnreadableResponseError(
        f"KallyAI answered {response.status} with a body {what}",
        status=response.status,
        correlation_id=response.correlation_id,
    )


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The time in the `Date` header (aware).

    None without a valid one, or if a cache kept the response. The `Date` of a response from a cache
    is old (RFC 9111, section 5.1).
    """
    if headers.get("age", "0").strip() not in ("", "0"):
        return None
    return _http_date(headers.get("date", ""))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds in the `Retry-After` header (RFC 9110, section 10.2.3); None without a valid one.

    A date is by the service's clock, or by ours if the response does not tell the time; 0 if past.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    date = _http_date(value)
    if date is None:
        return None
    now = date_of(headers) or datetime.now(UTC)
    return max(0.0, (date - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    """The time in a header (aware); None if it has no valid one.

    The first and the last year of the calendar can't be converted into every time zone.
    """
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # OverflowError: an offset with many digits
        return None
    if not MINYEAR < moment.year < MAXYEAR:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
