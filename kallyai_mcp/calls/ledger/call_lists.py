"""The transactions of call lists, written once for every driver.

The next candidate's call is reserved in the transaction that reads how the last one ended. So two processes never call
two candidates, and after a crash another process goes on only where this allows it.
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
from kallyai_mcp.calls.ledger.scheduling import expire
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
    stands_for = max(timing.repeat_after, timing.wait_for_user) if found.waits_for_user else timing.repeat_after
    if found.ended_at.timestamp() <= tx.now() - stands_for:
        return None
    # A list that was canceled stands for a new one only where its last call may have agreed to something: the new one
    # would begin with the first candidate, and that one could agree, too.
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
    expire(tx)
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
    """A record of a candidate that may not be called."""
    now = moment(tx.now())
    refused = numbered(tx, replace(record, state=CallState.REFUSED, error=error, ended_at=now))
    insert(tx, "calls", to_row(refused))
    return refused


def _tied(tx: Tx, found: CallList, record: CallRecord) -> CallList:
    row = {"list_id": found.list_id, "position": len(found.records), "tracking_id": record.tracking_id}
    insert(tx, "call_list_calls", row)
    return replace(found, records=(*found.records, record))


def _untied(tx: Tx, found: CallList) -> CallList:
    """The list without its last call, which was not placed: the candidate's turn is still to come."""
    position = len(found.records) - 1
    tx.run(
        "DELETE FROM call_list_calls WHERE list_id = :id AND position = :position",
        id=found.list_id,
        position=position,
    )
    return replace(found, records=found.records[:-1])


def _is_unsent(record: CallRecord) -> bool:
    """Whether the worker of a call died before its request left."""
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
    lock_account(tx, asked.account)  # waits for the reservation, should it still be in progress
    tx.run(
        "DELETE FROM call_lists WHERE list_id = :id AND worker = :worker "
        "AND NOT EXISTS (SELECT 1 FROM call_list_calls WHERE list_id = :id)",
        id=asked.list_id,
        worker=asked.worker,
    )


def _stop_again(tx: Tx, stopped: CallList) -> None:
    """Let a list stop as it had, where it was not confirmed that it goes on and it has called nobody since.

    Its `worker` is the one that was to run it.
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
    """Let a list stop for good; False when it has stopped already, other than to go on later."""
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
    """The call lists in a ledger; every method is one transaction and raises `LedgerUnavailableError`."""

    def __init__(self, database: Database, policy: CallPolicy, timing: Timing) -> None:
        super().__init__(database)
        self._policy = policy
        self._timing = timing

    find = reads(find_list, empty=None)

    async def find_same(self, asked: CallList, *, ever: bool = False) -> CallList | None:
        """The list that stands for `asked`: one that goes on, waits for its user, or ended a short time ago.

        With `ever`, the newest that asked for the same, however long ago it stopped.
        """

        def work(tx: Tx) -> CallList | None:
            return _find_newest(tx, asked) if ever else _find_same(tx, asked, self._timing)

        return await self._database.read(work, empty=None)

    async def list_unfinished(self, account: AccountKey) -> list[CallList]:
        """The account's lists that go on, or wait for the user, newest first; not those that wait for days."""

        def work(tx: Tx) -> list[CallList]:
            rows = tx.rows(
                "SELECT * FROM call_lists WHERE api = :api AND account = :account "
                "AND (why IS NULL OR ended_at > :since) ORDER BY asked_at DESC",
                since=tx.now() - self._timing.wait_for_user,
                **account.columns,
            )
            return [found for row in rows if (found := list_from_row(tx, row)).is_open or found.waits_for_user]

        return await self._database.read(work, empty=[])

    async def last_calls(self, asked: CallList) -> tuple[datetime | None, ...]:
        """When the number of each candidate who is still to come was called last."""
        return await self._database.read(lambda tx: _last_calls(tx, asked), empty=(None,) * len(asked.to_come))

    async def reserve(self, asked: CallList, agreed: ListConsent) -> tuple[CallList, bool]:
        """Write a list down, unless there is the same one; returns the one that counts, and whether it is new.

        Raises `ConsentOutdatedError` when a number was called since, or the confirmation was used already.
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
        """Let a list that has stopped go on; returns it as it then is, and whether it goes on by this.

        A list does not go on when the same was begun anew since.

        Args:
            found: The list.
            worker: Runs it from now on.
            after: So many candidates are passed; None to call the one again that was not placed.
            agreed: What the user agreed to now; None for what they agreed to before.

        Raises:
            ConsentOutdatedError: What they agreed to before was too long ago; or a number was called since.
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
        """Reserve the next call of a list, or let the list stop; its `worker` must be the one that runs it.

        Returns:
            The list as it then is; the call to wait for, None when the list has stopped or is another worker's; and
            whether that call is new.
        """
        return await self._database.write(lambda tx: _advance(tx, asked, self._policy, self._timing))

    cancel = writes(_cancel)
    has_abandoned = reads(_has_abandoned, empty=False)
    take_over = writes(_take_over)
