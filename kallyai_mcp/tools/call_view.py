"""What a result says about a call, which is in the ledger, or which only KallyAI has.

Of what was said there are only quotations: a question is found by comparing its words with KallyAI's, and nothing is
interpreted.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import dropwhile, takewhile

import anyio

from kallyai_mcp.api.errors import KallyAIError, NotFoundError
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho, Transcript, TranscriptEntry
from kallyai_mcp.calls.appointment import Appointment, Calendar, lies_before, with_zone
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.call_search import read_findings
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.numbers import zone_of_number
from kallyai_mcp.calls.outcome import Findings, Outcome, outcome_of, reported_other_time
from kallyai_mcp.calls.records import CallRecord, CallState, is_tracking_id
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.submissions import CHANGES, changes_in, departure_in, other_times_text, questions_in, spans_in
from kallyai_mcp.tools.text.plain import clock, one_line, zone_of

BOOKED = (Outcome.BOOKED, Outcome.BOOKED_OTHER_TIME)

_STATES = frozenset({CallState.SCHEDULED, CallState.EXPIRED, CallState.REFUSED, CallState.CANCELED})
"""The states of a record that are the status of its call, because KallyAI has no call and so no status."""

_SECONDS = 3.0
"""How many seconds to wait for a transcript, which must not delay a result for long."""

_LONGEST = 300
"""Characters of one quotation."""

_SIMILAR = 0.6
"""The share of a question's words that KallyAI's turn must have to count as asking it."""

_LEAVES_WITHIN = 0.5
"""Seconds after which a request has left, if KallyAI can be reached."""


@dataclass(frozen=True)
class Quote:
    """Words of the callee, and when they were said: the time since the call began, as "0:34".

    After a `question`, `quote` is None if nothing answered it; if several turns fit it equally well, it has several.
    """

    question: str | None
    quote: str | None
    at: str | None


@dataclass(frozen=True)
class Related:
    """What a call has to do with other calls of the account.

    Attributes:
        before: The earlier call whose booking the call was about.
        later: The last call that was about the booking of this call, and was answered.
        ahead: An earlier call to the same number, whose booking lies ahead.
        planned: The next attempt of this call, which reached nobody.
    """

    before: "CallView | None" = None
    later: "CallView | None" = None
    ahead: "CallView | None" = None
    planned: CallRecord | None = None

    @property
    def is_moved(self) -> bool:
        """Whether the later call has booked another time; if not, it may have canceled the booking."""
        return self.later is not None and self.later.outcome in BOOKED


@dataclass(frozen=True)
class CallView:
    """What is known of a call.

    Attributes:
        submission: What KallyAI was asked to do.
        zone_name: IANA name of the time zone of the submission's day and time.
        outcome: The outcome that a result may claim; None while the call is in progress.
        call: The call as KallyAI reports it; None while KallyAI has not reported it.
        calendar: What KallyAI's calendar file says; None if the file was not asked for.
        reached: Whether somebody may have talked in the call; None if that was not looked up.
        record: The ledger's record of the call; None if only KallyAI has the call.
        evidence: The callee's words that decided the outcome.
        answers: The callee's words after each question; `is_unanswered`: no transcript was read to find them in.
        has_transcript: False if KallyAI is known to have none.
    """

    submission: Submission | SubmissionEcho
    zone_name: str
    outcome: Outcome | None
    call: Call | None = None
    calendar: Calendar | None = None
    reached: bool | None = None
    record: CallRecord | None = None
    evidence: Quote | None = None
    answers: tuple[Quote, ...] = ()
    is_unanswered: bool = False
    has_transcript: bool = True
    related: Related = Related()

    @classmethod
    def of_record(cls, record: CallRecord) -> "CallView":
        """The view of a call in the ledger."""
        ended = record.state is CallState.ENDED
        call, calendar = (record.call, record.calendar) if ended else (None, None)
        return cls(record.submission, record.timezone, record.outcome, call, calendar, record.reached, record)

    @classmethod
    def of(cls, found: CallRecord | Call, findings: Findings | None = None, *, timezone: str) -> "CallView":
        """The view of a call that may be one that only KallyAI has; then `findings` says more, if it was looked up.

        `timezone` is the user's. It is used if the called number does not have exactly one zone.
        """
        if isinstance(found, CallRecord):
            return cls.of_record(found)
        echo, (calendar, reached) = found.submission, findings or (None, None)
        zone = (zone_of_number(echo.respondent_phone) if echo.respondent_phone else None) or timezone
        outcome = outcome_of(found, calendar, reached=bool(reached), asked=echo, zone_name=zone)
        return cls(echo, zone, outcome, found, calendar, reached)

    def named(self, names: Mapping[str, str]) -> "CallView":
        """The same call with a name for its number, if it has none and `names` have one."""
        name = names.get(self.submission.respondent_phone or "")
        if self.submission.business_name or name is None:
            return self
        return replace(self, submission=self.submission.model_copy(update={"business_name": name}))

    @property
    def appointment(self) -> Appointment | None:
        """The appointment that KallyAI's calendar file shows, with its times in the zone of the submission."""
        made = self.calendar.appointment if self.calendar is not None else None
        zone = zone_of(self.zone_name)
        return replace(made, start=with_zone(made.start, zone), end=with_zone(made.end, zone)) if made else None

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The submission's fields whose values could be in the calendar event, and are not."""
        made, asked = self.appointment, self.submission
        if made is None:
            return ()
        departure = departure_in(asked)
        is_open = {
            "appointment_time": asked.appointment_time is not None and not isinstance(made.start, datetime),
            "party_size": asked.party_size is not None and not _names_number(made, asked.party_size),
            "departure_date": departure is not None and departure != self.departs_on,
        }
        return tuple(name for name, is_missing in is_open.items() if is_missing)

    @property
    def departs_on(self) -> date | None:
        """The last day of the appointment, if a day of departure was asked for."""
        end = self.appointment.end if self.appointment is not None and departure_in(self.submission) else None
        return end.date() if isinstance(end, datetime) else end

    @property
    def is_at_allowed_time(self) -> bool:
        """Whether the appointment is on the day that was asked for, at one of the other times that the user allowed."""
        start = self.appointment.start if self.appointment is not None else None
        if not isinstance(start, datetime):
            return False
        is_that_day = self.day is None or start.date().isoformat() == self.day
        spans = spans_in(other_times_text(self.submission))
        return is_that_day and any(first <= start.time() <= last for first, last in spans)

    @property
    def reported_time(self) -> str | None:
        """The time of the booking in KallyAI's report, if its calendar event has another one."""
        return reported_other_time(self.call, self.calendar, asked=self.submission, zone_name=self.zone_name)

    @property
    def call_id(self) -> str | None:
        """KallyAI's id of the call, if it is known."""
        known = self.call.call_id if self.call is not None else None
        return known or (self.record.call_id if self.record is not None else None)

    @property
    def refusal(self) -> KallyAIError | None:
        """Why no call was placed; None for a call that was placed, or may be."""
        record = self.record
        if record is not None and record.state is CallState.CANCELED:
            return KallyAIError("the call was canceled before it was placed", code="canceled")
        return record.error if record is not None and record.state in (CallState.REFUSED, CallState.EXPIRED) else None

    def is_not_placed_yet(self, now: datetime) -> bool:
        """Whether the call's request has not left, and its try failed or has lasted longer than usual."""
        record = self.record
        if record is None or record.state is not CallState.RESERVED:
            return False
        return record.error is not None or record.elapsed(now) >= _LEAVES_WITHIN

    @property
    def is_being_checked(self) -> bool:
        """Whether the call may have been placed, and KallyAI's list is searched for it."""
        record = self.record
        return (
            record is not None and record.is_active and record.response_lost_at is not None and record.call_id is None
        )

    @property
    def is_without_event(self) -> bool:
        """Whether a day or a time was asked for, and KallyAI's calendar is known to have no event for the call."""
        asked = self.day is not None or self.submission.appointment_time is not None
        return asked and self.calendar is not None and self.calendar.is_known and self.appointment is None

    @property
    def suggestion(self) -> str | None:
        """What KallyAI suggests after a conversation; None if a later call was about its booking."""
        talked = self.outcome in (Outcome.ANSWERED, *BOOKED) and self.related.later is None
        return self.call.next_steps if self.call is not None and talked else None

    @property
    def placed_at(self) -> datetime | None:
        """When the call was placed, or asked for."""
        created_at = self.call.created_at if self.call is not None else None
        return created_at or (self.record.placed_at if self.record is not None else None)

    @property
    def status(self) -> str:
        """KallyAI's status of the call. Without one, the state of our record, `in_progress`, or `unknown`."""
        if self.call is not None and self.call.plain_status not in Call.IN_PROGRESS:
            return self.call.status
        if self.record is not None and self.record.state in _STATES:
            return self.record.state.value
        return "in_progress" if self.outcome is None else "unknown"

    @property
    def day(self) -> str | None:
        """The submission's day: YYYY-MM-DD, or in the form in which KallyAI repeats it."""
        day = self.submission.appointment_date
        return None if day is None else str(day)[:10]

    @property
    def is_calendar_unread(self) -> bool:
        """Whether the callee answered, and no calendar file was read that would show whether something was booked."""
        return self.outcome is Outcome.ANSWERED and (self.calendar is None or not self.calendar.is_known)


