"""The guard rails where calls are placed: caps, lists, the switch, and the audit trail, in every back end."""

import logging
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from kallyai_mcp.api.errors import PolicyError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState, fingerprint, to_document
from kallyai_mcp.calls.service import CallService
from tests.calls.places import opened
from tests.calls.test_ledger import NOW, RECENT, SCOPE, SILENCE, record, submission
from tests.calls.test_service import REFUSED, TABLE, Reply, Service, dialling, outcome
from tests.calls.wire import wire
from tests.redis_server import RedisServer

HERE, THERE = "+14155551234", "+34911234567"
FORM = Consent("a-client 1.0", "form", (RiskFlag.HOUR_THERE, RiskFlag.URGENT))


def errand(number: int, phone: str = HERE) -> Submission:
    return TABLE.model_copy(update={"task_description": f"Errand {number}", "respondent_phone": phone})


def placed(*numbers: int) -> list[Any]:
    """Replies to as many calls."""
    replies: list[Reply] = [(201, {"call_id": f"c-{number}", "status": "success"}) for number in numbers]
    return list(replies)


async def is_refused(calls: CallService, wanted: Submission, *, redial: bool = False, timezone: str = "UTC") -> str:
    """The setting that refuses it; empty when it is placed."""
    try:
        made = await calls.place(wanted, timezone=timezone, redial=redial)
    except PolicyError as hit:
        return hit.setting
    await outcome(calls, made)
    return ""


def another(number: int, ago: timedelta = timedelta(0), phone: str = HERE, **changes: Any) -> CallRecord:
    """A record of a call that is like no other, placed so long ago."""
    wanted = submission(task_description=f"Errand {number}", respondent_phone=phone)
    return replace(record(number, submission=wanted, fingerprint=fingerprint(wanted), placed_at=NOW - ago), **changes)


async def enter(ledger: Ledger, entry: CallRecord, policy: CallPolicy = CallPolicy()) -> PolicyError | None:  # noqa: B008 - frozen
    try:
        await ledger.enter(entry, redial=False, recent=RECENT, policy=policy)
    except PolicyError as hit:
        return hit
    return None


async def test_of_twenty_calls_at_once_a_cap_of_five_lets_five_through(where: str) -> None:
    service = Service(placed(*range(20)))
    policy = CallPolicy(calls_per_hour=5)
    answers: list[str] = []

    async def ask(calls: CallService, number: int) -> None:
        answers.append(await is_refused(calls, errand(number)))

    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(dialling(service, where, guards=policy)) for _ in range(2)]
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, servers[number % 2], number)
        trail = await servers[0].audit()

    assert sorted(answers) == [""] * 5 + ["KALLYAI_CALLS_PER_HOUR"] * 15
    assert len(service.keys) == 5
    assert sorted(entry.outcome for entry in trail) == ["placed"] * 5 + ["refused:KALLYAI_CALLS_PER_HOUR"] * 15


async def test_a_call_that_the_service_refused_is_not_counted(where: str) -> None:
    service = Service([REFUSED, REFUSED, *placed(1)])
    async with dialling(service, where, guards=CallPolicy(calls_per_day=1)) as calls:
        answers = [await is_refused(calls, errand(number)) for number in range(4)]

    assert answers == ["", "", "", "KALLYAI_CALLS_PER_DAY"]


async def test_a_call_that_may_have_been_made_is_counted(ledger: Ledger) -> None:
    policy = CallPolicy(calls_per_hour=2)
    await enter(ledger, another(1), policy)
    await ledger.end("t-1", CallState.UNKNOWN, NOW)
    await enter(ledger, another(2), policy)

    assert await enter(ledger, another(3), policy) is not None
    await ledger.end("t-2", CallState.REFUSED, NOW)
    assert await enter(ledger, another(4), policy) is None


