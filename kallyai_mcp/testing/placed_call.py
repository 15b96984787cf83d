"""A call that an agent placed on the sandbox."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class PlacedCall:
    """A call that was placed, even if its client did not get the answer.

    Attributes:
        number: The number that was called, in E.164.
        submission: What KallyAI was asked to do: the reference's "SubmissionPayload", as it was sent.
        status: The reference's `status`, or `in_progress`.
        highlights: What was accomplished; None while it is in progress.
        transcript: Each turn of the conversation, as (speaker, words); the speaker is `AI` or `HUMAN`.
        calendar: The iCalendar file of what was booked; None if nothing was booked.
        idempotency_key: The `Idempotency-Key` of the request that placed it; None if there was none.
        call_id: KallyAI's id of the call.
        started_at: When it was placed, with a time zone (UTC).
    """

    number: str
    submission: dict[str, Any]
    status: str
    highlights: str | None
    transcript: tuple[tuple[str, str], ...]
    calendar: str | None
    idempotency_key: str | None
    call_id: str
    started_at: datetime
