"""A statement that the database refuses is an error of this program: it is logged, and never taken for an outage."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest

from kallyai_mcp.calls.ledger.base import ConstraintError, Database, LedgerUnavailableError, StatementError, Transaction
from tests.calls.ledgers import database_at

_TRACKED = "INSERT INTO calls (tracking_id) VALUES ('+14155551234')"


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with aclosing(database_at(place)) as database:
        yield database


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT nothing_like_it FROM calls", "nothing_like_it"),
        ("SELEC 1", "SELEC"),
        (_TRACKED, "api"),
        ("SELECT :missing", "missing"),
        ("SELECT 1 UNION SELECT 1 FOR UPDATE", "UPDATE"),
    ],
    ids=["no such column", "no SQL", "a column is missing", "no value", "not supported"],
)
async def test_a_statement_that_is_refused_is_logged_with_its_reason_and_is_no_outage(
    database: Database, caplog: pytest.LogCaptureFixture, statement: str, reason: str
) -> None:
    with pytest.raises(StatementError, match=reason):
        await database.write(lambda tx: tx.run(statement))

    [line] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert reason in line.getMessage()
    assert "+14155551234" not in caplog.text


async def test_a_value_that_can_not_be_stored_is_logged_and_is_no_outage(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StatementError, match="object"):
        await database.write(lambda tx: tx.run("SELECT :value", value=object()))

    assert "object" in caplog.text


async def test_a_refusal_that_the_transaction_passes_over_is_never_taken_for_its_commit(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL rolls such a transaction back, and answers COMMIT without an error; SQLite commits it."""

    def insert(tx: Transaction) -> None:
        tx.run("INSERT INTO shared_values (kind, name, value, expires_at) VALUES ('k', 'n', 'v', 0)")
        with suppress(Exception):
            tx.run("SELECT nothing_like_it FROM calls")

    with suppress(StatementError):
        await database.write(insert)
        assert await database.read(lambda tx: len(tx.rows("SELECT 1 FROM shared_values")), empty=0) == 1
        return
    assert "rolled back" in caplog.text


async def test_a_rule_of_the_schema_is_no_error_of_the_program(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    value = "INSERT INTO shared_values (kind, name, value, expires_at) VALUES ('k', 'n', 'v', 0)"
    await database.write(lambda tx: tx.run(value))
    with pytest.raises(ConstraintError):
        await database.write(lambda tx: tx.run(value))

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_what_a_ledger_of_a_newer_version_refuses_is_no_error_of_the_program(new_place: str) -> None:
    async with aclosing(database_at(new_place)) as database:
        await database.write(lambda tx: tx.run("UPDATE schema_version SET version = 99"))
    async with aclosing(database_at(new_place)) as database:
        with pytest.raises(LedgerUnavailableError):
            await database.write(lambda tx: tx.run("SELECT nothing_like_it FROM calls"))
