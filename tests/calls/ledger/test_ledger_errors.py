"""Errors of the program are no outage, and a write whose confirmation was lost places no call
twice.
"""

import logging
from contextlib import suppress
from functools import partial

import pytest

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.errors import LedgerUnavailableError
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Database, StatementError, Tx
from tests.calls.ledgers import ACCOUNT
from tests.calls.lists import asked_for, calls_of, went_on
from tests.calls.world import World


async def test_a_refused_statement_is_no_outage(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    a_column_is_missing = "INSERT INTO calls (tracking_id) VALUES ('+14155551234')"
    twice = "INSERT INTO accounts (api, account) VALUES ('api', 'a'), ('api', 'a')"
    for statement, reason in (
        (twice, "accounts"),
        ("SELECT nothing_like_it FROM calls", "nothing_like_it"),
        ("SELEC 1", "SELEC"),
        (a_column_is_missing, "api"),
        ("SELECT :missing", "missing"),
        ("SELECT 1 UNION SELECT 1 FOR UPDATE", "UPDATE"),
    ):
        caplog.clear()
        with pytest.raises(StatementError, match=reason) as raised:
            await database.write(partial(Tx.run, statement=statement))
        assert not isinstance(raised.value, LedgerUnavailableError)
        [line] = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert reason in line.getMessage()
        assert "+14155551234" not in caplog.text


async def test_a_refused_statement_is_never_a_commit(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL rolls such a transaction back; SQLite commits it."""

    def insert(tx: Tx) -> None:
        tx.run(
            "INSERT INTO shared_values (kind, name, value, expires_at) VALUES ('k', 'n', 'v', 0)"
        )
        with suppress(Exception):
            tx.rows("SELECT nothing_like_it FROM calls")

    with suppress(StatementError):
        await database.write(insert)
        assert await database.read(lambda tx: len(tx.rows("SELECT 1 FROM shared_values"))) == 1
        return
    assert "aborted" in caplog.text


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_an_unconfirmed_write_places_no_call_twice(here: World, lost: int) -> None:
    await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
    here.database.unconfirmed = lost
    for _ in range(2):
        try:
            placed = await here.place()
        except LedgerUnavailableError:
            await here.run(here.clock.sleep(30))
        else:
            await here.outcome(placed)
            break
    await here.run(here.clock.sleep(600))

    assert await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT)) == []
    assert len(here.service.keys) <= 1


async def test_a_list_without_confirmed_write_calls_nobody(here: World) -> None:
    await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
    here.database.unconfirmed = 2  # the second: that it is undone
    with pytest.raises(LedgerUnavailableError):
        await asked_for(here)
    await here.run(here.clock.sleep(600))
    found, is_new = await asked_for(here)

    assert found.stop_reason is StopReason.REFUSED
    assert not is_new
    assert here.service.keys == []
    assert calls_of(await went_on(here, found)) == ["c-1"]
