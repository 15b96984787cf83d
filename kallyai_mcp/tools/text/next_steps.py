"""Texts of what may follow a call that has ended."""

from dataclasses import replace
from datetime import datetime

from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.policy import was_called_recently
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.next_step import NextStep, Retry
from kallyai_mcp.tools.facets.speech import Quote
from kallyai_mcp.tools.text.bookings import lacks_booking
from kallyai_mcp.tools.text.plain import Reader, at_callee, day_and_hour, part, with_place, word
from kallyai_mcp.tools.text.report import unless_quoted

SAY = {
    "try_again": "To try again: make_call with the same arguments{later}.",
    "after_message": "If that message is not enough: make_call with the same arguments{later}.",
    "later": ', not_before "{due}" ({when})',
    "retries": ", retries 2",
    "when_open": "To call when they say: make_call with the same arguments, redial=true{later}.",
    "not_before": ", and not_before",
    "ask_to_confirm": (
        'To have them confirm a booking: make_call with changes_call_id "{id}", change "ask", and '
        "what to ask in task_description."
    ),
    "book_once": "Do not book again.",
    "asks_itself": (
        "make_call itself asks the user before that: this number was called within the last hour."
    ),
}


def more(step: NextStep) -> str:
    """The tools that tell more about a call, and how its booking is changed."""
    facts = [", ".join(step.tools)]
    if step.may_change_booking:
        facts.append("to change or cancel it: changes_call_id and change")
    return "".join(part("; {}", fact) for fact in facts)


def try_again(retry: Retry, view: CallView, reader: Reader) -> str:
    """How to call again after nobody was reached, and when; after a voicemail without retries,
    because the next message would be a second one.
    """
    later = ""
    if retry.not_before is not None:
        due = retry.not_before.isoformat(timespec="minutes")
        later = SAY["later"].format(due=due, when=_when(retry.not_before, view, reader))
        if not retry.is_after_voicemail:
            later += SAY["retries"]
    return SAY["after_message" if retry.is_after_message else "try_again"].format(later=later)


def _when(moment: datetime, view: CallView, reader: Reader) -> str:
    """A moment by the callee's clock: "Fri Nov 27, 8:00 AM there"."""
    number = view.submission.respondent_phone
    at = at_callee(moment, number)
    for_one = replace(reader, zone_is_named=False)
    return with_place(day_and_hour(at, reader.now), at, number, view.zone_name, for_one)


def asks_itself(retry: Retry | None, view: CallView, reader: Reader) -> str:
    """That the tool asks the user before one more call, so that they are not asked twice.

    "" if it does not, or if a `retry` at the time that was offered is late enough.
    """
    if not reader.is_asked or view.called_at is None:
        return ""
    due = reader.now
    if retry is not None and retry.not_before is not None:
        due = retry.not_before
    return SAY["asks_itself"] if was_called_recently(view.called_at, due) else ""


def ask_to_confirm(view: CallView) -> str:
    """How to ask about a booking that may be made, and that no calendar event shows; else ""."""
    if not may_be_confirmed(view):
        return ""
    return SAY["ask_to_confirm"].format(id=word(view.id))


def may_be_confirmed(view: CallView) -> bool:
    """Whether a booking may have been made that no calendar event shows."""
    return lacks_booking(view) and view.speech.may_be_agreed


def book_once(view: CallView) -> str:
    """That nothing is to be booked again, and how to ask about such a booking; else ""."""
    return part(f"{SAY['book_once']} {{}}", ask_to_confirm(view))


def call_when_open(view: CallView, reader: Reader) -> str:
    """How to call at the time that a closed callee has named, after its words; else ""."""
    closed = closed_now(view)
    if closed is None:
        return ""
    later = SAY["not_before"] if reader.schedules else ""
    step = SAY["when_open"].format(later=later)
    return f"{unless_quoted(closed, view)} {step}".lstrip()


def closed_now(view: CallView) -> Quote | None:
    """The words of a callee that was closed, unless it has asked for no more calls."""
    may_be_called_later = view.outcome is Outcome.ANSWERED and view.speech.opt_out is None
    return view.speech.closed if may_be_called_later else None
