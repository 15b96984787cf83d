"""A ledger of an older version: its calls, lists, and schedules go on after the migration, on both
drivers.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.ledger import lists, rows
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallState
from tests.calls.ledgers import ACCOUNT
from tests.calls.manual_time import ManualClock
from tests.calls.test_call_lists import went_on
from tests.calls.world import Service, reply, world

ROWS = Path(__file__).with_name("ledger_of_schema_1.sql")
BOOKED = "t-dd9f9165-06ad-456b-bed1-d0ba0dd33374"
SCHEDULED = "t-fee71a8f-570a-4ca1-86c4-28479bc9c1b7"
LIST = "t-f5145de8-2b79-4418-9720-7c81cedd1d37"
# A list with a zone for each candidate, one between two calls, and one with a call of another list
# and a next call.
CAN_NOT_GO_ON = [f"t-{number}a1b2c3d-2b79-4418-9720-7c81cedd1d37" for number in range(3)]
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


async def test_what_an_older_version_wrote_goes_on(
    place: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    make_old_ledger(place)
    clock.advance(1200)
    service = Service(
        clock, [reply("success", "c-list"), reply("busy", "c-due"), reply("success", "c-again")]
    )
    async with world(service, place) as here:
        booked = await here.find(BOOKED)
        unsettled = await here.run(here.ledger.read(rows.list_unsettled, ACCOUNT))
        [waiting] = await here.run(here.ledger.read(lists.list_unfinished, ACCOUNT))
        done = await went_on(here, waiting)
        others = [await here.run(here.calls.find_list(list_id)) for list_id in CAN_NOT_GO_ON]
        ties = await here.run(here.ledger.read(lambda tx: tx.rows("SELECT * FROM call_list_calls")))
        planned = await here.find(NEXT_CALL)
        clock.advance((DUE - clock.now()).total_seconds())
        await here.run(clock.sleep(60))
        tried = await here.find(SCHEDULED)
        await here.run(clock.sleep(timedelta(minutes=20).total_seconds()))
        again = await here.find(SCHEDULED)
    told = [record.getMessage() for record in caplog.records if "Webhooks" in record.message]
    assert told == [
        "Webhooks are gone; subscriptions that ended with them: 1. get_call follows calls"
    ]
    # Its event is at 4 PM at the callee, who agreed to 7 PM.
    assert booked.outcome is Outcome.BOOKED_OTHER_TIME
    assert [record.tracking_id for record in unsettled] == [SCHEDULED, NEXT_CALL]
    assert waiting.timezones == ("Europe/Madrid",) * 3
    assert [found.stop_reason for found in others if found is not None] == [StopReason.CANCELED] * 3
    assert planned.state is CallState.CANCELED
    assert len(ties) == 5  # read by older processes that still run
    assert (waiting.list_id, waiting.stop_reason) == (LIST, StopReason.NEEDS_DECISION)
    assert [record.call_id for record in done.records[2:]] == ["c-list"]
    assert [attempt.call_id for attempt in tried.schedule.earlier] == ["c-due"]
    assert (again.state, again.call_id) == (CallState.ENDED, "c-again")
