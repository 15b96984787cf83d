import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from kallyai_mcp.api.errors import KallyAIError, NumberRefusedError, QuotaExceededError
from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.ledger.base import Ledger, LedgerUnavailableError
from kallyai_mcp.calls.ledger.sqlite import SqliteLedger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, error_document, error_from, fingerprint

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
SCOPE = AccountKey("https://api.example", "account-1")
RECENT = timedelta(minutes=10)
SILENCE = timedelta(seconds=10)


def submission(**changes: object) -> Submission:
    fields: dict[str, object] = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": "+14155551234",
    }
    return Submission.model_validate(fields | changes)


def record(number: int = 1, **changes: object) -> CallRecord:
    made = CallRecord(
        tracking_id=f"t-{number}",
        scope=SCOPE,
        fingerprint=fingerprint(submission()),
        key=f"key-{number}",
        submission=submission(),
        timezone="America/New_York",
        owner="owner-1",
        state=CallState.PREPARED,
        placed_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the test names fields of a record


def call(status: str = "success", call_id: str = "c-1") -> Call:
    return Call.model_validate({"call_id": call_id, "status": status, "highlights": "Booked", "duration_seconds": 61.5})


async def ended(ledger: Ledger, status: str, *, handed_out: bool, at: datetime = NOW) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await ledger.send("t-1", "owner-1", NOW)
    await ledger.end("t-1", CallState.ENDED, at, call=call(status))
    if handed_out:
        await ledger.hand_out("t-1")


async def is_placed(ledger: Ledger, again: CallRecord, *, redial: bool = False) -> bool:
    _, is_new = await ledger.enter(again, redial=redial, recent=RECENT)
    return is_new


async def test_a_new_call_is_written_down_and_found_by_its_tracking_id(ledger: Ledger) -> None:
    entered, is_new = await ledger.enter(record(), redial=False, recent=RECENT)

    assert is_new
    assert await ledger.find(SCOPE, "t-1") == entered == record()


async def test_an_ended_call_is_found_by_its_call_id_with_its_outcome(ledger: Ledger) -> None:
    await ended(ledger, "success", handed_out=False)
    assert await ledger.claim("t-1", "c-1", sure=True)

    found = await ledger.find(SCOPE, "c-1")

    assert found is not None
    assert found.tracking_id == "t-1"
    assert found.call == call()
    assert found.state is CallState.ENDED
    assert found.sent_at == found.ended_at == NOW


async def test_nothing_is_there_before_the_first_call_and_no_file_is_made(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")

    assert await ledger.find(SCOPE, "t-1") is None
    assert await ledger.unsettled(SCOPE) == []
    assert not await ledger.has_orphans("owner-1", NOW, SILENCE)
    await ledger.forget(NOW)
    await ledger.aclose()
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs


@pytest.mark.parametrize("state", [CallState.PREPARED, CallState.SENT, CallState.UNKNOWN])
async def test_the_same_call_is_not_placed_while_it_is_under_way_or_unknown(ledger: Ledger, state: CallState) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    if state is not CallState.PREPARED:
        await ledger.send("t-1", "owner-1", NOW)
    if state is CallState.UNKNOWN:
        await ledger.end("t-1", CallState.UNKNOWN, NOW)

    counts, is_new = await ledger.enter(record(2), redial=False, recent=RECENT)

    assert not is_new
    assert (counts.tracking_id, counts.state) == ("t-1", state)


@pytest.mark.parametrize(
    ("status", "handed_out", "minutes", "placed"),
    [
        ("success", False, 60, False),
        ("success", True, 9, False),
        ("success", True, 11, True),
        ("busy", False, 60, False),
        ("busy", True, 0, True),
        ("no_answer", True, 0, True),
    ],
)
async def test_whether_an_ended_call_may_be_placed_again(
    ledger: Ledger, status: str, *, handed_out: bool, minutes: int, placed: bool
) -> None:
    await ended(ledger, status, handed_out=handed_out)

    again = record(2, placed_at=NOW + timedelta(minutes=minutes))

    assert await is_placed(ledger, again) is placed


async def test_a_refused_call_may_be_placed_again_at_once(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await ledger.end("t-1", CallState.REFUSED, NOW, error=NumberRefusedError("no"))

    assert await is_placed(ledger, record(2))


async def test_an_outcome_that_was_not_heard_after_all_counts_as_not_handed_out(ledger: Ledger) -> None:
    await ended(ledger, "busy", handed_out=True)

    await ledger.take_back("t-1")

    assert not await is_placed(ledger, record(2))


async def test_redial_places_it_again_whatever_there_is(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    assert await is_placed(ledger, record(2), redial=True)


async def test_what_can_not_be_an_id_is_nobodys(ledger: Ledger) -> None:
    assert await ledger.find(SCOPE, "\ud800") is None


async def test_another_submission_account_or_api_is_another_call(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    assert await is_placed(ledger, record(2, fingerprint=fingerprint(submission(party_size=4))))
    assert await is_placed(ledger, record(3, scope=AccountKey(SCOPE.api, "account-2")))
    assert await is_placed(ledger, record(4, scope=AccountKey("http://127.0.0.1:1", SCOPE.account)))


async def test_nobody_sees_the_records_of_another_account(ledger: Ledger) -> None:
    await ended(ledger, "success", handed_out=False)
    await ledger.claim("t-1", "c-1", sure=True)
    other = AccountKey(SCOPE.api, "account-2")

    assert await ledger.find(other, "t-1") is None
    assert await ledger.find(other, "c-1") is None
    assert await ledger.unsettled(other) == []
    assert await ledger.adopt(other, "owner-2", NOW + timedelta(days=1), SILENCE) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"task_description": "Book a  table\n"}, {"task_description": "book A table"}),
        ({"business_name": "Café Sol"}, {"business_name": "Cafe\u0301 sol"}),
        ({"additional_instructions": ("Window",)}, {"additional_instructions": ("window ",)}),
        ({"user_name": None}, {}),
    ],
)
def test_the_same_call_typed_differently_has_one_fingerprint(one: dict[str, object], other: dict[str, object]) -> None:
    assert fingerprint(submission(**one)) == fingerprint(submission(**other))


@pytest.mark.parametrize(
    "change",
    [{"respondent_phone": "+14155551235"}, {"party_size": 5}, {"appointment_date": "2026-01-29"}, {"user_name": "B"}],
)
def test_another_number_date_party_or_name_is_another_fingerprint(change: dict[str, object]) -> None:
    assert fingerprint(submission(**change)) != fingerprint(submission())


async def test_a_request_may_leave_only_for_its_owner_and_only_before_the_end(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    assert not await ledger.send("t-1", "owner-2", NOW)
    assert await ledger.send("t-1", "owner-1", NOW)
    assert await ledger.send("t-1", "owner-1", NOW + timedelta(seconds=9))
    found = await ledger.find(SCOPE, "t-1")
    assert found is not None
    assert found.sent_at == NOW
    await ledger.end("t-1", CallState.ENDED, NOW, call=call())
    assert not await ledger.send("t-1", "owner-1", NOW)


async def test_an_outcome_once_written_down_stays(ledger: Ledger) -> None:
    await ended(ledger, "success", handed_out=False)

    await ledger.end("t-1", CallState.UNKNOWN, NOW)
    await ledger.end("t-1", CallState.ENDED, NOW, call=call("busy"))

    found = await ledger.find(SCOPE, "t-1")
    assert found is not None
    assert found.call == call("success")


async def test_what_was_unknown_may_still_be_found_out(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await ledger.end("t-1", CallState.UNKNOWN, NOW)
    await ledger.hand_out("t-1")

    await ledger.end("t-1", CallState.ENDED, NOW, call=call())

    found = await ledger.find(SCOPE, "t-1")
    assert found is not None
    assert (found.state, found.handed_out) == (CallState.ENDED, False)


async def test_one_call_of_the_service_belongs_to_one_record(ledger: Ledger) -> None:
    await ledger.enter(record(1), redial=True, recent=RECENT)
    await ledger.enter(record(2), redial=True, recent=RECENT)

    assert await ledger.claim("t-1", "c-1", sure=False)
    assert await ledger.claim("t-1", "c-1", sure=False)
    assert not await ledger.claim("t-2", "c-1", sure=False)


async def test_a_call_that_was_only_found_is_given_back_to_the_record_it_was_placed_for(ledger: Ledger) -> None:
    for number in (1, 2):
        await ledger.enter(record(number), redial=True, recent=RECENT)
        await ledger.send(f"t-{number}", "owner-1", NOW)
    await ledger.lose("t-1", NOW)
    await ledger.claim("t-1", "c-1", sure=False)
    await ledger.end("t-1", CallState.ENDED, NOW, call=call())
    await ledger.hand_out("t-1")

    assert await ledger.claim("t-2", "c-1", sure=True)

    robbed = await ledger.find(SCOPE, "t-1")
    assert robbed is not None
    assert (robbed.state, robbed.call_id, robbed.call, robbed.handed_out) == (CallState.SENT, None, None, False)
    assert [orphan.tracking_id for orphan in await ledger.adopt(SCOPE, "owner-1", NOW, SILENCE)] == ["t-1"]


async def test_the_unsettled_are_those_under_way_and_unknown_newest_first(ledger: Ledger) -> None:
    for number in range(1, 5):
        made = record(number, placed_at=NOW + timedelta(seconds=number))
        await ledger.enter(made, redial=True, recent=RECENT)
    await ledger.send("t-2", "owner-1", NOW)
    await ledger.end("t-3", CallState.UNKNOWN, NOW)
    await ledger.end("t-4", CallState.ENDED, NOW, call=call())

    assert [entry.tracking_id for entry in await ledger.unsettled(SCOPE)] == ["t-3", "t-2", "t-1"]


async def test_the_calls_of_a_silent_owner_are_adopted_once(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    later = NOW + timedelta(seconds=11)

    assert not await ledger.has_orphans("owner-2", NOW + timedelta(seconds=9), SILENCE)
    assert await ledger.has_orphans("owner-2", later, SILENCE)
    (orphan,) = await ledger.adopt(SCOPE, "owner-2", later, SILENCE)

    assert (orphan.tracking_id, orphan.owner) == ("t-1", "owner-2")
    assert await ledger.adopt(SCOPE, "owner-3", later, SILENCE) == []
    assert not await ledger.send("t-1", "owner-1", later)


async def test_an_owner_that_says_it_is_alive_keeps_its_calls(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    await ledger.beat("owner-1", NOW + timedelta(seconds=30))

    assert await ledger.adopt(SCOPE, "owner-2", NOW + timedelta(seconds=39), SILENCE) == []


async def test_an_owner_that_leaves_gives_its_calls_away_at_once(ledger: Ledger) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)

    await ledger.leave("owner-1")

    assert len(await ledger.adopt(SCOPE, "owner-2", NOW, SILENCE)) == 1


async def test_ended_calls_are_nobodys_orphans(ledger: Ledger) -> None:
    await ended(ledger, "success", handed_out=False)

    assert await ledger.adopt(SCOPE, "owner-2", NOW + timedelta(days=1), SILENCE) == []


async def test_old_records_go_whatever_their_state(ledger: Ledger) -> None:
    for number, age in ((1, 91), (2, 89)):
        made = record(number, placed_at=NOW - timedelta(days=age))
        await ledger.enter(made, redial=True, recent=RECENT)

    await ledger.forget(NOW - timedelta(days=90))

    assert await ledger.find(SCOPE, "t-1") is None
    assert await ledger.find(SCOPE, "t-2") is not None


@pytest.mark.parametrize(
    "error",
    [
        NumberRefusedError(
            "no", code="blocked_number", status=403, reason="fraud", correlation_id="c", retry_after=2.5
        ),
        QuotaExceededError("spent", plan_type="trial", minutes_allocated=30, upgrade_url="https://kallyai.com/pricing"),
    ],
)
async def test_an_error_comes_back_as_it_was(ledger: Ledger, error: KallyAIError) -> None:
    await ledger.enter(record(), redial=False, recent=RECENT)
    await ledger.end("t-1", CallState.REFUSED, NOW, error=error)

    found = await ledger.find(SCOPE, "t-1")

    assert found is not None
    assert type(found.error) is type(error)
    assert vars(found.error) == vars(error)


def test_an_error_of_a_later_version_is_still_an_error() -> None:
    document = error_document(NumberRefusedError("no", code="new")) | {"class": "SomethingNew"}

    assert error_from(document).code == "new"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no POSIX permissions")
async def test_only_its_owner_can_read_the_file_and_its_companions(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "home" / "ledger.db")
    await ledger.enter(record(), redial=False, recent=RECENT)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}

    assert set(modes) == {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    await ledger.aclose()


async def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("no database " * 100)
    ledger = SqliteLedger(path)

    with pytest.raises(LedgerUnavailableError, match="can't be used"):
        await ledger.enter(record(), redial=False, recent=RECENT)

    assert path.read_text().startswith("no database")


ENTER = """
import asyncio, sys
from datetime import timedelta
from tests.calls.places import ledger_at
from tests.calls.test_ledger import record
async def main():
    ledger = ledger_at(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    _, is_new = await ledger.enter(record(int(sys.argv[2])), redial=False, recent=timedelta(minutes=10))
    await ledger.aclose()
    print(int(is_new))
asyncio.run(main())
"""


def test_of_many_processes_that_ask_at_the_same_instant_one_places_the_call(where: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ENTER, where, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    placed = 0
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=30)
        placed += int(out)

    assert placed == 1


async def test_a_cancelled_caller_does_not_break_a_transaction(ledger: Ledger) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.enter(record(), redial=False, recent=RECENT)

    assert await ledger.find(SCOPE, "t-1") in (None, record())
    assert await is_placed(ledger, record(2, fingerprint="another"))
