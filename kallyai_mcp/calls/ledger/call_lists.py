"""The transactions of call lists.

The transaction that reserves the call of the next candidate also reads how the last call ended. So two processes never
call two candidates at once, and after a crash the next process decides by what the ledger says.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.calls.call_lists import LONGEST, CallList, ListConsent, StopReason, stop_reason_of_refusal
from kallyai_mcp.calls.ledger.base import (
    ConsentOutdatedError,
    Database,
    Row,
    Transactions,
    Tx,
    moment,
    reads,
    seconds_or_none,
    writes,
)
from kallyai_mcp.calls.ledger.events import note_decision
from kallyai_mcp.calls.ledger.list_rows import (
    find_list,
    list_from_row,
    list_to_row,
    new_record,
    new_records,
    request_of,
)
from kallyai_mcp.calls.ledger.reservation import (
    check_policy,
    find_duplicate,
    insert,
    last_call,
    lock_account,
    numbered,
    write_audit,
)
from kallyai_mcp.calls.ledger.scheduling import expire_same
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import PLACED, AccountKey, CallRecord, CallState, error_text, to_row
from kallyai_mcp.calls.timing import Timing


def _find_newest(tx: Tx, asked: CallList) -> CallList | None:
    rows = tx.rows(
        "SELECT * FROM call_lists WHERE api = :api AND account = :account AND fingerprint = :fingerprint "
        "ORDER BY CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC LIMIT 1",
        fingerprint=asked.fingerprint,
        **asked.account.columns,
    )
    return list_from_row(tx, rows[0]) if rows else None


def _find_same(tx: Tx, asked: CallList, timing: Timing) -> CallList | None:
    found = _find_newest(tx, asked)
    if found is None or found.ended_at is None:
        return found
    seconds = max(timing.repeat_after, timing.wait_for_user) if found.waits_for_user else timing.repeat_after
    if found.ended_at.timestamp() <= tx.now() - seconds:
        return None
    # A canceled list answers the request only if one of its calls may have agreed to something: a new list would call
    # the first candidate again, who could agree too.
    return None if found.stop_reason is StopReason.CANCELED and not found.may_have_reached else found


def _last_calls(tx: Tx, asked: CallList) -> tuple[datetime | None, ...]:
    return tuple(last_call(tx, record) for record in new_records(asked))


def _called_meanwhile(tx: Tx, asked: CallList, agreed: ListConsent) -> ConsentOutdatedError | None:
    if agreed.consent.depends_on_last_call and _last_calls(tx, asked) != agreed.last_calls:
        return ConsentOutdatedError("A number was called meanwhile, so the user has to be asked again")
    return None


def _advance(tx: Tx, asked: CallList, policy: CallPolicy, timing: Timing) -> tuple[CallList, CallRecord | None, bool]:
    lock_account(tx, asked.account)
    found = find_list(tx, asked.account, asked.list_id)
    if found is None or found.stop_reason is not None or found.worker != asked.worker:
        return found or asked, None, False
    if not tx.holds_lease(asked.worker):
        return found, None, False
    while True:
        if found.records and found.records[-1].is_active:
            return found, found.records[-1], False
        if found.records and _is_unsent(found.records[-1]):
            found = _untied(tx, found)
            continue
        if (reason := found.next_stop_reason()) is not None:
            return _stop(tx, found, reason), None, False
        if moment(tx.now()) - found.asked_at > LONGEST:
            return _stop(tx, found, StopReason.REFUSED), None, False
        record = new_record(found, len(found.records))
        expire_same(tx, record)
        if (duplicate := find_duplicate(tx, record, redial=False, timing=timing)) is not None:
            found = _tied(tx, found, duplicate)
            continue
        if (refusal := check_policy(tx, record, policy)) is not None:
            write_audit(tx, record, found.consent, f"refused:{refusal.setting}")
            if stop_reason_of_refusal(refusal) is not None:
                return _stop(tx, found, StopReason.REFUSED, refusal), None, False
            found = _tied(tx, found, _refused(tx, record, refusal))
            continue
        record = numbered(tx, record)
        insert(tx, "calls", to_row(record))
        write_audit(tx, record, found.consent, PLACED)
        return _tied(tx, found, record), record, True


def _refused(tx: Tx, record: CallRecord, error: PolicyError) -> CallRecord:
    """Write a record of a candidate who may not be called, with the error that refuses it."""
    now = moment(tx.now())
    refused = numbered(tx, replace(record, state=CallState.REFUSED, error=error, ended_at=now))
    insert(tx, "calls", to_row(refused))
    return refused


def _tied(tx: Tx, found: CallList, record: CallRecord) -> CallList:
    row = {"list_id": found.list_id, "position": len(found.records), "tracking_id": record.tracking_id}
    insert(tx, "call_list_calls", row)
    return replace(found, records=(*found.records, record))


def _untied(tx: Tx, found: CallList) -> CallList:
    """Remove the last call from the list, because it was not placed: its candidate is called later."""
    position = len(found.records) - 1
    tx.run(
        "DELETE FROM call_list_calls WHERE list_id = :id AND position = :position",
        id=found.list_id,
        position=position,
    )
    return replace(found, records=found.records[:-1])


def _is_unsent(record: CallRecord) -> bool:
    """Whether a call was refused because its worker died before the request left."""
    return record.state is CallState.REFUSED and record.error is not None and record.error.code == "not_sent"


def _stop(tx: Tx, found: CallList, reason: StopReason, error: KallyAIError | None = None) -> CallList:
    now = tx.now()
    tx.run(
        "UPDATE call_lists SET why = :why, ended_at = :now, message = :message WHERE list_id = :id",
        why=reason.value,
        now=now,
        message=error_text(error),
        id=found.list_id,
    )
    if reason is StopReason.NEEDS_DECISION and found.records:
        note_decision(tx, found.list_id, found.records[-1])
    return replace(found, stop_reason=reason, ended_at=moment(now), refusal=error)


def _abandoned(tx: Tx, worker: str | None, known: Sequence[str]) -> list[Row]:
    rows = tx.rows("SELECT list_id, api, account, worker FROM call_lists WHERE why IS NULL")
    mine = [row for row in rows if row["worker"] == worker and row["list_id"] not in known]
    others = {row["worker"] for row in rows if row["worker"] != worker}
    dead = {name for name in others if tx.is_abandoned(name)}
    return mine + [row for row in rows if row["worker"] in dead]


def _release(tx: Tx, asked: CallList) -> None:
    """Delete a list whose reservation was not confirmed, if it was written and has called nobody."""
    lock_account(tx, asked.account)  # waits for the end of the reservation, if it is still in progress
    tx.run(
        "DELETE FROM call_lists WHERE list_id = :id AND worker = :worker "
        "AND NOT EXISTS (SELECT 1 FROM call_list_calls WHERE list_id = :id)",
        id=asked.list_id,
        worker=asked.worker,
    )


def _stop_again(tx: Tx, stopped: CallList) -> None:
    """Undo a `go_on` that was not confirmed, if the list has called nobody since.

    `stopped` is the list before `go_on`, with the worker that was to run it.
    """
    lock_account(tx, stopped.account)
    tx.run(
        "UPDATE call_lists SET why = :why, ended_at = :ended_at, asked_at = :asked_at, passed = :passed "
        "WHERE list_id = :id AND worker = :worker AND why IS NULL "
        "AND (SELECT COUNT(*) FROM call_list_calls WHERE list_id = :id) <= :calls",
        id=stopped.list_id,
        worker=stopped.worker,
        calls=len(stopped.records),
        why=stopped.stop_reason.value if stopped.stop_reason is not None else None,
        ended_at=seconds_or_none(stopped.ended_at),
        asked_at=stopped.asked_at.timestamp(),
        passed=stopped.passed,
    )


def _cancel(tx: Tx, account: AccountKey, list_id: str) -> bool:
    """Stop a list so that it can't go on; False when that has happened already, or there is no such list."""
    lock_account(tx, account)
    found = find_list(tx, account, list_id)
    if found is None or found.stop_reason in (StopReason.BOOKED, StopReason.DONE, StopReason.CANCELED):
        return False
    _stop(tx, found, StopReason.CANCELED)
    return True


