"""A call list: candidates that are called one after another, until a call has the result that the
user wants; or several at a time, if all of them are asked.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from kallyai_mcp.api.errors import KallyAIError, needs_sign_in
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.errors import refuses_one_number
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.outcome import BOOKED, Outcome
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import WAITING, AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import latest_moment
from kallyai_mcp.calls.tracking_ids import new_tracking_id

Until = Literal["booked", "answered", "all"]

_NOT_ASKED = Consent(None, "not_needed")

LONGEST = timedelta(hours=2)
"""How long a list may place calls after it was begun or has gone on (`asked_at`)."""


class StopReason(StrEnum):
    """Why a list has stopped."""

    BOOKED = "booked"  # KallyAI has a calendar event
    ANSWERED = "answered"  # somebody talked, and the user wanted no more than that
    DONE = "done"  # every candidate was called
    NEEDS_DECISION = "needs_decision"  # somebody talked, or will: something may be booked
    UNKNOWN = "unknown"  # how a call ended is not known
    NEEDS_SIGN_IN = "needs_sign_in"  # the account is no longer signed in
    REFUSED = "refused"  # no call may be placed now: one was refused, or it is too late for all
    CANCELED = "canceled"  # the user canceled it


FOR_USER = frozenset({StopReason.NEEDS_DECISION, StopReason.UNKNOWN})
"""After these, the user decides whether to pass the candidate who was called last: that one may
have agreed.
"""

ENDED_FOR_GOOD = frozenset({StopReason.BOOKED, StopReason.DONE, StopReason.CANCELED})
"""After these, a list never goes on."""

_MAY_GO_ON = frozenset(StopReason) - ENDED_FOR_GOOD
"""After these, a list goes on if the user wants that."""

_AFTER_A_CALL = FOR_USER | {StopReason.BOOKED, StopReason.ANSWERED}
"""A list stops for these because of how a call of it has ended."""

PASSES = FOR_USER | {StopReason.ANSWERED}
"""After these, a list that goes on passes the candidate of its last call, if that was placed."""


@dataclass(frozen=True)
class CallList:
    """A list as the ledger has it. All times are aware.

    Attributes:
        submissions: What KallyAI is asked to do for each candidate, in the order of the calls:
            those who were called come first. A candidate who may no longer be called is moved to
            the end.
        until: The result after which it stops.
        accept_other_time: Whether it also stops at a booking for another time.
        timezones: The IANA zone of the times in each submission.
        list_id: Also the `plan_id` of all its calls, and the `session_id` of those that it has made
            itself.
        goes_on_if_answered: Whether a call that was answered, and made no calendar event, does not
            stop it.
        asked_at: When it was begun, or went on last.
        passed: How many of the first candidates the user has decided to pass, however their calls
            ended.
        stop_reason: Why it has stopped; None while it goes on.
        records: The records of its calls so far, in the order of the calls; none while it is not in
            the ledger.
        unreadable: The numbers of candidates with a record that this version can't read.
    """

    account: AccountKey
    submissions: tuple[Submission, ...]
    until: Until
    accept_other_time: bool
    timezones: tuple[str, ...]
    asked_at: datetime
    list_id: str = field(default_factory=new_tracking_id)
    goes_on_if_answered: bool = False
    consent: Consent = _NOT_ASKED
    passed: int = 0
    stop_reason: StopReason | None = None
    ended_at: datetime | None = None
    records: tuple[CallRecord, ...] = ()
    unreadable: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """A digest that is equal for two lists that request the same calls, in any order."""
        calls = sorted(map(fingerprint, self.submissions))
        text = json.dumps([self.until, self.accept_other_time, *calls])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def not_called(self) -> tuple[Submission, ...]:
        """The submissions of the candidates who were not called, as far as is known."""
        if self.stop_reason is StopReason.DONE or self.misses_calls:
            return ()  # also one whose record can't be read
        return self._without(_numbers(self.records) | self.unreadable)

    @property
    def unread(self) -> int:
        """How many candidates were called whose records this version can't read."""
        return len(self.submissions) - len(self.records) - len(self.not_called)

    @property
    def misses_calls(self) -> bool:
        """Whether it has stopped after a call, and none is found: another version has them."""
        has_called = self.stop_reason in _AFTER_A_CALL
        return has_called and not self.records and not self.unreadable

    @property
    def to_come(self) -> tuple[Submission, ...]:
        """The submissions of the candidates who may be called if it goes on, with those whose calls
        were refused.
        """
        return self._without(_numbers(self.records) - _numbers(self.refused))

    @property
    def asks_all(self) -> bool:
        """Whether it calls every candidate, several at a time: in such calls, nothing is agreed
        to.
        """
        return self.until == "all"

    @property
    def refused(self) -> tuple[CallRecord, ...]:
        """Its calls that were not placed, and whose candidates are called again when it goes on.

        They are its last call, or where all are asked, each one that has stopped it.
        """
        if self.asks_all:
            return tuple(
                one for one in self._decisive if one.was_refused and self._stop_reason_after(one)
            )
        return tuple(one for one in self.records[-1:] if one.was_refused)

    def is_last(self, record: CallRecord) -> bool:
        """Whether this is its last call."""
        return bool(self.records) and self.records[-1].tracking_id == record.tracking_id

    @property
    def waiting(self) -> tuple[CallRecord, ...]:
        """The calls that it has made, and whose requests have not left."""
        return tuple(filter(_may_leave, self.records))

    @property
    def due(self) -> tuple[CallRecord, ...]:
        """The calls that it has made, and that no worker has reserved yet."""
        return tuple(filter(_is_due, self.records))

    @property
    def in_progress(self) -> tuple[CallRecord, ...]:
        """Its calls that are in progress, or due now."""
        return tuple(one for one in self.records if one.is_active or _is_due(one))

    @property
    def is_calling(self) -> bool:
        """Whether a call of it is in progress. A list that has stopped may still be calling."""
        return any(one.is_active for one in self.records)

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or a call of it is in progress."""
        return self.stop_reason is None or self.is_calling

    @property
    def may_go_on(self) -> bool:
        """Whether it has stopped, and goes on when the user wants that, with a new consent.

        * Not after a reason of `ENDED_FOR_GOOD`, nor while a call of it is in progress, which may
          book.
        * If calls were not placed (`refused`), those candidates are called again, whatever has
          stopped the list, and the new calls count like any other; but not if another list has the
          same call.
        * Otherwise the next candidate is called. After `NEEDS_DECISION`, `UNKNOWN`, and `ANSWERED`,
          the user has passed the last one: whatever becomes of that call stops the list no more.
          After `NEEDS_SIGN_IN` and `REFUSED` (only older versions left no record of what was
          refused), it still counts: somebody may have talked after all.
        * While a record of it can't be read, it does not: that call may have reached somebody.
        """
        if self.unreadable or self.is_calling or self._is_in_another_list:
            return False
        can_be_named = bool(self.records)  # by `continue_after`
        return self.stop_reason in _MAY_GO_ON and can_be_named and bool(self.to_come)

    @property
    def _is_in_another_list(self) -> bool:
        """Whether another list has placed one of its calls."""
        return any(one.has_error("in_another_list") for one in self.records)

    @property
    def waits_for_user(self) -> bool:
        """Whether it may go on, and has not the result that was asked for."""
        return self.may_go_on and self.stop_reason is not StopReason.ANSWERED

    @property
    def next_is_too_late(self) -> bool:
        """Whether it has stopped because it was too late for the next candidate."""
        if self.ended_at is None or self.stop_reason is not StopReason.REFUSED or self.refused:
            return False
        return bool(self.not_called) and self.is_too_late(len(self.records), self.ended_at)

    def is_too_late(self, place: int, now: datetime) -> bool:
        """Whether the candidate at this place of `submissions` may no longer be called by it.

        Their night has begun, or the appointment is past, since the list was begun or went on. If
        that was so before, the user has agreed to the call all the same.
        """
        return now > latest_moment(self.submissions[place], self.timezones[place], self.asked_at)

    def is_too_late_for_all(self, now: datetime) -> bool:
        """Whether it is too late for everyone who was not called yet."""
        left = range(len(self.records), len(self.submissions))
        return all(self.is_too_late(place, now) for place in left)

    def with_next_last(self) -> "CallList":
        """The list in which the next candidate comes last."""
        place = len(self.records)
        places = range(len(self.submissions))
        return self._in_order([*places[:place], *places[place + 1 :], place])

    def without(self, ids: Collection[str]) -> "CallList":
        """The list without the calls with these tracking ids: their candidates come next."""
        stay = tuple(one for one in self.records if one.tracking_id not in ids)
        called = _numbers(stay) | self.unreadable

        def is_left(place: int) -> bool:
            return self.submissions[place].respondent_phone not in called

        order = sorted(range(len(self.submissions)), key=is_left)  # who was called comes first
        return replace(self._in_order(order), records=stay)

    def with_calls(self, records: Iterable[CallRecord]) -> "CallList":
        """The list with these records of its calls, in the order of its candidates."""
        by_number = {one.submission.respondent_phone: one for one in records}
        called = (by_number.get(one.respondent_phone) for one in self.submissions)
        return replace(self, records=tuple(filter(None, called)))

    def _in_order(self, places: Iterable[int]) -> "CallList":
        """The list with its candidates, who are at these places, in this order."""
        order = tuple(places)
        return replace(
            self,
            submissions=tuple(self.submissions[place] for place in order),
            timezones=tuple(self.timezones[place] for place in order),
        )

    def _without(self, numbers: Collection[str]) -> tuple[Submission, ...]:
        """The submissions of the candidates who have none of these numbers."""
        return tuple(one for one in self.submissions if one.respondent_phone not in numbers)

    def was_delivered(self, before: datetime) -> bool:
        """Whether the outcomes of its calls were delivered before this time."""
        return all(one.was_delivered(before) for one in self.records if one.has_outcome)

    @property
    def unclear_before_next(self) -> CallRecord | None:
        """The call before its next one, if it may turn out to have reached somebody.

        None if that is known, or if it would not stop the list.
        """
        if self.asks_all or len(self.records) < 2:
            return None
        before = self.records[-2]
        is_unclear = before.state is CallState.ENDED and before.reached is None
        return before if is_unclear else None

    @property
    def before_refused(self) -> tuple[CallRecord, ...]:
        """The call before the one that was refused, and that one, where the call before may stop it
        after all.
        """
        return self.records[-2:] if self.refused and not self.asks_all else ()

    @property
    def as_it_is_now(self) -> "CallList":
        """The list, stopped for the reason that its calls give by now.

        A call that has expired stops it, even if nothing has written that yet. After an unknown
        outcome, more may be known.
        """
        has_expired = any(one.state is CallState.EXPIRED for one in self._decisive)
        if self.stop_reason is None and has_expired:
            return replace(self, stop_reason=self.next_stop_reason())
        if self.stop_reason is StopReason.UNKNOWN:
            return replace(self, stop_reason=self.next_stop_reason() or StopReason.UNKNOWN)
        return self

    def next_stop_reason(self) -> StopReason | None:
        """Why no further candidate may be called after what is known of its calls; None when the
        next one may, or when everybody was called and a call goes on.
        """
        if not self.records:
            return None
        for record in self._decisive:
            reason = self._stop_reason_after(record)
            if reason is not None:
                return reason
        if self.unreadable:
            return StopReason.UNKNOWN
        is_over = self.has_called_all and not self.in_progress
        return StopReason.DONE if is_over else None

    @property
    def has_called_all(self) -> bool:
        """Whether there is a call for each candidate."""
        return len(self.records) == len(self.submissions)

    @property
    def _decisive(self) -> tuple[CallRecord, ...]:
        """The calls that may stop it: the last one, or each one where all are asked; but not those
        that the user has passed.
        """
        first = self.passed
        if not self.asks_all:
            first = max(first, len(self.records) - 1)
        return self.records[first:]

    def _stop_reason_after(self, record: CallRecord) -> StopReason | None:
        """Why it stops after this call; None if it goes on."""
        if record.state is CallState.CANCELED:
            return StopReason.CANCELED
        if record.error is not None and record.was_refused:
            return _stop_reason_of_refusal(record.error)
        if record.outcome is Outcome.UNKNOWN:
            return None if self.asks_all else StopReason.UNKNOWN
        if record.state is CallState.SCHEDULED and not record.is_of_list:
            return StopReason.NEEDS_DECISION
        if self.asks_all or not _has_reached_somebody(record):
            return None
        return self._stop_reason_after_talk(record)

    def _stop_reason_after_talk(self, record: CallRecord) -> StopReason | None:
        """Why it stops after a call that reached somebody; None if it goes on."""
        if record.outcome in (Outcome.FAILED, Outcome.CANCELED):
            return StopReason.NEEDS_DECISION
        if self.until == "answered":
            return StopReason.ANSWERED
        if self.goes_on_if_answered and _has_no_event(record):
            return None
        if record.outcome in self._wanted:
            return StopReason.BOOKED
        return StopReason.NEEDS_DECISION

    @property
    def _wanted(self) -> tuple[Outcome, ...]:
        """The outcomes of a booking that the user wants."""
        if self.accept_other_time:
            return BOOKED
        return (Outcome.BOOKED,)


def _may_leave(record: CallRecord) -> bool:
    """Whether a list has made this call, and its request has not left."""
    return record.is_of_list and record.state in WAITING


def _is_due(record: CallRecord) -> bool:
    """Whether a list has made this call, and no worker has reserved it yet."""
    return record.is_of_list and record.state is CallState.SCHEDULED


def _has_reached_somebody(record: CallRecord) -> bool:
    return record.call is not None and bool(record.reached)


def _has_no_event(record: CallRecord) -> bool:
    """Whether somebody talked, and KallyAI has certainly no calendar event."""
    if record.outcome is not Outcome.ANSWERED or record.calendar is None:
        return False
    return record.calendar.is_known and record.calendar.appointment is None


def _numbers(records: Iterable[CallRecord]) -> frozenset[str]:
    """The numbers that these calls are to."""
    return frozenset(one.submission.respondent_phone for one in records)


def _stop_reason_of_refusal(error: KallyAIError) -> StopReason | None:
    """Why a list stops after a call was refused with `error`; None when only this candidate can't
    be called.
    """
    if needs_sign_in(error):
        return StopReason.NEEDS_SIGN_IN
    return None if refuses_one_number(error) else StopReason.REFUSED
