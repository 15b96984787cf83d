"""Texts about one call: its outcome, its progress, when it is due, or how it was canceled."""

from datetime import datetime, timedelta

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.numbers import local_time
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import Attempt
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.next_step import Retry, next_step
from kallyai_mcp.tools.text.bookings import (
    ahead,
    before,
    booked,
    doubt,
    event_confirms,
    moved,
    not_asked_about,
    offer_not_accepted,
)
from kallyai_mcp.tools.text.calendar import unconfirmed
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.errors import refusal_text, what_happened
from kallyai_mcp.tools.text.languages import spoken_as_it_is
from kallyai_mcp.tools.text.next_steps import (
    asks_itself,
    book_once,
    call_when_open,
    more,
    try_again,
)
from kallyai_mcp.tools.text.plain import (
    Reader,
    at_callee,
    day_and_hour,
    duration,
    hour,
    lasted,
    moment_in_words,
    one_line,
    part,
    party_of,
    quoted,
    with_place,
    word,
    zone_of,
)
from kallyai_mcp.tools.text.report import never_follow, opt_out_in, said_about_booking, said_in

SAY = {
    # Outcomes
    "unconfirmed": "The calendar event does not confirm this: {}.",
    "status": "Unknown: it is not clear how the call to {party} ended; its status is {status}.",
    "unknown": (
        "Unknown: no usable answer came after the request was sent, so {party} may have been "
        'called. Check with get_call "{id}" and list_calls before anything else; do not place the '
        "call again. If the user wants a second call on purpose: redial=true."
    ),
    # After nobody was reached
    "time_there": "It is {time} there.",
    "machine": "a recording answered",
    "attempt": "Attempt {number} of {count}. Before: {earlier}.",
    # A call that goes on, or is due
    "in_progress": (
        "In progress: the call to {party} has lasted {elapsed}. It continues without you; do not "
        "place it again."
    ),
    "status_only": (
        "KallyAI gives the call to {party} the status {status}; it may go on. Do not "
        "place it again."
    ),
    "being_checked": (
        "Being checked: no usable answer came, so {party} may have been called. The check ends "
        "about {until}; do not place the call again."
    ),
    "not_placed_yet": (
        "Not placed yet: KallyAI has not been reached. This program tries until {until} at the "
        "latest and then gives up; do not place the call again."
    ),
    "next": 'Next: get_call with call_id "{id}" and wait_seconds {wait:g}.',
    "scheduled": (
        "Scheduled: {party}, {when}.{attempts} The kallyai-mcp server must be running then (on "
        "the user's own computer: with this client open), else it is not placed.\n"
        "tracking_id {id}; get_call tells the outcome then; cancel_call cancels it."
    ),
    # A call that was asked for again
    "already": (
        "Already called {ago} ago; no new call was placed. To call again on purpose: redial=true."
    ),
    "elsewhere": (
        "Already called {at} by another program of yours (this one has no record of it); no new "
        "call was placed."
    ),
    "already_elsewhere": "{elsewhere} To call again on purpose: redial=true.",
    # Canceling
    "canceled": "Canceled: {party} will not be called{again}.",
    "not_canceled": "Not canceled: {why}. This program will not place it again.",
}

NOT_LOOKED_UP = "answered*: whether it booked something is not known here; get_call looks it up."
"""Explains the asterisk of `state_in_words`."""

_REASONS = {
    "no_answer": "no answer",
    "busy": "busy",
    "voicemail": "voicemail",
    "terminated": "ended early",
}
"""What a status says in addition to the outcome."""

_STATES = {name: name for name in ("scheduled", "expired", "canceled", "unknown")}
_STATES |= {"in_progress": "in progress", "refused": "not called"}
"""Our own statuses in words; any other one is KallyAI's."""


def call_text(view: CallView, reader: Reader, *, is_duplicate: bool = False) -> str:
    """A call in words: why it was not placed, its outcome, when it is due, or its progress.

    `is_duplicate`: the call was asked for before.
    """
    if view.refusal is not None:
        return _refusal(view, view.refusal, reader)
    if view.call is not None and view.outcome is not None:
        return _outcome(view, view.call, reader, is_duplicate=is_duplicate)
    text = _without_outcome(view, reader)
    at = placed_elsewhere_at(view, reader)
    if is_duplicate and at:
        return f"{SAY['elsewhere'].format(at=at)} {text}"
    return asked_before(text, is_duplicate=is_duplicate)


def asked_before(text: str, *, is_duplicate: bool) -> str:
    """The `text` about a call or a list; `is_duplicate`: it was asked for before."""
    return f"Asked for before; no new call was placed. {text}" if is_duplicate else text


def refused_again(text: str, record: CallRecord, reader: Reader) -> str:
    """The `text` about why an attempt was refused, and the earlier attempts."""
    return f"Not called again:{text.removeprefix('Not called:')}\n{attempts(record, reader)}"


