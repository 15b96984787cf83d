"""The ledger of calls. Its methods are transactions; most are written in the other modules of this package."""

import logging
from collections.abc import Collection
from typing import Any

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger import follow_up, maintenance, progress, scheduling
from kallyai_mcp.calls.ledger.base import (
    ConsentOutdatedError,
    ConstraintError,
    Database,
    ServiceTime,
    Transactions,
    Tx,
    reads,
    writes,
)
from kallyai_mcp.calls.ledger.call_lists import ListLedger
from kallyai_mcp.calls.ledger.competitors import find_competitors
from kallyai_mcp.calls.ledger.reservation import (
    Deliveries,
    Precheck,
    check_consent,
    check_policy,
    find_duplicate,
    find_joined,
    insert,
    last_call,
    lock_account,
    numbered_anew,
    readable,
    write_audit,
)
from kallyai_mcp.calls.ledger.schema import UNSETTLED
from kallyai_mcp.calls.outcome import reached_somebody
from kallyai_mcp.calls.policy import CallPolicy, Consent, last_to_open
from kallyai_mcp.calls.records import (
    PLACED,
    SCHEDULED,
    AccountKey,
    AuditEntry,
    CallRecord,
    CallState,
    Ending,
    audit_from_row,
    from_row,
    to_row,
)
from kallyai_mcp.calls.timing import Timing

_log = logging.getLogger(__name__)


