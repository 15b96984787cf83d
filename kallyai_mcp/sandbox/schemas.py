"""The API's request and response bodies: the reference's "Request Schemas", "Response Schemas", and
"Error Codes".
"""

import json
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal
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

from kallyai_mcp.sandbox.errors import refusal
from kallyai_mcp.sandbox.simulator.simulated_call import Report
from kallyai_mcp.sandbox.simulator.submission import Submission


def _read_submission(value: Any, handler: ModelWrapValidatorHandler[Submission]) -> Submission:
    """Validate a submission; raise `scheduling_violation` if its only error is a date that doesn't
    exist.
    """
    try:
        return handler(value)
    except ValidationError as invalid:
        first, *others = invalid.errors()
        if not others and first["loc"] == ("appointment_date",) and isinstance(first["input"], str):
            raise refusal("scheduling_violation", f"appointment_date: {first['msg']}") from invalid
        raise


_zones = cache(available_timezones)


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("not a time zone of the IANA database, such as America/New_York")
    return name


class CallCreateRequest(BaseModel):
    """The body of `POST /v1/calls`. Fields that are not in the reference are ignored."""

    submission: Annotated[Submission, WrapValidator(_read_submission)]
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        description="The caller's time zone, by its IANA name", examples=["America/New_York"]
    )
    session_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, body: Any) -> Any:
        """Refuse lone surrogates, which JSON may contain and UTF-8 can't encode."""
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("contains a lone surrogate, which is not valid text") from error
        return body


class CallMetadata(BaseModel):
    """When the call was placed, in whole seconds."""

    created_at: datetime


Status = Annotated[
    str,
    Field(
        description="success, no_answer, busy, failed, voicemail, or cancelled. The reference does "
        "not list two more:"
        " in_progress until the call has ended, and terminated when the service ended it. The live "
        "service may send"
        " others."
    ),
]


class CallStatus(BaseModel):
    """Which call it is, and how far it is."""

    call_id: str
    status: Status


class CallResponse(Report, CallStatus):
    """A call and its outcome. The outcome's fields are null while the call is in progress."""

    metadata: CallMetadata
    submission: dict[str, Any] = Field(
        description="The submission as it was sent, without its nulls"
    )


class LiveCallResponse(CallResponse):
    """A call that shows how far it is: a status that is not final, and what was said so far.

    The reference has no such answer.
    """

    transcript: list["TranscriptEntry"]


class ListedSubmission(BaseModel):
    """The part of a submission that is in the list; `business_name` is left out if none was
    sent.
    """

    respondent_phone: str
    business_name: str | None = None


class ListedCall(BaseModel):
    """One call in the list."""

    call_id: str
    status: Status
    metadata: CallMetadata
    submission: ListedSubmission


class CallList(BaseModel):
    """One page of the account's calls, newest first; `total` is the number of calls on all
    pages.
    """

    calls: list[ListedCall]
    total: int


class RefusedCall(BaseModel):
    """One call that was asked for and not placed: with the code of the error, and why."""

    respondent_phone: str | None
    code: str
    reason: str
    at: datetime
    submission: dict[str, Any]


class TranscriptEntry(BaseModel):
    """One turn of the conversation; `timestamp` is HH:MM:SS since the call was answered."""

    speaker: Literal["AI", "HUMAN"]
    content: str
    timestamp: str = Field(examples=["00:00:05"])


class Transcript(BaseModel):
    """The whole conversation."""

    entries: list[TranscriptEntry]


class Plan(BaseModel):
    """The plan of a subscription."""

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
    """The account's usage in the current period, in minutes with one decimal."""

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
    """The link to the page where the plan is managed; it works for an hour."""

    url: str


class ErrorDetails(BaseModel):
    """The error's text."""

    message: str
    reason: str


class ErrorInfo(BaseModel):
    """The error; `correlation_id` is different in every response."""

    code: str
    details: ErrorDetails
    correlation_id: str


class ErrorResponse(BaseModel):
    """The reference's standard error format."""

    error: ErrorInfo


class QuotaExceededResponse(ErrorResponse):
    """402: the fields of the reference's QuotaExceededResponse and the standard error."""

    plan_type: str
    minutes_allocated: int
    minutes_used: int | float
    upgrade_url: str


_MEANINGS: dict[int, str] = {
    400: "The request is not valid",
    401: "There is no token, or it is not valid, or it has expired",
    402: "The minutes or calls of the plan are used up",
    403: "The token lacks the scope, or the call is not allowed",
    404: "It does not exist",
    409: "The Idempotency-Key was used with another body",
    422: "The call can't be placed",
    429: "Too many requests; `Retry-After` has the seconds to wait",
    503: "The sandbox is shutting down; a call in progress continues",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the errors that an endpoint can answer with."""
    return {
        status: {
            "model": QuotaExceededResponse if status == 402 else ErrorResponse,
            "description": _MEANINGS[status],
        }
        for status in statuses
    }