def cancel_text(view: CallView, status: str | None, reader: Reader) -> str:
    """Whether a call was canceled, which is its `status` then.

    If not, how far it is, or how it ended.
    """
    if status == CallState.CANCELED:
        again = " again" if view.is_retry else ""
        return SAY["canceled"].format(party=party_of(view.submission), again=again)
    why = (
        "it is over"
        if status == "over"
        else "it is in progress, and KallyAI's API has no way to hang up"
    )
    return f"{SAY['not_canceled'].format(why=why)}\n{call_text(view, reader)}"


def state_in_words(view: CallView) -> str:
    """How a call ended, or how far it is: "not reached".

    "answered*": whether it booked something was not checked.
    """
    if view.related.is_past:
        return "was booked"
    if view.is_being_checked:
        return "being checked"
    if view.outcome is None or view.outcome is Outcome.UNKNOWN:
        return _status_in_words(view)
    if view.outcome is Outcome.BOOKED_OTHER_TIME:
        return "booked for another time"
    return f"{view.outcome.replace('_', ' ')}{'*' if view.is_calendar_unread else ''}"


def _status_in_words(view: CallView) -> str:
    words = _STATES.get(view.status) or quoted(view.status, 24)
    is_refused_again = view.is_retry and view.status == CallState.REFUSED
    return f"{words} again" if is_refused_again else words


def reason(view: CallView) -> str:
    """What there is to say besides `state_in_words`: "busy", or why a call was refused.

    "" if there is nothing.
    """
    if view.state is CallState.REFUSED and view.refusal is not None:
        return what_happened(view.refusal)
    if view.call is None:
        return ""
    if view.reached_machine:
        return SAY["machine"]
    return _REASONS.get(view.call.plain_status, "")


def _refusal(view: CallView, refusal: KallyAIError, reader: Reader) -> str:
    text = refusal_text(refusal, view.ended_at, reader)
    if view.record is None or not view.is_retry:
        return text
    return refused_again(text, view.record, reader)


def _outcome(view: CallView, call: Call, reader: Reader, *, is_duplicate: bool) -> str:
    """A call that has ended, as far as KallyAI says how."""
    step = next_step(view, call, reader.now, schedules=reader.schedules)
    lines = [
        opt_out_in(view),
        moved(view, reader),
        said_about_booking(view),
        _first_line(view, call, reader),
        ahead(view, reader),
        part(SAY["unconfirmed"], unconfirmed(view)),
        *said_in(view),
        never_follow([view]),
        *_call_again(step.retry, view, reader),
        spoken_as_it_is(view.submission),
        f"call_id {word(call.call_id)}{more(step)}.",
    ]
    if view.record is not None:
        lines.append(attempts(view.record, reader))
        if is_duplicate:
            lines.insert(0, _already(view, view.record, reader))
    return "\n".join(filter(None, lines))


def _first_line(view: CallView, call: Call, reader: Reader) -> str:
    facts = (
        _headline(view, call, reader),
        doubt(view),
        before(view, reader),
        event_confirms(view),
    )
    return " ".join(filter(None, facts))


def _already(view: CallView, record: CallRecord, reader: Reader) -> str:
    at = placed_elsewhere_at(view, reader)
    if at:
        return SAY["already_elsewhere"].format(elsewhere=SAY["elsewhere"].format(at=at))
    return SAY["already"].format(ago=duration(record.elapsed(reader.now)))


def placed_elsewhere_at(view: CallView, reader: Reader) -> str:
    """When another program placed this call, and this one had no record of it: "at 4:07 PM"; "" if
    none did.
    """
    record = view.record
    if record is None or record.created_at is None or not record.is_earlier_call:
        return ""
    return moment_in_words(record.created_at, reader)


def _headline(view: CallView, call: Call, reader: Reader) -> str:
    if view.outcome is Outcome.UNKNOWN:
        party = party_of(view.submission)
        return SAY["status"].format(party=party, status=quoted(call.status, 24))
    if view.outcome in BOOKED:
        return booked(view, reader)
    state = state_in_words(view).rstrip("*").capitalize()
    talked = f"{state}: {_talked_with(view, call)}{part(': {}', _recording(view))}"
    return f"{talked}.{part(' {}', _time_there(view, reader))}"


def _talked_with(view: CallView, call: Call) -> str:
    """Who was called, for how long, and why nobody talked: "busy at Joe's Garage after 3 s"."""
    party = party_of(view.submission)
    why = reason(view)
    if not why:
        return f"{party}{part(', {}', lasted(call))}"
    return f"{why} at {party}{part(' after {}', lasted(call))}"


def _recording(view: CallView) -> str:
    """What a recording said, if only that spoke."""
    words = view.recording
    if words is None or words.quote is None:
        return ""
    return f"{quoted(words.quote)}{part(' ({})', words.at)}"


