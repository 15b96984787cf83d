"""Calls are found by the words of what was asked for, reported, and quoted."""

from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger import search_index, upkeep
from kallyai_mcp.calls.ledger.base import Database, Ledger, Tx
from kallyai_mcp.calls.ledger.sqlite import SqliteDatabase
from kallyai_mcp.calls.policy import CallPolicy
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.search_words import Search, search_words, words_in
from kallyai_mcp.calls.speech.spoken import Quotation, Spoken
from kallyai_mcp.calls.timing import Timing
from tests.calls.ledger.test_old_records import KEPT_FOR, old
from tests.calls.ledgers import ACCOUNT, NOW, ago, another, asked, submission
from tests.calls.world import PLACED, World
from tests.many_records import add_records

SAID = "Yes, there is a garage behind the house."
ALL = Search("", with_quotes=True, most=20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Is there parking?", {"is", "there", "parking"}),
        ("PARKING, parking", {"parking"}),
        ("¿Tenéis menú sin gluten?", {"teneis", "menu", "sin", "gluten"}),
        ("at 7:30 pm", {"at", "7", "30", "pm"}),
        ("", set()),
        ("?!", set()),
    ],
)
def test_words_have_neither_case_nor_accents(text: str, words: set[str]) -> None:
    assert words_in(text) == words


def test_a_word_is_told_or_only_quoted() -> None:
    wanted = submission(task_description="Ask about parking", additional_instructions=("When?",))
    record = replace(
        asked(submission=wanted),
        call=Call(call_id="c-1", status="success", highlights="They have a garage."),
        spoken=Spoken(quotes=(Quotation("Our garage is free."),)),
    )
    words = search_words(record)

    assert {"parking", "when", "garage"} <= words.reported
    assert words.quoted == {"our", "is", "free"}


async def about(here: World, words: str, *, with_quotes: bool = True) -> list[str | None]:
    """The ids of the calls that are found."""
    search = replace(ALL, about=words, with_quotes=with_quotes)
    found = await here.run(here.calls.calls_about(search))
    return [record.call_id for record in found.records]


@pytest.mark.parametrize(
    ("words", "with_quotes", "is_found"),
    [
        ("table", True, True),  # of the task
        ("TABLE book", True, True),
        ("tab", True, False),
        ("table parking", True, False),
        ("garage", True, True),  # of the quotation
        ("garage table", True, True),
        ("garage", False, False),
        ("table", False, True),
        ("", True, False),
    ],
)
async def test_each_word_of_a_call_finds_it(
    here: World, words: str, with_quotes: bool, is_found: bool
) -> None:
    here.answering([PLACED], transcripts={"c-1": SAID})
    await here.call()

    found = await about(here, words, with_quotes=with_quotes)

    assert found == (["c-1"] if is_found else [])


async def ids(ledger: Ledger, search: Search) -> list[str]:
    found = await ledger.read(search_index.find_about, ACCOUNT, search)
    return [record.tracking_id for record in found.records]


async def test_the_newest_of_a_time_come_first(ledger: Ledger, database: Database) -> None:
    for days in (1, 2, 3):
        await add_records(database, another(days, asked_at=ago(days=days)), 1, interval=0)
    search = replace(ALL, about="task")

    assert await ids(ledger, search) == ["t-1-1", "t-2-1", "t-3-1"]
    assert await ids(ledger, replace(search, most=1)) == ["t-1-1"]
    assert await ids(ledger, replace(search, until=ago(days=1.5))) == ["t-2-1", "t-3-1"]
    assert await ids(ledger, replace(search, since=ago(days=2.5))) == ["t-1-1", "t-2-1"]


async def test_only_the_newest_of_many_are_looked_at(ledger: Ledger, database: Database) -> None:
    for number in (1, 2):
        await add_records(database, another(number, asked_at=ago(hours=number)), 1001)
    search = replace(ALL, about="1 2")
    found = await ledger.read(search_index.find_about, ACCOUNT, search)
    earlier = replace(search, until=found.looked_back_to, since=ago(hours=2))
    rest = await ledger.read(search_index.find_about, ACCOUNT, earlier)

    assert found.looked_back_to in (ago(hours=1) + second(2), ago(hours=2) + second(2))
    assert (found.records, rest.records) == ([], [])
    assert rest.looked_back_to is None


def second(number: int) -> timedelta:
    return timedelta(seconds=number)


async def test_records_of_before_are_found_too(ledger: Ledger, database: Database) -> None:
    await add_records(database, another(1), 3, interval=0)
    search = replace(ALL, about="task 1")
    await database.write(partial(Tx.run, statement="DELETE FROM call_words"))
    assert await ids(ledger, search) == []

    await database.write(search_index.fill)

    assert sorted(await ids(ledger, search)) == ["t-1-1", "t-1-2", "t-1-3"]


async def test_the_purge_takes_words_out(ledger: Ledger, database: Database) -> None:
    await add_records(database, old(CallState.SENT), 2, interval=0)

    await ledger.write(None, upkeep.purge, KEPT_FOR)

    assert await database.read(lambda tx: tx.rows("SELECT * FROM call_words")) == []


async def test_no_word_stays_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    async with aclosing(SqliteDatabase(file, now=lambda: NOW)) as database:
        ledger = Ledger(database, policy=CallPolicy(), timing=Timing())
        secret = submission(task_description="Ask about rhododendrons")
        await add_records(database, replace(old(CallState.SENT), submission=secret), 300)
        await ledger.write(None, upkeep.purge, KEPT_FOR)
        await ledger.write(None, upkeep.purge, KEPT_FOR)
        await ledger.write(None, upkeep.purge, KEPT_FOR)
        assert await database.read(lambda tx: tx.rows("SELECT * FROM calls")) == []

    assert b"rhododendrons" not in file.read_bytes()
