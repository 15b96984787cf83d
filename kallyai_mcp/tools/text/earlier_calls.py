"""What a user is told of earlier calls to a number, before the next one."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.policy import RECENTLY
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.earlier_calls import EarlierCalls
from kallyai_mcp.tools.text.calendar import begins
from kallyai_mcp.tools.text.consent_words import Row, Words
from kallyai_mcp.tools.text.plain import Reader, quoted

_MOST = 160
"""Characters of KallyAI's report."""

_MINUTE = timedelta(minutes=1)

_NOT_REACHED = frozenset({"busy", "no_answer", "voicemail"})
"""The statuses that have a sentence of their own."""


def earlier_rows(
    earlier: EarlierCalls, asked: Submission, words: Words, reader: Reader
) -> list[Row]:
    """The rows of a preview of the call that is `asked` for: the last call and what came of it,
    what is booked there, and that this would be a second booking.
    """
    rows = []
    if earlier.last is not None:
        rows.append(words.row("last_call", _last_call(earlier.last, words, reader)))
    if earlier.ahead is not None and not earlier.is_booked_by_last:
        rows.append(words.row("booked_ahead", _booked(earlier.ahead, words, reader)))
    if earlier.would_book_second(asked):
        rows.append(words.row("second_booking", words.say("second_booking_text")))
    return rows


def _last_call(view: CallView, words: Words, reader: Reader) -> str:
    """When it was, and what came of it: "12 min ago. Booked: Fri Nov 27, 7:00 PM, 4 people"."""
    when = _when(view.called_at or reader.now, view.number, words, reader)
    return f"{when}. {_what_came_of_it(view, words, reader)}"


def _when(at: datetime, phone: str, words: Words, reader: Reader) -> str:
    ago = reader.now - at
    if ago < RECENTLY:
        return words.say("minutes_ago", count=max(1, ago // _MINUTE))
    return words.moment(at, phone, reader)


def _what_came_of_it(view: CallView, words: Words, reader: Reader) -> str:
    if view.outcome is None:
        return words.say("in_progress")
    if view.outcome in BOOKED:
        return f"{words.say(view.outcome)}: {_booked(view, words, reader)}"
    if view.booking.canceled is not None:
        return words.say("they_canceled", quote=quoted(view.booking.canceled.quote))
    if view.outcome is Outcome.NOT_REACHED:
        return _nobody(view, words)
    reported = quoted(view.report, _MOST) if view.report else ""
    return ". ".join(_nonempty(words.say(view.outcome), reported and f"KallyAI: {reported}"))


def _nobody(view: CallView, words: Words) -> str:
    """Why nobody was reached: "The line was busy."."""
    if view.reached_machine:
        return words.say("machine_text")
    status = view.call.plain_status if view.call is not None else ""
    return words.say(f"{status if status in _NOT_REACHED else 'not_reached'}_text")


def _booked(view: CallView, words: Words, reader: Reader) -> str:
    """When and for how many, by the clock there: "Fri Nov 27, 7:00 PM, 4 people"."""
    start = begins(view)
    people = view.submission.party_size
    phone = view.number
    at = words.day_and_time(start, reader.now, phone) if start is not None else ""
    return ", ".join(_nonempty(at, words.people(people) if people is not None else ""))


def _nonempty(*texts: str) -> Iterator[str]:
    return filter(None, texts)