@pytest.mark.parametrize(
    ("policy", "window"),
    [
        (CallPolicy(calls_per_hour=2), timedelta(hours=1)),
        (CallPolicy(calls_per_day=2), timedelta(days=1)),
        (CallPolicy(calls_per_number=2), timedelta(days=1)),
    ],
)
async def test_a_cap_opens_again_when_the_oldest_call_that_fills_it_leaves_the_window(
    ledger: Ledger, policy: CallPolicy, window: timedelta
) -> None:
    for number, ago in enumerate((window * 2, window, window - timedelta(minutes=10), timedelta(minutes=1))):
        assert await enter(ledger, another(number, ago)) is None

    hit = await enter(ledger, another(8), policy)
    assert hit is not None
    assert hit.retry_after == pytest.approx(600)
    assert await enter(ledger, another(9, -timedelta(seconds=599)), policy) is not None
    assert await enter(ledger, another(10, -timedelta(seconds=600)), policy) is None


async def test_a_refusal_says_the_rule_its_setting_and_when_it_is_open_again_on_the_users_clock(where: str) -> None:
    policy = CallPolicy(calls_per_hour=1)
    async with dialling(Service(placed(1)), where, guards=policy, now=NOW + timedelta(seconds=1)) as calls:
        await is_refused(calls, errand(1))
        with pytest.raises(PolicyError) as raised:
            await calls.place(errand(2), timezone="America/New_York")

    assert str(raised.value) == (
        "this server allows 1 call an hour (KALLYAI_CALLS_PER_HOUR), and so many were made; "
        "it may be tried again at 2026-01-25 11:31-05:00"
    )
    assert raised.value.retry_after == pytest.approx(3600)


async def test_of_several_caps_the_one_that_is_open_again_last_is_named(ledger: Ledger) -> None:
    await enter(ledger, another(1, timedelta(minutes=5)))
    both = CallPolicy(calls_per_hour=1, calls_per_number=1)

    hit = await enter(ledger, another(2), both)
    closed = await enter(ledger, another(3), replace(both, calls_per_day=0))

    assert hit is not None
    assert hit.setting == "KALLYAI_CALLS_PER_NUMBER"
    assert hit.retry_after == pytest.approx(86_400 - 300)
    assert closed is not None
    assert (closed.setting, closed.retry_after) == ("KALLYAI_CALLS_PER_DAY", None)
    assert str(closed) == "this server allows no calls a day (KALLYAI_CALLS_PER_DAY)"


async def test_a_cap_for_one_number_counts_that_number_alone(ledger: Ledger) -> None:
    policy = CallPolicy(calls_per_number=1)

    assert await enter(ledger, another(1), policy) is None
    assert await enter(ledger, another(2, phone=THERE), policy) is None
    assert await enter(ledger, another(3), policy) is not None


async def test_a_cap_counts_one_account_alone(ledger: Ledger) -> None:
    policy = CallPolicy(calls_per_hour=1, calls_per_number=1)

    assert await enter(ledger, another(1), policy) is None
    assert await enter(ledger, another(2, scope=AccountKey(SCOPE.api, "account-2")), policy) is None
    assert await enter(ledger, another(3, scope=AccountKey("http://127.0.0.1:1", SCOPE.account)), policy) is None


@pytest.mark.parametrize(
    "policy",
    [
        CallPolicy(stopped=True),
        CallPolicy(denied=("+1415",)),
        CallPolicy(allowed=(THERE,)),
        CallPolicy(calls_per_day=1),
    ],
)
async def test_who_asks_again_is_answered_whatever_forbids_calls_now_but_nobody_is_rung_anew(
    where: str, policy: CallPolicy
) -> None:
    service = Service(placed(1, 2))
    async with dialling(service, where) as calls:
        first = await calls.place(errand(1), timezone="UTC")
        record = await outcome(calls, first)
    async with dialling(service, where, guards=policy) as calls:
        again = await calls.place(errand(1), timezone="UTC")
        refused = [await is_refused(calls, errand(1), redial=True), await is_refused(calls, errand(2))]
        trail = await calls.audit()

    assert (again.is_new, again.record) == (False, record)
    assert all(refused)
    assert service.keys == [record.key]
    assert sorted(entry.outcome for entry in trail) == ["placed"] + [f"refused:{refused[0]}"] * 2


