"""Reads lists of candidates; `calls.lists` decides how they go on, and `calls.list_requests` what a
request about one does.
"""

from datetime import datetime

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.calls import list_requests
from kallyai_mcp.calls import lists as decide_lists
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.errors import ConstraintError
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.ledger.list_rows import is_unreadable, list_id_of, select_lists
from kallyai_mcp.calls.ledger.rows import find
from kallyai_mcp.calls.ledger.view import SqlView
from kallyai_mcp.calls.records import AccountKey


def find_list(tx: Tx, account: AccountKey, list_id: str) -> CallList | None:
    """The account's list with this id; None when there is none.

    Raises:
        ConstraintError: This version can't read it.
    """
    found = next(iter(select_lists(tx, account, "list_id = :id", id=list_id)), None)
    if found is None and is_unreadable(tx, account, list_id):
        raise ConstraintError("A newer version of kallyai-mcp has this list; update this one")
    return found


def find_same_list(tx: Tx, requested: CallList) -> CallList | None:
    """The list that answers the request for `requested`: it goes on, waits for its user, or ended a
    short time ago.
    """
    return list_requests.same_list(SqlView(tx, requested.account), requested)


def find_list_of(tx: Tx, requested: CallList, call_id: str) -> CallList | None:
    """The list like `requested` with the call of this `call_id` or `tracking_id`; None when there
    is none.
    """
    record = find(tx, requested.account, call_id)
    if record is None:
        return None
    list_id = list_id_of(tx, record)
    if list_id is None:
        return None
    found = find_list(tx, requested.account, list_id)
    if found is None or found.fingerprint != requested.fingerprint:
        return None
    return found


def list_unfinished(tx: Tx, account: AccountKey) -> list[CallList]:
    """The account's lists that go on, or have waited for the user for at most
    `Timing.wait_for_user`, newest first.

    A list whose last call is in progress goes on.
    """
    # Apart, so that SQLite uses an index for each.
    recent = select_lists(tx, account, "ended_at IS NULL")
    recent += select_lists(tx, account, "ended_at > :since", since=tx.now - tx.timing.wait_for_user)
    unfinished = [each for each in recent if each.is_open or each.waits_for_user]
    return sorted(unfinished, key=lambda each: each.asked_at, reverse=True)


def find_with_due(tx: Tx, account: AccountKey, list_id: str) -> list[CallList]:
    """Of the account's open lists, those with calls that are due: the one with this id, and those
    that ask all candidates.
    """
    going_on = select_lists(tx, account, "ended_at IS NULL")
    return [one for one in going_on if _has_due_calls(one, list_id)]


def _has_due_calls(one: CallList, list_id: str) -> bool:
    """Whether a list has calls that the worker of the list with this id may place."""
    if not one.is_open or not one.due:
        return False
    return one.asks_all or one.list_id == list_id


def last_calls(tx: Tx, requested: CallList) -> tuple[datetime | None, ...]:
    """When the number of each candidate in `requested.to_come` was called last, in that order; None
    for never.
    """
    return list_requests.last_calls(SqlView(tx, requested.account), requested)


def refusal_of_all(tx: Tx, requested: CallList) -> PolicyError | None:
    """The error of a setting, if settings refuse the calls to all candidates who may come next."""
    return decide_lists.refusal_of_all(SqlView(tx, requested.account), requested)
