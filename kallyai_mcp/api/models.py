"""Requests and responses of the API as frozen models ("Request Schemas" and "Response Schemas" of
the reference).

Requests are exactly those of the reference. Responses are read liberally: a field may have another
name or place, and an optional field of a wrong type is left out, so that the rest of the response
is usable.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from kallyai_mcp.api.values import Count, IsoDate, Link, Moment, Number, TimeOfDay, Token


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
    """What should be a list: the value under the first of `names` that an object has, an empty list
    for null there; else the value itself. Validation refuses what is no list.
    """
    if isinstance(value, Mapping):
        value = next((value[name] for name in names if name in value), value)
        return [] if value is None else value
    return value


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


class Report(BaseModel):
    """What KallyAI reports of a call. The structure of a result has these fields from here."""

    highlights: str | None = None
    next_steps: str | None = None
    duration_seconds: Number | None = None


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


class Call(Report, _Response):
    """The reference's "CallResponse": a call, with its outcome if it has ended.

    `status` may be any string: `success no_answer busy failed voicemail cancelled` in the
    reference, and others from the live service; `unknown` if the response has none. `created_at`
    always has an offset. `transcript` is what was said so far, where a call in progress has it; it
    is not stored.
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
    RINGING: ClassVar[frozenset[str]] = frozenset({"dialing", "ringing"})

    call_id: str
    status: str = "unknown"
    created_at: Moment | None = Field(
        None, validation_alias=AliasChoices("created_at", AliasPath("metadata", "created_at"))
    )
    submission: SubmissionEcho = Field(default_factory=SubmissionEcho)
    credits_used: Number | None = None
    transcript: tuple[TranscriptEntry, ...] = Field((), exclude=True)

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        """Accept the number and the name beside the submission."""
        call = _object(value)
        beside = {"to": call.get("to"), "business_name": call.get("business_name")}
        said = _list_in(call.get("transcript", []), "entries")
        return {
            **call,
            "transcript": said,
            "submission": beside | _object(call.get("submission")),
        }

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
