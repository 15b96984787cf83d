"""Requests and responses of the API as frozen models ("Request Schemas" and "Response Schemas" of
the reference).

Requests are exactly those of the reference. Responses are read liberally: a field may have another
name or place, and an optional field of a wrong type is left out, so that the rest of the response
is usable.
"""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, UTC, date, datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

_LONGEST_TOKEN = 16_384


class _Model(BaseModel):
    # Validation errors must not quote their input, which may contain a token. Validators are built
    # when first used, because `tools/list` needs none of them.
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        defer_build=True,
        str_strip_whitespace=True,
    )

    def as_json(self) -> dict[str, Any]:
        """The model as JSON with the reference's names, in the reference's order, without fields
        that are None.
        """
        return self.model_dump(mode="json", exclude_none=True)


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


class Submission(_Model):
    """The reference's "SubmissionPayload": who to call and why. Texts are stripped."""

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

    @property
    def instructions(self) -> tuple[str, ...]:
        """The additional instructions; empty without any."""
        return self.additional_instructions or ()

    def with_instruction(self, text: str) -> Self:
        """The same with one more instruction, after the others."""
        return self.model_copy(update={"additional_instructions": (*self.instructions, text)})


def _object(value: Any) -> dict[str, Any]:
    """The fields of a JSON object that are neither null nor blank; an empty dict for anything
    else.
    """
    if not isinstance(value, Mapping):
        return {}
    return {name: held for name, held in value.items() if not _is_blank(held)}


def _is_blank(held: Any) -> bool:
    return held is None or (isinstance(held, str) and not held.strip())


def _list_in(value: Any, *names: str) -> Any:
    """The list in a body, which is the body itself, or under one of `names` in it; an empty list
    for null.
    """
    if isinstance(value, Mapping):
        value = next((value[name] for name in names if name in value), value)
        return [] if value is None else value
    return value


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


class _Response(_Model):
    """A part of a response.

    A field that is null, blank, or not valid is left out: only required ones must be right.
    """

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any] | None:
        """The fields in a JSON value, by the reference's names; None if it has none."""
        return _object(value) if isinstance(value, Mapping) else None

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        fields = None if isinstance(value, cls) else cls._fields(value)
        if fields is None:
            return read(value)
        try:
            return read(fields)
        except ValidationError as error:
            wrong = {
                problem["loc"][0]
                for problem in error.errors(include_url=False, include_input=False)
            }
            return read({name: held for name, held in fields.items() if name not in wrong})


class SubmissionEcho(_Response):
    """The submission in a response; any field may be missing."""

    task_category: str | None = None
    task_description: str | None = None
    respondent_phone: str | None = Field(
        None, validation_alias=AliasChoices("respondent_phone", "to")
    )
    business_name: str | None = None
    user_name: str | None = None
    user_phone: str | None = None
    appointment_date: str | None = None
    appointment_time: str | None = None
    time_preference_text: str | None = None
    party_size: Count | None = None
    language: str | None = None
    call_language: str | None = None
    is_urgent: StrictBool | None = None
    additional_instructions: tuple[str, ...] | None = None

    @property
    def instructions(self) -> tuple[str, ...]:
        """The additional instructions; empty without any."""
        return self.additional_instructions or ()


class Report(BaseModel):
    """What KallyAI reports of a call. The structure of a result has these fields from here."""

    highlights: str | None = None
    next_steps: str | None = None
    duration_seconds: Number | None = None


class Call(Report, _Response):
    """The reference's "CallResponse": a call, with its outcome if it has ended.

    `status` may be any string: `success no_answer busy failed voicemail cancelled` in the
    reference, and others from the live service; `unknown` if the response has none. `created_at`
    always has an offset.
    """

    FINAL: ClassVar[frozenset[str]] = frozenset(
        {
            *("success", "no_answer", "busy", "failed", "voicemail"),
            *("cancelled", "canceled", "terminated"),
        }
    )
    IN_PROGRESS: ClassVar[frozenset[str]] = frozenset(
        {
            "in_progress",
            "queued",
            "scheduled",
            "rescheduled",
            "pending",
            "initiated",
            "dialing",
            "ringing",
            "active",
        }
    )

    call_id: str
    status: str = "unknown"
    created_at: Moment | None = Field(
        None, validation_alias=AliasChoices("created_at", AliasPath("metadata", "created_at"))
    )
    submission: SubmissionEcho = Field(default_factory=SubmissionEcho)
    credits_used: Number | None = None

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        """Accept the number and the name beside the submission."""
        call = _object(value)
        beside = {"to": call.get("to"), "business_name": call.get("business_name")}
        return {**call, "submission": beside | _object(call.get("submission"))}

    @property
    def plain_status(self) -> str:
        """`status` in lower case, with underscores in place of hyphens and spaces."""
        return self.status.lower().replace("-", "_").replace(" ", "_")

    @property
    def is_final(self) -> bool:
        """Whether the call has ended.

        With an unknown status, whether it has highlights or a duration other than 0. A duration of
        0 may be that of a call that has just begun.
        """
        if self.plain_status in self.FINAL | self.IN_PROGRESS:
            return self.plain_status in self.FINAL
        return bool(self.duration_seconds) or self.highlights is not None


