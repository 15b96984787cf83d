"""What a person is shown about a call: how it ended or how far it is, and what was said in it.

Each facet of a call has a function; the commands print what they make together.
"""

from collections.abc import Iterator
from dataclasses import replace

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.cli.after_answer import steps_after_answer
from kallyai_mcp.cli.error_screens import refusal_screen
from kallyai_mcp.cli.same_call import same_call
from kallyai_mcp.cli.screen import Fact, Screen, Tone
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.cli.wrapping import day_and_time
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.next_step import next_step
from kallyai_mcp.tools.facets.speech import Quote
from kallyai_mcp.tools.text.bookings import NOTHING_SHOWN, has_agreed_nothing, lacks_booking
from kallyai_mcp.tools.text.calendar import asked_time, booked_time, unconfirmed
from kallyai_mcp.tools.text.calls import (
    attempts,
    placed_elsewhere_at,
    reason,
    state_in_words,
)
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.errors import allowed_again
from kallyai_mcp.tools.text.next_steps import closed_now
from kallyai_mcp.tools.text.plain import (
    Reader,
    clock,
    duration,
    lasted,
    one_line,
    quoted,
    sentence,
)
from kallyai_mcp.tools.text.report import unless_quoted, words_do_not_confirm

_LONGEST_LABEL = 24

_TONES = {
    Outcome.BOOKED: Tone.GOOD,
    Outcome.BOOKED_OTHER_TIME: Tone.UNSURE,
    Outcome.ANSWERED: Tone.TALKED,
    Outcome.NOT_REACHED: Tone.MISSED,
    Outcome.FAILED: Tone.BAD,
    Outcome.CANCELED: Tone.MISSED,
    Outcome.UNKNOWN: Tone.UNSURE,
}

_SAY = {
    "no_event": "No calendar event shows a booking. Take nothing as booked.",
    "calendar_not_known": "Whether something was booked is not known yet. Look again later.",
    "check_with_them": "They agreed to another time than the calendar has. Check it with them.",
    "nothing_agreed": "Take nothing as agreed.",
    "may_be_agreed": "Something may have been agreed. Make sure before you call again.",
    "lost": "The connection broke after the request was sent, so they may have been called. Look "
    "again before you call a second time.",
    "computer_on": "This computer must be on then, with a client open or a server running.",
    "goes_on": "The call goes on without this program.",
    "not_placed_yet": "KallyAI has not been reached yet. This program still tries.",
    "being_checked": "No usable answer came, so they may have been called. This is being checked.",
    "already": "The same call was asked for before, so no new call was placed.",
    "already_elsewhere": "Another program of yours placed this call {at}, so none was placed now.",
    "moved": "A later call has booked {when} instead.",
    "was_canceled": "They said in a later call that it is canceled: {quote}",
    "asked_about": "A later call was about this booking.",
    "canceled": "Nobody will be called.",
    "list_canceled": "Nobody else is called. A call in progress goes on.",
    "is_over": "It is over.",
    "no_hanging_up": "It is in progress, and KallyAI's API has no way to hang up.",
    "no_transcript": "KallyAI has no transcript of this call.",
    "not_disclosed": "In the transcript, KallyAI does not say that it is an AI.",
    "answers_later": "The transcript can't be read now, so the answers are not known yet.",
}


def call_screen(
    view: CallView, reader: Reader, service: Service, *, is_duplicate: bool = False
) -> Screen:
    """What is known of a call: why it was not placed, its outcome, when it is due, or how far it
    is. `is_duplicate`: the same call was asked for before.
    """
    if view.refusal is not None:
        again = allowed_again(view.refusal, view.ended_at, reader)
        return refusal_screen(view.refusal, service, again)
    if view.call is not None and view.outcome is not None:
        screen = _ended(view, view.call, reader, service)
    else:
        screen = _without_outcome(view, reader, service)
    return _asked_before(screen, view, reader, service) if is_duplicate else screen


def _asked_before(screen: Screen, view: CallView, reader: Reader, service: Service) -> Screen:
    """The same, with how to place a second call on purpose, unless the first goes on."""
    steps = list(screen.steps)
    if not view.is_open:
        steps.append(Fact("Call again", same_call(view, reader, service, "--redial")))
    at = placed_elsewhere_at(view, reader)
    already = _SAY["already_elsewhere"].format(at=at) if at else _SAY["already"]
    return replace(screen, notes=(already, *screen.notes), steps=steps)


def _ended(view: CallView, call: Call, reader: Reader, service: Service) -> Screen:
    outcome = view.outcome or Outcome.UNKNOWN
    return Screen(
        _TONES[outcome],
        _state(view),
        tuple(_result(view, call, reader)),
        (*_party(view), *_said(view), *_not_confirmed(view, reader), *_earlier(view, reader)),
        tuple(_doubts(view, reader)),
        steps=tuple(_steps(view, call, reader, service)),
        is_simulated=service.is_simulated,
    )


