"""A ledger in a file is copied into a PostgreSQL database, where its calls go on."""

from datetime import timedelta
from pathlib import Path

import pytest

from kallyai_mcp.calls.errors import NotCopiedError
from kallyai_mcp.calls.records import CallRequest, CallState
from kallyai_mcp.calls.storage import copy_file
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import asked, opened, sent
from tests.calls.lists import BUSY, stopped
from tests.calls.manual_time import ManualClock
from tests.calls.process.test_stored_opt_outs import ASKED, WORDS, opt_outs
from tests.calls.world import PLACED, TABLE, Service, World, reply, world

LATER = TABLE.model_copy(update={"respondent_phone": "+12025550101"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.db"


def files_beside(file: Path) -> list[str]:
    return sorted(one.name for one in file.parent.glob("*.db*") if one.is_file())


async def planned(here: World) -> str:
    """The id of a call that is due in an hour."""
    due = here.calls.schedule_for(here.clock.now() + timedelta(hours=1), 0)
    request = CallRequest(LATER, "America/New_York", Stopwatch(here.clock), due)
    return (await here.run(here.calls.place(request))).tracking_id


async def test_copied_calls_answer_and_go_on(
    file: Path, database_url: str, clock: ManualClock
) -> None:
    service = Service(clock, [PLACED, reply("success", "c-due")], transcripts={"c-1": WORDS})
    async with world(service, str(file)) as here:
        await here.tell(await here.call())
        due = await planned(here)
    counts = await copy_file(file, database_url)
    async with world(service, database_url) as here:
        again = await here.place()
        known = await opt_outs(here)
        clock.advance(3600)
        await here.run(clock.sleep(60))
        placed = await here.find(due)

    assert (counts["calls"], counts["audit"], counts["opt_outs"]) == (2, 2, 1)
    assert (again.call_id, again.is_new) == ("c-1", False)
    assert known == [ASKED]
    assert (placed.state, placed.call_id) == (CallState.ENDED, "c-due")


async def test_a_copied_list_is_the_answer(
    file: Path, database_url: str, clock: ManualClock
) -> None:
    service = Service(clock, [*BUSY])
    async with world(service, str(file)) as here:
        before = await stopped(here)
    await copy_file(file, database_url)
    async with world(service, database_url) as here:
        after = await here.run(here.calls.find_list(before.list_id))

    assert after == before
    assert len(service.keys) == 3


async def test_a_copied_call_in_progress_is_taken_over(
    file: Path, database_url: str, clock: ManualClock
) -> None:
    async with opened(file, clock.now) as ledger:
        record = await sent(ledger, asked())
    await copy_file(file, database_url)
    service = Service(clock)
    async with world(service, database_url) as here:
        await here.run(clock.sleep(600))
        settled = await here.find(record.tracking_id)

    assert settled.state is CallState.UNKNOWN
    assert service.keys == []


async def test_the_file_is_not_used_any_more(file: Path, database_url: str) -> None:
    async with opened(file) as ledger:
        await ledger.write(None, lambda tx: tx.now)
    await copy_file(file, database_url)

    assert files_beside(file) == ["ledger.db.copied"]
    with pytest.raises(NotCopiedError, match="There is no"):
        await copy_file(file, database_url)


async def test_a_file_in_use_is_not_copied(
    file: Path, database_url: str, clock: ManualClock
) -> None:
    async with opened(file, clock.now) as ledger:
        await sent(ledger, asked())
        with pytest.raises(NotCopiedError, match="stop all servers first"):
            await copy_file(file, database_url)


async def test_a_database_with_calls_is_not_filled(
    file: Path, database_url: str, clock: ManualClock
) -> None:
    for place in (str(file), database_url):
        async with opened(place, clock.now) as ledger:
            await sent(ledger, asked())
    with pytest.raises(NotCopiedError, match="has calls already"):
        await copy_file(file, database_url)

    assert files_beside(file) == ["ledger.db"]
