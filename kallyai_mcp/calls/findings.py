"""Reads what shows how a call ended: KallyAI's calendar file and transcript."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotFoundError,
    NotSignedInError,
    ServiceError,
    UnreadableResponseError,
    UnusableCallIdError,
)
from kallyai_mcp.api.models import Call, Submission, SubmissionEcho, Transcript
from kallyai_mcp.calls.about_booking import Change, change_in
from kallyai_mcp.calls.appointment import (
    Agreement,
    Appointment,
    Calendar,
    lies_before,
    read_appointment,
    with_zone,
)
from kallyai_mcp.calls.call_search import find
from kallyai_mcp.calls.context import CallContext, logged
from kallyai_mcp.calls.events import Over, TranscriptRead
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.numbers import zone_of_callee
from kallyai_mcp.calls.opt_outs import opt_out_in
from kallyai_mcp.calls.outcome import Findings, reached_somebody
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.speech.agreed_time import agreed_other_time
from kallyai_mcp.calls.speech.agreement import NOTHING_SAID, may_be_agreed
from kallyai_mcp.calls.speech.cancellation import cancellation_in
from kallyai_mcp.calls.speech.machine import SpokeWith, spoke_with
from kallyai_mcp.calls.speech.sentences import Words
from kallyai_mcp.calls.speech.spoken import spoken_in

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

Found = TypeVar("Found")


@dataclass(frozen=True)
class Look:
    """What a look at a call that has ended came to.

    Attributes:
        is_all: Whether KallyAI has told all that it knows.
        retry_after: Seconds after which KallyAI wants to be asked again; None if it did not say.
    """

    is_all: bool
    retry_after: float | None = None


_UNREAD = Calendar(is_known=False)

UNCLEAR = Look(is_all=False)
"""A look without an answer."""


async def look_again(record: CallRecord, context: CallContext) -> bool:
    """`look`; returns whether KallyAI has told all that it knows."""
    return (await look(record, context)).is_all


async def look(record: CallRecord, context: CallContext) -> Look:
    """Ask KallyAI once more about a record that may change (`CallRecord.may_change`); a request
    waits for that.

    If KallyAI can't be asked, the record stays unchanged. Raises `LedgerUnavailableError` if news
    can't be written.
    """
    call = None
    try:
        with context.clock.move_on_after(_seconds_to_find(record, context)):
            call = await find(record, context)
    except KallyAIError as error:
        return Look(_says_all(error), error.retry_after)
    if call is None or not call.is_final:
        return UNCLEAR
    reader = _Reader(context, record.account)
    findings = await reader.findings(call, record)
    await context.ledger.handle(record.account, Over(record.ended_with(call, findings)))
    return Look(findings.reached is not None, reader.retry_after)


def _seconds_to_find(record: CallRecord, context: CallContext) -> float:
    """How long a call is looked for: one that may be lost, until the whole list was read."""
    return math.inf if record.state is CallState.UNKNOWN else context.timing.calendar


async def read_findings(
    context: CallContext, account: AccountKey, call: Call, record: CallRecord | None
) -> Findings:
    """What KallyAI's calendar file and transcript say about an ended call of `account`; its record,
    if there is one.

    Nothing is raised: an outcome must not be lost because nothing more can be read. Then it is not
    known whether the call reached somebody, if KallyAI may still say more.

    The calendar is None for a call without `success`, unless it has an appointment. An event that
    lies before the call is no booking, and yet a sign that the call reached somebody.
    """
    return await _Reader(context, account).findings(call, record)


async def note_transcript(
    context: CallContext,
    account: AccountKey,
    transcript: Transcript,
    call_id: str,
    call: Call | None = None,
) -> None:
    """Keep what a transcript shows that is read after its call was written, or for a `call` that
    the ledger does not have.
    """
    record = await context.ledger.read(rows.find, account, call_id)
    if record is not None:
        await _note_of_record(context, record, transcript)
    elif call is not None:
        spoken = spoken_in(transcript, call.submission, call.highlights)
        opt_out = opt_out_in(spoken, call)
        if opt_out is not None:
            await context.ledger.handle(account, TranscriptRead(call_id, spoken, opt_out))


async def _note_of_record(context: CallContext, record: CallRecord, transcript: Transcript) -> None:
    if record.has_transcript or record.call is None:
        return
    spoken = spoken_in(transcript, record.submission, record.call.highlights)
    if spoken.has_transcript:
        event = TranscriptRead(record.call.call_id, spoken)
        await context.ledger.handle(record.account, event)


class _Reader:
    """Reads what shows how a call of an account ended.

    Attributes:
        retry_after: As in `Look`, by the last answer that names one.
    """

    def __init__(self, context: CallContext, account: AccountKey) -> None:
        self._context = context
        self._account = account
        self.retry_after: float | None = None

    async def findings(self, call: Call, record: CallRecord | None) -> Findings:
        """See `read_findings`."""
        read = await self._read(lambda api: _calendar_of(api, call.call_id), _UNREAD)
        said = await self._read(lambda api: api.get_transcript(call.call_id), NOTHING_SAID)
        found = _shown(call, record, read, said)
        if said is None:
            return found
        spoken = spoken_in(said, _asked(call, record), call.highlights)
        return found._replace(spoken=spoken)

    async def _read(
        self,
        what: "Callable[[KallyAI], Awaitable[Found]]",
        nothing: Found,
    ) -> Found | None:
        """What KallyAI answers, `nothing` if it never will, and None if it may answer later."""
        context = self._context
        with (
            logged("reading how a call ended"),
            context.clock.move_on_after(context.timing.calendar),
        ):
            try:
                async with context.api_of(self._account) as api:
                    return await what(api)
            except KallyAIError as error:
                if _says_all(error):
                    return nothing
                self.retry_after = error.retry_after
                raise
        return None  # type: ignore[unreachable]  # after an error, which mypy does not see


def _shown(
    call: Call, record: CallRecord | None, read: Calendar | None, said: Transcript | None
) -> Findings:
    """What a calendar and a transcript show; each is None if KallyAI may still give it."""
    calendar = read or _UNREAD
    if calendar.appointment is not None:
        return Findings(_booking(calendar.appointment, call, record, said), reached=True)
    if call.plain_status == "success":
        canceled = _cancellation(call, record, said)
        reached = canceled is not None or not _was_only_machine(call, calendar, said)
        return Findings(replace(calendar, canceled=canceled), reached)
    if reached_somebody(call, callee_spoke=_callee_spoke(said)):
        return Findings(None, reached=True)
    is_known = read is not None and said is not None
    return Findings(None, reached=False if is_known else None)


def _was_only_machine(call: Call, calendar: Calendar, said: Transcript | None) -> bool:
    """Whether only a machine spoke in a call with `success`, and nothing shows that anything was
    agreed: neither an event, nor the report, nor the recording.
    """
    if said is None or not calendar.is_known:
        return False
    is_machine = spoke_with(said).spoke_with is SpokeWith.MACHINE
    return is_machine and not may_be_agreed(call, said)


def _booking(
    event: Appointment, call: Call, record: CallRecord | None, said: Transcript | None
) -> Calendar:
    """The calendar of a call with an event, and what was agreed to in words; an empty one if
    the call did not make the event.
    """
    if _is_before(event, call, record):
        return Calendar()
    return Calendar(event, words=_words(call, event, record, said))


def _words(
    call: Call, event: Appointment, record: CallRecord | None, said: Transcript | None
) -> Agreement | None:
    """What was agreed to in words; None without a transcript, or without a known clock."""
    zone = _zone_of(call, record)
    if zone is None or not isinstance(event.start, datetime):
        return None
    if said is None or not said.entries:
        return None
    asked = _asked(call, record)
    start = with_zone(event.start, zone)
    number = asked.respondent_phone
    people = asked.party_size
    return Agreement(agreed_other_time(call.highlights, said, start, number, people))


def _cancellation(call: Call, record: CallRecord | None, said: Transcript | None) -> Words | None:
    """The callee's words that say that a booking is canceled, after a call to cancel it."""
    if change_in(_asked(call, record)) is not Change.CANCEL:
        return None
    return cancellation_in(said or NOTHING_SAID)


