"""The types of the tools' arguments: each checks one value and returns it in the form that the tool
works with.

A value is refused only if it is certainly wrong; KallyAI decides about all others. Validate a model
with these types by `tools.arguments.validate`, because the types need the current time from it. The
message of a `ValueError` follows the value, as in '"x" is past'.
"""

import json
import re
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError

from kallyai_mcp.api.errors import KallyAIError, check_call_id
from kallyai_mcp.api.models import Call
from kallyai_mcp.api.values import IsoDate, TimeOfDay
from kallyai_mcp.calls.about_booking import Change
from kallyai_mcp.calls.countries import is_never_called
from kallyai_mcp.calls.numbers import NumberProblem, local_times, normalize, place_of
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.schedule import MOST_RETRIES
from kallyai_mcp.settings import WAIT_LIMIT
from kallyai_mcp.tools.text.plain import part

NOT_AVAILABLE = frozenset({"", "n/a", "n.a.", "null", "<unknown>", "not specified", "not provided"})
"""Texts that can't be a value; many agents send them for what they don't know."""

ABSENT = NOT_AVAILABLE | {"na", "none", "nil", "undefined", "unknown", "-"}
"""What models write where their client demands a value. A business may be called "None"."""

_LAST_TIME_ZONE = timezone(-timedelta(hours=12))
"""The time zone in which each day ends last: a date that is past there is past everywhere."""


_NUMBERS = {
    "not_a_number": "is not a phone number; E.164 looks like +14155551234",
    "no_country": "has no country code",
    "invalid": "is not a valid number; check it with the user",
    "letters": "has letters",
    "extension": "has an extension, which KallyAI does not support; give the number without it",
}
"""What is wrong with a phone number, by the kind of `NumberProblem`."""


_REFUSED = {
    "emergency_number": (
        "KallyAI cannot call emergency services. Tell the user to dial {dial} themselves, now."
    ),
    "toll_number": (
        "KallyAI does not call premium-rate numbers such as {number}. Ask the user for an ordinary "
        "number."
    ),
    "unsupported_country": (
        "KallyAI calls only the United States, Canada, and Europe, and {number} is elsewhere. Tell "
        "the user; no number there will work."
    ),
}
"""What is said of a number that KallyAI does not call, by its code ("Error Code Reference")."""


class RefusedNumberError(KallyAIError):
    """KallyAI calls no such number, and says so by the error's code; `dial` is an emergency number
    to dial oneself.
    """

    def __init__(self, number: str, problem: NumberProblem) -> None:
        text = _REFUSED[problem.kind].format(number=number, dial=problem.dial)
        super().__init__(text, code=problem.kind)
        self.dial = problem.dial


class WrongNumberError(ValueError):
    """A text is no number, or not a whole one; `problem` has what may be meant."""

    def __init__(self, problem: NumberProblem) -> None:
        super().__init__(_wrong_number(problem))
        self.problem = problem


def _e164(number: str) -> str:
    normal = normalize(re.sub(r"^tel:", "", number, flags=re.IGNORECASE))
    if isinstance(normal, str):
        return normal
    if normal.kind in _REFUSED:
        raise RefusedNumberError(number, normal)
    raise WrongNumberError(normal)


def _to_call(number: str) -> str:
    normal = _e164(number)
    if is_never_called(normal):
        raise RefusedNumberError(number, NumberProblem("unsupported_country"))
    return normal


def _wrong_number(problem: NumberProblem) -> str:
    """What is wrong with a phone number, and what may be meant, as it follows the number, without a
    period.
    """
    wrong = _NUMBERS[problem.kind]
    if problem.meant:
        return f"{wrong}; it may be {' or '.join(map(_with_place, problem.meant))}"
    if problem.kind == "no_country":
        return f"{wrong}; E.164 looks like +14155551234"
    return wrong


def _with_place(number: str) -> str:
    return f"{number}{part(' ({})', place_of(number))}"


def _once_called(number: str) -> str:
    try:
        return _e164(number)
    except RefusedNumberError:  # its text is for a call that is wanted
        raise ValueError("is a number that KallyAI never calls") from None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (
        KeyError,
        ValueError,
        OSError,
    ):  # what zoneinfo raises for unknown names, odd paths, and directories
        raise ValueError("is not an IANA time zone; it looks like America/New_York") from None
    return name


def _not_past(day: date, info: ValidationInfo) -> date:
    """Return `day` unless it is past.

    A day counts as past by the clock of the callee. If the callee's time zone is not known, the day
    must be past everywhere.
    """
    now: datetime = (info.context or {})["now"]
    there = _earliest_day(info.data.get("respondent_phone", ""), now)
    if there is not None and day < there:
        raise ValueError(f"is past; it is {there:%A}, {there} there")
    if day < now.astimezone(_LAST_TIME_ZONE).date():
        raise ValueError(f"is past; today is {now:%A}, {now.date()}")
    return day


def _earliest_day(number: str, now: datetime) -> date | None:
    """The day at a callee, the earliest one of several; None if the number does not show it."""
    return min((moment.date() for moment in local_times(number, now)), default=None)


