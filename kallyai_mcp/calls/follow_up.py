"""What follows the end of a call: its next attempt, the next call of its list, or nothing.

What ends a call also makes what follows, as a record in state `scheduled`, due now or later. So
neither a crash between two calls nor a second worker can lose a call or place an extra one. The
plan is data: how often a call is tried is in its record, and the candidates are in the list.
"""

from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.changes import Changes, View, after
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.lists import go_on_after, stop_after
from kallyai_mcp.calls.records import WAITING, CallRecord, CallState
from kallyai_mcp.calls.requests import refusal_by_callee, with_key
from kallyai_mcp.calls.schedule import Attempt, Schedule, next_schedule


def ended(view: View, record: CallRecord) -> Changes[CallRecord]:
    """Save a record that has ended, and what follows it; the answer is the record, or the next
    attempt of its call.
    """
    saved = Changes(record, save=(record,))
    schedule = _next_schedule(view, record)
    if schedule is not None:
        return saved.then(_next_attempt(after(view, saved), record, schedule))
    return saved.then(go_on_after(after(view, saved), record)).answering(record)


def nothing_follows(view: View, record: CallRecord) -> Changes[None]:
    """Let no call follow `record`, which reached somebody, as is known only now, unless the next
    one was sent.
    """
    retry = _stopped_retry(view, record)
    changes = Changes(None, save=() if retry is None else (retry,))
    return changes.then(stop_after(after(view, changes), record))


def not_placed(view: View, record: CallRecord, error: KallyAIError) -> CallRecord:
    """A record after it is known that its call was not placed."""
    return replace(
        record, state=CallState.REFUSED, ended_at=view.now, delivered_at=None, error=error
    )


def _next_schedule(view: View, record: CallRecord) -> Schedule | None:
    """When a call is placed again that reached nobody; None if it is not, as after an opt-out."""
    if record.call is None or record.reached:
        return None
    attempt = Attempt(record.asked_at, record.call.plain_status, record.call.call_id)
    following = next_schedule(
        record.schedule,
        attempt,
        view.now,
        record.submission,
        record.timezone,
        view.timing.place_within,
    )
    if following is None or refusal_by_callee(view, record) is not None:
        return None
    return following


def _next_attempt(view: View, record: CallRecord, schedule: Schedule) -> Changes[CallRecord]:
    """The record becomes the next attempt, under a new key, so that the agent's tracking id stays
    valid.

    The ended attempt is copied under a new tracking id, so that limits count it, and KallyAI's call
    stays bound.
    """
    new = CallRecord.new(
        record.submission, record.account, view.now, record.timezone, record.session_id, schedule
    )
    new = replace(new, fingerprint=record.fingerprint, agreed_opt_out=record.agreed_opt_out)
    known = view.same_calls(new, Asked(view.now, view.now, schedule.not_before))
    # `new` has another tracking id, so that the generation of the record itself counts as used.
    numbered = with_key(view, new, known)
    retry = replace(numbered.answer, tracking_id=record.tracking_id, plan_id=record.plan_id)
    copy = replace(
        record,
        tracking_id=new.tracking_id,
        plan_id=None,
        delivered_at=view.now,
        schedule=replace(record.schedule, attempts=1),
    )
    return numbered.then(Changes(retry, save=(retry,), insert=(copy,)))


def _stopped_retry(view: View, record: CallRecord) -> CallRecord | None:
    """The attempt after `record` as it is to be: not placed, or the last one; None without one."""
    retry = view.open_call(record.fingerprint)
    if retry is None or record.call_id not in {one.call_id for one in retry.schedule.earlier}:
        return None
    if retry.state in WAITING:
        words = f"The attempt before ({record.call_id}) may have reached somebody."
        return not_placed(view, retry, KallyAIError(words, code="reached_before"))
    return replace(retry, schedule=replace(retry.schedule, attempts=retry.schedule.attempt))
