"""What a decision may read, in SQL (`changes.View`), for one account, in one transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.changes import PlacedCall, SameCalls
from kallyai_mcp.calls.duplicates import Asked
from kallyai_mcp.calls.errors import ConstraintError
from kallyai_mcp.calls.ledger import opt_outs, shared_values
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import (
    IS_ACTIVE,
    MINE,
    list_ids,
    state_in,
    state_not_in,
)
from kallyai_mcp.calls.ledger.emptied import is_emptied
from kallyai_mcp.calls.ledger.list_rows import select_lists_with
from kallyai_mcp.calls.ledger.rows import as_written
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import (
    NEVER_PLACED,
    NOT_PLACED,
    OPEN,
    AccountKey,
    CallRecord,
    CallState,
)
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.calls.tracking_ids import by_id, ids_of
from kallyai_mcp.clock import moment

_NEWEST_PLACED = f"{state_not_in(*NOT_PLACED)} ORDER BY placed_at DESC LIMIT :most"

_SAME_CALL = f"""
SELECT * FROM calls WHERE {MINE} AND fingerprint = :fingerprint AND (
    {state_not_in(CallState.ENDED, *NEVER_PLACED)} OR day = :day
    OR state = 'ended' AND (
        delivered_at IS NULL OR delivered_at > :since OR ended_at > :since OR placed_at > :since)
    OR tracking_id = :delivered
) UNION ALL SELECT * FROM (
    SELECT * FROM calls WHERE {MINE} AND number = :number AND {_NEWEST_PLACED}) AS newest
