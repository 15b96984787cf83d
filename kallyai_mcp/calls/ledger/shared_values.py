"""Texts that workers share besides calls, such as revocations; they expire."""

from kallyai_mcp.calls.ledger.base import Tx

_THIS = "WHERE kind = :kind AND name = :name"


def put(tx: Tx, kind: str, name: str, value: str, seconds: float) -> str | None:
    """Set a value that expires after `seconds`; returns the value before it, or None, in the same
    transaction.
    """
    # Lets every other change of this value wait until the transaction ends, even when there is no
    # row yet.
    [before] = tx.rows(
        "INSERT INTO shared_values (kind, name, value, expires_at) VALUES (:kind, :name, '', 0) "
        "ON CONFLICT (kind, name) DO UPDATE SET kind = excluded.kind RETURNING value, expires_at",
        kind=kind,
        name=name,
    )
    changed = f"UPDATE shared_values SET value = :value, expires_at = :expires_at {_THIS}"
    tx.run(changed, kind=kind, name=name, value=value, expires_at=tx.now + seconds)
    return before["value"] if before["expires_at"] > tx.now else None


def all_of(tx: Tx, kind: str) -> dict[str, str]:
    """The values of a kind by name, without those that have expired."""
    live = "SELECT name, value FROM shared_values WHERE kind = :kind AND expires_at > :now"
    rows = tx.rows(f"{live} ORDER BY value, name", kind=kind, now=tx.now)
    return {row["name"]: row["value"] for row in rows}


def get(tx: Tx, kind: str, name: str) -> str | None:
    """The value; None when there is none, or it has expired."""
    live = f"SELECT value FROM shared_values {_THIS} AND expires_at > :now"
    rows = tx.rows(live, kind=kind, name=name, now=tx.now)
    return rows[0]["value"] if rows else None
