"""The rows of call lists: writes a list as a row, and reads it back with its calls."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.ledger.base import Row, Tx, moment, moment_or_none
from kallyai_mcp.calls.ledger.reservation import readable
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, error_from

_LIST = "SELECT * FROM call_lists WHERE list_id = :id AND api = :api AND account = :account"
_RECORDS = (
    "SELECT calls.* FROM calls JOIN call_list_calls ON calls.tracking_id = call_list_calls.tracking_id "
    "WHERE call_list_calls.list_id = :id ORDER BY call_list_calls.position"
)


def find_list(tx: Tx, account: AccountKey, list_id: str) -> CallList | None:
    """The account's list with this id; None when there is none."""
    rows = tx.rows(_LIST, id=list_id, **account.columns)
    return list_from_row(tx, rows[0]) if rows else None


def new_records(asked: CallList) -> list[CallRecord]:
    """A record for the call of each candidate in `asked.to_come`, not in the ledger yet."""
    count = len(asked.submissions)
    return [new_record(asked, position) for position in range(count - len(asked.to_come), count)]


def new_record(found: CallList, position: int) -> CallRecord:
    """A record for the call of the candidate at `position`, not in the ledger yet."""
    submission = found.submissions[position]
    zone = found.zone_of(submission)
    return CallRecord.new(
        submission, found.account, found.asked_at, timezone=zone, session_id=found.session_id, worker=found.worker
    )


def list_to_row(asked: CallList, consent: Consent, now: float) -> Row:
    """The row of a new list in the table `call_lists`. `now` is the ledger's time, in seconds since the epoch."""
    return {
        "list_id": asked.list_id,
        **asked.account.columns,
        "fingerprint": asked.fingerprint,
        "request": request_of(asked, consent, now),
        "timezone": asked.timezone,
        "worker": asked.worker,
        "asked_at": now,
        "passed": 0,
        "confirmation_id": consent.confirmation_id,
    }


def request_of(asked: CallList, consent: Consent, agreed_at: float) -> str:
    """The column `request` as JSON: the request, and the consent of `agreed_at` (seconds since the epoch)."""
    request = {
        "submissions": [submission.as_json() for submission in asked.submissions],
        "until": asked.until,
        "accept_other_time": asked.accept_other_time,
        "own_zones": asked.own_zones,
        "session_id": asked.session_id,
        "consent": [consent.asked_by, consent.how, consent.risk_flags],
        "agreed_at": agreed_at,
    }
    return json.dumps(request)


def list_from_row(tx: Tx, row: Row) -> CallList:
    """The list in a row that `list_to_row` wrote, with the records of its calls."""
    request: dict[str, Any] = json.loads(row["request"])
    asked_by, how, flags = request["consent"]
    found = CallList(
        consent=Consent(asked_by, how, tuple(RiskFlag(flag) for flag in flags)),
        agreed_at=moment(request["agreed_at"] if "agreed_at" in request else row["asked_at"]),
        list_id=row["list_id"],
        account=AccountKey(row["api"], row["account"]),
        submissions=tuple(Submission.model_validate(fields) for fields in request["submissions"]),
        until=request["until"],
        accept_other_time=request["accept_other_time"],
        timezone=row["timezone"],
        asked_at=moment(row["asked_at"]),
        own_zones=request.get("own_zones", False),
        session_id=request["session_id"],
        worker=row["worker"],
        passed=row["passed"],
        stop_reason=StopReason(row["why"]) if row["why"] else None,
        ended_at=moment_or_none(row["ended_at"]),
        refusal=_refusal_in(row),
        records=tuple(readable(tx.rows(_RECORDS, id=row["list_id"]))),
    )
    if found.stop_reason is StopReason.UNKNOWN:  # the outcome may be known by now
        return replace(found, stop_reason=found.next_stop_reason() or StopReason.UNKNOWN)
    return found


def _refusal_in(row: Row) -> KallyAIError | None:
    with suppress(ValueError, KeyError, TypeError):  # the first versions wrote only the message
        return error_from(row["message"])
    return None