async def find_any(app_context: AppContext, id_: str) -> CallRecord | CallList | Call:
    """Find a call or a list by its `call_id` or `tracking_id`; it raises what `find_call` raises."""
    listed = await app_context.calls.find_list(id_) if is_tracking_id(id_) else None
    return listed or await find_call(app_context, id_)


async def find_call(app_context: AppContext, id_: str) -> CallRecord | Call:
    """Find a call by its `call_id` or `tracking_id`, which only the ledger knows; KallyAI raises `NotFoundError`."""
    record = None
    try:
        record = await app_context.calls.find(id_)
    except LedgerUnavailableError:
        if is_tracking_id(id_):
            raise
    return record or await app_context.api().get_call(id_)


async def view_of(app_context: AppContext, found: CallRecord | Call, *, is_new: bool = False) -> CallView:
    """What is known of a call, with what its callee said and what it has to do with other calls."""
    findings = None
    if isinstance(found, Call) and found.is_final:
        calls = app_context.calls
        findings = await read_findings(calls.context, await calls.account_of_request(), found, None)
    view = CallView.of(found, findings, timezone=app_context.timezone)
    view = await with_speech(app_context, view)
    return replace(view, related=await related_to(app_context, view, is_new=is_new))


async def views_of_list(app_context: AppContext, found: CallList) -> list[CallView]:
    """The calls of a list so far, with what was said in each."""
    views = (CallView.of_record(record) for record in found.records)
    return await asyncio.gather(*(with_speech(app_context, view) for view in views))