def _take_over(tx: Tx, account: AccountKey, worker: str, known: Sequence[str]) -> list[CallList]:
    """Give `worker` the account's lists that no living process runs; returns them."""
    taken = []
    for row in _abandoned(tx, worker, known):
        if (row["api"], row["account"]) != (account.api, account.account):
            continue
        tx.run("UPDATE call_lists SET worker = :worker WHERE list_id = :id", worker=worker, id=row["list_id"])
        taken += [found] if (found := find_list(tx, account, row["list_id"])) is not None else []
    return taken


def _has_abandoned(tx: Tx, worker: str | None, known: Sequence[str]) -> bool:
    """Whether a list of any account goes on that no living process runs."""
    return bool(_abandoned(tx, worker, known))


class ListLedger(Transactions):
    """The call lists in a ledger. Every method is one transaction and raises `LedgerUnavailableError`.

    Args:
        database: The database of the ledger.
        policy: What the operator allows.
        timing: Times and counts.
    """

    def __init__(self, database: Database, policy: CallPolicy, timing: Timing) -> None:
        super().__init__(database)
        self._policy = policy
        self._timing = timing

    find = reads(find_list, empty=None)

    async def find_same(self, asked: CallList, *, ever: bool = False) -> CallList | None:
        """The list that answers the request for `asked`, because it has the same fingerprint.

        It goes on, waits for its user, or ended a short time ago. With `ever`, it may have stopped at any time.
        """

        def work(tx: Tx) -> CallList | None:
            return _find_newest(tx, asked) if ever else _find_same(tx, asked, self._timing)

        return await self._database.read(work, empty=None)

    async def list_unfinished(self, account: AccountKey) -> list[CallList]:
        """The account's lists that go on, or have waited for the user for at most `Timing.wait_for_user`, newest first.

        A list whose last call is in progress goes on.
        """

        def work(tx: Tx) -> list[CallList]:
            own = "SELECT * FROM call_lists WHERE api = :api AND account = :account AND"
            since = tx.now() - self._timing.wait_for_user
            rows = tx.rows(f"{own} ended_at IS NULL", **account.columns)  # none of these has a `why`
            rows += tx.rows(f"{own} ended_at > :since", since=since, **account.columns)
            rows.sort(key=lambda row: row["asked_at"], reverse=True)
            return [found for row in rows if (found := list_from_row(tx, row)).is_open or found.waits_for_user]

        return await self._database.read(work, empty=[])

    async def last_calls(self, asked: CallList) -> tuple[datetime | None, ...]:
        """When the number of each candidate in `asked.to_come` was called last, in that order; None for never."""
        return await self._database.read(lambda tx: _last_calls(tx, asked), empty=(None,) * len(asked.to_come))

    async def reserve(self, asked: CallList, agreed: ListConsent) -> tuple[CallList, bool]:
        """Write a new list, unless another one answers the request (`find_same`).

        Returns:
            The list in the ledger, and whether it is the new one.

        Raises:
            ConsentOutdatedError: A number was called since the user agreed, or the confirmation was used already.
        """

        def work(tx: Tx) -> tuple[CallList, bool] | ConsentOutdatedError:
            lock_account(tx, asked.account)
            if (known := _find_same(tx, asked, self._timing)) is not None:
                return known, False
            if consent.confirmation_id is not None and tx.rows(
                "SELECT 1 AS found FROM call_lists WHERE confirmation_id = :id", id=consent.confirmation_id
            ):
                return ConsentOutdatedError("This confirmation was used already, so the user has to be asked again")
            if (outdated := _called_meanwhile(tx, asked, agreed)) is not None:
                return outdated
            insert(tx, "call_lists", list_to_row(asked, consent, tx.now()))
            return asked, True

        consent = agreed.consent
        return await self._write_or_raise(work)

    release = writes(_release)
    stop_again = writes(_stop_again)

    async def go_on(
        self, found: CallList, worker: str, *, after: int | None, agreed: ListConsent | None = None
    ) -> tuple[CallList, bool]:
        """Let a list go on that has stopped, unless a newer list has the same fingerprint.

        Args:
            found: The list.
            worker: The worker that runs it from now on.
            after: How many candidates to pass; None to call the one again whose call was refused.
            agreed: The user's new consent; None to go on with the one before.

        Returns:
            The list as it is now, and whether this has let it go on.

        Raises:
            ConsentOutdatedError: The consent before is too old, or a number was called since the user agreed.
        """

        def work(tx: Tx) -> tuple[CallList, bool] | ConsentOutdatedError:
            lock_account(tx, found.account)
            now = find_list(tx, found.account, found.list_id) or found
            newest = _find_newest(tx, found)
            if not now.may_go_on(after) or newest is None or newest.list_id != now.list_id:
                return now, False
            at = tx.now()
            if agreed is None and now.agreed_at is not None and at - now.agreed_at.timestamp() > timing.agreed_for:
                return ConsentOutdatedError("The user agreed to this list long ago, so they have to be asked again")
            if agreed is not None and (outdated := _called_meanwhile(tx, now, agreed)) is not None:
                return outdated
            if after is None and now.was_refused:
                now = _untied(tx, now)
            tx.run(
                "UPDATE call_lists SET why = NULL, ended_at = NULL, worker = :worker, passed = :passed, "
                "asked_at = :now WHERE list_id = :id",
                id=now.list_id,
                worker=worker,
                now=at,
                passed=now.passed if after is None else after,
            )
            if agreed is not None:
                request = request_of(now, agreed.consent, at)
                tx.run("UPDATE call_lists SET request = :request WHERE list_id = :id", request=request, id=now.list_id)
            return find_list(tx, found.account, found.list_id) or now, True

        timing = self._timing
        return await self._write_or_raise(work)

    async def advance(self, asked: CallList) -> tuple[CallList, CallRecord | None, bool]:
        """Reserve the next call of a list, or stop the list.

        Args:
            asked: The list, with the worker that runs it.

        Returns:
            The list as it is now; the call to wait for, or None when the list has stopped or belongs to another worker;
            and whether that call is new.
        """
        return await self._database.write(lambda tx: _advance(tx, asked, self._policy, self._timing))

    cancel = writes(_cancel)
    has_abandoned = reads(_has_abandoned, empty=False)
    take_over = writes(_take_over)
