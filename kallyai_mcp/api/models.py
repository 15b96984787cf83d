"""Requests and responses of the API as frozen models ("Request Schemas" and "Response Schemas" of the reference).

Requests are exactly those of the reference. Responses are read liberally: a field may have another name or place. An
optional field of a wrong type becomes None, so that the rest of the response is usable. The functions at the top of
this file and the `mode="before"` validators do that.
"""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

_LEAST_SECONDS = 1_000_000_000
"""Smaller numbers are not times of calls: as seconds since the epoch they are before September 2001."""

_MOST_SECONDS = 100_000_000_000
"""Larger numbers are milliseconds since the epoch: as seconds they would be after the year 5000."""


def _text(value: Any) -> str | None:
    """A text, or a number as text. White space and anything else is None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    # JSON may contain an unpaired surrogate, which can't be encoded.
    return value.encode("utf-8", "replace").decode("utf-8").strip() or None


def _number(value: Any) -> int | float | None:
    """A count or a duration, also from a text; anything else is None, such as a negative or a huge number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        size = float(value)
    except (ValueError, OverflowError):
        return None
    if not 0 <= size <= 1e12:  # seconds of thirty thousand years; NaN is not between them
        return None
    return size if isinstance(value, str) else value


def _integer(value: Any) -> int | None:
    """A number that `_number` accepts, if it is an integer; anything else is None."""
    number = _number(value)
    return None if number is None or number != int(number) else int(number)


def _flag(value: Any) -> bool | None:
    """A boolean; anything else is None."""
    return value if isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:
    """A date and time (aware), which is in UTC when it has no offset; anything else is None.

    It is in ISO 8601, as in the reference, or in the format of e-mails (RFC 2822), or a number: seconds since the
    epoch, or milliseconds if seconds would be in the far future. A time in the first or last year of the calendar is
    None too, because it can't be converted into every time zone.
    """
    if isinstance(value, str):
        value = _written_moment(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if _MOST_SECONDS < value < 1000 * _MOST_SECONDS else value
        value = datetime.fromtimestamp(seconds, UTC) if _LEAST_SECONDS < seconds < _MOST_SECONDS else None
    if not isinstance(value, datetime) or not MINYEAR < value.year < MAXYEAR:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _written_moment(text: str) -> datetime | float | None:
    if re.fullmatch(r"[0-9]{9,16}(\.[0-9]*)?", text):
        return float(text)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text)
        except (ValueError, OverflowError):  # OverflowError: an offset with many digits
            continue
    return None


def _texts(value: Any) -> tuple[str, ...] | None:
    """Several texts, or one; anything else is None."""
    texts = [text for item in (value if isinstance(value, list | tuple) else [value]) if (text := _text(item))]
    return tuple(texts) or None


def _link(value: Any) -> str | None:
    """An http or https URL without white space; anything else is None."""
    text = _text(value)
    if text is None or any(char.isspace() for char in text):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in {"http", "https"} and parts.netloc else None


def _object(value: Any) -> dict[str, Any]:
    """A copy of a JSON object; an empty dict for anything else."""
    return dict(value) if isinstance(value, Mapping) else {}


def _list_in(value: Any, *names: str) -> Any:
    """The list in a body, which is the body itself, or under one of `names` in it; an empty list for null."""
    if isinstance(value, Mapping):
        value = next((value[name] for name in names if name in value), value)
        return [] if value is None else value
    return value


