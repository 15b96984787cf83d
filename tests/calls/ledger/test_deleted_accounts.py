"""An account whose user asks to be deleted, on both drivers: nothing stays but hashes.

They stay for a day, so that no call is placed twice.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.call_lists import StopReason
from kallyai_mcp.calls.errors import AccountInUseError, RecordDeletedError
from kallyai_mcp.calls.ledger import upkeep
from kallyai_mcp.calls.ledger.base import Database, Ledger, Tx
from kallyai_mcp.calls.operator import Deleted
from kallyai_mcp.calls.records import AccountKey, CallRequest, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledger.test_upkeep import DAY, over
from tests.calls.ledgers import ACCOUNT, HERE, NOW, ago, another, asked, reserved, sent
from tests.calls.lists import SUCCESS, THREE, stopped
from tests.calls.process.test_stored_opt_outs import WORDS, opted_out
from tests.calls.world import PLACED, TABLE, World, reply
from tests.many_records import add_records

TABLES = (
    *("accounts", "audit", "call_list_calls", "call_lists", "call_words", "calls", "opt_outs"),
    "shared_values",
)

STAYS = {
    *("tracking_id", "api", "account", "fingerprint", "day", "generation", "idempotency_key"),
    *("state", "attempts", "clock_offset"),
    *("placed_at", "sent_at", "response_lost_at", "ended_at"),
}
"""The columns of a call that keep their values for a day: ids, hashes, and times."""


def admin_of(here: World) -> Admin:
    return Admin(here.ledger, ACCOUNT.api)


async def delete(here: World) -> Deleted:
    return await here.run(admin_of(here).delete(ACCOUNT.account))


async def all_rows(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table that has some."""

    def read(tx: Tx) -> dict[str, list[dict[str, Any]]]:
        return {table: tx.rows(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608 - ours

    return {table: rows for table, rows in (await ledger.read(read)).items() if rows}


async def days_later(here: World, days: float) -> None:
    here.clock.advance(days * DAY)
    while await here.run(here.ledger.write(None, upkeep.purge, 90 * DAY)):
        pass


async def test_every_table_names_its_account(ledger: Ledger) -> None:
    known = await ledger.read(lambda tx: tx.rows("SELECT version FROM schema_version"))

    assert known == [{"version": 11}], "has the new schema a table that `forget` must empty?"
    assert list((await all_rows(ledger)).keys()) == []


async def test_only_hashes_stay_and_only_a_day(here: World) -> None:
    await opted_out(here)
    deleted = await delete(here)
    left = await here.run(all_rows(here.ledger))
    await days_later(here, 1.1)

    [row] = left["calls"]
    assert deleted == Deleted(1, 1, is_more=False)
    assert {name for name, value in row.items() if value not in (None, "")} <= STAYS
    assert left.keys() <= {"calls", "shared_values"}
    # The id of the call with its quotes: a random id may have these letters, too.
    said = (HERE, TABLE.respondent_phone, WORDS, "'c-1'", '"c-1"')
    assert not any(text in str(left) for text in said)
    assert await here.run(all_rows(here.ledger)) == {}


async def test_the_same_request_places_no_second_call(here: World) -> None:
    here.answering([PLACED, reply("success", "c-2")])
    await here.tell(await here.call())
    await delete(here)
    with pytest.raises(RecordDeletedError):
        await here.place()
    await days_later(here, 1.1)
    again = await here.call()

    assert again.call_id == "c-2"
    assert len(set(here.service.keys)) == 2


async def test_the_user_may_ask_for_another_call(here: World) -> None:
    here.answering([PLACED, reply("success", "c-2")])
    await here.tell(await here.call())
    await delete(here)
    again = await here.call(redial=True)

    assert again.call_id == "c-2"
    assert len(set(here.service.keys)) == 2


async def test_a_list_does_not_call_a_deleted_candidate(here: World) -> None:
    here.answering(SUCCESS)
    await here.call(THREE[0])
    await delete(here)
    found = await stopped(here)

    assert found.stop_reason is StopReason.REFUSED
    assert [record.error.code for record in found.records if record.error] == ["record_deleted"]
    assert len(here.service.keys) == 1


async def test_a_scheduled_call_is_not_placed(here: World) -> None:
    due = here.calls.schedule_for(here.clock.now() + timedelta(minutes=5), 0)
    await here.run(here.calls.place(CallRequest(TABLE, "UTC", Stopwatch(here.clock), due)))
    deleted = await delete(here)
    here.clock.advance(300)
    await here.run(here.clock.sleep(60))

    assert deleted == Deleted(1, 0, is_more=False)
    assert here.service.keys == []


async def test_a_call_in_progress_is_waited_for(ledger: Ledger, database: Database) -> None:
    await add_records(database, over(), 3)
    await sent(ledger, asked())
    with pytest.raises(AccountInUseError):
        await Admin(ledger, ACCOUNT.api).delete(ACCOUNT.account)

    assert (await Admin(ledger, ACCOUNT.api).counts(ACCOUNT.account))["calls"] == 4


async def test_a_dead_workers_call_may_have_been_placed(ledger: Ledger, database: Database) -> None:
    left = another(1, state=CallState.SENT, asked_at=NOW, sent_at=NOW, worker="0000000b")
    await add_records(database, left, 1, interval=0)
    deleted = await Admin(ledger, ACCOUNT.api).delete(ACCOUNT.account)
    [row] = (await all_rows(ledger))["calls"]

    assert deleted == Deleted(1, 1, is_more=False)
    assert (row["state"], row["number"], row["submission"]) == ("unknown", "", "")


async def test_many_calls_of_one_account_are_deleted(ledger: Ledger, database: Database) -> None:
    other = AccountKey(ACCOUNT.api, "account-2")
    await add_records(database, over(days=5), 250)
    await reserved(ledger, replace(another(1), account=other))
    admin = Admin(ledger, ACCOUNT.api)
    deleted = await admin.delete(ACCOUNT.account)

    assert deleted == Deleted(250, 0, is_more=False)
    assert (await admin.counts(ACCOUNT.account))["calls"] == 0
    assert (await admin.counts(other.account))["calls"] == 1


async def test_a_user_gets_all_rows(ledger: Ledger, database: Database) -> None:
    await add_records(database, over(days=5), 600)
    await reserved(ledger, another(1))
    found = await Admin(ledger, ACCOUNT.api).export(ACCOUNT.account)

    assert {table: len(rows) for table, rows in found.items()} == {
        "calls": 601,
        "call_lists": 0,
        "opt_outs": 0,
        "audit": 1,
    }
    assert found["calls"][0]["submission"]["respondent_phone"] == HERE
    assert found["calls"][-1]["placed_at"] == NOW.isoformat()
    assert ago(days=5).isoformat()[:10] == found["calls"][0]["ended_at"][:10]