async def test_whether_it_was_asked_before_is_what_placing_would_answer_with(where: str) -> None:
    service = Service([*placed(1), (201, {"call_id": "c-2", "status": "busy"})])
    async with dialling(service, where) as calls:
        assert not await calls.asked_before(errand(1))
        assert not await calls.audit()
        made = await calls.place(errand(1), timezone="UTC")
        assert await calls.asked_before(errand(1))
        assert not await calls.asked_before(errand(1), redial=True)
        assert not await calls.asked_before(errand(2))
        await calls.hand_out(await outcome(calls, made))
        assert await calls.asked_before(errand(1))
        busy = await outcome(calls, await calls.place(errand(2), timezone="UTC"))
        assert await calls.asked_before(errand(2))
        await calls.hand_out(busy)
        assert not await calls.asked_before(errand(2))
    async with dialling(service, where, now=NOW + timedelta(minutes=11)) as later:
        assert not await later.asked_before(errand(1))


async def test_when_a_number_was_rung_last_is_known_unless_nothing_was_dialled(where: str) -> None:
    before = NOW - timedelta(minutes=30)
    async with dialling(Service(placed(1)), where, now=before) as calls:
        await is_refused(calls, errand(1))
    async with dialling(Service([REFUSED, *placed(3)]), where) as calls:
        await is_refused(calls, errand(2))
        await is_refused(calls, errand(3, THERE))

        assert await calls.last_rung(HERE) == before
        assert await calls.last_rung(THERE) == NOW
        assert await calls.last_rung("+12025550100") is None
    async with dialling(Service([]), where, account="account-2") as other:
        assert await other.last_rung(HERE) is None


async def test_a_user_need_not_be_asked_about_what_is_refused_anyway(where: str) -> None:
    service = Service(placed(1))
    async with dialling(service, where, guards=CallPolicy(calls_per_hour=1, denied=(THERE,))) as calls:
        await calls.admit(errand(1), timezone="UTC")
        with pytest.raises(PolicyError, match="KALLYAI_DENY_NUMBERS"):
            await calls.admit(errand(1, THERE), timezone="UTC", consent=Consent("a-client", "not_needed"))
        assert not await is_refused(calls, errand(1))
        with pytest.raises(PolicyError, match="KALLYAI_CALLS_PER_HOUR"):
            await calls.admit(errand(2), timezone="UTC")
        trail = await calls.audit()

    assert {(entry.outcome, entry.number) for entry in trail} == {
        ("refused:KALLYAI_DENY_NUMBERS", THERE),
        ("placed", HERE),
        ("refused:KALLYAI_CALLS_PER_HOUR", HERE),
    }
    assert len(service.keys) == 1


async def test_the_audit_trail_tells_who_asked_what_was_confirmed_and_what_came_of_it(where: str) -> None:
    policy = CallPolicy(denied=(THERE,))
    async with dialling(Service(placed(1)), where, guards=policy) as calls:
        made = await calls.place(errand(1), timezone="UTC", consent=FORM)
        await calls.place(errand(1), timezone="UTC", consent=FORM)
        with pytest.raises(PolicyError):
            await calls.place(errand(2, THERE), timezone="UTC")
        trail = {entry.outcome: entry for entry in await calls.audit()}
    async with dialling(Service([]), where, account="account-2") as other:
        assert await other.audit() == []

    assert set(trail) == {"placed", "refused:KALLYAI_DENY_NUMBERS"}
    entry = trail["placed"]
    assert (entry.at, entry.number, entry.tracking_id) == (NOW, HERE, made.record.tracking_id)
    assert (entry.asked_by, entry.how, entry.risk_flags) == ("a-client 1.0", "form", FORM.risk_flags)
    entry = trail["refused:KALLYAI_DENY_NUMBERS"]
    assert (entry.at, entry.number, entry.tracking_id) == (NOW, THERE, None)
    assert (entry.asked_by, entry.how, entry.risk_flags) == (None, None, ())


