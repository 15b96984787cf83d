"""What every ledger keeps of a call from its reservation to its end, on both drivers."""

import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from kallyai_mcp.api.errors import KallyAIError, RateLimitedError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.disclosure import with_disclosure
from kallyai_mcp.calls.events import Cancel, Checked, Found, Lost, Over, Requested
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import (
    ACCOUNT,
    NOW,
    ago,
    another,
    asked,
    ended,
    ended_as,
    is_placed,
    kept,
    opened,
    outcome,
    reserved,
    sent,
    state_of,
    submission,
)
from tests.calls.manual_time import ManualClock

OTHER_ACCOUNTS = [
    AccountKey(ACCOUNT.api, "account-2"),
    AccountKey("http://127.0.0.1:1", ACCOUNT.account),
]


async def test_an_active_or_unknown_call_is_not_repeated(
    ledger: Ledger, clock: ManualClock
) -> None:
    records = [
        await reserved(ledger, another(1)),
        await sent(ledger, another(2)),
        await sent(ledger, another(3)),
    ]
    await ledger.handle(ACCOUNT, Over(replace(records[2], state=CallState.UNKNOWN)))
    clock.advance(86400 * 30)

    for number in (1, 2, 3):
        for redial in (False, True):
            record = another(number, tracking_id="t-new")
            counts = await ledger.handle(ACCOUNT, Requested(Checked(record, redial=redial)))
            assert (counts.is_new, counts.tracking_id) == (False, f"t-{number}")


async def test_an_outcome_found_after_unknown_is_not_delivered(
    ledger: Ledger,
) -> None:
    record = await sent(ledger, asked())
    unknown = replace(record, state=CallState.UNKNOWN)
    await ledger.handle(ACCOUNT, Over(replace(record, state=CallState.UNKNOWN)))
    await ledger.write(None, rows.mark_delivered, [unknown], delivered=True)
    await ledger.handle(ACCOUNT, Over(ended_as(record, outcome("busy"))))
    # A second client was told just before it was found.
    await ledger.write(None, rows.mark_delivered, [unknown], delivered=True)

    found = await kept(ledger)
    assert found.delivered_at is None
    assert not await is_placed(ledger, asked(2), redial=True)


async def test_another_submission_account_or_api_is_another_call(ledger: Ledger) -> None:
    await reserved(ledger, asked())

    assert await is_placed(ledger, asked(2, submission=submission(party_size=4)))
    assert await is_placed(
        ledger, asked(3, submission=submission(additional_instructions=("Quiet",)))
    )
    assert await is_placed(ledger, asked(4, submission=submission(appointment_date="2026-01-29")))
    for number, account in enumerate(OTHER_ACCOUNTS, start=5):
        assert await is_placed(ledger, asked(number, account=account))


async def known_call(ledger: Ledger) -> None:
    """A call of the account, with the ids `t-1` and `c-1`."""
    record = await sent(ledger, asked())
    await ledger.handle(ACCOUNT, Found(record, outcome(call_id="c-1"), proven=True))


@pytest.mark.parametrize("account", OTHER_ACCOUNTS)
async def test_an_account_sees_no_record_of_others(ledger: Ledger, account: AccountKey) -> None:
    await known_call(ledger)

    assert await ledger.read(rows.find, account, "t-1") is None
    assert await ledger.read(rows.find, account, "c-1") is None
    assert await ledger.read(rows.list_unsettled, account) == []
    assert await ledger.read(rows.audit, account, 10) == []
    assert not await ledger.handle(account, Cancel("t-1"))


@pytest.mark.parametrize("id_", ["\ud800", "t-1\0", "", "t-1' OR '1'='1"])
async def test_what_is_no_id_finds_no_record(ledger: Ledger, id_: str) -> None:
    await known_call(ledger)

    assert await ledger.read(rows.find, ACCOUNT, id_) is None


