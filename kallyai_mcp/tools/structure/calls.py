"""The structures of calls, lists, and appointments: one function for each facet of a call."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from kallyai_mcp.api.models import Report, Submission
from kallyai_mcp.calls.appointment import Appointment, with_zone
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.speech.sentences import LONGEST_QUOTE
from kallyai_mcp.tools.facets.booking_history import Event
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.live import NOT_LIVE
from kallyai_mcp.tools.facets.next_step import may_be_retried
from kallyai_mcp.tools.facets.relations import Relations
from kallyai_mcp.tools.structure.models import (
    AgreedAnswer,
    AppointmentAnswer,
    CallAnswer,
    CalleeAnswer,
    CallRow,
    EventAnswer,
    LiveAnswer,
)
from kallyai_mcp.tools.text.calendar import begins
from kallyai_mcp.tools.text.listing import PURPOSE
from kallyai_mcp.tools.text.plain import LIMIT, clock, visible, zone_of
from kallyai_mcp.tools.text.report import ROOM, answer_of

Facts = dict[str, Any]
"""Fields of a structure, by their names; None for what is not known."""

CALENDAR = "kallyai://calls/{call_id}/calendar.ics"
"""The URI template (RFC 6570) of the calendar file of a call."""

_WITH_ASKED_TIME = (Outcome.ANSWERED, Outcome.BOOKED_OTHER_TIME)
"""The outcomes that are compared with the day and the time that were asked for."""

_ONLY_STATUS = (None, Outcome.NOT_REACHED, Outcome.FAILED)
"""The outcomes that say less than the status of the call."""

_MACHINE = "machine"
"""Why nobody was reached, where KallyAI says that the conversation took place."""


def call_answer(
    view: CallView,
    now: datetime,
    *,
    is_request: bool = False,
    limit: int = LIMIT,
) -> CallAnswer:
    """The structure for a call, alone and in a list.

    It has at most `limit` characters of each of KallyAI's texts, and does not repeat the
    request; with `is_request`, not even who is called, because the agent has just said so.
    """
    facts = _ids(view) | _state(view) | _times(view, now) | _booking(view) | _report(view, limit)
    facts |= _speech(view) | _live(view) | relation_facts(view.related) | _other_bookings(view)
    facts["asked"] = _asked_moment(view)
    if not is_request:
        facts |= _request(view)
    return CallAnswer(**facts)


def _ids(view: CallView) -> Facts:
    ids: Facts = {"call_id": view.call_id}
    if view.call_id is None or view.is_open:
        ids["tracking_id"] = view.tracking_id
    return ids


def _state(view: CallView) -> Facts:
    facts: Facts = {"status": view.status, "outcome": view.outcome}
    if view.refusal is not None:
        facts["code"] = view.refusal.code
    elif view.reached_machine:
        facts["code"] = _MACHINE
    if view.may_have_been_called:
        facts["placed"] = "maybe"
    elif view.outcome is not None:
        facts["retryable"] = may_be_retried(view)
    return facts


def _times(view: CallView, now: datetime) -> Facts:
    """When a call was placed, or is due, and for how long it has gone on."""
    facts = _scheduled_for(view) | _created_at(view, now)
    created_at = facts.get("created_at")
    if created_at is not None and view.outcome is None:
        facts["elapsed_seconds"] = round(max(0.0, (now - created_at).total_seconds()), 1)
    return facts


def _created_at(view: CallView, now: datetime) -> Facts:
    return {"created_at": view.placed_at} if view.is_placed(now) else {}


def _scheduled_for(view: CallView) -> Facts:
    if view.record is None or view.record.state is CallState.ENDED:
        return {}
    return {"scheduled_for": iso(view.record.schedule.not_before, view.record.timezone)}


def _booking(view: CallView) -> Facts:
    facts = _calendar_checked(view)
    if view.booking.appointment is not None:
        facts["timezone"] = view.zone_name
        facts["appointment"] = AppointmentAnswer(
            **event_facts(view.booking.appointment, view.zone_name),
            unconfirmed=_unconfirmed(view) or None,
            agreed=_agreed(view),
        )
    if view.state is CallState.SCHEDULED:
        facts["timezone"] = view.zone_name
    return facts


def _unconfirmed(view: CallView) -> list[str]:
    """The arguments that the event does not show, or the callee's words not confirm; and wishes."""
    name = [] if view.speech.unconfirmed_name is None else ["user_name"]
    wishes = [visible(wish, ROOM) for wish in view.speech.unconfirmed_wishes]
    return [*view.booking.unconfirmed, *name, *wishes]


def _agreed(view: CallView) -> AgreedAnswer | None:
    """The time that was agreed to in words, if the event has another one."""
    agreed = view.booking.agreed
    if agreed is None:
        return None
    quote = visible(agreed.quote, LONGEST_QUOTE)
    return AgreedAnswer(time=visible(agreed.time, ROOM), quote=quote, at=clock(agreed.at) or None)


def _calendar_checked(view: CallView) -> Facts:
    return {"calendar_checked": False} if view.is_calendar_unread else {}


def _report(view: CallView, limit: int) -> Facts:
    """What KallyAI reports of the call, as it is; of a text, what may be shown."""
    if view.call is None:
        return {}
    facts: Facts = view.call.model_dump(include={*Report.model_fields, "credits_used"})
    texts = {name: visible(text, limit) for name, text in facts.items() if isinstance(text, str)}
    return facts | texts


def _speech(view: CallView) -> Facts:
    return {
        "evidence": view.evidence,
        "answers": view.speech.answers or None,
        "disclosure": view.speech.disclosure,
        "spoke_with": view.speech.spoke_with,
        "opt_out": view.speech.opt_out,
    }


