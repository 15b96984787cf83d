"""The version of the tables: how they are brought to that of this program, and whether it can serve
those of a newer one.

While servers are updated one after another, two neighboring versions use one ledger. So an older
program goes on with tables of a newer one, unless that has said that it can't (`OLDEST`).
"""

import logging
from functools import cache, lru_cache
from importlib.resources import files

from kallyai_mcp.calls.errors import NewerSchemaError
from kallyai_mcp.calls.ledger.base import Tx

_log = logging.getLogger(__name__)

_MIGRATIONS = files("kallyai_mcp.calls.ledger") / "migrations"
"""`N.sql` in it leads from version N - 1 of the schema to version N. This program writes the newest
one.
"""

OLDEST = 10
"""The oldest version whose program can serve the tables of this one: it reads and writes what it
knows, and what it leaves out does no harm. If a script changes what older programs rely on, this is
the version of that script: programs that are older then place no call any more.
"""

NEEDED = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_needs"
"""Selects the version that a program must know."""


@cache
def newest() -> int:
    """The version of the schema that this program writes."""
    return sum(script.name.endswith(".sql") for script in _MIGRATIONS.iterdir())


def check(needed: int) -> None:
    """Raise `NewerSchemaError`, and say so once, unless this program can serve tables that need a
    version.
    """
    if needed > newest():
        _say_too_old(needed)
        raise NewerSchemaError(
            "A newer version of kallyai-mcp has changed the ledger so that this one can't use it; "
            "update this one"
        )


def migrate(tx: Tx) -> None:
    """Migrate the schema, in a transaction that no other migration runs beside.

    A database of a newer version is not changed. Its records that this version can't read are
    skipped.

    Raises:
        NewerSchemaError: This program can't serve the tables of a newer version.
    """
    tx.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    tx.run("CREATE TABLE IF NOT EXISTS schema_needs (version INTEGER NOT NULL)")
    (row,) = tx.rows("SELECT COALESCE(MAX(version), 0) AS version FROM schema_version")
    (needed,) = tx.rows(NEEDED)
    check(needed["version"])
    version = row["version"]
    if version > newest():
        _say_newer(version)
        return
    for number in range(version + 1, newest() + 1):
        if number == 3:  # this version has no more tables of webhooks
            _say_webhooks_end(tx)
        text = (_MIGRATIONS / f"{number}.sql").read_text(encoding="utf-8")
        for statement in text.removesuffix(";\n").split(";\n"):
            tx.run(statement)
    _fill(tx, version)
    if version < newest():
        _note(tx)


def _fill(tx: Tx, version: int) -> None:
    """Fill the columns and tables that are newer than a version.

    After all scripts, because it reads records, which have the columns of the newest one.
    """
    from kallyai_mcp.calls.ledger import bookings, search_index  # late: `bookings` is seldom needed

    if version < 8:
        bookings.fill(tx)
    if version < 10:
        search_index.fill(tx)


def _note(tx: Tx) -> None:
    """Write which version the tables have, and which one they need."""
    for table, version in (("schema_version", newest()), ("schema_needs", OLDEST)):
        tx.run(f"DELETE FROM {table}")
        tx.run(f"INSERT INTO {table} (version) VALUES (:version)", version=version)


def _say_webhooks_end(tx: Tx) -> None:
    live = "SELECT id FROM webhook_subscriptions WHERE ended IS NULL AND expires_at > :now"
    if ended := len(tx.rows(live, now=tx.now)):
        _log.warning(
            "Webhooks are gone; subscriptions that ended with them: %s. get_call follows calls",
            ended,
        )


@lru_cache  # so that it is said once
def _say_newer(version: int) -> None:
    _log.warning(
        "The ledger was written by a newer version of kallyai-mcp (schema %s); calls that only it "
        "knows are skipped",
        version,
    )


@lru_cache
def _say_too_old(needed: int) -> None:
    _log.error(
        "The ledger needs a newer version of kallyai-mcp (schema %s). This one places no calls any "
        "more, and reads none: update it",
        needed,
    )