async def test_of_many_requests_at_once_one_is_reserved(
    ledger: Ledger, place: str, clock: ManualClock
) -> None:
    new: list[bool] = []

    async def ask(where: Ledger, number: int) -> None:
        new.append(await is_placed(where, asked(number)))

    async with opened(place, clock.now) as other, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, (ledger, other)[number % 2], number)

    assert sorted(new) == [False] * 19 + [True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"task_description": "Book a  table\n"}, {"task_description": "book A table"}),
        ({"business_name": "Café Sol"}, {"business_name": "Cafe\u0301 sol"}),
        ({"business_name": "Café Sol"}, {"business_name": "\ufeffCafé\u200b So\u00adl"}),
        ({"additional_instructions": ("Window",)}, {"additional_instructions": ("window ",)}),
        ({"business_name": "Joe's"}, {"business_name": "Joe\u2019s"}),
        (
            {"task_description": "Book a table, 7-9"},
            {"task_description": "Book a table, 7\u20139. "},
        ),
    ],
)
def test_the_same_call_typed_differently_has_one_fingerprint(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert fingerprint(submission(**one)) == fingerprint(submission(**other))


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("name", [None, "Ada", " Ada B."])
def test_the_disclosure_makes_no_other_call(language: str, name: str | None) -> None:
    asked_for = submission(call_language=language, user_name=name)

    assert fingerprint(with_disclosure(asked_for)) == fingerprint(asked_for)


async def test_without_its_ledger_a_days_key_stays_same(clock: ManualClock, tmp_path: Path) -> None:
    records = []
    for name, record in (
        ("first", asked(1)),
        ("empty", asked(2, timezone="Asia/Tokyo")),
        ("tomorrow", asked(3)),
    ):
        clock.advance(86400 if name == "tomorrow" else 0)
        async with opened(tmp_path / name, clock.now) as ledger:
            records.append(await reserved(ledger, record))
    first, again, later = records

    assert first.idempotency_key == again.idempotency_key == str(uuid.UUID(first.idempotency_key))
    assert later.idempotency_key != first.idempotency_key
    assert later.day == "2026-01-26"


async def test_after_a_rate_limit_the_key_stays_same(ledger: Ledger, clock: ManualClock) -> None:
    records = [await limited(ledger, await sent(ledger, asked(1)))]
    for number in (2, 3, 4):
        clock.advance(240)
        records += [await limited(ledger, await sent(ledger, asked(number)))]
    clock.advance(86400)
    tomorrow = await reserved(ledger, asked(5))

    assert len({record.idempotency_key for record in records}) == 1
    assert tomorrow.idempotency_key != records[0].idempotency_key
    assert tomorrow.response_lost_at is None
    # Where the list is looked through from: a call may last for five minutes.
    began = [
        record.response_lost_at - NOW for record in records if record.response_lost_at is not None
    ]
    assert began == [timedelta(0), timedelta(0), timedelta(0), timedelta(seconds=180)]


@pytest.mark.parametrize("has_left", [True, False])
async def test_a_key_that_never_left_is_kept(
    ledger: Ledger, clock: ManualClock, *, has_left: bool
) -> None:
    """KallyAI may know it all the same, if the ledger was restored from a backup."""
    first = await (sent if has_left else reserved)(ledger, asked(1))
    refused = replace(first, state=CallState.REFUSED, error=KallyAIError("no", code="any"))
    await ledger.handle(ACCOUNT, Over(refused))
    clock.advance(240)
    again = await reserved(ledger, asked(2))

    assert (again.idempotency_key == first.idempotency_key) is not has_left
    assert again.generation == 1


@pytest.mark.parametrize("stored", [submission(), with_disclosure(submission())])
@pytest.mark.parametrize("by_now", [submission(), with_disclosure(submission())])
async def test_a_key_is_resent_with_its_first_body(
    ledger: Ledger, clock: ManualClock, stored: Submission, by_now: Submission
) -> None:
    first = await limited(ledger, await sent(ledger, asked(1, submission=stored)))
    clock.advance(240)
    again = await reserved(ledger, asked(2, submission=by_now, timezone="Asia/Tokyo"))

    assert again.idempotency_key == first.idempotency_key
    assert (again.submission, again.timezone) == (stored, first.timezone)


async def limited(ledger: Ledger, record: CallRecord) -> CallRecord:
    """Write down that a call was refused by 429."""
    record = await ledger.handle(ACCOUNT, Lost(record))
    await ledger.handle(
        ACCOUNT, Over(replace(record, state=CallState.REFUSED, error=RateLimitedError("too many")))
    )
    return record


async def test_a_services_call_belongs_to_one_record(ledger: Ledger) -> None:
    first, second = await reserved(ledger, another(1)), await reserved(ledger, another(2))
    elsewhere = await reserved(ledger, another(3, account=OTHER_ACCOUNTS[0]))

    assert await ledger.handle(ACCOUNT, Found(first, outcome(call_id="c-1"), proven=False))
    assert await ledger.handle(ACCOUNT, Found(first, outcome(call_id="c-1"), proven=False))
    assert not await ledger.handle(ACCOUNT, Found(second, outcome(call_id="c-1"), proven=False))
    assert await ledger.handle(
        elsewhere.account, Found(elsewhere, outcome(call_id="c-1"), proven=False)
    )


async def test_a_found_call_goes_to_its_answered_record(
    ledger: Ledger,
) -> None:
    finder, owner = await sent(ledger, another(1)), await reserved(ledger, another(2))
    await ledger.handle(ACCOUNT, Lost(finder))
    await ledger.handle(ACCOUNT, Found(finder, outcome(call_id="c-1"), proven=False))
    await ledger.handle(ACCOUNT, Over(ended_as(finder, outcome())))
    await ledger.write(
        None, rows.mark_delivered, [replace(finder, state=CallState.ENDED)], delivered=True
    )

    assert await ledger.handle(ACCOUNT, Found(owner, outcome(call_id="c-1"), proven=True))

    found = await kept(ledger)
    assert (found.state, found.call_id, found.call, found.delivered_at) == (
        CallState.UNKNOWN,
        None,
        None,
        None,
    )
    assert await ledger.read(rows.find, ACCOUNT, "c-1") == replace(
        owner, call_id="c-1", call=outcome()
    )
    # Its worker still follows the call that it had found: it does not know that the record lost it.
    await ledger.handle(ACCOUNT, Over(ended_as(finder, outcome())))
    assert await state_of(ledger, finder) is CallState.UNKNOWN


async def test_an_outcome_stays_as_it_was_first_written(ledger: Ledger) -> None:
    record = await ended(ledger, asked())

    await ledger.handle(ACCOUNT, Over(replace(record, state=CallState.UNKNOWN)))
    await ledger.handle(ACCOUNT, Over(ended_as(record, outcome("busy"))))

    found = await kept(ledger)
    assert found.call == outcome(call_id="c-t-1")
    assert found.delivered_at is not None


async def test_a_call_that_waits_is_canceled_once(ledger: Ledger) -> None:
    waiting = await reserved(ledger, another(1))

    assert await ledger.handle(ACCOUNT, Cancel("t-1"))
    assert not await ledger.handle(ACCOUNT, Cancel("t-1"))
    assert await state_of(ledger, waiting) is CallState.CANCELED
    assert await is_placed(ledger, another(1, tracking_id="t-3"))


async def test_the_ledger_finds_untold_ends(ledger: Ledger) -> None:
    planned = Schedule(ago(hours=1), ago(hours=1))
    for number, schedule in enumerate((planned, planned, Schedule()), 1):
        is_told = number == 2
        await ended(ledger, another(number, schedule=schedule), delivered=is_told)
    found = await ledger.read(rows.list_untold_plans, ACCOUNT)

    assert [record.tracking_id for record in found] == ["t-1"]