"""
"""Selects all records that may matter for a request, and the newest call to its number."""


class SqlView:
    """See `changes.View`.

    Attributes:
        read: The records that were read, by tracking id, as they are in the ledger.
    """

    def __init__(self, tx: Tx, account: AccountKey) -> None:
        self.read: dict[str, CallRecord] = {}
        self._tx = tx
        self._account = account
        self._opt_outs: dict[str, OptOut | None] = {}
        self._newest: dict[str, list[PlacedCall]] = {}
        """The newest call to a number that was placed, if any."""

    @property
    def now(self) -> datetime:
        """See `View.now`."""
        return moment(self._tx.now)

    @property
    def expires_before(self) -> datetime:
        """See `View.expires_before`."""
        return moment(self._tx.expires_before)

    @property
    def policy(self) -> CallPolicy:
        """See `View.policy`."""
        return self._tx.policy

    @property
    def timing(self) -> Timing:
        """See `View.timing`."""
        return self._tx.timing

    def record(self, tracking_id: str) -> CallRecord | None:
        """See `View.record`."""
        if tracking_id not in self.read:
            self._select("tracking_id = :id", id=tracking_id)
        return self.read.get(tracking_id)

    def bound_to(self, call_id: str | None, other_than: str) -> CallRecord | None:
        """See `View.bound_to`; raises `ConstraintError` for one that this version can't read."""
        if call_id is None:
            return None
        rows = self._rows(
            "call_id = :call_id AND tracking_id <> :id", call_id=call_id, id=other_than
        )
        found = self._readable(rows)
        if len(found) < len(rows):
            raise ConstraintError("A newer version of kallyai-mcp has another record of this call")
        return next(iter(found), None)

    def open_call(self, fingerprint: str) -> CallRecord | None:
        """See `View.open_call`."""
        is_open = f"fingerprint = :fingerprint AND {state_in(*OPEN)}"
        return next(iter(self._select(is_open, fingerprint=fingerprint)), None)

    def same_calls(self, requested: CallRecord, asked: Asked) -> SameCalls:
        """See `View.same_calls`."""
        timing = self.timing
        delivered_here = asked.delivered_here
        looks_back = max(timing.repeat_after, timing.repeat_after_delivery, timing.look_back)
        number = requested.submission.respondent_phone
        day = self.now.date().isoformat()
        rows = self._tx.rows(
            _SAME_CALL,
            fingerprint=requested.fingerprint,
            day=day,
            since=asked.arrived.timestamp() - looks_back,
            delivered=delivered_here.tracking_id if delivered_here is not None else "",
            number=number,
            most=1,
            **self._account.columns,
        )
        self._newest[number] = _newest_of([row for row in rows if row["number"] == number])
        of_call = [row for row in rows if row["fingerprint"] == requested.fingerprint]
        known = {row["tracking_id"]: row for row in of_call}  # the newest call may be in it twice
        records = self._readable(known.values())
        hidden = [known[id_] for id_ in known.keys() - ids_of(records)]
        return _same_calls(records, hidden, day)

    def newest_placed(self, number: str | None, since: datetime, most: int) -> Sequence[PlacedCall]:
        """See `View.newest_placed`."""
        if number in self._newest and most == 1:
            return [one for one in self._newest[number] if one.asked_at > since]
        of_number = "AND number = :number" if number is not None else ""
        rows = self._tx.rows(
            f"SELECT tracking_id, placed_at FROM calls WHERE {MINE} {of_number} "
            f"AND placed_at > :since AND {_NEWEST_PLACED}",
            number=number,
            since=since.timestamp(),
            most=most,
            **self._account.columns,
        )
        return [_placed(row) for row in rows]

    def active(self) -> Sequence[CallRecord]:
        """See `View.active`."""
        return self._select_few(IS_ACTIVE)

    def scheduled(self, ids: Collection[str]) -> Sequence[CallRecord]:
        """See `View.scheduled`."""
        listed, names = list_ids(ids)
        # Apart, so that SQLite uses an index for each, and without the state, for which it would
        # read all scheduled calls.
        found = self._select(f"tracking_id IN ({listed})", **names)
        of_lists = self._select_few(f"plan_id IN ({listed}) AND plan_id IS NOT NULL", **names)
        found += [one for one in of_lists if one.is_of_list]
        scheduled = (one for one in found if one.state is CallState.SCHEDULED)
        return sorted(by_id(scheduled).values(), key=_due_time)

    def call_list(self, list_id: str) -> CallList | None:
        """See `View.call_list`."""
        return next(iter(self._lists("list_id = :id", id=list_id)), None)

    def same_lists(self, fingerprint: str) -> Sequence[CallList]:
        """See `View.same_lists`."""
        newest = "CASE WHEN why IS NULL THEN 0 ELSE 1 END, asked_at DESC"
        return self._lists(f"fingerprint = :fingerprint ORDER BY {newest}", fingerprint=fingerprint)

    def lists_in_progress(self) -> Sequence[CallList]:
        """See `View.lists_in_progress`."""
        # Apart, so that SQLite uses an index for each.
        found = self._lists("ended_at IS NULL")
        calling = f"SELECT plan_id FROM calls WHERE {IS_ACTIVE} AND plan_id IS NOT NULL"
        found += self._lists(f"ended_at IS NOT NULL AND list_id IN ({calling})")
        return sorted(found, key=lambda one: one.asked_at)

    def holds_lease(self, worker: str) -> bool:
        """See `View.holds_lease`."""
        return self._tx.holds_lease(worker)

    def is_abandoned(self, worker: str) -> bool:
        """See `View.is_abandoned`."""
        return self._tx.is_abandoned(worker)

    def was_used(self, confirmation_id: str) -> bool:
        """See `View.was_used`."""
        return shared_values.get(self._tx, "confirmation", confirmation_id) is not None

    def opt_out(self, number: str) -> OptOut | None:
        """See `View.opt_out`."""
        if number not in self._opt_outs:
            self._opt_outs[number] = opt_outs.find_opt_out(self._tx, self._account, number)
        return self._opt_outs[number]

    def was_lifted(self, call_id: str) -> bool:
        """See `View.was_lifted`."""
        return opt_outs.was_lifted(self._tx, call_id)

    def _lists(self, condition: str, **values: object) -> list[CallList]:
        return select_lists_with(self._readable, self._tx, self._account, condition, **values)

    def _select(self, condition: str, **values: object) -> list[CallRecord]:
        return self._readable(self._rows(condition, **values))

    def _select_few(self, condition: str, **values: object) -> list[CallRecord]:
        """As `_select`, so that SQLite begins with the few rows that the condition has an index
        for, and not with all of the account.
        """
        few = f"SELECT tracking_id AS found_id FROM calls WHERE {condition}"
        rows = self._tx.rows(
            f"SELECT calls.* FROM ({few}) AS found CROSS JOIN calls "
            f"WHERE tracking_id = found_id AND {MINE}",
            **self._account.columns,
            **values,
        )
        return self._readable(rows)

    def _rows(self, condition: str, **values: object) -> list[Row]:
        statement = f"SELECT * FROM calls WHERE {MINE} AND {condition}"
        return self._tx.rows(statement, **self._account.columns, **values)

    def _readable(self, rows: Iterable[Row]) -> list[CallRecord]:
        """The records in rows, as they are in the ledger; others are left out."""
        records = as_written(rows)
        self.read |= by_id(records)
        return records


def _same_calls(records: Sequence[CallRecord], hidden: Collection[Row], day: str) -> SameCalls:
    """The records of a call; the `hidden` rows are those that are no records."""
    deleted = sum(map(is_emptied, hidden))
    return SameCalls(
        tuple(records),
        is_whole=deleted == len(hidden),
        was_deleted=deleted > 0,
        hidden_generations=tuple(row["generation"] for row in hidden if row["day"] == day),
    )


def _due_time(record: CallRecord) -> float:
    due = record.schedule.not_before
    return due.timestamp() if due is not None else 0.0


def _newest_of(rows: Collection[Row]) -> list[PlacedCall]:
    """The newest of these calls that was placed, if any."""
    placed = [_placed(row) for row in rows if row["state"] not in NOT_PLACED]
    return sorted(placed, key=lambda one: one.asked_at, reverse=True)[:1]


def _placed(row: Row) -> PlacedCall:
    return PlacedCall(row["tracking_id"], moment(row["placed_at"]))
