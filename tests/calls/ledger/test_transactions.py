"""What a call costs in the ledger: each transaction takes a turn of the database, and each write
waits for the disk.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from mcp import Client

from kallyai_mcp.calls.errors import ConsentOutdatedError, ConstraintError, LedgerUnavailableError
from kallyai_mcp.calls.events import Checked, Requested
from kallyai_mcp.calls.ledger.base import Database, Ledger, StatementError, Tx
from kallyai_mcp.calls.ledger.postgres import PostgresDatabase
from kallyai_mcp.calls.ledger.rows import list_unsettled, mark_delivered
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext
from tests.calls.ledgers import ACCOUNT, WatchedDatabase, another, asked, database_at, ended, opened
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, World, shown, world
from tests.faults.simulation.process import SignIn
from tests.postgres_server import PostgresDatabases

CALL = {
    "task_category": "general",
    "task_description": "Ask for the hours",
    "respondent_phone": "+12125551234",
}

_WAITS_FOR_THE_DISK: dict[type[Database], str] = {
    SqliteDatabase: "SELECT synchronous AS waits FROM pragma_synchronous",
    PostgresDatabase: "SELECT current_setting('synchronous_commit') AS waits",
}


@asynccontextmanager
async def connected(here: World) -> AsyncIterator[Client]:
    """An MCP client of a server on this process's calls."""

    @asynccontextmanager
    async def context() -> AsyncIterator[AppContext]:
        yield AppContext(
            api=here.calls.context._connect,  # noqa: SLF001 - that of the world
            calls=here.calls,
            sign_in=SignIn("account-1"),
            timezone="UTC",
            settings=Settings(wait_seconds=1000),
            now=here.clock.now,
            confirmations=Confirmations([b"k" * 32]),
        )

    async with Client(build_server(context), raise_exceptions=True) as client:
        yield client


@pytest.mark.parametrize(("seconds", "writes"), [(0, 3), (2, 4)])
async def test_a_call_waits_for_the_disk_three_times(
    place: str, clock: ManualClock, seconds: float, writes: int
) -> None:
    """Its reservation, that its request leaves, and its end; that the client was told waits for
    nothing, and one read looks for news of planned calls.
    """
    call = shown(respondent_phone=CALL["respondent_phone"])
    service = Service(clock, [(201, {"call_id": "c-0", "status": "success"}), (201, call)], [call])
    service.calendars = {"c-1": lambda: clock.sleep(seconds)}
    async with world(service, place) as here, connected(here) as client:
        await here.run(client.call_tool("make_call", CALL | {"respondent_phone": "+12125551235"}))
        await here.run(clock.sleep(2))  # old records are deleted once at the start
        here.database.begun.clear()
        result = await here.run(client.call_tool("make_call", CALL))
        begun = here.database.begun.copy()

    assert result.structured_content is not None
    assert result.structured_content["call_id"] == "c-1"
    assert begun == {"write": writes, "note": 1, "read": 1}


@pytest.mark.parametrize(
    ("refused", "lost", "transactions", "written"),
    [([], 0, 6, "012345"), ([3], 0, 6, "01245"), ([], 1, 1, "0")],
)
async def test_a_refused_write_harms_no_other(
    place: str, clock: ManualClock, refused: list[int], lost: int, transactions: int, written: str
) -> None:
    """If the first of six is not confirmed, each of the others fails at once, without a
    transaction.
    """
    database = WatchedDatabase(database_at(place, clock.now), clock)
    database.unconfirmed = lost
    joins = Consent("a client", "not_needed", joins=True)  # which allows no new call
    ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
    async with aclosing(database):
        consents = [joins if number in refused else NOT_LOOKED_AT for number in range(6)]
        reserving = [
            ledger.handle(ACCOUNT, Requested(Checked(another(n), redial=False), consent=one))
            for n, one in enumerate(consents)
        ]
        results = await asyncio.gather(*reserving, return_exceptions=True)
        found = [record.tracking_id for record in await ledger.read(list_unsettled, ACCOUNT)]

    assert database.begun["write"] == transactions
    assert sorted(found) == [f"t-{number}" for number in written]
    errors = [type(result) for result in results if isinstance(result, BaseException)]
    assert errors == [ConsentOutdatedError] * len(refused) + [LedgerUnavailableError] * 6 * lost


async def test_only_a_note_skips_the_disk(database: Database) -> None:
    waits = partial(Tx.rows, statement=_WAITS_FOR_THE_DISK[type(database)])

    before = await database.write(waits)
    noted = await database.write(waits, is_durable=False)
    after = await database.write(waits)

    assert before == after != noted
    assert noted in ([{"waits": 1}], [{"waits": "off"}])  # SQLite's 1 is `NORMAL`


async def test_a_failed_note_leaves_the_next_write_durable(database: Database) -> None:
    waits = partial(Tx.rows, statement=_WAITS_FOR_THE_DISK[type(database)])
    before = await database.write(waits)

    with pytest.raises(StatementError):
        await database.write(partial(Tx.run, statement="SELEC 1"), is_durable=False)

    assert await database.write(waits) == before


async def test_a_canceled_tasks_waiting_write_is_never_made(ledger: Ledger) -> None:
    writes = [
        asyncio.create_task(
            ledger.handle(ACCOUNT, Requested(Checked(another(number), redial=False)))
        )
        for number in range(3)
    ]
    await asyncio.sleep(0)
    writes[1].cancel()
    await asyncio.wait(writes)

    assert {record.tracking_id for record in await ledger.read(list_unsettled, ACCOUNT)} == {
        "t-0",
        "t-2",
    }


async def test_an_unreadable_record_refuses_its_call_alone(
    ledger: Ledger, database: Database
) -> None:
    await ledger.handle(ACCOUNT, Requested(Checked(another(2), redial=False)))
    await database.write(partial(Tx.run, statement="UPDATE calls SET submission = '{}'"))

    again = [
        ledger.handle(
            ACCOUNT, Requested(Checked(replace(another(n), tracking_id=f"t-{n}0"), redial=False))
        )
        for n in range(3)
    ]
    results = await asyncio.gather(*again, return_exceptions=True)
    assert [type(result) for result in results] == [CallRecord, CallRecord, ConstraintError]


async def test_marking_delivery_writes_to_no_index(
    postgres: PostgresDatabases, clock: ManualClock
) -> None:
    url = postgres.create_database()  # a new one: there is room on the page of the row
    async with opened(url, clock.now) as ledger, aclosing(database_at(url, clock.now)) as database:
        record = await ended(ledger, asked(), delivered=False)

        def tell(tx: Tx) -> list[dict[str, Any]]:
            mark_delivered(tx, [record], delivered=True)
            counted = "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables"
            return tx.rows(f"{counted} WHERE relname = 'calls'")

        assert await database.write(tell) == [{"all": 1, "hot": 1}]
    postgres.drop_database(url)
