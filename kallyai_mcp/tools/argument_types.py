"""The types of the tools' arguments: each checks one value and returns it in the form that the tool works with.

A value is refused only if it is certainly wrong; KallyAI decides about all others. Validate a model with these types by
`tools.arguments.validate`, because the types need the current time from it.
"""

import re
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from kallyai_mcp.api.errors import check_call_id
from kallyai_mcp.api.models import Call, IsoDate, TimeOfDay
from kallyai_mcp.calls.numbers import local_times, normalize
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.schedule import MOST_RETRIES
from kallyai_mcp.settings import WAIT_LIMIT

PHONE_NUMBER = "phone_number"
"""The type of a validation error about a phone number; its context has the `problem` (`NumberProblem`)."""

_LAST_TIME_ZONE = timezone(-timedelta(hours=12))
"""The time zone in which each day ends last: a date that is past there is past everywhere."""


def _e164(number: str) -> str:
    normal = normalize(re.sub(r"^tel:", "", number, flags=re.IGNORECASE))
    if isinstance(normal, str):
        return normal
    raise PydanticCustomError(PHONE_NUMBER, "can't be called", {"problem": normal})


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what zoneinfo raises for unknown names, odd paths, and directories
        raise PydanticCustomError("time_zone", "is not an IANA time zone") from None
    return name


def not_past(day: date, info: ValidationInfo) -> date:
    """Return `day` unless it is past; a validator for pydantic.

    A day counts as past by the clock of the callee. If the callee's time zone is not known, the day must be past
    everywhere.
    """
    now: datetime = (info.context or {})["now"]
    number = info.data.get("respondent_phone")
    there = local_times(number, now) if isinstance(number, str) else ()
    days = [moment.date() for moment in there]
    if day < min(days, default=now.astimezone(_LAST_TIME_ZONE).date()):
        kind = "past_date_there" if days else "past_date"
        raise PydanticCustomError(kind, "is past", {"day": day, "today": min(days, default=now.date())})
    return day


def _no_bool(value: Any) -> Any:
    """Refuse true and false, which pydantic would read as 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_expected", "must be a number")
    return value


def _described(kind: str, description: str) -> WithJsonSchema:
    """A schema with the limits in its description, where models and frameworks look, and not twice."""
    return WithJsonSchema({"type": kind, "description": description})


PhoneNumber = Annotated[str, AfterValidator(_e164)]
"""A phone number as people write it; the tool gets it in E.164."""

TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""The IANA name of a time zone."""

UserZone = Annotated[TimeZoneName | None, Field(description="The user's, IANA")]
"""The zone in which the user reads times."""

AppointmentDate = Annotated[IsoDate, AfterValidator(not_past), Field(description="YYYY-MM-DD")]
"""A day that is not past where the callee is."""

MAX_DESCRIPTION_LENGTH = 1500

TaskDescription = Annotated[
    str,
    Field(max_length=MAX_DESCRIPTION_LENGTH),
    WithJsonSchema(
        {
            "type": "string",
            "description": f"What to achieve; may be read aloud. Up to {MAX_DESCRIPTION_LENGTH} characters",
        }
    ),
]
"""What KallyAI should do in the call."""


def _is_day(text: str) -> bool:
    """Whether `text` is a date without a time. Such a text is refused: who writes a date does not mean midnight."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _written_moment(value: Any, info: ValidationInfo, days: int = 1) -> datetime:
    """The moment in a text; the error has an example so many `days` from now."""
    if isinstance(value, str) and not _is_day(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    example = (info.context or {})["now"] + timedelta(days=days)
    raise PydanticCustomError("moment", "is not a date and time", {"example": f"{example:%Y-%m-%d}T09:00"})


def _without_seconds(value: Any) -> Any:
    return value[:5] if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:00", value) else value


Time = Annotated[TimeOfDay, BeforeValidator(_without_seconds), _described("string", "HH:MM, 24-hour")]

NotBefore = Annotated[datetime, BeforeValidator(_written_moment), WithJsonSchema({"type": "string"})]
"""A date and time in ISO 8601; if the text has no offset, the `datetime` has no time zone."""


def _written_since(value: Any, info: ValidationInfo) -> datetime:
    if isinstance(value, str) and _is_day(value):
        return datetime.combine(date.fromisoformat(value), time())
    return _written_moment(value, info, days=-1)


Since = Annotated[datetime, BeforeValidator(_written_since), WithJsonSchema({"type": "string"})]
"""A day or a moment in ISO 8601; if the text has no offset, the `datetime` has no time zone."""


_STATUSES = ("scheduled", "in_progress", *Outcome, "moved", "expired", "refused", *sorted(Call.FINAL - set(Outcome)))
"""What list_calls can look for, as results name it: what may be claimed of a call, or how far it is; and KallyAI's."""


def _known_status(text: str) -> str:
    status = text.casefold().replace(" ", "_")
    if any(known.startswith(status) for known in _STATUSES):
        return status
    raise PydanticCustomError("literal_error", "is no status", {"expected": ", ".join(_STATUSES)})


Status = Annotated[str, AfterValidator(_known_status)]
"""The beginning of a status of `_STATUSES`."""

Retries = Annotated[
    int,
    Field(ge=0, le=MOST_RETRIES),
    BeforeValidator(_no_bool),
    _described("integer", f"0 to {MOST_RETRIES}, if busy or no answer"),
]

QuestionTexts = Annotated[
    list[str],
    Field(max_length=10),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "description": "Up to 10; each answer is quoted"}),
]

CallId = Annotated[str, AfterValidator(check_call_id)]
"""A `call_id` or `tracking_id`; for others, validation raises `UnusableCallIdError` (and no `ValidationError`)."""

PartySize = Annotated[int, Field(ge=1, le=50), BeforeValidator(_no_bool), _described("integer", "1 to 50")]
"""How many people; the text "4" is read as 4, and true is refused."""

WaitSeconds = Annotated[
    float,
    Field(ge=0, le=WAIT_LIMIT, allow_inf_nan=False),
    BeforeValidator(_no_bool),
    _described("number", f"Seconds, 0 to {WAIT_LIMIT}; 45 is safe"),
]

Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_no_bool), _described("integer", "1 to 200")]
Offset = Annotated[int, Field(ge=0), BeforeValidator(_no_bool), _described("integer", "From 0")]
"""The query parameters of the reference's "List Calls"."""
