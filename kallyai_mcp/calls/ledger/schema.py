"""Migrates a database to the newest version of the tables, whose statements are in `migrations`."""

import logging
from importlib.resources import files

from kallyai_mcp.calls.ledger.base import Tx

_log = logging.getLogger(__name__)

_NEWEST = 4
"""The version of the schema that this program writes; `migrations/N.sql` leads from version N - 1 to version N."""


def migrate(tx: Tx) -> None:
    """Migrate the schema, in a transaction that no other migration runs beside.

    A database of a newer version is not changed. Its records that this version can't read are skipped.
    """
    tx.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    found = tx.rows("SELECT version FROM schema_version")
    version = found[0]["version"] if found else 0
    if version > _NEWEST:
        _log.warning("The ledger was written by a newer version of kallyai-mcp; calls that only it knows are skipped")
    for number in range(version + 1, _NEWEST + 1):
        text = (files("kallyai_mcp.calls.ledger") / "migrations" / f"{number}.sql").read_text(encoding="utf-8")
        for statement in text.removesuffix(";\n").split(";\n"):
            tx.run(statement)
    if version < _NEWEST:
        tx.run("DELETE FROM schema_version")
        tx.run("INSERT INTO schema_version (version) VALUES (:version)", version=_NEWEST)
