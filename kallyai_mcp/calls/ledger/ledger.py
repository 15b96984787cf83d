"""The ledger of calls: its methods are the transactions that the other modules of this package define."""

from kallyai_mcp.calls.ledger import follow_up, lists, progress, reservation, rows, upkeep
from kallyai_mcp.calls.ledger.base import Config, Database, Transactions, reads, writes
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.timing import Timing


class Ledger(Transactions):
    """The records of calls, which all processes of one user or all workers of one server share.

    Each method is one transaction: when it returns, every process sees its changes, and they survive a crash. Every
    method raises `LedgerUnavailableError` when the database can't be used.
    """

    def __init__(self, database: Database, *, policy: CallPolicy, timing: Timing) -> None:
        super().__init__(database, Config(policy, timing))

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
    mark_delivered = writes(progress.mark_delivered)

    unreached_before_due = reads(follow_up.unreached_before_due)
    note_hindrance = writes(follow_up.note_hindrance)
    take_due = writes(follow_up.take_due)
    put_back = writes(follow_up.put_back)
    expire_late = writes(follow_up.expire_late)

    find_list = reads(lists.find_list)
    find_same_list = reads(lists.find_same_list)
    list_unfinished = reads(lists.list_unfinished)
    last_calls = reads(lists.last_calls)
    reserve_list = writes(lists.reserve_list)
    cancel_list = writes(lists.cancel_list)

    find_work = reads(upkeep.find_work)
    take_over = writes(upkeep.take_over)
    purge = writes(upkeep.purge)
