"""A ledger of an older version: its calls, lists, and schedules go on after the migration, on both
drivers.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.disclosure import asks_to_disclose, with_disclosure
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRequest, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import ACCOUNT
from tests.calls.lists import calls_of, went_on
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, World, reply, world

ROWS = Path(__file__).with_name("ledger_of_schema_1.sql")
BOOKED = "t-dd9f9165-06ad-456b-bed1-d0ba0dd33374"
SCHEDULED = "t-fee71a8f-570a-4ca1-86c4-28479bc9c1b7"
LIST = "t-f5145de8-2b79-4418-9720-7c81cedd1d37"
CAN_NOT_GO_ON = {
    "with a zone for each candidate": "t-0a1b2c3d-2b79-4418-9720-7c81cedd1d37",
    "between two calls": "t-1a1b2c3d-2b79-4418-9720-7c81cedd1d37",
    "with a call of another list": "t-2a1b2c3d-2b79-4418-9720-7c81cedd1d37",
}
NEXT_CALL = "t-4a1b2c3d-2b79-4418-9720-7c81cedd1d37"
DUE = datetime(2026, 1, 26, 14, 0, tzinfo=UTC)


def make_old_ledger(place: str) -> None:
    """Make the tables of schema 1, with rows that its version wrote."""
    tables = (
        files("kallyai_mcp.calls.ledger")
        .joinpath("migrations", "1.sql")
        .read_text(encoding="utf-8")
    )
    version = (
        "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version "
        "VALUES (1);"
    )
    script = f"{version}\n{tables}\n{ROWS.read_text(encoding='utf-8')}"
    if place.startswith("postgresql://"):
        with psycopg.connect(place, autocommit=True) as server:
            server.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {script}".encode())
    else:
        Path(place).parent.mkdir()
        with closing(sqlite3.connect(place)) as file:
            file.executescript(script)


@pytest.fixture
async def older(place: str, clock: ManualClock) -> AsyncIterator[World]:
    """A process on a ledger of schema 1, twenty minutes after that version has written its rows."""
    make_old_ledger(place)
    clock.advance(1200)
    async with world(Service(clock), place) as here:
        yield here


async def test_an_older_booking_is_told(older: World) -> None:
    booked = await older.find(BOOKED)

    # Its event is at 4 PM at the callee, who agreed to 7 PM.
    assert booked.outcome is Outcome.BOOKED_OTHER_TIME


async def test_an_older_list_waits_and_goes_on(older: World) -> None:
    older.answering([reply("success", "c-list")])
    [waiting] = await older.run(older.calls.unfinished_lists())
    done = await went_on(older, waiting)

    assert waiting.list_id == LIST
    assert waiting.stop_reason is StopReason.NEEDS_DECISION
    assert waiting.timezones == ("Europe/Madrid",) * 3
    assert calls_of(done)[2:] == ["c-list"]


@pytest.mark.parametrize("list_id", CAN_NOT_GO_ON.values(), ids=CAN_NOT_GO_ON)
async def test_an_older_list_without_a_plan_is_canceled(older: World, list_id: str) -> None:
    found = await older.run(older.calls.find_list(list_id))

    assert found is not None
    assert found.stop_reason is StopReason.CANCELED


async def test_the_next_call_of_one_is_canceled(older: World) -> None:
    assert (await older.find(NEXT_CALL)).state is CallState.CANCELED


async def test_older_processes_still_read_their_lists(older: World) -> None:
    calls_of_lists = "SELECT * FROM call_list_calls"
    ties = await older.run(older.ledger.read(lambda tx: tx.rows(calls_of_lists)))

    assert len(ties) == 5


async def test_an_older_plan_is_listed(older: World) -> None:
    unsettled = await older.run(older.ledger.read(rows.list_unsettled, ACCOUNT))

    assert [record.tracking_id for record in unsettled] == [SCHEDULED, NEXT_CALL]


async def test_an_older_call_answers_the_same_request(older: World) -> None:
    booked = await older.find(BOOKED)
    requested = with_disclosure(booked.submission)
    request = CallRequest(requested, booked.timezone, Stopwatch(older.clock))
    again = await older.run(older.calls.place(request))

    assert asks_to_disclose(requested)
    assert again.tracking_id == BOOKED


async def test_an_older_scheduled_call_is_placed_and_retried(older: World) -> None:
    older.answering([reply("busy", "c-due"), reply("success", "c-again")])
    older.clock.advance((DUE - older.clock.now()).total_seconds())
    await older.run(older.clock.sleep(60))
    tried = await older.find(SCHEDULED)
    await older.run(older.clock.sleep(20 * 60))
    again = await older.find(SCHEDULED)

    assert [attempt.call_id for attempt in tried.schedule.earlier] == ["c-due"]
    assert again.state is CallState.ENDED
    assert again.call_id == "c-again"


async def test_the_end_of_older_webhooks_is_logged(
    older: World, caplog: pytest.LogCaptureFixture
) -> None:
    await older.find(BOOKED)
    told = [record.getMessage() for record in caplog.records if "Webhooks" in record.message]

    assert told == [
        "Webhooks are gone; subscriptions that ended with them: 1. get_call follows calls"
    ]
