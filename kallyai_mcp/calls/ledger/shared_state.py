"""What workers share besides calls, in the ledger's database: one-time codes, revocations, secret keys."""

from kallyai_mcp.calls.ledger.base import Database, Transaction

_FIND = "SELECT value FROM shared_values WHERE kind = :kind AND name = :name AND expires_at > :now"


class SharedState:
    """Texts by kind and name, each until it expires. Every method raises `LedgerUnavailableError`.

    Args:
        database: The ledger's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, kind: str, name: str, value: str, seconds: float) -> str | None:
        """Set a value for so many seconds; returns the value that it replaced, read in the same step."""

        def work(tx: Transaction) -> str | None:
            _lock(tx, kind, name)
            before = _found(tx, kind, name)
            tx.run(
                "INSERT INTO shared_values (kind, name, value, expires_at) VALUES (:kind, :name, :value, :expires_at) "
                "ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
                kind=kind,
                name=name,
                value=value,
                expires_at=tx.now() + seconds,
            )
            return before

        return await self._database.write(work)

    async def add(self, kind: str, name: str, value: str, seconds: float) -> bool:
        """Set a value unless there is one; False when there is."""

        def work(tx: Transaction) -> bool:
            tx.run(
                "DELETE FROM shared_values WHERE kind = :kind AND name = :name AND expires_at <= :now",
                kind=kind,
                name=name,
                now=tx.now(),
            )
            added = tx.run(
                "INSERT INTO shared_values (kind, name, value, expires_at) VALUES (:kind, :name, :value, :expires_at) "
                "ON CONFLICT (kind, name) DO NOTHING",
                kind=kind,
                name=name,
                value=value,
                expires_at=tx.now() + seconds,
            )
            return added > 0

        return await self._database.write(work)

    async def get(self, kind: str, name: str) -> str | None:
        """The value; None when there is none, or it expired."""
        return await self._database.read(lambda tx: _found(tx, kind, name), empty=None)

    async def drop(self, kind: str, name: str) -> None:
        """Delete a value."""
        await self._database.write(
            lambda tx: tx.run("DELETE FROM shared_values WHERE kind = :kind AND name = :name", kind=kind, name=name)
        )


def _found(tx: Transaction, kind: str, name: str) -> str | None:
    rows = tx.rows(_FIND, kind=kind, name=name, now=tx.now())
    return rows[0]["value"] if rows else None


def _lock(tx: Transaction, kind: str, name: str) -> None:
    """Hold off every other change of this value until the transaction ends, also where there is no row yet."""
    tx.run(
        "INSERT INTO shared_values (kind, name, value, expires_at) VALUES (:kind, :name, '', 0) "
        "ON CONFLICT (kind, name) DO UPDATE SET kind = excluded.kind",
        kind=kind,
        name=name,
    )
