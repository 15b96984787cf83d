"""Fills a ledger with many records in one statement, for tests and measurements of a ledger that
has grown.
"""

from collections.abc import Callable
from dataclasses import asdict

from kallyai_mcp.calls.ledger.base import Database, Tx
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.ledger.search_index import word_rows
from kallyai_mcp.calls.records import CallRecord

_BATCH = 10_000
"""Records in one transaction, so that PostgreSQL does not cut it short."""

_OWN = ("tracking_id", "fingerprint", "idempotency_key", "call_id", "list_id")
"""The columns that differ between any two rows."""

_TIMES = ("placed_at", "sent_at", "ended_at", "delivered_at", "not_before", "place_by", "asked_at")


async def add_records(
    database: Database, record: CallRecord, count: int, *, interval: float = 1.0
) -> None:
    """Insert `count` records like `record`, to a thousand numbers in turn.

    Their ids end in -1, -2, and so on. The times of each are `interval` seconds later than those of
    the one before.
    """
    numbers = {"number": "'+1415555' || (1000 + (:first + i) - (:first + i) / 1000 * 1000)"}
    await add_rows(database, "calls", to_row(record), count, interval=interval, expressions=numbers)
    for word in word_rows(record):
        row = asdict(word) | {
            "tracking_id": record.tracking_id,
            "is_quoted": int(word.is_quoted),
        }
        await add_rows(database, "call_words", row, count, interval=interval)


async def add_rows(
    database: Database,
    table: str,
    row: dict[str, object],
    count: int,
    *,
    interval: float = 1.0,
    expressions: dict[str, str] | None = None,
) -> None:
    """The same for rows of any table; `expressions` gives the SQL of further columns, with the
    row's number `i`.
    """
    values = {name: value for name, value in row.items() if value is not None}
    own = {name: f":{name} || '-' || (:first + i)" for name in _OWN}
    times = {
        name: f"CAST(:{name} AS DOUBLE PRECISION) + :interval * (:first + i)" for name in _TIMES
    }
    columns = {name: f":{name}" for name in values} | own | times | (expressions or {})
    chosen = {name: columns[name] for name in values}
    statement = (
        f"INSERT INTO {table} ({', '.join(chosen)}) "  # noqa: S608 - names of ours
        "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < "
        ":count) "
        f"SELECT {', '.join(chosen.values())} FROM numbers"
    )

    def insert(first: int) -> Callable[[Tx], None]:
        size = min(_BATCH, count - first)
        return lambda tx: tx.run(statement, **values, first=first, count=size, interval=interval)

    for first in range(0, count, _BATCH):
        await database.write(insert(first))
