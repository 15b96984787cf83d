"""Calls of an older version of the schema are answers to the same requests."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.errors import NewerSchemaError
from kallyai_mcp.calls.events import Checked, Requested
from kallyai_mcp.calls.ledger import rows, schema
from kallyai_mcp.calls.ledger.record_rows import to_row
from kallyai_mcp.calls.records import CallRecord, CallState
from tests.calls.ledgers import ACCOUNT, NOW, another, asked, ended_as, opened, outcome, submission
from tests.calls.manual_time import ManualClock
from tests.calls.world import Service, world

_BEFORE = 7
"""The last version of the schema whose records do not name the booking that they are about."""

ENGLISH = "This call is about the booking of call c-booked: table for 4."
SPANISH = "Esta llamada trata de la reserva de la llamada c-reservada: mesa para 4."


def about(instruction: str) -> Submission:
    return submission(task_description=instruction, additional_instructions=[instruction])


def old_records() -> list[CallRecord]:
    """A call in progress, one whose outcome is unknown, and two about bookings that were just
    told.
    """
    active = another(1, state=CallState.SENT, sent_at=NOW, idempotency_key="k-1")
    unknown = another(2, state=CallState.UNKNOWN, sent_at=NOW, ended_at=NOW, idempotency_key="k-2")
    told = [
        replace(
            ended_as(asked(n, submission=about(text)), outcome(call_id=f"c-{n}")),
            ended_at=NOW,
            delivered_at=NOW,
        )
        for n, text in ((3, ENGLISH), (4, SPANISH))
    ]
    return [active, unknown, *told]


def make_ledger_before(place: str) -> None:
    """Make the tables of that version, with these records."""
    migrations = files("kallyai_mcp.calls.ledger") / "migrations"
    script = "CREATE TABLE schema_version (version INTEGER NOT NULL);"
    for number in range(1, _BEFORE + 1):
        script += (migrations / f"{number}.sql").read_text(encoding="utf-8")
    script += f"INSERT INTO schema_version VALUES ({_BEFORE});"  # noqa: S608 - ours
    known = columns_of(script)
    stored = [row_before(record, known) for record in old_records()]
    if place.startswith("postgresql://"):
        with psycopg.connect(place, autocommit=True) as server:
            server.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {script}".encode())
            for row in stored:
                names, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
                server.execute(f"INSERT INTO calls ({names}) VALUES ({places})".encode(), row)  # noqa: S608 - ours
        return
    Path(place).parent.mkdir()
    with closing(sqlite3.connect(place)) as file, file:
        file.executescript(script)
        for row in stored:
            names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            file.execute(f"INSERT INTO calls ({names}) VALUES ({places})", row)  # noqa: S608 - ours


def columns_of(script: str) -> set[str]:
    """The columns of a call in the tables that a script makes."""
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(script)
        return {row[1] for row in memory.execute("PRAGMA table_info(calls)")}


def row_before(record: CallRecord, known: set[str]) -> dict[str, Any]:
    row = to_row(replace(record, day="2026-01-25"))
    return {name: value for name, value in row.items() if name in known}


async def test_an_old_calls_booking_is_found(place: str, clock: ManualClock) -> None:
    make_ledger_before(place)
    async with opened(place, clock.now) as ledger:
        found = await ledger.read(
            lambda tx: tx.rows("SELECT about_call_id FROM calls ORDER BY tracking_id")
        )
        related = await ledger.read(rows.list_related, ACCOUNT, "+15550000000")

    assert [row["about_call_id"] for row in found] == [None, None, "c-booked", "c-reservada"]
    assert {record.tracking_id for record in related} == {"t-3", "t-4"}


@pytest.mark.parametrize("number", range(4))
async def test_an_older_versions_call_answers_its_request(
    place: str, clock: ManualClock, number: int
) -> None:
    make_ledger_before(place)
    old = old_records()[number]
    again = replace(asked(9), submission=old.submission, fingerprint=old.fingerprint)
    async with opened(place, clock.now) as ledger:
        answer = await ledger.handle(ACCOUNT, Requested(Checked(again, redial=False)))

    assert (answer.tracking_id, answer.state, answer.is_new) == (old.tracking_id, old.state, False)


async def needs(place: str, version: int) -> None:
    """Let a newer version say that the ledger needs a program of this version."""
    async with opened(place) as ledger:
        await ledger.write(None, lambda tx: tx.run("DELETE FROM schema_needs"))
        needed = "INSERT INTO schema_needs (version) VALUES (:version)"
        await ledger.write(None, lambda tx: tx.run(needed, version=version))


async def test_a_program_that_is_too_old_stops_placing(
    place: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    schema._say_too_old.cache_clear()  # noqa: SLF001 - as in a new process
    service = Service(clock)
    async with world(service, place) as here:
        await here.call()
        await needs(place, 99)
        for _ in range(2):
            with pytest.raises(NewerSchemaError, match="update this one"):
                await here.place(redial=True)
        await here.run(clock.sleep(60))
    async with world(service, place) as later:
        with pytest.raises(NewerSchemaError):
            await later.place(redial=True)
    said = [one.levelname for one in caplog.records if "needs a newer version" in one.message]

    assert said == ["ERROR"]
    assert len(service.keys) == 1


async def test_an_older_program_serves_what_it_can(place: str, clock: ManualClock) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        await needs(place, schema.newest())
        record = await here.call()

    assert record.state is CallState.ENDED
