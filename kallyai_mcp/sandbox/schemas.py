"""The API's bodies, as the reference draws them ("Request Schemas", "Response Schemas", "Error Codes")."""

import json
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WrapValidator,
    model_validator,
)

from kallyai_mcp.sandbox.call_table import Call
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.simulator.submission import Submission


def _read_submission(value: Any, handler: ModelWrapValidatorHandler[Submission]) -> Submission:
    """Read a submission; where all that is wrong is a date that doesn't exist, that is a `scheduling_violation`."""
    try:
        return handler(value)
    except ValidationError as invalid:
        first, *others = invalid.errors()
        if not others and first["loc"] == ("appointment_date",) and isinstance(first["input"], str):
            reason = f"appointment_date: {first['msg']}"
            raise ApiError(422, "scheduling_violation", "The date or time is not valid", reason) from invalid
        raise


_zones = cache(available_timezones)


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("not a time zone of the IANA database, such as America/New_York")
    return name


class CallCreateRequest(BaseModel):
    """The body of `POST /v1/calls`. Fields that the reference does not know are ignored."""

    submission: Annotated[Submission, WrapValidator(_read_submission)]
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        description="The caller's time zone, by its IANA name", examples=["America/New_York"]
    )
    session_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, body: Any) -> Any:
        """JSON can hold half a surrogate pair, which neither SQLite nor an answer in UTF-8 can."""
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode("utf-8")
        except UnicodeEncodeError as half:
            raise ValueError("holds half a surrogate pair, which is no text") from half
        return body


class CallMetadata(BaseModel):
    """When the call was placed."""

    created_at: datetime

    @classmethod
    def of(cls, call: Call) -> Self:
        """The metadata of `call`, in whole seconds."""
        return cls(created_at=call.started_at.replace(microsecond=0))


Status = Annotated[
    str,
    Field(
        description="success, no_answer, busy, failed, voicemail or cancelled; in_progress until the call has ended."
        " Treat it as open: the live service knows more."
    ),
]


class CallResponse(BaseModel):
    """A call and what it came to; while it goes on, what it came to is null."""

    call_id: str
    status: Status
    highlights: str | None
    next_steps: str | None
    duration_seconds: float | None
    metadata: CallMetadata
    submission: dict[str, Any] = Field(description="The submission as it was sent, without its nulls")


class ListedSubmission(BaseModel):
    """The part of a submission that the list shows; without a `business_name` if none was sent."""

    respondent_phone: str
    business_name: str | None = None


class ListedCall(BaseModel):
    """One call in the list."""

    call_id: str
    status: Status
    metadata: CallMetadata
    submission: ListedSubmission


class CallList(BaseModel):
    """One page of the account's calls, newest first; `total` counts them all."""

    calls: list[ListedCall]
    total: int


class TranscriptEntry(BaseModel):
    """One turn of the conversation; `timestamp` is HH:MM:SS from when the line was picked up."""

    speaker: Literal["AI", "HUMAN"]
    content: str
    timestamp: str = Field(examples=["00:00:05"])


class Transcript(BaseModel):
    """The whole conversation."""

    entries: list[TranscriptEntry]


class Plan(BaseModel):
    """What the account pays for."""

    type: str
    period: str
    minutes_included: int


class Subscription(BaseModel):
    """The account's subscription."""

    has_active_subscription: bool
    provider: str
    plan: Plan
    status: str
    expires_at: datetime
    auto_renew: bool
    management_url: str


class Statistics(BaseModel):
    """What the account has used of its plan in the current period; minutes to a tenth."""

    plan_type: str
    minutes_allocated: int
    minutes_used: int | float
    minutes_remaining: int | float
    calls_allocated: int
    calls_used: int
    calls_remaining: int
    period_start: datetime
    period_end: datetime
    usage_percentage: float
    subscription_status: str


class BillingPortal(BaseModel):
    """Where the account's plan is managed; the link works for an hour."""

    url: str


class ErrorDetails(BaseModel):
    """What went wrong, in words."""

    message: str
    reason: str | None = None


class ErrorInfo(BaseModel):
    """What went wrong, for a program; `correlation_id` names this one answer."""

    code: str
    details: ErrorDetails
    correlation_id: str


class ErrorResponse(BaseModel):
    """The reference's standard error format."""

    error: ErrorInfo


class QuotaExceededResponse(ErrorResponse):
    """402: the reference's QuotaExceededResponse beside the standard error."""

    plan_type: str
    minutes_allocated: int
    minutes_used: int | float
    upgrade_url: str


_MEANINGS: dict[int, str] = {
    400: "The request is not valid",
    401: "No token, or one that is not valid (any more)",
    402: "The minutes or calls of the plan are used up",
    403: "The token lacks the scope, or the call is not allowed",
    404: "There is no such thing",
    409: "The Idempotency-Key was used with another body",
    422: "The call can't be placed",
    429: "Too many requests; `Retry-After` says how long to wait",
    503: "The sandbox is being stopped; a call under way goes on",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the errors an endpoint can answer with."""
    return {
        status: {
            "model": QuotaExceededResponse if status == 402 else ErrorResponse,
            "description": _MEANINGS[status],
        }
        for status in statuses
    }
