"""What a call costs in the ledger: each transaction takes a turn of the database, and each write waits for the disk."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from mcp import Client

from kallyai_mcp.calls.ledger.base import Transaction
from kallyai_mcp.calls.ledger.progress import mark_delivered
from kallyai_mcp.server.build import build_server
from kallyai_mcp.tools.confirmations import Confirmations
from kallyai_mcp.tools.context import AppContext
from tests.calls.ledgers import database_at, opened
from tests.calls.manual_time import ManualClock
from tests.calls.samples import asked, ended
from tests.calls.world import Json, Reply, Service, World, shown, world
from tests.faults.simulation.process import SignIn
from tests.postgres_server import PostgresDatabases

CALL = {"task_category": "general", "task_description": "Ask for the hours", "respondent_phone": "+14155551234"}


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
            wait_seconds=1000,
            now=here.clock.now,
            confirmations=Confirmations(lambda: [b"k" * 32]),
            confirm="never",
        )

    async with Client(build_server(context), raise_exceptions=True) as client:
        yield client


async def count_of_one_call(place: str, clock: ManualClock, *replies: Reply, **more: Any) -> tuple[Json, Counter[str]]:
    """The result of a call whose server has placed one before, and the transactions that it took."""
    service = Service(clock, [(201, {"call_id": "c-0", "status": "success"}), *replies], **more)
    async with world(service, place) as here, connected(here) as client:
        await here.run(client.call_tool("make_call", CALL | {"respondent_phone": "+14155551235"}))
        here.database.begun.clear()
        result = await here.run(client.call_tool("make_call", CALL))
        return result.structured_content or {}, here.database.begun.copy()


async def test_a_call_takes_four_transactions_three_of_which_write(place: str, clock: ManualClock) -> None:
    """They look for a duplicate, reserve it as sent, write its end, and note that the client was told."""
    data, count = await count_of_one_call(place, clock, (201, {"call_id": "c-1", "status": "success"}))

    assert data["call_id"] == "c-1"
    assert count == {"read": 1, "write": 3}


async def test_an_outcome_is_written_before_its_calendar_file_if_that_is_late(place: str, clock: ManualClock) -> None:
    calendars = {"c-1": lambda: clock.sleep(2)}
    data, count = await count_of_one_call(place, clock, (201, shown("c-1")), calls=[shown("c-1")], calendars=calendars)

    assert data["call_id"] == "c-1"
    assert count["write"] == 4


async def test_postgresql_writes_to_no_index_when_the_client_was_told(
    postgres: PostgresDatabases, clock: ManualClock
) -> None:
    url = postgres.create_database()  # a new one: there is room on the page of the row
    async with opened(url, clock.now) as ledger, aclosing(database_at(url, clock.now)) as database:
        record = await ended(ledger, asked(), delivered=False)

        def tell(tx: Transaction) -> list[dict[str, Any]]:
            mark_delivered(tx, [record], delivered=True)
            counted = "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables"
            return tx.rows(f"{counted} WHERE relname = 'calls'")

        assert await database.write(tell) == [{"all": 1, "hot": 1}]
    postgres.drop_database(url)
