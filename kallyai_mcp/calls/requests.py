"""What a request for a call gets: the record that answers it, an error, or a new record.

A new record is written in the same decision that has found no duplicate, no limit, and a consent
that fits, so that two requests at once place one call.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls.changes import AuditLine, Changes, PlacedCall, SameCalls, View, as_it_is_now
from kallyai_mcp.calls.changes import after as after_changes
from kallyai_mcp.calls.duplicates import Asked, DeliveredHere, find_answer, to_look_at
from kallyai_mcp.calls.errors import (
    ConsentOutdatedError,
    ConstraintError,
    LookFirstError,
    RecordDeletedError,
)
from kallyai_mcp.calls.events import Checked, Requested
from kallyai_mcp.calls.expiring import expire, list_of
from kallyai_mcp.calls.opt_outs import check_permission
from kallyai_mcp.calls.policy import Consent, Limit
from kallyai_mcp.calls.records import NEVER_PLACED, NOT_PLACED, CallRecord, is_late

_EVER = datetime.fromtimestamp(0, UTC)
"""A time before every call."""


def check(view: View, event: Checked) -> Changes[CallRecord]:
    """The record that a request would get now; nothing is changed.

    Raises:
        PolicyError: A setting refuses the call. Of several limits, the error names the one that
            lasts longest.
    """
    asked = _asked(view, event)
    known = _same_calls(view, event, asked)
    answer = _duplicate(view, event.requested, known, asked) or _as_new(view, event.requested)
    return Changes(answer)


def request(view: View, event: Requested) -> Changes[CallRecord]:
    """Write the record of a call, unless another one answers the request.

    Raises:
        PolicyError: As `check`.
        OptedOutError: The number has opted out, and no user can be asked.
        ConsentOutdatedError: The number was called since the user agreed, or has opted out, or the
            confirmation was used already.
        LookFirstError: The newest call of this request that reached nobody is another record than
            `looked_at`.
    """
    requested = event.check.requested
    consent = event.consent
    asked = _asked(view, event.check)
    known = _same_calls(view, event.check, asked)
    duplicate = _duplicate(view, requested, known, asked)
    if duplicate is not None:
        return Changes(duplicate)
    if consent.is_looked_at:
        check_consent(view, consent, [last_call(view, requested.submission.respondent_phone)])
    agreed = _agreed(view, requested, consent)
    earlier = to_look_at(_now(view, known), asked, view.timing)
    if earlier is not None and earlier.tracking_id != event.looked_at:
        raise LookFirstError(earlier)
    numbered = agreed.then(with_key(view, agreed.answer, known))
    new = _as_new(view, numbered.answer)
    return numbered.then(
        Changes(
            new,
            insert=(new,),
            audit=(AuditLine(new, consent),),
            used=consent.confirmation_id,
        )
    )


def _same_calls(view: View, event: Checked, asked: Asked) -> SameCalls:
    """The records of the same call, also those of an older version."""
    known = view.same_calls(event.requested, asked)
    if event.older_fingerprint is None:
        return known
    older = replace(event.requested, fingerprint=event.older_fingerprint)
    return known.with_others(view.same_calls(older, asked))


def _duplicate(
    view: View, requested: CallRecord, known: SameCalls, asked: Asked
) -> CallRecord | None:
    """The record that answers a request, which no setting refuses."""
    duplicate = answer_among(view, known, asked)
    if duplicate is not None:
        return duplicate
    refusal = refusal_by_setting(view, requested)
    if refusal is not None:
        raise refusal
    return None


def _agreed(view: View, requested: CallRecord, consent: Consent) -> Changes[CallRecord]:
    """The record that is asked for, with the opt-out that its user has agreed to, or removed.

    Raises:
        OptedOutError, ConsentOutdatedError: The call may not be placed.
    """
    opt_out = view.opt_out(requested.submission.respondent_phone)
    check_permission(opt_out, consent)
    if opt_out is None:
        return Changes(requested)
    if consent.lifts_opt_out:
        return Changes(requested, lifted=(opt_out,))
    return Changes(replace(requested, agreed_opt_out=opt_out.id))


def answer_among(view: View, known: SameCalls, asked: Asked) -> CallRecord | None:
    """The record that answers a request (`duplicates.find_answer`).

    Raises:
        ConstraintError: There is a record that this version can't read, so nothing may be placed.
        RecordDeletedError: There was one within a day, and the user has not asked for another call.
    """
    if not known.is_whole:
        raise ConstraintError(
            "A newer version of kallyai-mcp has this call in the ledger; update this one"
        )
    answer = find_answer(_now(view, known), asked, view.timing)
    if answer is None and known.was_deleted and not asked.redial:
        raise RecordDeletedError
    return answer


def refusal_of(view: View, record: CallRecord) -> PolicyError | None:
    """Why a call that was planned may not be placed: a setting, or an opt-out of its number."""
    return refusal_by_setting(view, record) or refusal_by_callee(view, record)


def refusal_by_callee(view: View, record: CallRecord) -> PolicyError | None:
    """The error if the number has opted out; None if its user knew of that and agreed."""
    opt_out = view.opt_out(record.submission.respondent_phone)
    if opt_out is None or opt_out.id == record.agreed_opt_out:
        return None
    call_list = list_of(view, record)
    is_agreed_in_list = call_list is not None and opt_out.id in call_list.consent.opt_outs
    return None if is_agreed_in_list else opt_out.error


def refusal_by_setting(view: View, record: CallRecord) -> PolicyError | None:
    """The error of the setting that refuses a call; None if none does."""
    number = record.submission.respondent_phone
    policy = view.policy
    newest = {limit: _counted(view, limit, number) for limit in policy.limits()}
    return policy.refusal(number, newest, view.now, record.schedule.not_before or view.now)


def last_call(view: View, number: str) -> datetime | None:
    """When the last call to a number was placed, or may have been; None for never."""
    newest = view.newest_placed(number, _EVER, 1)
    return newest[0].asked_at if newest else None


def check_consent(view: View, consent: Consent, last_calls: Sequence[datetime | None]) -> None:
    """Raise `ConsentOutdatedError` if a consent no longer fits, given the newest call of each
    number that may be called.
    """
    if consent.joins:
        raise ConsentOutdatedError(
            "The same call was not placed, so the risks of a new one have to be looked for"
        )
    if consent.confirmation_id is not None and view.was_used(consent.confirmation_id):
        raise ConsentOutdatedError(
            "This confirmation was used already, so the user has to be asked again"
        )
    if consent.how != "never_asks" and tuple(last_calls) != consent.last_calls:
        raise ConsentOutdatedError(
            "A number was called meanwhile, so the user has to be asked again"
        )


def with_key(view: View, requested: CallRecord, known: SameCalls) -> Changes[CallRecord]:
    """The record that is asked for, with the current time, its day, its generation, and its key.

    A scheduled record of the same call, which is too late, expires: only one may be open.

    The key is new, unless no request with the last one of today has left: in a ledger that was
    restored from a backup, KallyAI may know that key all the same.

    Nor is it new if the last request was refused by 429, also if it was put off and then expired or
    was canceled: KallyAI may have placed that call all the same, and may list it only when it has
    ended. So the record has the time of that request as its
    `response_lost_at`: the sender looks into the list first. If the call is still in progress,
    KallyAI recognizes the key and places no second one. A key is sent with the submission that it
    was first sent with, whatever a setting says by now: KallyAI refuses it with another one, and
    lists the call with that one.
    """
    others = [one for one in known.records if one.tracking_id != requested.tracking_id]
    now = view.now
    new = replace(requested, asked_at=now, day=now.astimezone(UTC).date().isoformat())
    of_day = [one for one in others if one.day == new.day]
    last = max(of_day, key=lambda one: one.generation, default=None)
    newest = -1 if last is None else last.generation
    hidden = max(known.hidden_generations, default=-1)
    new = replace(new, generation=max(newest, hidden) + 1)
    expiring = _expired(view, others)
    if last is None or hidden > newest:
        return expiring.answering(replace(new, idempotency_key=idempotency_key(new)))
    if not _may_have_been_placed(last):
        key = last.idempotency_key if _never_left(view, last) else idempotency_key(new)
        return expiring.answering(replace(new, idempotency_key=key))
    return expiring.answering(
        replace(
            new,
            submission=last.submission,
            timezone=last.timezone,
            idempotency_key=last.idempotency_key,
            response_lost_at=_first_loss(view, last),
            clock_offset=last.clock_offset,
        )
    )


def idempotency_key(record: CallRecord) -> str:
    """The `Idempotency-Key` of a call: a UUID that is the same on every machine, and after the
    ledger was lost.
    """
    named = json.dumps(
        [*record.account.columns.values(), record.fingerprint, record.day, record.generation]
    )
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"kallyai-mcp/call/{named}"))


def _may_have_been_placed(record: CallRecord) -> bool:
    """Whether KallyAI answered 429 to the request of a call that was not placed."""
    return record.state in NOT_PLACED and record.response_lost_at is not None


def _never_left(view: View, record: CallRecord) -> bool:
    """Whether a call is over, or expires now, and its request has not left, nor will it."""
    is_over = record.state in NEVER_PLACED or is_late(record, view.expires_before)
    return is_over and record.sent_at is None


def _first_loss(view: View, record: CallRecord) -> datetime | None:
    """Since when the call of a request that got 429 may be in KallyAI's list.

    A call of an earlier request may have gone on until then.
    """
    lost_at = record.response_lost_at
    sent_at = record.sent_at
    if lost_at is None or sent_at is None:
        return lost_at
    return max(min(lost_at, sent_at), sent_at - timedelta(seconds=view.timing.search))


def _expired(view: View, others: Sequence[CallRecord]) -> Changes[None]:
    """The late ones of these records expire."""
    changes = Changes(None)
    for record in others:
        if is_late(record, view.expires_before):
            changes = changes.then(expire(after_changes(view, changes), record)).answering(None)
    return changes


def _asked(view: View, event: Checked) -> Asked:
    """The request as a value, with times by the ledger's clock."""
    now = view.now
    not_before = event.requested.schedule.not_before
    if event.arrived is None:
        return Asked(now, now, not_before, event.redial)
    delivered_here = None
    if event.last_delivered is not None:
        before = timedelta(seconds=event.last_delivered.since.passed() - event.arrived.passed())
        delivered_here = DeliveredHere(event.last_delivered.tracking_id, before)
    arrived = now - timedelta(seconds=event.arrived.longest())
    return Asked(now, arrived, not_before, event.redial, delivered_here)


def _as_new(view: View, record: CallRecord) -> CallRecord:
    number = record.submission.respondent_phone
    called = last_call(view, number)
    return replace(record, is_new=True, last_call=called, opt_out=view.opt_out(number))


def _now(view: View, known: SameCalls) -> list[CallRecord]:
    return [as_it_is_now(view, record) for record in known.records]


def _counted(view: View, limit: Limit, number: str) -> list[datetime]:
    """When the newest calls that count for a limit were placed, newest first."""
    since = view.now - limit.window
    placed: Sequence[PlacedCall] = view.newest_placed(
        number if limit.per_number else None, since, limit.count
    )
    return [one.asked_at for one in placed]