def _state(view: CallView) -> str:
    if view.related.is_past:
        return "Was booked"
    if view.outcome is Outcome.UNKNOWN:
        return "Not known how it ended"
    return state_in_words(view).rstrip("*").capitalize()


def _result(view: CallView, call: Call, reader: Reader) -> Iterator[str]:
    """What belongs to the headline: the appointment, or why nobody talked and for how long."""
    if view.outcome in BOOKED:
        yield from _appointment(view, reader)
        return
    why = reason(view)
    if why:
        yield why
    time = lasted(call)
    if time:
        yield time


def _appointment(view: CallView, reader: Reader) -> Iterator[str]:
    yield from day_and_time(booked_time(view, reader))
    people = view.submission.party_size
    if people is not None and "party_size" not in view.booking.unconfirmed:
        yield "1 person" if people == 1 else f"{people} people"


def _party(view: CallView) -> Iterator[Fact]:
    """Who was called, and the name of the booking."""
    name = one_line(view.callee_name, 80)
    number = for_people(view.number) or "the number"
    if not name:
        yield Fact("Number", one_line(number, 40))
    elif len(name) <= _LONGEST_LABEL:
        yield Fact(name, one_line(number, 40))
    else:
        yield Fact("Who", name)
        yield Fact("Number", one_line(number, 40))
    if view.submission.user_name and view.outcome in BOOKED:
        yield Fact("Under", one_line(view.submission.user_name, 80))


def _said(view: CallView) -> Iterator[Fact]:
    """The callee's own words, and what KallyAI reports; first, that they want no more calls."""
    yield from _quotation("Do not call again", view.speech.opt_out)
    yield from _quotation("Recording", view.recording)
    yield from _quotation("They said", view.evidence)
    yield from _closed(view)
    yield from map(_answer, view.speech.answers)
    if view.report:
        yield Fact("KallyAI", quoted(sentence(view.report)))
    if view.suggestion:
        yield Fact("KallyAI suggests", quoted(sentence(view.suggestion)))


def _closed(view: CallView) -> Iterator[Fact]:
    """The words of a callee that was closed, unless the result quotes them already."""
    closed = closed_now(view)
    if unless_quoted(closed, view):
        yield from _quotation("They said", closed)


def _quotation(label: str, words: Quote | None) -> Iterator[Fact]:
    """The callee's words, if there are any."""
    if words is not None and words.quote is not None:
        yield Fact(label, quoted(words.quote), words.at or "")


def _answer(one: Quote) -> Fact:
    question = one_line(one.question or "", 200)
    if one.quote is None:
        return Fact("No answer", question)
    label = "They said, not certain" if one.hedged else "They said"
    return Fact(label, f"{quoted(one.quote)} to: {question}", one.at or "")


def _not_confirmed(view: CallView, reader: Reader) -> Iterator[Fact]:
    """What was asked for, and what the calendar event does not show."""
    agreed = view.booking.agreed
    if agreed is not None:
        yield Fact(
            "Agreed to", f"{one_line(agreed.time, 60)}: {quoted(agreed.quote)}", clock(agreed.at)
        )
    elif view.outcome is Outcome.BOOKED_OTHER_TIME:
        yield Fact("You asked for", asked_time(view, reader))
    missing = filter(None, [unconfirmed(view), words_do_not_confirm(view)])
    yield from (Fact("Not confirmed", one) for one in missing)
    for words in view.speech.left_open:
        yield Fact("They said", quoted(words.quote or ""), words.at or "")


def _earlier(view: CallView, reader: Reader) -> Iterator[Fact]:
    earlier = attempts(view.record, reader) if view.record is not None else ""
    if earlier:
        yield Fact("Attempts", earlier)


def _doubts(view: CallView, reader: Reader) -> Iterator[str]:
    """What is not certain about the outcome, and what a later call has done with the booking."""
    if view.outcome in NOTHING_SHOWN:
        yield _SAY["nothing_agreed" if has_agreed_nothing(view) else "may_be_agreed"]
    if view.booking.agreed is not None:
        yield _SAY["check_with_them"]
    if view.is_calendar_unread:
        yield _SAY["calendar_not_known"]
    if lacks_booking(view):
        yield _SAY["no_event"]
    if view.speech.is_unanswered:
        yield _SAY["answers_later" if view.speech.has_transcript else "no_transcript"]
    if view.has_not_disclosed:
        yield _SAY["not_disclosed"]
    if view.related.later is not None:
        yield _what_later_call_did(view, view.related.later, reader)


