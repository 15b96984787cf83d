"""Writes what was decided (`changes.Changes`): three kinds of statements, in one transaction.

A record is updated, inserted, or, in the table of older versions, taken out of its list. An update
names the attempt, its worker, and the state that the decision has read, so that a decision about
something else changes nothing. Lists, opt-outs, and the audit trail are written as they are.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.changes import AuditLine, Changes
from kallyai_mcp.calls.decisions import decide
from kallyai_mcp.calls.endings import Ending, endings_in
from kallyai_mcp.calls.events import Event
from kallyai_mcp.calls.ledger import list_rows, opt_outs, search_index, shared_values
from kallyai_mcp.calls.ledger.base import OutdatedError, Tx
from kallyai_mcp.calls.ledger.record_rows import end_columns, from_row, to_row
from kallyai_mcp.calls.ledger.rows import insert, write_audit
from kallyai_mcp.calls.ledger.view import SqlView
from kallyai_mcp.calls.records import AccountKey, CallRecord

_DAY = 86_400.0

_SEARCHED = frozenset({"submission", "outcome", "spoken", "placed_at"})
"""The columns with the words that find a call."""


def handle(
    tx: Tx,
    account: AccountKey,
    event: Event[Any],
    on_end: Callable[[Ending], object] = lambda _: None,
) -> Any:
    """Decide an event, and write what was decided; the answer is that of the event.

    `on_end` is called for each call that ends, before the transaction is committed. Raises
    `OutdatedError`, and the errors of the event; then nothing may be written.
    """
    view = SqlView(tx, account)
    changes = decide(view, event)
    answer = apply(tx, account, view, changes)
    for ending in endings_in(view.read, changes, view.now):
        on_end(ending)
    return answer


def ask(tx: Tx, account: AccountKey, event: Event[Any]) -> Any:
    """The answer that `handle` would give; nothing is written."""
    return decide(SqlView(tx, account), event).answer


def apply(tx: Tx, account: AccountKey, view: SqlView, changes: Changes[Any]) -> Any:
    """Write changes; returns their answer."""
    for record in changes.save:
        _update(tx, view.read[record.tracking_id], record)
    for call_list in changes.begin:
        _begin(tx, call_list, changes.used)
    for call_list in changes.lists:
        _update_list(tx, call_list)
    for record in changes.insert:
        _insert(tx, record, changes.used)
    for tracking_id in changes.left:
        tx.run("DELETE FROM call_list_calls WHERE tracking_id = :id", id=tracking_id)
    for line in changes.audit:
        _write_line(tx, line)
    if changes.used is not None:
        _use(tx, changes.used)
    for opt_out in changes.opt_outs:
        opt_outs.keep(tx, account, opt_out)
    for opt_out in changes.lifted:
        opt_outs.lift(tx, account, opt_out)
    return _written(changes)


def _update(tx: Tx, known: CallRecord, record: CallRecord) -> None:
    """Set the columns of a record that differ from what is `known`.

    `delivered_at` is written with the end of a call, also if it is the same: an answer may deliver
    the end before it without a lock.
    """
    tx.require_lock(record.account)
    before = to_row(known)
    row = to_row(record)
    columns = {name: value for name, value in row.items() if value != before[name]}
    if columns.keys() & {"state", *end_columns(record)}:
        columns["delivered_at"] = row["delivered_at"]
    if not columns:
        return
    settings = ", ".join(f"{name} = :new_{name}" for name in columns)
    updated = tx.rows(
        f"UPDATE calls SET {settings} WHERE tracking_id = :id AND idempotency_key = :key "
        "AND state = :state AND worker = :worker RETURNING tracking_id",
        id=known.tracking_id,
        key=known.idempotency_key,
        state=known.state.value,
        worker=known.worker,
        **{f"new_{name}": value for name, value in columns.items()},
    )
    if not updated:
        raise OutdatedError
    if columns.keys() & _SEARCHED:
        search_index.keep(tx, known, record)


def _insert(tx: Tx, record: CallRecord, confirmation_id: str | None) -> None:
    """Insert a record. A call that was asked for alone has its confirmation in its row."""
    row = to_row(record)
    if record.plan_id is None:
        row["confirmation_id"] = confirmation_id
    insert(tx, "calls", row)
    search_index.keep(tx, None, record)


def _begin(tx: Tx, call_list: CallList, confirmation_id: str | None) -> None:
    # `worker` is a column of older versions.
    more = {"worker": "", "confirmation_id": confirmation_id}
    insert(tx, "call_lists", list_rows.to_row(call_list) | more)


def _update_list(tx: Tx, call_list: CallList) -> None:
    """Write a list anew; its `confirmation_id` stays that of its first consent."""
    tx.require_lock(call_list.account)
    row = list_rows.to_row(call_list)
    settings = ", ".join(f"{name} = :{name}" for name in row)
    tx.run(f"UPDATE call_lists SET {settings} WHERE list_id = :list_id", **row)


def _write_line(tx: Tx, line: AuditLine) -> None:
    write_audit(tx, line.record, line.consent, refused_by=line.refused_by)


def _use(tx: Tx, confirmation_id: str) -> None:
    """A confirmation was used; it is valid for minutes."""
    before = shared_values.put(tx, "confirmation", confirmation_id, "used", seconds=_DAY)
    if before is not None:
        raise OutdatedError


def _written(changes: Changes[Any]) -> Any:
    """The answer. What is sent is what was written, so a new record is read back from its row."""
    answer = changes.answer
    if not isinstance(answer, CallRecord) or answer not in changes.insert:
        return answer
    written = from_row(to_row(answer))
    return replace(
        written, is_new=answer.is_new, last_call=answer.last_call, opt_out=answer.opt_out
    )
