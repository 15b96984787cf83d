"""What the operator of a server reads about the calls of all accounts, on both drivers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.admin import Admin
from kallyai_mcp.calls.events import Over
from kallyai_mcp.calls.ledger.base import Database, Ledger
from kallyai_mcp.calls.operator import CallGroup, WantedEntries
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import AccountKey, CallState
from kallyai_mcp.calls.schedule import Schedule
from tests.calls.ledgers import ACCOUNT, HERE, NOW, THERE, ago, another, ended_as, outcome, reserved
from tests.many_records import add_records

OTHER = AccountKey(ACCOUNT.api, "account-2")
WINDOWS = {
    "t-3": (NOW - timedelta(hours=2), NOW - timedelta(hours=1)),
    "t-4": (NOW - timedelta(minutes=1), NOW + timedelta(hours=1)),
    "t-5": (NOW + timedelta(hours=1), NOW + timedelta(hours=2)),
}
"""The calls that are scheduled: one is late, one is due, one is due later."""


@pytest.fixture
async def admin(ledger: Ledger, database: Database) -> Admin:
    """The operator of a ledger with a call in each group, of two accounts."""
    await add_records(database, another(1, state=CallState.SENT, asked_at=ago(minutes=1)), 1)
    unknown = another(2, state=CallState.UNKNOWN, account=OTHER, asked_at=ago(days=3))
    await add_records(database, unknown, 1)
    for number, (due, late) in enumerate(WINDOWS.values(), start=3):
        planned = another(number, state=CallState.SCHEDULED, schedule=Schedule(due, late))
        await add_records(database, planned, 1, interval=0)
    return Admin(ledger, ACCOUNT.api)


@pytest.mark.parametrize(
    ("group", "ids"),
    [
        (CallGroup.IN_PROGRESS, ["t-1"]),
        (CallGroup.SCHEDULED, ["t-3", "t-4", "t-5"]),
        (CallGroup.DUE, ["t-4"]),
        (CallGroup.LATE, ["t-3"]),
        (CallGroup.UNKNOWN, ["t-2"]),
        (CallGroup.ENDED, []),
        (None, ["t-5", "t-4", "t-3", "t-1", "t-2"]),
    ],
)
async def test_each_group_has_its_calls(
    admin: Admin, group: CallGroup | None, ids: list[str]
) -> None:
    found = await admin.calls(group, None, 10)

    assert [call.tracking_id.removesuffix("-1") for call in found] == ids


async def test_only_so_many_are_read_since_then(admin: Admin) -> None:
    two = await admin.calls(None, None, 2)
    recent = await admin.calls(CallGroup.UNKNOWN, ago(days=1), 10)

    assert [call.state for call in two] == ["scheduled"] * 2
    assert recent == []


async def test_calls_of_one_moment_are_all_read(ledger: Ledger, database: Database) -> None:
    await add_records(database, another(1, state=CallState.UNKNOWN), 1100, interval=0)
    found = await Admin(ledger, ACCOUNT.api).calls(CallGroup.UNKNOWN, None, 10_000)

    assert len({call.tracking_id for call in found}) == 1100


async def test_the_audit_trail_says_how_calls_ended(ledger: Ledger) -> None:
    admin = Admin(ledger, ACCOUNT.api)
    mine = await reserved(ledger, another(1), Consent("a-client 1.0", "form", last_calls=(None,)))
    await ledger.handle(ACCOUNT, Over(ended_as(mine, outcome())))
    await reserved(ledger, another(2, account=OTHER))
    of_all = await admin.audit(WantedEntries(), 10)
    [of_mine] = await admin.audit(WantedEntries(account=ACCOUNT.account), 10)

    assert {entry.account for entry in of_all} == {ACCOUNT, OTHER}
    assert of_mine.call is not None
    assert (of_mine.decision, of_mine.asked_by, of_mine.how) == ("placed", "a-client 1.0", "form")
    assert (of_mine.call.state, of_mine.call.outcome) == ("ended", "answered")


async def test_the_audit_trail_is_searched_by_time(ledger: Ledger) -> None:
    admin = Admin(ledger, ACCOUNT.api)
    await reserved(ledger, another(1))
    hour = timedelta(hours=1)
    inside = WantedEntries(since=NOW - hour, until=NOW + hour)

    assert len(await admin.audit(inside, 10)) == 1
    assert await admin.audit(WantedEntries(since=NOW + hour), 10) == []
    assert await admin.audit(WantedEntries(until=NOW - hour), 10) == []


@pytest.mark.parametrize(
    ("id_", "is_found"), [("t-1", True), ("c-of-1", True), ("c-of", True), ("c_of-1", False)]
)
async def test_the_audit_trail_is_searched_by_id(ledger: Ledger, id_: str, is_found: bool) -> None:
    wanted = await reserved(ledger, another(1))
    await ledger.handle(ACCOUNT, Over(ended_as(wanted, outcome(call_id="c-of-1"))))
    await reserved(ledger, another(2))
    found = await Admin(ledger, ACCOUNT.api).audit(WantedEntries(call=id_), 10)

    assert [entry.tracking_id for entry in found] == ["t-1"] * is_found


@pytest.mark.parametrize(
    ("pattern", "found"), [(HERE, [HERE]), ("+1%34", [HERE]), ("%67", [THERE]), ("%9", [])]
)
async def test_the_audit_trail_is_searched_by_number(
    ledger: Ledger, pattern: str, found: list[str]
) -> None:
    for index, number in enumerate((HERE, THERE)):
        await reserved(ledger, another(index, number))
    entries = await Admin(ledger, ACCOUNT.api).audit(WantedEntries(number=pattern), 10)

    assert [entry.number for entry in entries] == found


async def test_entries_of_one_moment_have_an_order(ledger: Ledger) -> None:
    for number in (2, 3, 1):
        await reserved(ledger, another(number))
    entries = await Admin(ledger, ACCOUNT.api).audit(WantedEntries(), 10)

    assert [entry.tracking_id for entry in entries] == ["t-3", "t-2", "t-1"]


async def test_an_account_is_found_by_its_beginning(ledger: Ledger) -> None:
    admin = Admin(ledger, ACCOUNT.api)
    for number, account in enumerate(("abcd1", "abcd2", "abce0", "b0000")):
        known = AccountKey(ACCOUNT.api, account)
        await reserved(ledger, replace(another(number), account=known))

    assert await admin.accounts_like("abcd") == ["abcd1", "abcd2"]
    assert await admin.accounts_like("abce") == ["abce0"]
    assert await admin.accounts_like("abcd2") == ["abcd2"]
    assert await admin.accounts_like("c") == []