def _what_later_call_did(view: CallView, later: CallView, reader: Reader) -> str:
    if view.related.is_moved:
        return _SAY["moved"].format(when=booked_time(later, reader))
    if view.related.is_canceled and later.evidence is not None:
        return _SAY["was_canceled"].format(quote=quoted(later.evidence.quote or ""))
    return _SAY["asked_about"]


def _steps(view: CallView, call: Call, reader: Reader, service: Service) -> Iterator[Fact]:
    """Commands for what may come next."""
    id_ = short_id(view.id)
    step = next_step(view, call, reader.now, schedules=reader.schedules)
    if view.booking.appointment is not None:
        yield Fact("Calendar file", service.command("calendar", id_, "--save"))
    if "get_transcript" in step.tools:
        yield Fact("Conversation", service.command("transcript", id_))
    if view.related.later is not None:
        later = short_id(view.related.later.id)
        yield Fact("Later call", service.command("show", later))
    yield from steps_after_answer(view, reader, service)
    if step.retry is None:
        return
    planned = step.retry.planned
    if planned is not None and planned.record is not None:
        yield Fact("Next attempt", _due(planned, reader) or "now")
        cancel = service.command("cancel", short_id(planned.id))
        yield Fact("To cancel it", cancel)
    elif step.retry.not_before is not None:
        at = step.retry.not_before.isoformat(timespec="minutes")
        options = ("--retries", "2", "--not-before", at)
        yield Fact("Try again", same_call(view, reader, service, *options))
    else:
        yield Fact("Try again", same_call(view, reader, service))


def _due(view: CallView, reader: Reader) -> str:
    record = view.record
    if record is None:
        return ""
    number = record.submission.respondent_phone
    return Words().due(record.schedule, number, record.timezone, reader)


def _without_outcome(view: CallView, reader: Reader, service: Service) -> Screen:
    """A call that KallyAI has told no outcome for: lost, due later, or in progress."""
    id_ = short_id(view.tracking_id or view.id)
    follow = Fact("To follow it", service.command("show", id_, "--follow"))
    party = tuple(_party(view))
    match view.state:
        case CallState.UNKNOWN:
            look = Fact("Look again", service.command("show", id_))
            return Screen(
                Tone.UNSURE,
                "Not known",
                facts=party,
                notes=(_SAY["lost"],),
                steps=(look,),
                is_simulated=service.is_simulated,
            )
        case CallState.SCHEDULED:
            cancel = Fact("To cancel", service.command("cancel", id_))
            return Screen(
                Tone.PLANNED,
                "Planned",
                tuple(_plan(view, reader)),
                (*party, *_earlier(view, reader)),
                (_SAY["computer_on"],),
                steps=(cancel,),
                is_simulated=service.is_simulated,
            )
    headline, notes = _progress(view, reader)
    return Screen(
        Tone.RUNNING,
        headline,
        tuple(_elapsed(view, reader)),
        party,
        (notes,),
        steps=(follow,),
        is_simulated=service.is_simulated,
    )


def _plan(view: CallView, reader: Reader) -> Iterator[str]:
    due = _due(view, reader)
    yield from day_and_time(due)
    is_first = not view.is_retry
    if is_first and view.record is not None and view.record.schedule.attempts > 1:
        yield f"up to {view.record.schedule.attempts} attempts"


def _progress(view: CallView, reader: Reader) -> tuple[str, str]:
    """The headline, and what it means."""
    if view.is_not_placed_yet(reader.now):
        return "Not placed yet", _SAY["not_placed_yet"]
    if view.is_being_checked:
        return "Being checked", _SAY["being_checked"]
    return "In progress", _SAY["goes_on"]


def _elapsed(view: CallView, reader: Reader) -> Iterator[str]:
    if view.placed_at is not None and not view.is_being_checked:
        yield duration(max(0.0, (reader.now - view.placed_at).total_seconds()))


def end_screen(
    view: CallView | None, reader: Reader, service: Service, *, status: str | None
) -> Screen:
    """Whether a call was canceled, which is its `status` then; `view` is None for a list."""
    party = tuple(_party(view)) if view is not None else ()
    if status == CallState.CANCELED:
        note = _SAY["canceled" if view is not None else "list_canceled"]
        return Screen(Tone.GOOD, "Canceled", (note,), party, is_simulated=service.is_simulated)
    why = _SAY["is_over" if status == "over" else "no_hanging_up"]
    return Screen(
        Tone.BAD,
        "Not canceled",
        (why,),
        (*party, *(_how_it_ended(view, reader) if view is not None else ())),
        is_simulated=service.is_simulated,
    )


def _how_it_ended(view: CallView, reader: Reader) -> Iterator[Fact]:
    facts = (state_in_words(view).rstrip("*"), booked_time(view, reader))
    yield Fact("The call", ", ".join(filter(None, facts)))