class Ledger(Transactions):
    """The records of calls, which all processes of one user or all workers of one server share.

    Each method is one transaction: when it returns, every process sees its changes, and they survive a crash. Every
    method raises `LedgerUnavailableError` when the database can't be used.

    Args:
        database: The database.
        policy: What the operator allows.
        timing: Times and counts.
        clock: Measures how long ago outcomes were told; the database has the wall clock.

    Attributes:
        lists: The call lists in the same database.
    """

    def __init__(
        self,
        database: Database,
        *,
        policy: CallPolicy,
        timing: Timing,
        clock: Clock = Clock(),  # noqa: B008 - never changes
    ) -> None:
        super().__init__(database)
        self._policy = policy
        self._deliveries = Deliveries(clock, timing)
        self.lists = ListLedger(database, policy, timing, self._deliveries)
        self._timing = timing

    async def take_lease(self) -> str:
        """Take the lease of a new worker; returns the worker's name."""
        return await self._database.take_lease()

    async def holds_lease(self, worker: str) -> bool:
        """Whether the lease that `take_lease` took for `worker` is still held."""
        return await self._database.read(lambda tx: tx.holds_lease(worker), empty=True)

    async def check(self) -> None:
        """Check that the ledger can be written; raises `LedgerUnavailableError` if it can't."""
        await self._database.write(lambda _: None)

    async def aclose(self) -> None:
        """Give up the lease and close the database."""
        await self._database.aclose()

    async def precheck(self, asked: CallRecord, *, redial: bool) -> Precheck:
        """What `reserve` would find now. Another process may change it before `reserve` is called."""

        def work(tx: Tx) -> Precheck:
            duplicate = find_duplicate(tx, asked, redial=redial, timing=self._timing, deliveries=self._deliveries)
            refusal = None if duplicate else check_policy(tx, asked, self._policy)
            return Precheck(asked.account, asked.fingerprint, duplicate, refusal, last_call(tx, asked))

        refusal = self._policy.ban(asked.submission.respondent_phone) or last_to_open(
            limit.error(None, now=asked.placed_at) for limit in self._policy.limits() if limit.count == 0
        )
        empty = Precheck(asked.account, asked.fingerprint, None, refusal, None)
        return await self._database.read(work, empty=empty)

    async def note_refusal(self, asked: CallRecord, error: PolicyError, consent: Consent | None) -> None:
        """Write into the audit trail that a setting refused a call in `precheck`."""
        await self._database.write(lambda tx: write_audit(tx, asked, consent, f"refused:{error.setting}"))

    async def reserve(
        self, asked: CallRecord, *, redial: bool, consent: Consent | None = None
    ) -> tuple[CallRecord, bool]:
        """Write the record of a call, unless it is a duplicate, a setting refuses it, or its consent no longer fits.

        All of that is one transaction, so of two requests at the same time one comes first.

        Args:
            asked: The call, from `CallRecord.new`.
            redial: Place a duplicate too, unless the earlier call is active or its outcome was not delivered.
            consent: The user's consent; None when no consent is checked.

        Returns:
            The record in the ledger, and whether it is the new one, with its `day`, `generation`, and
            `idempotency_key`.

        Raises:
            PolicyError: A setting refuses the call. Of several limits, the error names the one that lasts longest.
            ConsentOutdatedError: The number was called since the user agreed, or the confirmation was used already.
        """

        def work(tx: Tx) -> tuple[CallRecord, bool] | PolicyError | ConsentOutdatedError:
            lock_account(tx, asked.account)
            maintenance.expire_same(tx, asked)  # else it could still be placed after the clock was set back
            duplicate = find_duplicate(tx, asked, redial=redial, timing=self._timing, deliveries=self._deliveries)
            if duplicate is not None:
                return duplicate, False
            if consent is not None and consent.joins is not None:
                found = find_joined(tx, consent.joins)
                return (found, False) if isinstance(found, CallRecord) else found
            if (refusal := check_policy(tx, asked, self._policy)) is not None:
                write_audit(tx, asked, consent, f"refused:{refusal.setting}")
                return refusal
            if consent is not None and (outdated := check_consent(tx, asked, consent)) is not None:
                return outdated
            row = to_row(numbered_anew(tx, asked, self._timing))
            insert(tx, "calls", row | {"confirmation_id": consent.confirmation_id if consent else None})
            record = from_row(row)  # what is sent is what was written, and shares its parts with what is read later
            write_audit(tx, record, consent, PLACED if record.is_active else SCHEDULED)
            return record, True

        return await self._write_or_raise(work)

    async def mark_sent(self, record: CallRecord, *, service_time: ServiceTime) -> CallRecord:
        """Note that a request is about to leave; returns the record as it is now.

        `service_time` returns the time by the service's clock, and is called within the transaction.

        Raises:
            KallyAIError: It must not leave: the record is too old (code `too_late`), or it has ended, is gone, or
                belongs to another worker, or this worker lost its lease (code `not_sent`).
        """
        within = self._timing.send_within
        return await self._database.write(
            lambda tx: progress.mark_sent(tx, record, service_time=service_time, within=within)
        )

    mark_not_sent = writes(progress.mark_not_sent)
    mark_response_lost = writes(progress.mark_response_lost)
    bind_call = writes(progress.bind_call)

    async def finish(
        self,
        record: CallRecord,
        state: CallState,
        *,
        call: Call | None = None,
        calendar: Calendar | None = None,
        error: KallyAIError | None = None,
        reached: bool | None = None,
    ) -> None:
        """Write down how a call ended.

        An outcome is not changed later, unless KallyAI says more about it (`CallRecord.may_change`). A record that is
        no longer in the ledger, because its file was replaced, is written again with its end.

        Args:
            record: The record.
            state: How the call ended: `ENDED`, `REFUSED`, or `UNKNOWN`.
            call: The call as KallyAI reports it, for `ENDED`.
            calendar: Its calendar file, if it was read.
            error: Why there is no outcome, for `REFUSED` and `UNKNOWN`.
            reached: Whether the call reached somebody; None to let `reached_somebody` decide.
        """
        if reached is None and call is not None:
            reached = reached_somebody(call, calendar)
        end = Ending(call, calendar, error, reached)
        try:
            await self._database.write(lambda tx: progress.finish(tx, record, state, end, self._policy, self._timing))
        except ConstraintError:
            _log.warning("The outcome of a call was not written: another record of the ledger has that call")

    async def cancel(self, account: AccountKey, tracking_id: str) -> bool:
        """Cancel a call whose request has not left. If it has left, the attempt in progress is the last one.

        Returns:
            False when the request has left, or there is no such call.
        """
        return await self._database.write(
            lambda tx: progress.cancel(tx, account, tracking_id, self._policy, self._timing)
        )

    release = writes(progress.release)

    async def mark_delivered(self, records: Collection[CallRecord], *, delivered: bool) -> None:
        """See `progress.mark_delivered`."""
        await self._database.write(lambda tx: progress.mark_delivered(tx, records, delivered=delivered))
        if delivered:
            self._deliveries.note(records)

    async def find(self, account: AccountKey, id_: str) -> CallRecord | None:
        """The record of this account with this `tracking_id` or `call_id`."""
        if not id_.isprintable():  # no database accepts an unpaired surrogate, and no id has one
            return None
        rows = await self._select("AND (tracking_id = :id OR call_id = :id)", account, id=id_)
        return rows[0] if rows else None

    async def find_ended(self, account: AccountKey, call_ids: Collection[str]) -> dict[str, CallRecord]:
        """The account's records with these `call_id`s that have an outcome, by `call_id`."""
        names = {f"id_{number}": id_ for number, id_ in enumerate(call_ids) if id_.isprintable()}
        if not names:
            return {}
        listed = ", ".join(f":{name}" for name in names)
        found = await self._select(f"AND state = 'ended' AND call_id IN ({listed})", account, **names)
        return {record.call_id: record for record in found if record.call_id is not None}

    async def list_unsettled(self, account: AccountKey) -> list[CallRecord]:
        """The account's open records and those whose outcome is unknown, newest first.

        Also those of scheduled calls that were not placed when they were due, until a client was told.
        """
        return await self._select(f"AND {UNSETTLED} ORDER BY placed_at DESC", account)

    async def list_newest(self, account: AccountKey, limit: int) -> list[CallRecord]:
        """The account's `limit` newest records, newest first."""
        return await self._select("ORDER BY placed_at DESC LIMIT :limit", account, limit=limit)

    async def audit(self, account: AccountKey, limit: int) -> list[AuditEntry]:
        """The newest `limit` entries of the account's audit trail, newest first."""
        newest = "SELECT * FROM audit WHERE api = :api AND account = :account ORDER BY at DESC LIMIT :limit"

        def work(tx: Tx) -> list[AuditEntry]:
            return [audit_from_row(row) for row in tx.rows(newest, limit=limit, **account.columns)]

        return await self._database.read(work, empty=[])

    competitors = writes(find_competitors)
    has_abandoned = reads(maintenance.has_abandoned, empty=False)
    take_over = writes(maintenance.take_over)
    has_due = reads(scheduling.has_due, empty=False)
    unreached_before_due = reads(follow_up.unreached_before_due, empty=[])
    expire = writes(maintenance.expire)

    async def take_due(
        self,
        account: AccountKey,
        worker: str,
        *,
        most: int,
        service_time: ServiceTime,
        is_only_account: bool = True,
    ) -> list[CallRecord]:
        """Reserve up to `most` of the account's scheduled calls that are due for `worker`, the first due ones first.

        `service_time` is as in `mark_sent`.

        Returns:
            These calls; among them those that a setting refuses now, which have ended with that error.
        """
        return await self._database.write(
            lambda tx: scheduling.take_due(
                tx, account, worker, self._policy, self._timing, most, service_time, is_only_account=is_only_account
            )
        )

    async def take_following(self, record: CallRecord, worker: str) -> list[CallRecord]:
        """Reserve the calls of lists that come after `record`, which has ended, for `worker`; returns them."""
        return await self._database.write(
            lambda tx: scheduling.take_following(tx, record, worker, self._policy, self._timing)
        )

    note_hindrance = writes(scheduling.note_hindrance)
    put_back = writes(scheduling.put_back)

    async def purge(self, seconds: float) -> bool:
        """Delete delivered records and audit entries that are older than `seconds`, and expired shared values.

        It deletes the oldest `BATCH` of each. A record that is active, unknown, not yet delivered, or of a list that is
        kept is never deleted.

        Returns:
            Whether there was anything to delete, so that there may be more.
        """
        # Checked first in a read, so that usually nothing is locked.
        if not await self._database.read(lambda tx: maintenance.is_purgeable(tx, seconds, self._timing), empty=False):
            return False
        await self._database.write(lambda tx: maintenance.purge(tx, seconds, self._timing))
        return True

    async def _select(self, condition: str, account: AccountKey, **values: Any) -> list[CallRecord]:
        query = f"SELECT * FROM calls WHERE api = :api AND account = :account {condition}"

        def work(tx: Tx) -> list[CallRecord]:
            found = readable(tx.rows(query, **account.columns, **values))
            return [maintenance.as_it_is(tx, record) for record in found]

        return await self._database.read(work, empty=[])