class CallPage(_Response):
    """One page of `GET /v1/calls`, in the order of the service.

    `total` counts all pages; None if it is missing.
    """

    calls: tuple[Call, ...]
    total: Count | None = None

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        """Accept the list under `calls` or `items`, or a list as the body.

        Leave out entries without an id.
        """
        listed = _list_in(value, "calls", "items")
        if isinstance(listed, list):
            listed = [entry for entry in listed if isinstance(_object(entry).get("call_id"), str)]
        return {**_object(value), "calls": listed}


class TranscriptEntry(_Response):
    """One utterance.

    `timestamp` is the time since the call began, in the service's format HH:MM:SS, or None.
    """

    speaker: str = Field("UNKNOWN", validation_alias=AliasChoices("speaker", "role"))
    content: str = Field("", validation_alias=AliasChoices("content", "text"))
    timestamp: str | None = None

    @property
    def is_kallyai(self) -> bool:
        """Whether KallyAI speaks, and not the callee: `AI` is the reference's word; `role` has
        other ones.
        """
        return self.speaker.casefold() in {"ai", "assistant", "agent", "bot", "system"}


class Transcript(_Response):
    """The response to `GET /v1/calls/{call_id}/transcript`: the utterances in their order."""

    entries: tuple[TranscriptEntry, ...]

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        """Accept the list under `entries` or `transcript`, or a list as the body."""
        return {"entries": _list_in(value, "entries", "transcript")}


class Plan(_Response):
    """The plan of a subscription: its name, its billing period, and its minutes in each period."""

    type: str | None = None
    period: str | None = None
    minutes_included: Number | None = None


class Subscription(_Response):
    """The response to `GET /v1/users/me/subscription`, without its link: `BillingPortal` has
    one.
    """

    has_active_subscription: StrictBool | None = None
    provider: str | None = None
    plan: Plan | None = None
    status: str | None = None
    expires_at: Moment | None = None
    auto_renew: StrictBool | None = None


class Statistics(_Response):
    """The response to `GET /v1/users/me/statistics`: minutes and calls, or credits, in the current
    period.
    """

    plan_type: str | None = None
    minutes_allocated: Number | None = None
    minutes_used: Number | None = None
    minutes_remaining: Number | None = None
    calls_allocated: Number | None = None
    calls_used: Number | None = None
    calls_remaining: Number | None = None
    credits_allocated: Number | None = None
    credits_used: Number | None = None
    credits_remaining: Number | None = None
    period_start: Moment | None = None
    period_end: Moment | None = None
    usage_percentage: Number | None = None
    subscription_status: str | None = None


class BillingPortal(_Response):
    """The response to `GET /v1/stripe/billing-portal`; the live service may send `portal_url`
    instead of `url`.
    """

    url: Link = Field(validation_alias=AliasChoices("url", "portal_url"))


class TokenGrant(_Response):
    """The response of every endpoint that issues tokens. `expires_in` is in seconds.

    Without a `refresh_token`, the old one is still valid. The repr shows neither token.
    """

    access_token: Token
    refresh_token: SecretStr | None = None
    expires_in: Annotated[int, Field(ge=1, le=10**12)] = 3600
    scope: str | None = None


class QuotaExceededBody(_Response):
    """The reference's "QuotaExceededResponse" (402), or the same fields in an error."""

    plan_type: str | None = None
    minutes_allocated: Number | None = None
    minutes_used: Number | None = None
    credits_allocated: Number | None = None
    credits_used: Number | None = None
    upgrade_url: Link | None = None
