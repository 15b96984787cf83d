"""The transactions of scheduled calls: take a call that is due, put it back, let it expire."""

from dataclasses import replace

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.ledger.base import BATCH, ServiceTime, Tx
from kallyai_mcp.calls.ledger.follow_up import follow_up, following
from kallyai_mcp.calls.ledger.reservation import (
    check_policy,
    copy_audit,
    lock_account,
    numbered,
    readable,
    write_audit,
)
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, error_text, from_row
from kallyai_mcp.calls.timing import Timing

_DUE = "state = 'scheduled' AND not_before <= :now"

_CLOCKS_AGREE = 120.0
"""How many seconds the ledger's clock and the service's may differ."""

_CLOCK_WRONG = KallyAIError(
    "The clock of this machine differed from KallyAI's when the call was due.", code="clock_wrong_when_due"
)
_OTHER_ACCOUNT = KallyAIError("Another account was signed in when the call was due.", code="other_account_when_due")


def has_due(tx: Tx) -> bool:
    """Whether a scheduled call of any account is due."""
    return bool(tx.rows(f"SELECT 1 AS found FROM calls WHERE {_DUE} LIMIT 1", now=tx.now()))


def note_hindrance(tx: Tx, account: AccountKey | None, error: KallyAIError) -> int:
    """Note why calls that are due can't be placed now, of up to `BATCH`. They may still be placed until they expire.

    Args:
        tx: The transaction.
        account: The account whose calls are not concerned; None when all calls are.
        error: The reason.

    Returns:
        Of how many calls.
    """
    others = "AND NOT (api = :api AND account = :account)" if account is not None else ""
    hindered = (
        f"SELECT tracking_id FROM calls WHERE {_DUE} AND error IS NULL {others} "
        f"ORDER BY not_before LIMIT :most {tx.SKIP_LOCKED}"
    )
    noted = tx.rows(
        f"WITH hindered AS ({hindered}) UPDATE calls SET error = :error "
        "WHERE tracking_id IN (SELECT tracking_id FROM hindered) RETURNING tracking_id",
        now=tx.now(),
        error=error_text(error),
        most=BATCH,
        **(account.columns if account is not None else {}),
    )
    return len(noted)


def take_due(
    tx: Tx,
    account: AccountKey,
    worker: str,
    policy: CallPolicy,
    timing: Timing,
    most: int,
    service_time: ServiceTime,
    *,
    is_only_account: bool,
) -> list[CallRecord]:
    """See `Ledger.take_due`.

    A call must be due by the service's clock too, so that a machine whose clock is wrong by hours does not call at
    night. With `is_only_account`, the calls of other accounts that are due wait for a sign-in, and that is noted.
    """
    lock_account(tx, account)
    if is_only_account:
        note_hindrance(tx, account, _OTHER_ACCOUNT)
    now, known = tx.now(), service_time()
    there = known.timestamp() if known is not None else now
    if abs(there - now) <= _CLOCKS_AGREE:
        there = now  # a small difference does not let a call wait
    else:
        note_hindrance(tx, None, _CLOCK_WRONG)
    due = tx.rows(
        f"SELECT * FROM calls WHERE {_DUE} AND not_before <= :there AND place_by >= :there "
        "AND api = :api AND account = :account ORDER BY not_before LIMIT :most",
        now=now,
        there=there,
        most=most,
        **account.columns,
    )
    return [taken for record in readable(due) if (taken := _take(tx, record, worker, policy, timing)) is not None]


def take_following(tx: Tx, record: CallRecord, worker: str, policy: CallPolicy, timing: Timing) -> list[CallRecord]:
    """Reserve the calls of lists that come after `record` for `worker`; returns them."""
    lock_account(tx, record.account)
    while found := following(tx, record):
        taken = [_take(tx, each, worker, policy, timing) for each in found]
        if sent := [one for one in taken if one is not None and one.is_active]:
            return sent
        record = found[0]  # a setting refused it, so the list may have gone on
    return []


def _take(tx: Tx, record: CallRecord, worker: str, policy: CallPolicy, timing: Timing) -> CallRecord | None:
    """Reserve a scheduled call for `worker`; None if somebody else was faster. If a setting refuses it, it ends so."""
    scheduled = "WHERE tracking_id = :id AND state = 'scheduled'"
    if (refusal := check_policy(tx, record, policy)) is not None:
        refused = tx.rows(
            f"UPDATE calls SET state = 'refused', ended_at = :now, error = :error {scheduled} RETURNING *",
            id=record.tracking_id,
            now=tx.now(),
            error=error_text(refusal),
        )
        if refused:
            write_audit(tx, record, None, f"refused:{refusal.setting}")
            follow_up(tx, from_row(refused[0]), policy, timing)
        return replace(record, state=CallState.REFUSED, error=refusal)
    new = numbered(tx, record)
    rows = tx.rows(
        "UPDATE calls SET state = 'reserved', worker = :worker, placed_at = :now, day = :day, "
        f"generation = :generation, idempotency_key = :key, error = NULL {scheduled} RETURNING *",
        id=record.tracking_id,
        worker=worker,
        now=new.placed_at.timestamp(),
        day=new.day,
        generation=new.generation,
        key=new.idempotency_key,
    )
    if not rows:
        return None
    copy_audit(tx, record)
    return from_row(rows[0])


def put_back(tx: Tx, record: CallRecord) -> None:
    """Schedule a reserved call again whose worker died before the request left: it is placed, or it expires."""
    tx.run(
        "UPDATE calls SET state = 'scheduled' WHERE tracking_id = :id AND worker = :worker AND state = 'reserved'",
        id=record.tracking_id,
        worker=record.worker,
    )
