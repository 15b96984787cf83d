"""The lists of candidates in a ledger."""

from datetime import datetime

from kallyai_mcp.calls.call_lists import CallList, ListConsent, StopReason
from kallyai_mcp.calls.ledger.base import ConsentOutdatedError, Database, Transactions, Tx, reads
from kallyai_mcp.calls.ledger.follow_up import (
    advance,
    called_meanwhile,
    find_list,
    find_newest,
    find_same,
    last_calls,
    list_from_row,
    list_to_row,
    request_of,
    stop,
)
from kallyai_mcp.calls.ledger.progress import release
from kallyai_mcp.calls.ledger.reservation import Deliveries, insert, lock_account
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.timing import Timing


class ListLedger(Transactions):
    """The call lists in a ledger. Every method is one transaction and raises `LedgerUnavailableError`.

    Args:
        database: The database of the ledger.
        policy: What the operator allows.
        timing: Times and counts.
        deliveries: The outcomes that this process has delivered.
    """

    def __init__(self, database: Database, policy: CallPolicy, timing: Timing, deliveries: Deliveries) -> None:
        super().__init__(database)
        self._deliveries = deliveries
        self._policy = policy
        self._timing = timing

    find = reads(find_list, empty=None)

    async def find_same(self, asked: CallList, *, ever: bool = False) -> CallList | None:
        """The list that answers the request for `asked`, because it has the same fingerprint.

        It goes on, waits for its user, or ended a short time ago. With `ever`, it may have stopped at any time.
        """

        def work(tx: Tx) -> CallList | None:
            return find_newest(tx, asked) if ever else find_same(tx, asked, self._timing)

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
        return await self._database.read(lambda tx: last_calls(tx, asked), empty=(None,) * len(asked.to_come))

    async def reserve(
        self, asked: CallList, agreed: ListConsent, worker: str, id_: str
    ) -> tuple[CallList, CallRecord | None, bool]:
        """Write a new list and reserve its first call for `worker`, unless another list answers it (`find_same`).

        Returns:
            The list in the ledger; the call to send, with the tracking id `id_`, if there is one; and whether the list
            is the new one.

        Raises:
            ConsentOutdatedError: A number was called since the user agreed, or the confirmation was used already.
        """

        def work(tx: Tx) -> tuple[CallList, CallRecord | None, bool] | ConsentOutdatedError:
            lock_account(tx, asked.account)
            if (known := find_same(tx, asked, self._timing)) is not None:
                return known, None, False
            if consent.confirmation_id is not None and tx.rows(
                "SELECT 1 AS found FROM call_lists WHERE confirmation_id = :id", id=consent.confirmation_id
            ):
                return ConsentOutdatedError("This confirmation was used already, so the user has to be asked again")
            if (outdated := called_meanwhile(tx, asked, agreed)) is not None:
                return outdated
            insert(tx, "call_lists", list_to_row(asked, consent, tx.now()))
            return *self._advance(tx, asked, worker, id_), True

        consent = agreed.consent
        return await self._write_or_raise(work)

    async def go_on(
        self, found: CallList, worker: str, id_: str, *, after: int | None, agreed: ListConsent | None = None
    ) -> tuple[CallList, CallRecord | None, bool]:
        """Let a list go on that has stopped, unless a newer list has the same fingerprint.

        Args:
            found: The list.
            worker: The worker that sends its next call.
            id_: The tracking id of that call.
            after: How many candidates to pass; None to call the one again whose call was refused.
            agreed: The user's new consent; None to go on with the one before.

        Returns:
            The list as it is now; the call to send, if there is one; and whether this has let the list go on.

        Raises:
            ConsentOutdatedError: The consent before is too old, or a number was called since the user agreed.
        """

        def work(tx: Tx) -> tuple[CallList, CallRecord | None, bool] | ConsentOutdatedError:
            lock_account(tx, found.account)
            now = find_list(tx, found.account, found.list_id) or found
            newest = find_newest(tx, found)
            if not now.may_go_on(after) or newest is None or newest.list_id != now.list_id:
                return now, None, False
            at = tx.now()
            if agreed is None and now.agreed_at is not None and at - now.agreed_at.timestamp() > timing.agreed_for:
                return ConsentOutdatedError("The user agreed to this list long ago, so they have to be asked again")
            if agreed is not None and (outdated := called_meanwhile(tx, now, agreed)) is not None:
                return outdated
            if after is None and now.was_refused:
                tx.run(
                    "DELETE FROM call_list_calls WHERE list_id = :id AND position = :position",
                    id=now.list_id,
                    position=len(now.records) - 1,
                )
            tx.run(
                "UPDATE call_lists SET why = NULL, ended_at = NULL, passed = :passed, asked_at = :now "
                "WHERE list_id = :id",
                id=now.list_id,
                now=at,
                passed=now.passed if after is None else after,
            )
            if agreed is not None:
                request = request_of(now, agreed.consent, at)
                tx.run("UPDATE call_lists SET request = :request WHERE list_id = :id", request=request, id=now.list_id)
            return *self._advance(tx, find_list(tx, found.account, found.list_id) or now, worker, id_), True

        timing = self._timing
        return await self._write_or_raise(work)

    async def release(self, before: CallList, id_: str) -> None:
        """Undo `reserve` or `go_on`, which was not confirmed, because the client is told of an error.

        `before` is the list as it was before, and `id_` the tracking id of its next call.
        """

        def work(tx: Tx) -> None:
            release(tx, before.account, id_)
            tx.run("DELETE FROM call_list_calls WHERE tracking_id = :id", id=id_)
            found = find_list(tx, before.account, before.list_id)
            if found is None:
                return
            if not found.records:
                tx.run("DELETE FROM call_lists WHERE list_id = :id", id=found.list_id)
                return
            tx.run(
                "UPDATE call_lists SET passed = :passed, asked_at = :asked_at WHERE list_id = :id",
                passed=before.passed,
                asked_at=before.asked_at.timestamp(),
                id=found.list_id,
            )
            stop(tx, found, before.stop_reason or StopReason.REFUSED)

        await self._database.write(work)

    async def cancel(self, account: AccountKey, list_id: str) -> bool:
        """Stop a list so that it can't go on, and cancel its next call if that is scheduled.

        Returns:
            False when it had ended already, or there is no such list.
        """

        def work(tx: Tx) -> bool:
            lock_account(tx, account)
            found = find_list(tx, account, list_id)
            if found is None or found.stop_reason in (StopReason.BOOKED, StopReason.DONE, StopReason.CANCELED):
                return False
            stop(tx, found, StopReason.CANCELED)
            tx.run(
                "UPDATE calls SET state = 'canceled', ended_at = :now, delivered_at = :now "
                "WHERE session_id = :id AND state = 'scheduled' AND api = :api AND account = :account",
                now=tx.now(),
                id=list_id,
                **account.columns,
            )
            return True

        return await self._database.write(work)

    def _advance(self, tx: Tx, found: CallList, worker: str, id_: str) -> tuple[CallList, CallRecord | None]:
        return advance(tx, found, self._policy, self._timing, deliveries=self._deliveries, worker=worker, id_=id_)
