"""Commands for what may come after a call that was answered without what it was for."""

from collections.abc import Iterator

from kallyai_mcp.calls.speech.opening import named_opening
from kallyai_mcp.cli.same_call import same_call
from kallyai_mcp.cli.screen import Fact
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.speech import Quote
from kallyai_mcp.tools.text.next_steps import closed_now, may_be_confirmed
from kallyai_mcp.tools.text.plain import Reader, at_callee, zone_of

_QUESTION = "Ask whether the booking is made, and confirm it"


def steps_after_answer(view: CallView, reader: Reader, service: Service) -> Iterator[Fact]:
    """How to call a callee when it says that it is open, and how to have a booking confirmed that
    no calendar event shows.
    """
    closed = closed_now(view)
    if closed is not None:
        options = ("--redial", *_when_open(closed, view, reader))
        yield Fact("Call when they say", same_call(view, reader, service, *options))
    number = view.submission.respondent_phone
    if number and may_be_confirmed(view):
        about = ("--booking", short_id(view.id), "--change", "ask")
        yield Fact("To confirm it", service.command("call", number, _QUESTION, *about))


def _when_open(closed: Quote, view: CallView, reader: Reader) -> tuple[str, ...]:
    """The option for the time that their words name; none if that is past."""
    number = view.submission.respondent_phone
    if not reader.schedules or view.placed_at is None:
        return ()
    said_at = at_callee(view.placed_at.astimezone(zone_of(view.zone_name)), number)
    due = named_opening(closed.quote or "", said_at)
    if due <= reader.now:
        return ()
    return ("--not-before", due.isoformat(timespec="minutes"))