Text = Annotated[str | None, BeforeValidator(_text)]
Number = Annotated[int | float | None, BeforeValidator(_number)]
Integer = Annotated[int | None, BeforeValidator(_integer)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Texts = Annotated[tuple[str, ...] | None, BeforeValidator(_texts)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Link = Annotated[str | None, BeforeValidator(_link)]


class _Model(BaseModel):
    # Validation errors must not quote their input, which may contain a token. Validators are built when first used,
    # because `tools/list` needs none of them.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    def as_json(self) -> dict[str, Any]:
        """The model as JSON with the reference's names, in the reference's order, without fields that are None."""
        return self.model_dump(mode="json", exclude_none=True)


def _iso_date(value: Any) -> Any:
    """Accept only dates written YYYY-MM-DD. Pydantic would accept numbers and times too."""
    if isinstance(value, str):
        value = value.strip()
    if type(value) is date or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise PydanticCustomError("iso_date", "must be a date written YYYY-MM-DD")


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
"""A date in the format YYYY-MM-DD only."""

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM, 24 hours."""


class Submission(_Model):
    """The reference's "SubmissionPayload": who to call and why. White space around texts is removed."""

    model_config = ConfigDict(str_strip_whitespace=True)

    task_category: Literal["restaurant", "clinic", "hotel", "general"]
    task_description: Annotated[str, Field(min_length=1)]
    respondent_phone: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{1,14}$")]
    business_name: str | None = None
    user_name: str | None = None
    user_phone: str | None = None
    appointment_date: IsoDate | None = None
    appointment_time: TimeOfDay | None = None
    time_preference_text: str | None = None
    party_size: Annotated[StrictInt, Field(ge=1, le=50)] | None = None
    language: Literal["en", "es"] | None = None
    call_language: Literal["en", "es"] | None = None
    is_urgent: StrictBool | None = None
    additional_instructions: tuple[str, ...] | None = None


class CallCreateRequest(_Model):
    """The reference's "CallCreateRequest": the body of `POST /v1/calls`."""

    submission: Submission
    timezone: str | None = None
    """The IANA name of a time zone, such as America/New_York."""
    session_id: str | None = None


class SubmissionEcho(_Model):
    """The submission in a response; any field may be missing."""

    task_category: Text = None
    task_description: Text = None
    respondent_phone: Text = None
    business_name: Text = None
    user_name: Text = None
    user_phone: Text = None
    appointment_date: Text = None
    appointment_time: Text = None
    time_preference_text: Text = None
    party_size: Integer = None
    language: Text = None
    call_language: Text = None
    is_urgent: Flag = None
    additional_instructions: Texts = None


class Call(_Model):
    """The reference's "CallResponse": a call, with its outcome if it has ended.

    `status` may be any string: `success no_answer busy failed voicemail cancelled` in the reference, and others from
    the live service; `unknown` if the response has none. `created_at` always has an offset.
    """

    FINAL: ClassVar[frozenset[str]] = frozenset(
        {"success", "no_answer", "busy", "failed", "voicemail", "cancelled", "canceled", "terminated"}
    )
    IN_PROGRESS: ClassVar[frozenset[str]] = frozenset(
        {"in_progress", "queued", "scheduled", "rescheduled", "pending", "initiated", "dialing", "ringing", "active"}
    )

    call_id: Annotated[str, BeforeValidator(_text)]
    status: Annotated[str, BeforeValidator(lambda value: _text(value) or "unknown")] = "unknown"
    highlights: Text = None
    next_steps: Text = None
    duration_seconds: Number = None
    created_at: Moment = None
    submission: SubmissionEcho = Field(default_factory=SubmissionEcho)
    credits_used: Number = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """Accept `created_at`, `to`, and `business_name` at the top level or one level below."""
        if not isinstance(value, Mapping):
            return value
        call, echo = dict(value), value.get("submission")
        if not isinstance(echo, SubmissionEcho):
            echo = _object(echo)
            phone = (echo.get("respondent_phone"), echo.get("to"), call.get("respondent_phone"), call.get("to"))
            echo["respondent_phone"] = next((text for text in map(_text, phone) if text), None)
            echo["business_name"] = _text(echo.get("business_name")) or call.get("business_name")
            call["submission"] = echo
        if _moment(call.get("created_at")) is None:
            call["created_at"] = _object(call.get("metadata")).get("created_at")
        return call

    @property
    def plain_status(self) -> str:
        """`status` in lower case, with underscores in place of hyphens and spaces."""
        return self.status.lower().replace("-", "_").replace(" ", "_")

    @property
    def is_final(self) -> bool:
        """Whether the call has ended. With an unknown status, whether it has highlights or a duration other than 0.

        A duration of 0 may be that of a call that has just begun.
        """
        if self.plain_status in self.FINAL | self.IN_PROGRESS:
            return self.plain_status in self.FINAL
        return bool(self.duration_seconds) or self.highlights is not None


class CallPage(_Model):
    """One page of `GET /v1/calls`, in the order of the service. `total` counts all pages; None if it is missing."""

    calls: tuple[Call, ...]
    total: Integer = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """Accept the list under `calls` or `items`, or a list as the body. Leave out entries without an id."""
        listed = _list_in(value, "calls", "items")
        if isinstance(listed, list | tuple):
            listed = [call for call in listed if isinstance(call, Call) or _text(_object(call).get("call_id"))]
        return {"calls": listed, "total": _object(value).get("total")}


class TranscriptEntry(_Model):
    """One utterance. `timestamp` is the time since the call began, in the service's format HH:MM:SS, or None."""

    speaker: Annotated[str, BeforeValidator(lambda value: _text(value) or "UNKNOWN")] = "UNKNOWN"
    content: Annotated[str, BeforeValidator(lambda value: _text(value) or "")] = ""
    timestamp: Text = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """Accept `role` for `speaker` and `text` for `content`. A mere text is an utterance of an unknown speaker."""
        if not isinstance(value, Mapping):
            return {"content": value}
        speaker, content = value.get("speaker", value.get("role")), value.get("content", value.get("text"))
        return {"speaker": speaker, "content": content, "timestamp": value.get("timestamp")}

    @property
    def is_kallyai(self) -> bool:
        """Whether KallyAI speaks, and not the callee: `AI` is the reference's word; `role` has other ones."""
        return self.speaker.casefold() in {"ai", "assistant", "agent", "bot", "system"}


class Transcript(_Model):
    """The response to `GET /v1/calls/{call_id}/transcript`: the utterances in their order."""

    entries: tuple[TranscriptEntry, ...]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """Accept the list under `entries` or `transcript`, or a list as the body."""
        return {"entries": _list_in(value, "entries", "transcript")}


class Plan(_Model):
    """The plan of a subscription: its name, its billing period, and its minutes in each period."""

    type: Text = None
    period: Text = None
    minutes_included: Number = None


def _plan(value: Any) -> Any:
    """A plan; a mere text is its type. Anything else is None."""
    if isinstance(value, str):
        return {"type": value}
    return value if isinstance(value, Mapping | Plan) else None


class Subscription(_Model):
    """The response to `GET /v1/users/me/subscription`."""

    has_active_subscription: Flag = None
    provider: Text = None
    plan: Annotated[Plan | None, BeforeValidator(_plan)] = None
    status: Text = None
    expires_at: Moment = None
    auto_renew: Flag = None
    management_url: Link = None


class Statistics(_Model):
    """The response to `GET /v1/users/me/statistics`: minutes and calls, or credits, in the current period."""

    plan_type: Text = None
    minutes_allocated: Number = None
    minutes_used: Number = None
    minutes_remaining: Number = None
    calls_allocated: Number = None
    calls_used: Number = None
    calls_remaining: Number = None
    credits_allocated: Number = None
    credits_used: Number = None
    credits_remaining: Number = None
    period_start: Moment = None
    period_end: Moment = None
    usage_percentage: Number = None
    subscription_status: Text = None


class BillingPortal(_Model):
    """The response to `GET /v1/stripe/billing-portal`; the live service may send `portal_url` instead of `url`."""

    url: Annotated[str, BeforeValidator(_link)]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        body = _object(value)
        return {"url": body.get("url") or body.get("portal_url")}


def _secret(value: Any) -> Any:
    """A text that is not empty; None for anything else."""
    return value if isinstance(value, str | SecretStr) and value else None


class TokenGrant(_Model):
    """The response of every endpoint that issues tokens. `expires_in` is in seconds.

    Without a `refresh_token`, the old one is still valid. The repr shows neither token.
    """

    access_token: Annotated[SecretStr, Field(min_length=1)]
    refresh_token: Annotated[SecretStr | None, BeforeValidator(_secret)] = None
    expires_in: Annotated[int, BeforeValidator(lambda value: _integer(value) or 3600)] = 3600
    scope: Text = None


class QuotaExceededBody(_Model):
    """The reference's "QuotaExceededResponse" (402), or the same fields in an error."""

    plan_type: Text = None
    minutes_allocated: Number = None
    minutes_used: Number = None
    credits_allocated: Number = None
    credits_used: Number = None
    upgrade_url: Link = None