async def test_the_trail_comes_newest_first_and_no_more_than_was_asked_for(ledger: Ledger) -> None:
    for number in (2, 3, 1):
        await enter(ledger, another(number, timedelta(hours=number)))

    assert [entry.tracking_id for entry in await ledger.audit(SCOPE, 2)] == ["t-1", "t-2"]
    assert await ledger.audit(SCOPE, 0) == []
    assert len(await ledger.audit(SCOPE, 100)) == 3


async def test_the_trail_is_kept_as_long_as_records_are(ledger: Ledger) -> None:
    other = AccountKey(SCOPE.api, "account-2")
    for number, days in ((1, 91), (2, 89)):
        await enter(ledger, another(number, timedelta(days=days)))
        await enter(ledger, another(number + 2, timedelta(days=days)), CallPolicy(stopped=True))
    await enter(ledger, another(5, timedelta(days=91), scope=other), CallPolicy(stopped=True))

    await ledger.forget(NOW - timedelta(days=90))

    left = [NOW - timedelta(days=89)] * 2
    assert [entry.at for entry in await ledger.audit(SCOPE, 100)] == left
    assert await ledger.audit(other, 100) == []
    assert await ledger.last_rung(SCOPE, HERE) == left[0]
    await ledger.forget(NOW)
    assert await ledger.audit(SCOPE, 100) == []
    assert await ledger.last_rung(SCOPE, HERE) is None


async def test_what_a_client_calls_itself_is_kept_as_one_harmless_line(ledger: Ledger) -> None:
    consent = Consent("evil\n\ud800\u202e client \U0001f4de Bearer abcdefghijklmnopqrstuvwxyz", "never_asks")
    await ledger.enter(another(1), redial=False, recent=RECENT, consent=consent)

    (entry,) = await ledger.audit(SCOPE, 10)
    assert entry.asked_by == "evil client \U0001f4de [token]"


async def test_no_log_and_no_repr_has_a_number_whole(where: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kallyai_mcp")
    async with dialling(Service([]), where, guards=CallPolicy(stopped=True)) as calls:
        with pytest.raises(PolicyError) as raised:
            await calls.place(errand(1), timezone="UTC", consent=FORM)
        (entry,) = await calls.audit()

    assert "KALLYAI_STOP_CALLS" in caplog.text
    for text in (caplog.text, repr(entry), str(entry), repr(raised.value)):
        assert HERE not in text
        assert "5551234" not in text
    assert "+1…34" in repr(entry)


OLD_SCHEMA = """
CREATE TABLE calls (tracking_id TEXT PRIMARY KEY, api TEXT NOT NULL, account TEXT NOT NULL, fingerprint TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE, submission TEXT NOT NULL, timezone TEXT NOT NULL, owner TEXT NOT NULL,
    state TEXT NOT NULL, placed_at REAL NOT NULL, sent_at REAL, lost_at REAL, ended_at REAL, call_id TEXT,
    outcome TEXT, error TEXT, handed_out INTEGER NOT NULL DEFAULT 0);
CREATE TABLE owners (owner TEXT PRIMARY KEY, beat_at REAL NOT NULL);
"""
"""As the first version made it."""


async def of_an_older_version(where: str, *records: CallRecord) -> None:
    """Write records as a server of the first version does, which knows of no guard rails."""
    url, _, prefix = where.partition("#")
    if not prefix:
        Path(where).parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(where)) as db, db:
            if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                db.executescript(OLD_SCHEMA)
            for document in map(to_document, records):
                db.execute("INSERT OR REPLACE INTO owners VALUES (:owner, :placed_at)", document)
                marks = ", ".join(f":{name}" for name in document)
                db.execute(f"INSERT OR REPLACE INTO calls ({', '.join(document)}) VALUES ({marks})", document)  # noqa: S608 - our names
        return
    async with Redis.from_url(url, decode_responses=True) as redis:
        for document in map(to_document, records):
            kept: dict[Any, Any] = {name: value for name, value in document.items() if value is not None}
            scope = await _scope_in_redis(url, prefix)
            base = f"{{{prefix}}}"
            await redis.hset(f"{base}:call:{document['tracking_id']}", mapping=kept | {"scope": scope, "grip": "grip"})
            await redis.zadd(f"{base}:calls", {document["tracking_id"]: document["placed_at"]})
            await redis.zadd(f"{base}:owners", {document["owner"]: document["placed_at"]})
            await redis.sadd(f"{base}:carried:{document['owner']}", document["tracking_id"])