async def with_speech(app_context: AppContext, view: CallView) -> CallView:
    """`view` with what the callee of an ended call said, as far as its result needs it."""
    questions, call = questions_in(view.submission), view.call
    decides = (Outcome.ANSWERED, Outcome.FAILED, *(BOOKED if questions else ()))
    if call is None or view.outcome not in decides:
        return view
    transcript: Transcript | None = None
    has_transcript = True
    with anyio.move_on_after(_SECONDS), suppress(KallyAIError):  # the outcome counts without it
        try:
            transcript = await app_context.api().get_transcript(call.call_id)
        except NotFoundError:
            has_transcript = False
    if transcript is None:
        return replace(view, is_unanswered=bool(questions), has_transcript=has_transcript)
    if not questions:
        return replace(view, evidence=_evidence(transcript, call.highlights or ""))
    answers = tuple(one for question in questions for one in _answers(question, transcript.entries))
    return replace(view, answers=answers)


def _evidence(transcript: Transcript, report: str) -> Quote | None:
    """The callee's turn that has most in common with KallyAI's report; of equals, the one that has least besides.

    What the callee said before KallyAI's first words is a greeting, and decides nothing.
    """
    reported = _words(report)
    after = list(dropwhile(lambda entry: not entry.is_kallyai, transcript.entries)) or transcript.entries
    turns = [entry for entry in after if entry.content and not entry.is_kallyai]

    def fits(entry: TranscriptEntry) -> tuple[int, float, int]:
        words = _words(entry.content)
        common = len(reported & words)
        return common, common / max(1, len(words)), len(entry.content)

    best = max(turns, key=fits, default=None)
    return _quote(None, [best]) if best is not None else None


