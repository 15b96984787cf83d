"""Migrates a database to the newest version of the tables, whose statements are in `migrations`."""

import logging
from importlib.resources import files

from kallyai_mcp.calls.ledger.base import Transaction

_log = logging.getLogger(__name__)

ACTIVE = "('reserved', 'sent')"
"""`records.ACTIVE` as SQL: the states of a call that a worker must still run to its end."""

UNSETTLED = (
    "(state IN ('reserved', 'sent', 'unknown', 'scheduled') "
    "OR (not_before IS NOT NULL AND state IN ('expired', 'refused') AND delivered_at IS NULL))"
)
"""The condition for calls without an outcome, and for scheduled calls that were not placed, until a client was told.

The index `calls_unsettled` has the same condition; SQLite uses it only for these words.
"""

_NEWEST = 4
"""The version of the schema that this program writes; `migrations/N.sql` leads from version N - 1 to version N."""

_WITHOUT_WEBHOOKS = 3
"""The version without the tables of events and webhooks."""


def migrate(transaction: Transaction) -> bool:
    """Migrate the schema, in a transaction that no other migration runs beside; returns whether it is a newer one.

    A database of a newer version is not changed. Its records that this version can't read are skipped, and a statement
    that it refuses is no error of this program.
    """
    transaction.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    found = transaction.rows("SELECT version FROM schema_version")
    version = found[0]["version"] if found else 0
    if version > _NEWEST:
        _log.warning("The ledger was written by a newer version of kallyai-mcp; calls that only it knows are skipped")
    for number in range(version + 1, _NEWEST + 1):
        if number == _WITHOUT_WEBHOOKS:
            _note_ended_webhooks(transaction)
        for statement in _statements(number):
            transaction.run(statement)
    if version < _NEWEST:
        transaction.run("DELETE FROM schema_version")
        transaction.run("INSERT INTO schema_version (version) VALUES (:version)", version=_NEWEST)
    return bool(version > _NEWEST)


def _note_ended_webhooks(transaction: Transaction) -> None:
    live = "SELECT COUNT(*) AS number FROM webhook_subscriptions WHERE ended IS NULL AND expires_at > :now"
    [row] = transaction.rows(live, now=transaction.now())
    if row["number"]:
        _log.warning(
            "Webhooks are gone; subscriptions that ended with them: %s. get_call follows calls.", row["number"]
        )


def _statements(number: int) -> list[str]:
    text = (files("kallyai_mcp.calls.ledger") / "migrations" / f"{number}.sql").read_text(encoding="utf-8")
    return text.removesuffix(";\n").split(";\n")