def _no_bool(value: Any) -> Any:
    """Refuse true and false, which pydantic would read as 1 and 0."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def json_list(value: Any) -> Any:
    """A list that was sent as JSON text, or as its only item; without items that stand for no
    value.
    """
    if isinstance(value, str):
        value = _list_in(value)
    if not isinstance(value, list):
        return value
    return [item for item in map(stripped, value) if not _is_absent(item)]


def stripped(value: Any) -> Any:
    """A text without white space around it; anything else as it is."""
    return value.strip() if isinstance(value, str) else value


def _list_in(text: str) -> list[Any]:
    """The list that a text is in JSON, or else a list of the text alone."""
    try:
        read = json.loads(text)
    except (
        ValueError,
        RecursionError,
    ):  # not JSON, or a number too long or a list too deep for Python's parser
        return [text]
    return read if isinstance(read, list) else [text]


def _is_absent(item: Any) -> bool:
    return isinstance(item, str) and item.casefold() in ABSENT


Text = Annotated[str, StringConstraints(strip_whitespace=True)]
"""Any text that UTF-8 can encode: pydantic refuses half of a surrogate pair where it has to look at
a text.
"""

PhoneNumber = Annotated[str, AfterValidator(_e164)]
"""A phone number as people write it; the tool gets it in E.164.

For 911, validation raises `RefusedNumberError`.
"""

NumberToCall = Annotated[str, AfterValidator(_to_call)]
"""A phone number that KallyAI may call; for one that it certainly does not, validation raises
`RefusedNumberError`.
"""

CalledNumber = Annotated[str, AfterValidator(_once_called)]
"""A number of earlier calls."""

TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""The IANA name of a time zone."""

UserZone = Annotated[TimeZoneName | None, Field(description="The user's, IANA")]
"""The zone in which the user reads times."""

SpokenLanguage = Literal["en", "es"]

AppointmentDate = Annotated[IsoDate, AfterValidator(_not_past)]
"""A day that is not past where the callee is."""

MAX_DESCRIPTION_LENGTH = 1500
MOST_PEOPLE = 50

TaskDescription = Annotated[
    str,
    Field(
        max_length=MAX_DESCRIPTION_LENGTH,
        description=(
            f"What to achieve; may be read aloud. Up to {MAX_DESCRIPTION_LENGTH} characters"
        ),
    ),
]
"""What KallyAI should do in the call."""

Texts = Annotated[list[Text], Field(fail_fast=True), BeforeValidator(json_list)]

QuestionTexts = Annotated[Texts, Field(max_length=10)]


_FORM_OF_MOMENTS = "YYYY-MM-DDTHH:MM"


def _written_moment(value: Any) -> datetime:
    """The moment in a text. A date alone is refused: who writes one does not mean midnight.

    The error names no time as an example, because a model would take it for the next request.
    """
    if not isinstance(value, str):
        raise ValueError(f"is not a date and time in the form {_FORM_OF_MOMENTS}")  # noqa: TRY004 - pydantic's
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        if str(error).startswith("Invalid isoformat"):
            raise ValueError(f"is not a date and time in the form {_FORM_OF_MOMENTS}") from None
        raise ValueError(f"is not a time: {error}") from None  # "minute must be in 0..59"
    if ":" not in value:
        raise ValueError(f"has no time of day; the form is {_FORM_OF_MOMENTS}")
    return moment


def _without_seconds(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:00", value):
        return value[:5]
    return value


Time = Annotated[TimeOfDay, BeforeValidator(_without_seconds)]

NotBefore = Annotated[
    datetime, BeforeValidator(_written_moment), WithJsonSchema({"type": "string"})
]
"""A date and time in ISO 8601; if the text has no offset, the `datetime` has no time zone."""


Since = Annotated[datetime, WithJsonSchema({"type": "string"})]
"""A day or a moment in ISO 8601; if the text has no offset, the `datetime` has no time zone."""

_STATUSES = (
    "scheduled",
    "in_progress",
    *Outcome,
    "moved",
    "expired",
    "refused",
    *sorted(Call.FINAL - set(Outcome)),
)
"""What list_calls can look for, as results name it: what may be claimed of a call, or how far it
is; and KallyAI's.
"""


def _known_status(text: str) -> str:
    status = text.casefold().replace(" ", "_")
    if any(known.startswith(status) for known in _STATUSES):
        return status
    raise ValueError(f"is not one of {', '.join(_STATUSES)}")


Status = Annotated[
    str,
    AfterValidator(_known_status),
    WithJsonSchema({"type": "string", "enum": [str(status) for status in _STATUSES]}),
]
"""A status of `_STATUSES`, or its beginning, which the schema does not name."""

BookingChange = Annotated[
    Change, WithJsonSchema({"type": "string", "enum": [str(change) for change in Change]})
]
"""What a call about a booking is for."""

CallId = Annotated[str, AfterValidator(check_call_id)]
"""A `call_id` or `tracking_id`; for others, validation raises `UnusableCallIdError` (and no
`ValidationError`).
"""

_NUMBER = BeforeValidator(_no_bool)

Retries = Annotated[int, Field(ge=0, le=MOST_RETRIES), _NUMBER]
PartySize = Annotated[int, Field(ge=1, le=MOST_PEOPLE), _NUMBER]
"""How many people; the text "4" is read as 4, and true is refused."""

WaitSeconds = Annotated[
    float,
    Field(
        ge=0, le=WAIT_LIMIT, allow_inf_nan=False, description="To wait for the outcome; 45 is safe"
    ),
    _NUMBER,
]
Limit = Annotated[int, Field(ge=1, le=200), _NUMBER]
Offset = Annotated[int, Field(ge=0), _NUMBER]
"""The query parameters of the reference's "List Calls"."""