def _answers(question: str, entries: Sequence[TranscriptEntry]) -> Collection[Quote]:
    asked = _words(question)
    fits = {
        place: (len(asked & _words(entry.content)) / len(asked), "?" in entry.content)
        for place, entry in enumerate(entries)
        if asked and entry.is_kallyai
    }
    best = max(fits.values(), default=(0, False))
    places = [place for place, fit in fits.items() if fit == best and fit[0] >= _SIMILAR]
    following = (list(takewhile(lambda entry: not entry.is_kallyai, entries[place + 1 :])) for place in places)
    quotes = [_quote(question, turns) for turns in following if any(turn.content for turn in turns)]
    return {one.quote: one for one in quotes}.values() or [Quote(question, None, None)]  # of the same words, the last


def _quote(question: str | None, turns: Sequence[TranscriptEntry]) -> Quote:
    words = one_line(" ".join(turn.content for turn in turns if turn.content), _LONGEST)
    return Quote(question, words, clock(turns[0].timestamp) or None)


def _names_number(appointment: Appointment, number: int) -> bool:
    """Whether the title of the appointment has this number, other than as a part of a time or a date."""
    found = rf"(?<![\d:.,/-]){number}(?![\d:/-]|[.,]\d|\s*[ap]\.?\s?m\b)"
    return re.search(found, appointment.summary or "", re.IGNORECASE) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2 or word.isdigit())


async def related_to(app_context: AppContext, view: CallView, *, is_new: bool = False) -> Related:
    """What a call has to do with others; `is_new`: the agent has just asked for it."""
    before_id, number = changes_in(view.submission), view.submission.respondent_phone
    has_others = is_new or before_id is not None or view.outcome in (*BOOKED, Outcome.NOT_REACHED)
    is_first = view.record is not None and view.record.is_new and view.record.last_call is None and before_id is None
    if view.call_id is None or not has_others or is_first:
        return Related()
    ledger = app_context.calls.context.ledger
    try:
        account = view.record.account if view.record is not None else await app_context.calls.account_of_request()
        records = await ledger.read(rows.list_related, account, number or "", CHANGES.values())
        before = await ledger.read(rows.find, account, before_id) if before_id is not None else None
    except LedgerUnavailableError:
        return Related()
    views = [CallView.of_record(record) for record in records]
    changes = changed_by(views)
    retries = (one for one in records if view.call_id in [attempt.call_id for attempt in one.schedule.earlier])
    return Related(
        before=CallView.of_record(before) if before is not None else None,
        later=changes.get(view.call_id) if view.outcome in BOOKED else None,
        ahead=_ahead(views, view, changes, app_context.now()) if is_new and before_id is None else None,
        planned=next((one for one in retries if one.is_open), None),
    )


def changed_by(views: Sequence[CallView]) -> dict[str, CallView]:
    """The last call that was about each booking, by the `call_id` of the booking; `views` are newest first."""
    answered = (Outcome.ANSWERED, *BOOKED)
    return {id_: one for one in reversed(views) if one.outcome in answered and (id_ := changes_in(one.submission))}


def _ahead(
    views: Sequence[CallView], view: CallView, changes: Mapping[str, CallView], now: datetime
) -> CallView | None:
    """The newest booking at the number of `view` that lies ahead and was not moved, with the last call about it."""
    moved = {changes_in(one.submission) for one in views if one.outcome in BOOKED}
    for one in views:
        later = changes.get(one.call_id or "") or changes.get(changes_in(one.submission) or "")
        made, related = one.appointment, Related(later=later if later is not one else None)
        is_here = one.submission.respondent_phone == view.submission.respondent_phone and one.call_id != view.call_id
        is_booked = one.outcome in BOOKED and is_here and one.call_id not in moved
        if is_booked and made is not None and not lies_before(made, now, one.zone_name):
            return replace(one, related=related)
    return None
