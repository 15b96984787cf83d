"""The facet of a call to come that says what is known of earlier ones to its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.about_booking import makes_new_booking
from kallyai_mcp.calls.records import NOT_PLACED
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.relations import booking_ahead


@dataclass(frozen=True)
class EarlierCalls:
    """What a user should know of earlier calls to a number before the next one.

    Attributes:
        last: The last call that was placed, or may have been.
        ahead: The call whose booking lies ahead there.
    """

    last: CallView | None = None
    ahead: CallView | None = None

    @property
    def is_booked_by_last(self) -> bool:
        """Whether the last call has made the booking that lies ahead."""
        if self.ahead is None or self.last is None:
            return False
        return self.ahead.id == self.last.id

    def would_book_second(self, asked: Submission) -> bool:
        """Whether the next call is to make a booking beside the one that lies ahead."""
        return self.ahead is not None and makes_new_booking(asked)


NEVER_CALLED = EarlierCalls()


def earlier_calls(number: str, calls: Sequence[CallView], now: datetime) -> EarlierCalls:
    """What is known of the calls to a number (E.164); `calls` are newest first, and may have those
    to other numbers about bookings.
    """
    ahead = booking_ahead(number, calls, now)
    last = next((one for one in calls if _was_placed(one, number)), None)
    return EarlierCalls(last, ahead)


def _was_placed(call: CallView, number: str) -> bool:
    is_to_number = call.submission.respondent_phone == number
    return is_to_number and call.record is not None and call.record.state not in NOT_PLACED
