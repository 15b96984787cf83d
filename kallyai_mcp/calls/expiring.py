"""What happens when it is too late for a scheduled call: it expires, and so does its list.

A reader sees such a call as expired (`changes.as_it_is_now`). `expire` writes that down.
"""

from dataclasses import replace

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.changes import Changes, View, after, as_it_is_now
from kallyai_mcp.calls.events import Late
from kallyai_mcp.calls.records import CallRecord, expired, is_late


def expire_late(view: View, event: Late) -> Changes[None]:
    """End those of these calls that are late."""
    changes = Changes(None)
    for tracking_id in event.ids:
        record = view.record(tracking_id)
        if record is not None and is_late(record, view.expires_before):
            changes = changes.then(expire(after(view, changes), record)).answering(None)
    return changes


def expire(view: View, record: CallRecord) -> Changes[CallRecord]:
    """End a late call, and its list.

    The list goes on with another call if this one was asked for alone, and has joined it.
    """
    ended = expired(record, view.now)
    saved = Changes(ended, save=(ended,))
    call_list = list_of(after(view, saved), record)
    if call_list is None or call_list.stop_reason is not None:
        return saved
    if not record.is_of_list and any(one.is_open for one in call_list.records):
        return saved
    # The time in which it may place calls is over.
    return saved.then(stopped(view, call_list, StopReason.REFUSED)).answering(ended)


def stopped(view: View, call_list: CallList, reason: StopReason) -> Changes[CallList]:
    """Stop a list for this reason; the answer is the list as it is then."""
    ended = replace(call_list, stop_reason=reason, ended_at=view.now)
    return Changes(ended, lists=(ended,))


def list_of(view: View, record: CallRecord) -> CallList | None:
    """The list that this is a call of, as it was written; None when there is none."""
    return view.call_list(record.plan_id) if record.plan_id is not None else None


def list_now(view: View, call_list: CallList) -> CallList:
    """A list as everybody sees it: its late calls have expired."""
    records = tuple(as_it_is_now(view, record) for record in call_list.records)
    return replace(call_list, records=records).as_it_is_now
