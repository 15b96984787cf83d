"""The types of the tools' arguments: each checks one value and returns it in the form that the tool works with.

Only what is certainly wrong is refused; for everything else the service is the authority. A model with these types is
validated by `tools.arguments.validate`, which passes the present moment.
"""

import difflib
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from kallyai_mcp.api.call_ids import check_call_id
from kallyai_mcp.api.models import IsoDate
from kallyai_mcp.calls.numbers import NumberProblem, normalize
from kallyai_mcp.settings import WAIT_LIMIT

FULL_TEXT = "kallyai_full_text"
"""The type of a validation error whose message says all there is to say, without the value in front of it."""

_LAST_TIME_ZONE = timezone(-timedelta(hours=12))
"""Where a day ends last; a date that is past even there is past everywhere."""


class NumberError(ValueError):
    """A number can't be called; `code` is the reference's code for such a number, if it has one."""

    def __init__(self, problem: NumberProblem) -> None:
        super().__init__(problem.text)
        self.code = problem.code


def _e164(number: str) -> str:
    normal = normalize(number)
    if isinstance(normal, str):
        return normal
    raise NumberError(normal)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what zoneinfo raises for unknown names, odd paths, and directories
        words = name.replace(" ", "_").lower()
        by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(available_timezones())}
        close = difflib.get_close_matches(words.rpartition("/")[2], by_city, n=1, cutoff=0.75)
        hint = f"did you mean {by_city[close[0]]}?" if close else "it looks like America/New_York"
        raise ValueError(f"is not an IANA time zone; {hint}") from None
    return name


def not_past(day: date, info: ValidationInfo) -> date:
    """Validator of pydantic: `day`, unless it is over everywhere on Earth.

    Raises:
        PydanticCustomError: It is.
    """
    now: datetime = (info.context or {})["now"]
    if day < now.astimezone(_LAST_TIME_ZONE).date():
        raise PydanticCustomError(FULL_TEXT, "{text}", {"text": f"{day} is past; today is {now:%Y-%m-%d} (UTC)"})
    return day


def _no_bool(value: Any) -> Any:
    """Pydantic reads true as 1, which is a guess."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports a ValueError, and lets a TypeError pass
    return value


PhoneNumber = Annotated[str, AfterValidator(_e164)]
"""A number as people write it; the tool gets E.164."""

TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA name."""

AppointmentDate = Annotated[IsoDate, AfterValidator(not_past)]
"""A day that is not over everywhere on Earth."""

CallId = Annotated[str, AfterValidator(check_call_id)]
"""A `call_id` or `tracking_id`; anything else is "no such call", which pydantic passes on as it is raised."""

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
"""The parameters of the reference's "List Calls"."""
