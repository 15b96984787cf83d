"""Who asked not to be called again: the table `opt_outs`."""

from collections.abc import Collection

from kallyai_mcp.calls.ledger import shared_values
from kallyai_mcp.calls.ledger.base import Row, Tx
from kallyai_mcp.calls.ledger.conditions import MINE, list_ids
from kallyai_mcp.calls.ledger.rows import insert
from kallyai_mcp.calls.opt_outs import OptOut, OptOutReason
from kallyai_mcp.calls.records import AccountKey

_LIFTED = "lifted_opt_out"
_LIFTED_SECONDS = 10 * 366 * 86_400.0
"""How long a removed opt-out does not come back when the transcript of its call is read again."""


def list_opt_outs(tx: Tx, account: AccountKey) -> list[OptOut]:
    """The account's opt-outs, the newest first."""
    newest = f"SELECT * FROM opt_outs WHERE {MINE} ORDER BY day DESC, number"
    return [_from_row(row) for row in tx.rows(newest, **account.columns)]


def find_opt_out(tx: Tx, account: AccountKey, number: str) -> OptOut | None:
    """The opt-out of a number; None without one."""
    of_number = f"SELECT * FROM opt_outs WHERE {MINE} AND number = :number"
    rows = tx.rows(of_number, number=number, **account.columns)
    return _from_row(rows[0]) if rows else None


def keep(tx: Tx, account: AccountKey, opt_out: OptOut) -> None:
    """Write an opt-out in place of the one that its number had."""
    _delete(tx, account, opt_out.number)
    row = {
        **account.columns,
        "number": opt_out.number,
        "day": opt_out.day,
        "reason": opt_out.reason.value,
        "call_id": opt_out.call_id,
        "quote": opt_out.quote,
    }
    insert(tx, "opt_outs", row)


def lift(tx: Tx, account: AccountKey, opt_out: OptOut) -> None:
    """Delete an opt-out. What stays is the id of its call, so that it does not come back."""
    _delete(tx, account, opt_out.number)
    if opt_out.call_id is not None:
        shared_values.put(tx, _LIFTED, opt_out.call_id, "", seconds=_LIFTED_SECONDS)


def was_lifted(tx: Tx, call_id: str) -> bool:
    """Whether the opt-out that was said in a call was deleted."""
    return shared_values.get(tx, _LIFTED, call_id) is not None


def remove_lifted(tx: Tx, call_ids: Collection[str]) -> None:
    """Forget which opt-outs of these calls were removed."""
    listed, names = list_ids(call_ids)
    tx.run(f"DELETE FROM shared_values WHERE kind = '{_LIFTED}' AND name IN ({listed})", **names)


def _delete(tx: Tx, account: AccountKey, number: str) -> None:
    tx.require_lock(account)
    of_number = f"DELETE FROM opt_outs WHERE {MINE} AND number = :number"
    tx.run(of_number, number=number, **account.columns)


def _from_row(row: Row) -> OptOut:
    return OptOut(
        row["number"], row["day"], OptOutReason(row["reason"]), row["call_id"], row["quote"]
    )