def _live(view: CallView) -> Facts:
    """What KallyAI reports of a call that goes on; nothing where it reports nothing."""
    if view.outcome is not None or view.live == NOT_LIVE:
        return {}
    return {"live": LiveAnswer(line=view.live.line, said=list(view.live.said))}


def without_live_words(answer: CallAnswer) -> None:
    """Leave out of the structure of a call or a list what was said so far."""
    for one in (answer, *(answer.calls or ())):
        if one.live is not None:
            one.live.said = []


def relation_facts(related: Relations) -> Facts:
    """The fields for the later call that was about a booking."""
    if related.later is None:
        return {}
    if related.is_moved:
        return {"moved_by": related.later.call_id}
    return {"canceled_by" if related.is_canceled else "asked_about_in": related.later.call_id}


def _other_bookings(view: CallView) -> Facts:
    """The calls with a booking that this one has replaced, or that stands beside it."""
    before, ahead = view.related.before, view.related.ahead
    return {
        "replaces": before.call_id if before is not None and view.outcome in BOOKED else None,
        "booked_there": ahead.call_id if ahead is not None else None,
    }


def _asked_moment(view: CallView) -> dict[str, str] | None:
    """The day and the time that were asked for, if something else may be agreed."""
    if view.outcome not in _WITH_ASKED_TIME:
        return None
    asked = {"appointment_date": view.day, "appointment_time": view.submission.appointment_time}
    return {name: value for name, value in asked.items() if value} or None


def _request(view: CallView) -> Facts:
    """Who is called; and what for, until there is an outcome."""
    asked = view.submission
    facts: Facts = {"respondent_phone": asked.respondent_phone}
    if asked.business_name:
        facts["business_name"] = visible(asked.business_name, 80)
    if view.outcome is None and asked.task_description:
        facts["asked"] = {"task_description": visible(asked.task_description, ROOM)}
    return facts


def row_answer(view: CallView, now: datetime) -> CallRow:
    """The row for a call in list_calls."""
    facts = _row_state(view) | _calendar_checked(view) | _scheduled_for(view)
    facts |= _created_at(view, now) | _row_callee(view) | _ids(view) | _disclosed(view)
    facts |= _row_plan(view)
    return CallRow(**facts, **relation_facts(view.related), **_row_result(view))


def _row_state(view: CallView) -> Facts:
    """How a call ended, or how far it is, in one word; the code only if it says more."""
    state = _state(view)
    facts: Facts = {"status": view.outcome, "placed": state.get("placed")}
    if view.reached_machine:
        facts["status"] = _MACHINE
    elif view.outcome in _ONLY_STATUS:
        facts["status"] = view.status
    if state.get("code") != facts["status"]:
        facts["code"] = state.get("code")
    return facts


def _disclosed(view: CallView) -> Facts:
    """Whether KallyAI said that it is an AI; nothing without a transcript."""
    if view.spoken is None or view.spoken.disclosure is None:
        return {}
    return {"disclosed": view.spoken.disclosure.said}


def _row_plan(view: CallView) -> Facts:
    """What a call was for; how many attempts of a planned one are left; what a search has found."""
    facts: Facts = {"quote": view.found_quote}
    if view.submission.task_description:
        facts["purpose"] = visible(view.submission.task_description, PURPOSE)
    if view.record is not None and view.record.state is CallState.SCHEDULED:
        facts["attempts_left"] = view.record.schedule.attempts_left
    return facts


def _row_callee(view: CallView) -> Facts:
    asked = view.submission
    if asked.business_name:
        return {"business_name": visible(asked.business_name, 40)}
    return {"respondent_phone": asked.respondent_phone}


def _row_result(view: CallView) -> Facts:
    """When the appointment begins, or else the answer."""
    start = begins(view)
    if isinstance(start, datetime):
        return {"appointment": start.strftime("%Y-%m-%dT%H:%M")}
    if start is not None:
        return {"appointment": start.isoformat()}
    if view.outcome is Outcome.ANSWERED and view.report:
        return {"highlights": visible(answer_of(view), ROOM)}
    return {}


def list_answer(found: CallList) -> CallAnswer:
    """The structure for a list, without its calls."""
    return CallAnswer(
        status=str(found.stop_reason or "in_progress"),
        tracking_id=found.list_id,
        until=found.until,
        not_called=candidates_of(found.not_called),
    )


def candidates_of(submissions: Sequence[Submission]) -> list[CalleeAnswer]:
    """The callees of these submissions, as results name them."""
    return [_candidate(one) for one in submissions]


def _candidate(asked: Submission) -> CalleeAnswer:
    return CalleeAnswer(respondent_phone=asked.respondent_phone, business_name=asked.business_name)


def event_answer(event: Event) -> EventAnswer:
    """The structure of the event that a call made, or that has replaced it."""
    made = event.view.booking.event
    facts = event_facts(made, event.view.zone_name) | relation_facts(event.asked.related)
    if event.is_moved:
        facts["moved_by"] = event.view.call_id
    uri = CALENDAR.replace("{call_id}", quote(event.asked.id, safe=""))
    return EventAnswer(
        call_id=event.asked.call_id, calendar_uri=uri, location=made.location, **facts
    )


def event_facts(event: Appointment, zone_name: str) -> Facts:
    """The title and the times of an appointment."""
    return {
        "summary": event.summary,
        "start": iso(event.start, zone_name),
        "end": iso(event.end, zone_name),
    }


def iso(moment: date | datetime | None, zone_name: str) -> str | None:
    """`moment` in ISO 8601, with the offset of the zone, to the second."""
    match with_zone(moment, zone_of(zone_name)):
        case None:
            return None
        case datetime() as local:
            return local.isoformat(timespec="seconds")
        case day:
            return day.isoformat()
