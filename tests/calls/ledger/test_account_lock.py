"""Transactions that change the calls of one account run one after another, whichever process begins
them.
"""

import threading
import time

import anyio
import anyio.to_thread
import pytest

from kallyai_mcp.calls.events import Cancel
from kallyai_mcp.calls.ledger.apply import handle
from kallyai_mcp.calls.ledger.base import Ledger, StatementError, Tx
from tests.calls.ledgers import ACCOUNT, another, kept, opened, reserved

LIMIT = 60.0
"""Real seconds until a test that waits for a lock fails."""


async def test_a_change_without_the_lock_is_refused(ledger: Ledger) -> None:
    record = await reserved(ledger, another(1))

    with pytest.raises(StatementError, match="has not locked"):
        await ledger.write(None, handle, ACCOUNT, Cancel(record.tracking_id))

    assert (await kept(ledger)).state is record.state


async def test_a_change_waits_for_the_one_before(database_url: str) -> None:
    """In PostgreSQL, which does not lock all of its data as SQLite does."""
    order: list[str] = []
    begun = threading.Event()

    def first(tx: Tx) -> None:
        begun.set()
        until = time.monotonic() + LIMIT
        while not tx.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            assert time.monotonic() < until, "the second transaction does not wait"
        order.append("first")

    def second(tx: Tx) -> None:
        order.append("second")
        handle(tx, ACCOUNT, Cancel("t-1"))

    async with (
        opened(database_url) as here,
        opened(database_url) as there,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(here.write, ACCOUNT, first)
        assert await anyio.to_thread.run_sync(begun.wait, LIMIT)
        tasks.start_soon(there.write, ACCOUNT, second)
    assert order == ["first", "second"]