def _asked(call: Call, record: CallRecord | None) -> Submission | SubmissionEcho:
    """What a call was asked for; what KallyAI repeats of that, if only KallyAI has the call."""
    return call.submission if record is None else record.submission


def _zone_of(call: Call, record: CallRecord | None) -> ZoneInfo | None:
    """The zone of the times of a request; None if only KallyAI has the call and its number has
    no zone, or several.
    """
    if record is not None:
        return ZoneInfo(record.timezone)
    name = zone_of_callee(call.submission.respondent_phone, otherwise="")
    return ZoneInfo(name) if name else None


def _is_before(event: Appointment, call: Call, record: CallRecord | None) -> bool:
    """Whether a calendar event lies before its call, so that the call did not make it."""
    if record is None:
        return lies_before(event, call.created_at, "Etc/GMT+12")  # each day ends there last
    return lies_before(event, replace(record, call=call).called_at, record.timezone)


def _callee_spoke(said: Transcript | None) -> bool | None:
    """Whether a transcript has words of the callee; None without one, or without any words."""
    if said is None or not said.entries:
        return None
    return any(entry.content and not entry.is_kallyai for entry in said.entries)


async def _calendar_of(api: "KallyAI", call_id: str) -> Calendar:
    try:
        text = await api.get_calendar(call_id)
    except NotFoundError as error:
        return Calendar(is_known=not isinstance(error, UnusableCallIdError))
    try:
        return Calendar(read_appointment(text))
    except UnreadableResponseError:
        if _is_calendar_file(text):  # KallyAI has no other one
            return Calendar(is_known=False)
        raise


def _is_calendar_file(text: str) -> bool:
    """Whether a text begins as a calendar file does (RFC 5545, section 3.4)."""
    return text.lstrip().upper().startswith("BEGIN:VCALENDAR")


_NO_ANSWERS = frozenset({408, 425, 429, 499})
"""The HTTP statuses below 500 that say nothing about what was asked for: it may be asked again."""


def _says_all(error: KallyAIError) -> bool:
    """Whether KallyAI will say no more: it has nothing, or the user is signed out.

    An answer that can't be read does not count: such as an empty one, it may be of something
    between here and KallyAI. A call that follows is refused for a user who is signed out, so that
    its list says that they have to sign in.
    """
    if isinstance(error, ServiceError):
        status = error.status or 404
        return 400 <= status < 500 and status not in _NO_ANSWERS
    return isinstance(error, NotSignedInError)
