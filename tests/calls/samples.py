"""Records of calls for tests of the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, fingerprint

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
ACCOUNT = AccountKey("https://api.example", "account-1")
HERE, THERE = "+14155551234", "+34911234567"


def submission(**changes: Any) -> Submission:
    fields = {"task_category": "restaurant", "task_description": "Book a table", "respondent_phone": HERE}
    return Submission.model_validate(fields | changes)


def asked(number: int = 1, **changes: Any) -> CallRecord:
    """A record that is not in the ledger yet, always of the same call; its tracking id is `t-<number>`."""
    wanted = changes.get("submission", submission())
    made = CallRecord(
        tracking_id=f"t-{number}",
        account=ACCOUNT,
        fingerprint=fingerprint(wanted),
        submission=wanted,
        timezone="America/New_York",
        worker="0000000a",
        placed_at=NOW,
    )
    return replace(made, **changes)


def another(number: int, phone: str = HERE, **changes: Any) -> CallRecord:
    """A record of a call with a task of its own, so that it is no duplicate of another one."""
    wanted = submission(task_description=f"Task {number}", respondent_phone=phone)
    return asked(number, submission=wanted, **changes)


def outcome(status: str = "success", call_id: str = "c-1") -> Call:
    return Call.model_validate({"call_id": call_id, "status": status, "highlights": "Booked", "duration_seconds": 61.5})


async def reserved(ledger: Ledger, record: CallRecord, consent: Consent | None = None) -> CallRecord:
    """Reserve a call that is new."""
    record, is_new = await ledger.reserve(record, redial=False, consent=consent)
    assert is_new
    return record


async def sent(ledger: Ledger, record: CallRecord) -> CallRecord:
    """Reserve a call under a lease of its own process, and note that its request leaves."""
    record = await reserved(ledger, replace(record, worker=await ledger.take_lease()))
    return await ledger.mark_sent(record, service_time=lambda: None)


async def ended(ledger: Ledger, record: CallRecord, status: str = "success", *, delivered: bool = True) -> CallRecord:
    """Reserve a call and write down its outcome."""
    record = await reserved(ledger, record)
    call = outcome(status, f"c-{record.tracking_id}")
    await ledger.finish(record, CallState.ENDED, call=call)
    record = replace(record, state=CallState.ENDED, call=call)
    if delivered:
        await ledger.mark_delivered([record], delivered=True)
    return record


async def is_placed(ledger: Ledger, record: CallRecord, *, redial: bool = False) -> bool:
    _, is_new = await ledger.reserve(record, redial=redial)
    return is_new


async def state_of(ledger: Ledger, record: CallRecord) -> CallState | None:
    found = await ledger.find(record.account, record.tracking_id)
    return found.state if found is not None else None


async def kept(ledger: Ledger, id_: str = "t-1") -> CallRecord:
    """The record with this id, which there must be."""
    found = await ledger.find(ACCOUNT, id_)
    assert found is not None
    return found


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)
