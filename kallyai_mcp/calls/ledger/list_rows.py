"""The rows of lists in the ledger's tables, and which calls belong to a list, also to one of an
older version.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.columns import if_any
from kallyai_mcp.calls.ledger.conditions import MINE
from kallyai_mcp.calls.ledger.rows import log_unreadable, readable
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.tracking_ids import ids_of
from kallyai_mcp.clock import moment, moment_or_none, seconds_or_none

_CALLS_OF_LIST = (
    f"SELECT * FROM calls WHERE {MINE} AND plan_id = :list_id",
    # So that SQLite begins with the few rows.
    "SELECT calls.* FROM call_list_calls CROSS JOIN calls "
    "WHERE list_id = :list_id AND calls.tracking_id = call_list_calls.tracking_id "
    f"AND {MINE} AND plan_id IS NULL",
)
"""Select the calls of a list, and those that a process of an older version has made since the
migration: before a call had a `plan_id`, a table of its own said which list it belonged to.
"""


Records = Callable[[Iterable[Row]], list[CallRecord]]
"""Returns the records in rows; those that this version can't read are left out."""


def select_lists(tx: Tx, account: AccountKey, condition: str, **values: Any) -> list[CallList]:
    """The account's lists that meet a condition, with their calls as they are now."""
    return select_lists_with(partial(readable, tx), tx, account, condition, **values)


def select_lists_with(
    records_in: Records, tx: Tx, account: AccountKey, condition: str, **values: Any
) -> list[CallList]:
    """The account's lists that meet a condition, with the records of their calls as `records_in`
    returns them. Those that this version can't read are logged and left out.
    """
    rows = tx.rows(
        f"SELECT * FROM call_lists WHERE {MINE} AND {condition}", **account.columns, **values
    )
    found = (_with_calls(records_in, tx, account, row) for row in rows)
    return [call_list for call_list in found if call_list is not None]


def is_unreadable(tx: Tx, account: AccountKey, list_id: str) -> bool:
    """Whether the account has a list that this version can't read."""
    exists = f"SELECT 1 FROM call_lists WHERE {MINE} AND list_id = :id"
    if not tx.rows(exists, id=list_id, **account.columns):
        return False
    return not select_lists(tx, account, "list_id = :id", id=list_id)


def _with_calls(records_in: Records, tx: Tx, account: AccountKey, row: Row) -> CallList | None:
    """The list in a row, with the records of its calls, also those of an older version; None if
    this version can't read it.
    """
    found: list[Row] = []
    for calls in _CALLS_OF_LIST:
        found += tx.rows(calls, list_id=row["list_id"], **account.columns)
    records = records_in(found)
    read = ids_of(records)
    unreadable = [call["number"] for call in found if call["tracking_id"] not in read]
    try:
        return from_row(row, records, unreadable)
    except (ValueError, KeyError, TypeError) as error:
        log_unreadable(row["list_id"], type(error).__name__)
        return None


def list_id_of(tx: Tx, record: CallRecord) -> str | None:
    """The list that a call belongs to, also one of an older version; None for a call alone."""
    if record.plan_id is not None:
        return record.plan_id
    lists = "SELECT list_id FROM call_list_calls WHERE tracking_id = :id"
    ties = tx.rows(lists, id=record.tracking_id)
    return next((tie["list_id"] for tie in ties), None)


def to_row(call_list: CallList) -> dict[str, Any]:
    """The row of a list in the table `call_lists`, without `confirmation_id`; `from_row` reads it
    back.
    """
    request = {
        "submissions": [submission.as_json() for submission in call_list.submissions],
        "until": call_list.until,
        "accept_other_time": call_list.accept_other_time,
        "timezones": call_list.timezones,
        "goes_on_if_answered": call_list.goes_on_if_answered,
        "consent": [
            call_list.consent.asked_by,
            call_list.consent.how,
            # Older versions read no flag that they don't know; what was quoted is below.
            [flag for flag in call_list.consent.risk_flags if flag is not RiskFlag.OPTED_OUT],
        ],
        "opt_outs": call_list.consent.opt_outs,
        "reasons": call_list.consent.reasons,
        "first_call": call_list.consent.first_call,
    }
    return {
        "list_id": call_list.list_id,
        **call_list.account.columns,
        "fingerprint": call_list.fingerprint,
        "request": json.dumps(request),
        "timezone": call_list.timezones[0],
        "asked_at": call_list.asked_at.timestamp(),
        "passed": call_list.passed,
        "why": if_any(str, call_list.stop_reason),
        "ended_at": seconds_or_none(call_list.ended_at),
    }


def from_row(
    row: Mapping[str, Any],
    records: Iterable[CallRecord],
    unreadable: Collection[str] = (),
) -> CallList:
    """The list in a row that `to_row` wrote, with the records of its calls.

    `unreadable` has the numbers of those that this version can't read.
    """
    request: dict[str, Any] = json.loads(row["request"])
    asked_by, how, flags = request["consent"]
    reasons: dict[str, list[str]] = request.get("reasons", {})
    consent = Consent(
        asked_by,
        how,
        _flags(flags),
        opt_outs=tuple(request.get("opt_outs", ())),
        reasons={number: _flags(names) for number, names in reasons.items()},
        first_call=request.get("first_call"),
    )
    submissions = tuple(Submission.model_validate(fields) for fields in request["submissions"])
    call_list = CallList(
        consent=consent,
        list_id=row["list_id"],
        account=AccountKey(row["api"], row["account"]),
        submissions=submissions,
        until=request["until"],
        accept_other_time=request["accept_other_time"],
        # The first version had one.
        timezones=tuple(request.get("timezones") or [row["timezone"]] * len(submissions)),
        asked_at=moment(row["asked_at"]),
        goes_on_if_answered=request.get("goes_on_if_answered", False),
        passed=row["passed"],
        stop_reason=if_any(StopReason, row["why"]),
        ended_at=moment_or_none(row["ended_at"]),
        unreadable=frozenset(unreadable),
    )
    return call_list.with_calls(records).as_it_is_now


def _flags(names: Iterable[str]) -> tuple[RiskFlag, ...]:
    return tuple(RiskFlag(name) for name in names)