async def _scope_in_redis(url: str, prefix: str) -> str:
    """How a ledger names the tests' scope."""
    async with opened(url, prefix=f"{prefix}-scope") as other, Redis.from_url(url, decode_responses=True) as redis:
        await enter(other, another(1))
        return str(await redis.hget(f"{{{prefix}-scope}}:call:t-1", "scope"))


async def test_a_ledger_of_the_first_version_is_taken_up_as_it_is(where: str, ledger: Ledger) -> None:
    await of_an_older_version(
        where,
        another(1, timedelta(minutes=10)),
        another(2, timedelta(minutes=20), phone=THERE),
        another(3, timedelta(minutes=5), state=CallState.REFUSED),
    )

    assert await ledger.find(SCOPE, "t-1") == another(1, timedelta(minutes=10))
    hit = await enter(ledger, another(4), CallPolicy(calls_per_hour=2))
    assert hit is not None
    assert hit.retry_after == pytest.approx(2400)
    assert await enter(ledger, another(5), CallPolicy(calls_per_number=2)) is None
    assert await ledger.last_rung(SCOPE, THERE) == NOW - timedelta(minutes=20)
    assert {entry.outcome for entry in await ledger.audit(SCOPE, 9)} == {"placed", "refused:KALLYAI_CALLS_PER_HOUR"}


async def test_a_server_of_the_first_version_may_go_on_using_the_same_ledger(where: str, ledger: Ledger) -> None:
    await enter(ledger, another(1))

    await of_an_older_version(where, another(2, owner="owner-2"))

    assert await ledger.find(SCOPE, "t-2") == another(2, owner="owner-2")
    later = NOW + timedelta(minutes=1)
    adopted = {orphan.tracking_id for orphan in await ledger.adopt(SCOPE, "owner-3", later, SILENCE)}
    assert adopted == {"t-1", "t-2"}
    await of_an_older_version(where, another(3, owner="owner-2"))
    assert await enter(ledger, another(4), CallPolicy(calls_per_hour=4)) is None
    assert await enter(ledger, another(5), CallPolicy(calls_per_hour=4)) is not None
    await of_an_older_version(where, another(1, state=CallState.REFUSED))
    assert await enter(ledger, another(6), CallPolicy(calls_per_hour=4)) is None


async def test_a_call_or_a_refusal_whose_answer_was_lost_is_in_the_trail_once(
    redis_server: RedisServer, redis_place: str
) -> None:
    prefix = redis_place.partition("#")[2]
    async with wire(redis_server.port, word=b"\nenter\r") as line, opened(line.url, prefix=prefix) as ledger:
        await ledger.find(SCOPE, "t-1")
        line.lose_answers = 1
        assert await enter(ledger, another(1, timedelta(minutes=1)), CallPolicy(calls_per_hour=1)) is None
        line.lose_answers = 1
        assert await enter(ledger, another(2), CallPolicy(calls_per_hour=1)) is not None
        trail = await ledger.audit(SCOPE, 10)

    assert line.lose_answers == 0
    assert [entry.outcome for entry in trail] == ["refused:KALLYAI_CALLS_PER_HOUR", "placed"]
