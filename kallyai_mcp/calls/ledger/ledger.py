"""The ledger of calls: its methods are the transactions that the other modules of this package define."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf

from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.ledger import follow_up, lists, progress, reservation, rows, upkeep
from kallyai_mcp.calls.ledger.base import Database, Transactions, reads, writes
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import AccountKey, CallRecord
from kallyai_mcp.calls.timing import Timing


class Deliveries:
    """The outcomes that this process has delivered, and when by a clock that nobody sets."""

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._timing = timing
        self._known: dict[tuple[AccountKey, str], tuple[str, float, float]] = {}
        """By account and fingerprint: the tracking id, and when its outcome was delivered first and last."""

    def note(self, records: Iterable[CallRecord]) -> None:
        """Note that the outcomes of these calls were delivered now."""
        now, longest = self._clock.continuous(), max(self._timing.repeat_after, self._timing.repeat_after_delivery)
        for record in records:
            tracking_id, first, _ = self._known.pop((record.account, record.fingerprint), ("", now, now))
            first = first if tracking_id == record.tracking_id else now
            self._known[record.account, record.fingerprint] = record.tracking_id, first, now
        while self._known and now - next(iter(self._known.values()))[2] > longest:  # they are in the order of that time
            del self._known[next(iter(self._known))]

    def find(self, asked: CallRecord) -> tuple[str, bool, bool]:
        """The call that was told last for the fingerprint of `asked`, whatever the wall clock says.

        Returns its tracking id, whether that was a short time ago, and whether it was so for a call that reached
        somebody.
        """
        tracking_id, first, last = self._known.get((asked.account, asked.fingerprint), ("", -inf, -inf))
        now = self._clock.continuous()
        return tracking_id, now - last < self._timing.repeat_after_delivery, now - first < self._timing.repeat_after


@dataclass(frozen=True)
class Config:
    """What the transactions go by besides the rows."""

    policy: CallPolicy
    timing: Timing
    deliveries: Deliveries


class Ledger(Transactions):
    """The records of calls, which all processes of one user or all workers of one server share.

    Each method is one transaction: when it returns, every process sees its changes, and they survive a crash. Every
    method raises `LedgerUnavailableError` when the database can't be used. `clock` measures how long ago outcomes were
    told; the database has the wall clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        policy: CallPolicy,
        timing: Timing,
        clock: Clock = Clock(),  # noqa: B008 - never changes
    ) -> None:
        self._deliveries = Deliveries(clock, timing)
        super().__init__(database, Config(policy, timing, self._deliveries))

    def version(self) -> object:
        """See `Database.version`."""
        return self._database.version()

    async def take_lease(self) -> str:
        """Take the lease of a new worker; returns the worker's name."""
        return await self._database.take_lease()

    async def aclose(self) -> None:
        """Give up the lease and close the database."""
        await self._database.aclose()

    holds_lease = reads(lambda tx, worker: tx.holds_lease(worker))
    check = writes(lambda _: None)  # raises an error if the ledger can't be written

    find = reads(rows.find)
    find_ended = reads(rows.find_ended)
    list_unsettled = reads(rows.list_unsettled)
    list_not_placed = reads(rows.list_not_placed)
    list_newest = reads(rows.list_newest)
    list_related = reads(rows.list_related)
    audit = reads(rows.audit)

    precheck = reads(reservation.precheck)
    note_refusal = writes(reservation.note_refusal)
    reserve = writes(reservation.reserve)

    mark_sent = writes(progress.mark_sent)
    mark_not_sent = writes(progress.mark_not_sent)
    mark_response_lost = writes(progress.mark_response_lost)
    bind_call = writes(progress.bind_call)
    competitors = reads(progress.competitors)
    finish = writes(progress.finish)
    cancel = writes(progress.cancel)
    release = writes(progress.release)
    _mark_delivered = writes(progress.mark_delivered)

    unreached_before_due = reads(follow_up.unreached_before_due)
    note_hindrance = writes(follow_up.note_hindrance)
    take_due = writes(follow_up.take_due)
    take_following = writes(follow_up.take_following)
    put_back = writes(follow_up.put_back)
    expire = writes(follow_up.expire_late)

    find_list = reads(lists.find_list)
    find_same_list = reads(lists.find_same_list)
    list_unfinished = reads(lists.list_unfinished)
    last_calls = reads(lists.last_calls)
    reserve_list = writes(lists.reserve_list)
    continue_list = writes(lists.continue_list)
    cancel_list = writes(lists.cancel_list)

    find_work = reads(upkeep.find_work)
    take_over = writes(upkeep.take_over)
    purge = writes(upkeep.purge)

    async def mark_delivered(self, records: Collection[CallRecord], *, delivered: bool) -> None:
        """Note that the outcomes of these calls were delivered, or that they were not after all."""
        await self._mark_delivered(records, delivered=delivered)
        if delivered:
            self._deliveries.note(records)
