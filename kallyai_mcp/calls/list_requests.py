"""What a request about a list does: it begins one, lets one go on, or cancels it."""

from dataclasses import replace
from datetime import datetime, timedelta

from kallyai_mcp.calls.call_lists import ENDED_FOR_GOOD, PASSES, CallList, StopReason
from kallyai_mcp.calls.changes import Changes, View, after
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.events import CancelList, ListRequested
from kallyai_mcp.calls.expiring import list_now
from kallyai_mcp.calls.list_consent import first_consent
from kallyai_mcp.calls.lists import Sender, go_on, in_ledger, stop, take_out
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.requests import check_consent, last_call
from kallyai_mcp.calls.tracking_ids import ids_of


def request_list(view: View, event: ListRequested) -> Changes[tuple[CallList, bool]]:
    """Begin a list, or let it go on if it has calls already, and make its next calls.

    Nothing is done if another list answers the request, or if the list has changed since it was
    read so that it may not go on.

    Raises:
        ConsentOutdatedError: A number was called since, the confirmation was used already, or the
            first consent does not cover that the list goes on.
    """
    requested = event.requested
    known = _known(view, requested)
    if known is not None and not _may_go_on(known, requested):
        return Changes((known, False))
    call_list = replace(known or requested, goes_on_if_answered=requested.goes_on_if_answered)
    consent, agreed_at = _agreed(view, known, call_list, event)
    freed = _freed(view, call_list)
    agreed = replace(
        freed.answer, consent=consent, asked_at=agreed_at, stop_reason=None, ended_at=None
    )
    begun = Changes(agreed, begin=(agreed,)) if known is None else _continued(freed, view, agreed)
    changes = freed.then(begun).then(Changes(agreed, used=event.consent.confirmation_id))
    placed = go_on(after(view, changes), agreed, Sender(event.worker, event.tracking_ids))
    return changes.then(placed).answering((placed.answer, True))


def cancel_list(view: View, event: CancelList) -> Changes[None]:
    """Stop a list so that it can't go on, and cancel all its calls that were not sent; nothing if
    it has ended.
    """
    found = view.call_list(event.list_id)
    if found is None:
        return Changes(None)
    call_list = list_now(view, found)
    if call_list.stop_reason in ENDED_FOR_GOOD:
        return Changes(None)
    return stop(view, call_list, StopReason.CANCELED).answering(None)


def same_list(view: View, requested: CallList) -> CallList | None:
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a
    short time ago.
    """
    lists = [list_now(view, found) for found in view.same_lists(requested.fingerprint)]
    return next((one for one in lists if _answers(view, one)), None)


def last_calls(view: View, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None
    for never.
    """
    return tuple(last_call(view, one.respondent_phone) for one in requested.to_come)


def _answers(view: View, call_list: CallList) -> bool:
    """Whether a list answers a request for the same one."""
    timing = view.timing
    seconds = timing.wait_for_user if call_list.waits_for_user else timing.repeat_after
    ended_at = call_list.ended_at
    if ended_at is None or ended_at > view.now - timedelta(seconds=seconds):
        return True
    if call_list.stop_reason is StopReason.CANCELED:
        return False
    return not call_list.was_delivered(view.now - timedelta(seconds=timing.repeat_after_delivery))


def _known(view: View, requested: CallList) -> CallList | None:
    """The list in the ledger that a request is about, which may ask for a new one."""
    if not requested.records:
        return same_list(view, requested)
    found = view.call_list(requested.list_id)
    return list_now(view, found) if found is not None else None


def _may_go_on(known: CallList, requested: CallList) -> bool:
    """Whether a list may go on, and has made no call since it was read."""
    return known.may_go_on and ids_of(known.records) == ids_of(requested.records)


def _agreed(
    view: View, known: CallList | None, call_list: CallList, event: ListRequested
) -> tuple[Consent, datetime]:
    """The consent with which a list begins or goes on, and when it was given."""
    if event.consent.how == "first_consent":
        if known is None:
            raise ConsentOutdatedError("The ledger no longer has the list, so the user is asked")
        return first_consent(view, known, event.usage), known.asked_at
    check_consent(view, event.consent, last_calls(view, call_list))
    return event.consent, view.now - timedelta(seconds=event.agreed_ago)


def _freed(view: View, call_list: CallList) -> Changes[CallList]:
    """A list that goes on: candidates whose calls were refused are called again, those whose calls
    the user has decided on are passed.
    """
    again = call_list.refused
    freed = take_out(view, call_list, again)
    # Then the decision was about the call that was refused since.
    is_about_refused = bool(again) and not call_list.asks_all
    if is_about_refused or call_list.stop_reason not in PASSES:
        return freed
    return freed.answering(replace(freed.answer, passed=len(freed.answer.records)))


def _continued(freed: Changes[CallList], view: View, call_list: CallList) -> Changes[CallList]:
    """A list that goes on, with its calls that an older version has made."""
    known = in_ledger(after(view, freed), call_list.records)
    older = [one for one in known if one.plan_id is None]
    joined = tuple(replace(one, plan_id=call_list.list_id) for one in older)
    return Changes(call_list, save=joined, lists=(call_list,))
