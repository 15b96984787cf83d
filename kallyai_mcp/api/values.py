"""The kinds of values in the API's bodies, and what they may be."""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

_LONGEST_TOKEN = 16_384


def object_in(value: object) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of any other value."""
    return value if isinstance(value, Mapping) else {}


def _iso_date(value: Any) -> Any:
    """Accept only dates written YYYY-MM-DD. Pydantic would accept numbers and times too."""
    is_written = isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
    if type(value) is date or is_written:
        return value
    raise PydanticCustomError("iso_date", "must be a date written YYYY-MM-DD")


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
"""A date in the format YYYY-MM-DD only."""

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM, 24 hours."""


def _amount(value: float) -> float:
    """A count or a duration: neither negative nor extremely large."""
    if not 0 <= value <= 1e12:  # seconds of thirty thousand years; NaN is not between them
        raise ValueError("impossible")
    return value


def _moment(value: datetime) -> datetime:
    """A date and time (aware), which is in UTC when it has no offset.

    The last year of the calendar can't be converted into every time zone. Small numbers, which
    pydantic takes for seconds since the epoch, are not times of calls.
    """
    if not 2000 < value.year < MAXYEAR:
        raise ValueError("not the time of a call")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _link(value: str) -> str:
    """An http or https URL without white space."""
    parts = urlsplit(value)
    is_on_the_web = parts.scheme in {"http", "https"} and bool(parts.netloc)
    if not is_on_the_web or any(map(str.isspace, value)):
        raise ValueError("not a link")
    return value


def is_token(text: str) -> bool:
    """Whether a text can be sent as a bearer token: it is printable ASCII without spaces, and not
    empty.
    """
    return re.fullmatch("[!-~]+", text) is not None


def _token(value: SecretStr) -> SecretStr:
    if len(value) > _LONGEST_TOKEN or not is_token(value.get_secret_value()):
        raise ValueError("not a token")
    return value


Count = Annotated[StrictInt, AfterValidator(_amount)]
Number = Annotated[
    StrictInt | StrictFloat, AfterValidator(_amount), WithJsonSchema({"type": "number"})
]
Moment = Annotated[datetime, AfterValidator(_moment)]
Link = Annotated[str, AfterValidator(_link)]
Token = Annotated[SecretStr, AfterValidator(_token)]