def _time_there(view: CallView, reader: Reader) -> str:
    """What time it is where nobody was reached; "" if that is not known, or somebody was."""
    if view.outcome is not Outcome.NOT_REACHED:
        return ""
    local = local_time(view.number, reader.now)
    if local is None:
        return ""
    return SAY["time_there"].format(time=hour(local))


def _call_again(retry: Retry | None, view: CallView, reader: Reader) -> list[str]:
    """How the same number may be called again, and whether the user is asked before that."""
    calls = [
        call_when_open(view, reader),
        book_once(view),
        offer_not_accepted(view),
        _try_again(retry, view, reader),
    ]
    is_planned = retry is not None and retry.planned is not None
    asks = asks_itself(retry, view, reader) if any(calls) and not is_planned else ""
    return [not_asked_about(view), *calls, asks]


def _try_again(retry: Retry | None, view: CallView, reader: Reader) -> str:
    """How to call again after nobody was reached, or when that is done anyway."""
    if retry is None:
        return ""
    if retry.planned is not None:
        return call_text(retry.planned, reader)
    return try_again(retry, view, reader)


def _without_outcome(view: CallView, reader: Reader) -> str:
    """A call that KallyAI has told no outcome for: lost, due later, or in progress."""
    match view.record:
        case CallRecord(state=CallState.UNKNOWN):
            return SAY["unknown"].format(party=party_of(view.submission), id=view.tracking_id)
        case CallRecord(state=CallState.SCHEDULED):
            language = part("\n{}", spoken_as_it_is(view.submission))
            return f"{_scheduled(view.record, reader)}{language}"
    id_ = view.tracking_id or one_line(view.id)
    step = SAY["next"].format(id=id_, wait=reader.wait_seconds)
    lines = (_progress(view, reader), spoken_as_it_is(view.submission), step)
    return "\n".join(filter(None, lines))


def _progress(view: CallView, reader: Reader) -> str:
    """How far a call is: whether its request has left, is looked for, or what its status says."""
    record = view.record
    if record is not None and view.is_not_placed_yet(reader.now):
        return SAY["not_placed_yet"].format(until=_end(_gives_up_at(record), reader))
    if view.searched_since is None:
        return _progress_by_status(view, reader)
    until = _end(view.searched_since + timedelta(seconds=reader.search_seconds), reader)
    return SAY["being_checked"].format(party=party_of(view.submission), until=until)


def _gives_up_at(record: CallRecord) -> datetime:
    """Until when this program tries to reach KallyAI."""
    limit = record.asked_at + timedelta(seconds=Timing.send_within)
    return min(limit, record.schedule.place_by or limit)


def _progress_by_status(view: CallView, reader: Reader) -> str:
    """How far a call is. The text says no more than the status that KallyAI gives, if it does."""
    party = party_of(view.submission)
    is_known_to_go_on = view.call is None or view.call.plain_status == "in_progress"
    if is_known_to_go_on and view.placed_at is not None:
        elapsed = duration(max(0.0, (reader.now - view.placed_at).total_seconds()))
        return SAY["in_progress"].format(party=party, elapsed=elapsed)
    return SAY["status_only"].format(party=party, status=quoted(_kallyai_status(view), 24))


def _kallyai_status(view: CallView) -> str:
    return view.call.status if view.call is not None else view.status


def _end(moment: datetime, reader: Reader) -> str:
    """The time of day after `moment`, in whole minutes."""
    end = reader.local(moment) + timedelta(minutes=1)
    return with_place(hour(end), end, None, reader.timezone, reader)


def _scheduled(record: CallRecord, reader: Reader) -> str:
    """A call that is due later, for the first time or again."""
    number = record.submission.respondent_phone
    count = attempts(record, reader) or _attempts_to_come(record)
    return SAY["scheduled"].format(
        party=party_of(record.submission),
        when=Words().due(record.schedule, number, record.timezone, reader),
        attempts=part(" {}", count),
        id=record.tracking_id,
    )


def _attempts_to_come(record: CallRecord) -> str:
    count = record.schedule.attempts
    return f"Up to {count} attempts." if count > 1 else ""


def attempts(record: CallRecord, reader: Reader) -> str:
    """Which attempt a call was, and how the earlier ones ended, by the callee's clock.

    "" if there were none.
    """
    schedule = record.schedule
    if not schedule.earlier:
        return ""
    earlier = [_earlier_attempt(one, record, reader) for one in schedule.earlier]
    count = max(schedule.attempt, schedule.attempts)
    return SAY["attempt"].format(number=schedule.attempt, count=count, earlier="; ".join(earlier))


def _earlier_attempt(one: Attempt, record: CallRecord, reader: Reader) -> str:
    """How an attempt before a call ended, and when: "busy Fri Nov 27, 7:00 PM there"."""
    number = record.submission.respondent_phone
    at = at_callee(one.at.astimezone(zone_of(record.timezone)), number)
    said = f"{_REASONS[one.status]} {day_and_hour(at, reader.now)}"
    return with_place(said, at, number, record.timezone, reader)
