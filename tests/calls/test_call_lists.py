"""Lists of candidates that are called one after another, on both drivers of the ledger."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from kallyai_mcp.api.models import Call, Submission
from kallyai_mcp.calls.call_lists import CallList, StopReason, Until
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.events import (
    CancelList,
    Due,
    Found,
    Late,
    Leave,
    ListRequested,
    Over,
    Release,
)
from kallyai_mcp.calls.ledger import lists, rows
from kallyai_mcp.calls.ledger.apply import handle
from kallyai_mcp.calls.ledger.base import Tx
from kallyai_mcp.calls.policy import CallPolicy, Consent, ConsentKind
from kallyai_mcp.calls.records import CallRecord, CallState, new_tracking_id
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import ACCOUNT, NOW, ended_as
from tests.calls.manual_time import ManualClock
from tests.calls.world import LOST, TABLE, Json, Reply, Service, World, after, end_of, reply, world

NUMBERS = ("+12025550101", "+12025550102", "+12025550103")
THREE = [TABLE.model_copy(update={"respondent_phone": number}) for number in NUMBERS]
EVENT = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260130T200000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
ANY = Consent("test", "never_asks")
FOR_THREE = replace(ANY, last_calls=(None,) * len(THREE))


async def wanted(
    here: World, candidates: Sequence[Submission] = THREE, until: Until = "booked"
) -> CallList:
    """A list that is not in the ledger yet."""
    return CallList(
        await here.session.account(),
        tuple(candidates),
        until,
        False,
        ("UTC",) * 3,
        here.clock.now(),
    )


async def start(
    here: World, until: Until = "booked", candidates: Sequence[Submission] = THREE
) -> tuple[CallList, bool]:
    requested, arrived = await wanted(here, candidates, until), Stopwatch(here.clock)
    return await here.run(here.calls.place_list(requested, FOR_THREE, arrived))


async def ended(here: World, found: CallList) -> CallList:
    return await here.run(here.calls.wait_for_list(found, 86_400))


async def went_on(here: World, found: CallList, confirmation: str | None = None) -> CallList:
    """Let a list go on after its last call, with a new consent, and wait for its end."""
    last_calls = await here.run(here.ledger.read(lists.last_calls, found))
    agreed = replace(ANY, last_calls=last_calls, confirmation_id=confirmation)
    arrived = Stopwatch(here.clock)
    going_on, _ = await here.run(here.calls.place_list(found, agreed, arrived))
    return await ended(here, going_on)


@pytest.mark.parametrize(
    ("until", "replies", "why", "called"),
    [
        (
            "booked",
            [reply("busy", "c-1"), reply("success", "c-booked"), reply("success", "c-3")],
            "booked",
            2,
        ),
        ("booked", [LOST], "unknown", 1),
        (
            "answered",
            [reply("voicemail", "c-1"), reply("success", "c-2"), reply("success", "c-3")],
            "answered",
            2,
        ),
        ("all", [reply("success", f"c-{number}") for number in range(3)], "done", 3),
    ],
)
async def test_a_list_ends_with_the_result_that_was_asked_for(
    here: World, until: Until, replies: list[Reply], why: str, called: int
) -> None:
    service = here.answering([*replies], calendars={"c-booked": EVENT})
    found = await ended(here, (await start(here, until))[0])
    audit = await here.run(here.ledger.read(rows.audit, found.account, 100))

    assert found.stop_reason == why
    assert [one.respondent_phone for one in found.not_called] == [*NUMBERS[called:]]
    assert len(found.records) == len(set(service.keys)) == called
    assert sorted(entry["number"] for entry in audit if entry["outcome"] == "placed") == [
        *NUMBERS[:called]
    ]
    agreed = {
        entry["tracking_id"]
        for entry in audit
        if (entry["asked_by"], entry["how"]) == ("test", "never_asks")
    }
    assert agreed == {entry["tracking_id"] for entry in audit}


@pytest.mark.parametrize(
    ("how", "placed", "reason"),
    [("never_asks", 0, StopReason.REFUSED), ("form", 1, StopReason.NEEDS_DECISION)],
)
async def test_a_list_calls_nobody_long_after_it_was_asked_for(
    here: World, how: ConsentKind, placed: int, reason: StopReason
) -> None:
    """The machine is suspended before the list is written; a form is answered after that."""
    service = here.answering([reply("success", "c-1")])
    requested, arrived = await wanted(here), Stopwatch(here.clock)
    here.clock.suspend(600)
    consent = replace(FOR_THREE, how=how)
    begun, _ = await here.run(here.calls.place_list(requested, consent, arrived))
    found = await ended(here, begun)

    assert len(service.keys) == placed
    assert found.stop_reason is reason


@pytest.mark.parametrize("is_placed", [False, True])
async def test_a_list_stops_at_a_scheduled_call_of_its_user_and_books_once(
    here: World, *, is_placed: bool
) -> None:
    service = here.answering(
        [after(lambda: here.clock.sleep(600), reply("success", "c-1")), reply("success", "c-2")]
    )
    service.calendars |= {"c-1": EVENT, "c-2": EVENT}
    due = here.clock.now() + timedelta(hours=1)
    own = replace(here.request(THREE[0]), schedule=here.calls.schedule_for(due, 0))
    await here.run(here.calls.place(own))
    stopped = await ended(here, (await start(here))[0])
    here.session.name = "account-1" if is_placed else None
    await here.run(here.clock.sleep(3700 if is_placed else 7200))
    here.session.name = "account-1"
    later = await here.run(here.calls.find_list(stopped.list_id))
    assert later is not None
    said = call_list(
        later, Reader(timezone="UTC", now=NOW), list(map(CallView.of_record, later.records))
    )
    last = await went_on(here, later)

    assert said.startswith(f"{'Decide first' if is_placed else 'Stopped'}: ")
    assert stopped.stop_reason is StopReason.NEEDS_DECISION
    assert [record.state for record in later.records] == [
        CallState.SENT if is_placed else CallState.EXPIRED
    ]
    assert last.stop_reason is (StopReason.NEEDS_DECISION if is_placed else StopReason.BOOKED)
    assert [record.call_id for record in last.records] == ["c-1"]
    assert len(service.keys) == 1


async def test_a_list_goes_on_after_a_call_that_was_asked_for_alone_and_another_list_stops_at_it(
    place: str, clock: ManualClock
) -> None:
    later = after(lambda: clock.sleep(60), reply("busy"))
    service = Service(clock, [later, reply("busy", "c-2"), reply("busy", "c-3")])
    service.calls = [{"call_id": "c-1", "status": "busy"}]
    async with world(service, place, works_alone=False) as here:
        alone = await here.place(THREE[0])
        lists = [await start(here), await start(here, candidates=THREE[::2])]
        first, other = [await ended(here, found) for found, _ in lists]

    assert [record.call_id for record in first.records] == ["c-1", "c-2", "c-3"]
    assert first.records[0].tracking_id == alone.tracking_id
    assert other.stop_reason is StopReason.REFUSED
    assert [end_of(record) for record in other.records] == [(CallState.REFUSED, "in_another_list")]
    assert not other.may_go_on


async def test_an_answered_list_answers_the_same_request(
    here: World,
) -> None:
    here.answering([reply("success", f"c-{number}") for number in range(1, 4)])
    answered = await ended(here, (await start(here, "answered", THREE[:2]))[0])
    here.clock.advance(3700)
    again, is_new = await start(here, "answered", THREE[:2])
    waiting = await here.run(here.ledger.read(lists.list_unfinished, ACCOUNT))
    last = await went_on(here, again)

    assert answered.stop_reason is last.stop_reason is StopReason.ANSWERED
    assert (again.list_id, is_new, waiting) == (answered.list_id, False, [])
    assert [record.call_id for record in last.records] == ["c-1", "c-2"]


async def test_a_waiting_list_goes_on_with_new_consent(
    here: World,
) -> None:
    service = here.answering(
        [
            reply("success", "c-1"),
            reply("busy", "c-other"),
            reply("busy", "c-2"),
            reply("success", "c-3"),
        ]
    )
    service.calendars["c-3"] = EVENT
    decided = await ended(here, (await start(here))[0])
    here.clock.advance(30 * 3600)
    again, is_new = await start(here, candidates=THREE[::-1])
    changed = await went_on(here, replace(again, records=again.records * 2))
    waiting = await here.run(here.ledger.read(lists.list_unfinished, ACCOUNT))
    before = Consent(
        "test", "form", last_calls=await here.run(here.ledger.read(lists.last_calls, again))
    )
    await here.call(TABLE.model_copy(update={"respondent_phone": NUMBERS[2], "party_size": 9}))
    with pytest.raises(ConsentOutdatedError):
        await here.run(here.calls.place_list(again, before, Stopwatch(here.clock)))
    calls = len(service.keys)
    last = await went_on(here, again)

    assert (again.list_id, again.stop_reason, is_new) == (
        decided.list_id,
        StopReason.NEEDS_DECISION,
        False,
    )
    assert changed.stop_reason is StopReason.NEEDS_DECISION
    assert [found.list_id for found in waiting] == [decided.list_id]
    assert calls == 2
    assert last.stop_reason is StopReason.BOOKED
    assert [record.call_id for record in last.records] == ["c-1", "c-2", "c-3"]


EAST, LATE_EAST, WEST = "+12025550101", "+12025550102", "+14155550103"
COAST_TO_COAST = [
    TABLE.model_copy(update={"respondent_phone": number}) for number in (EAST, LATE_EAST, WEST)
]
EVENING = timedelta(hours=10, minutes=28)
"""From `NOW` to 20:58 in the east, where the night begins during the first call."""


def busy(service: Service, *call_ids: str, minutes: int = 3) -> None:
    """Let nobody be reached, and the first call last so long."""
    first, *others = (reply("busy", call_id) for call_id in call_ids)
    service.replies = [after(lambda: service.clock.sleep(60 * minutes), first), *others]


async def test_a_candidate_whose_night_has_begun_is_skipped_and_told(here: World) -> None:
    busy(here.service, "c-east", "c-west", "c-late")
    here.clock.advance(EVENING.total_seconds())
    stopped = await ended(here, (await start(here, candidates=COAST_TO_COAST))[0])
    calls = len(here.service.keys)
    last = await went_on(here, stopped)

    assert stopped.stop_reason is StopReason.REFUSED
    assert [record.call_id for record in stopped.records] == ["c-east", "c-west"]
    assert [one.respondent_phone for one in stopped.not_called] == [LATE_EAST]
    assert calls == 2
    assert [record.call_id for record in last.records] == ["c-east", "c-west", "c-late"]


async def test_a_list_that_has_stopped_for_the_night_says_so(here: World) -> None:
    busy(here.service, "c-east", "c-late")
    here.clock.advance(EVENING.total_seconds())
    stopped = await ended(here, (await start(here, candidates=COAST_TO_COAST[:2]))[0])
    views = list(map(CallView.of_record, stopped.records))
    reader = Reader(timezone="UTC", now=here.clock.now())
    first, *_, not_called, advice = call_list(stopped, reader, views).splitlines()

    assert first.startswith("Stopped: it is past 21:00")
    assert not_called.startswith("Not called: +1 202-555-0102")
    assert 'continue_after "c-east"' in advice


async def test_a_night_that_was_agreed_to_skips_nobody(here: World) -> None:
    busy(here.service, "c-1", "c-2", "c-3")
    here.clock.advance(EVENING.total_seconds() + 3600)
    found = await ended(here, (await start(here, candidates=COAST_TO_COAST))[0])

    assert found.stop_reason is StopReason.DONE
    assert [record.call_id for record in found.records] == ["c-1", "c-2", "c-3"]


async def test_a_candidate_planned_by_day_is_not_called_at_night(
    place: str,
    clock: ManualClock,
) -> None:
    service = Service(clock, [reply("busy", "c-west")], [NOBODY])
    async with world(service, place) as here:
        clock.advance(EVENING.total_seconds())
        left = await left_after_one_call(here, await wanted(here, COAST_TO_COAST))
    clock.advance(180)
    async with world(service, place) as here:
        found = await ended(here, left)

    assert [record.call_id for record in found.records] == ["c-1", "c-west"]
    assert found.stop_reason is StopReason.REFUSED
    assert [one.respondent_phone for one in found.not_called] == [LATE_EAST]


async def test_no_candidate_is_called_after_the_appointment(here: World) -> None:
    busy(here.service, "c-1", "c-2", minutes=12)
    in_ten_minutes = {"appointment_date": NOW.date(), "appointment_time": "15:40"}  # in UTC
    soon = [one.model_copy(update=in_ten_minutes) for one in THREE]
    found = await ended(here, (await start(here, candidates=soon))[0])

    assert found.stop_reason is StopReason.REFUSED
    assert [record.call_id for record in found.records] == ["c-1"]
    assert len(found.not_called) == 2


async def test_a_denied_number_is_passed_and_a_limit_stops_the_list_until_the_user_lets_it_go_on(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [reply("busy", f"c-{number}") for number in range(1, 4)])
    policy = CallPolicy(Settings(calls_per_hour=1, deny_numbers=(NUMBERS[0],)))
    async with world(service, place, policy=policy) as here:
        stopped = await went_on(here, await ended(here, (await start(here))[0]), "a yes")
        stopped = await went_on(here, stopped, "another yes")
        clock.advance(3601)
        with pytest.raises(ConsentOutdatedError):
            await went_on(here, stopped, "a yes")
        again, is_new = await start(here)
        calls = len(service.keys)
        last = await went_on(here, again)

    assert stopped.stop_reason is again.stop_reason is StopReason.REFUSED
    assert [record.state for record in stopped.records] == [
        CallState.REFUSED,
        CallState.ENDED,
        CallState.REFUSED,
    ]
    assert (is_new, calls) == (False, 1)
    assert last.stop_reason is StopReason.DONE
    assert [record.state for record in last.records] == [
        CallState.REFUSED,
        CallState.ENDED,
        CallState.ENDED,
    ]
    assert len(service.keys) == 2


async def test_a_canceled_list_whose_call_may_have_agreed_to_something_is_not_begun_again(
    here: World,
) -> None:
    later = after(lambda: here.clock.sleep(60), reply("success", "c-2"))
    service = here.answering([reply("busy", "c-1"), later, reply("success", "c-3")])
    service.calendars["c-2"] = service.calendars["c-3"] = EVENT
    found, _ = await start(here)
    await here.run(here.clock.sleep(5))
    await here.run(here.ledger.handle(ACCOUNT, CancelList(found.list_id)))
    during, is_new_during = await start(here)
    await ended(here, found)
    canceled, is_new_after = await start(here)
    calls = len(service.keys)
    here.clock.advance(3700)
    much_later, is_new = await start(here)

    assert [is_new_during, is_new_after, is_new] == [False, False, True]
    assert found.list_id == during.list_id == canceled.list_id
    assert canceled.stop_reason is StopReason.CANCELED
    assert calls == 2
    assert much_later.list_id != found.list_id


async def test_who_is_signed_out_meanwhile_is_asked_to_sign_in_and_the_list_goes_on(
    here: World,
) -> None:
    service = here.answering([reply("busy", f"c-{number}") for number in range(1, 4)])
    here.database.after_write = lambda _: setattr(
        here.session, "name", "account-2" if service.keys else "account-1"
    )
    found, _ = await start(here)
    await here.run(here.clock.sleep(3))
    here.database.after_write = lambda _: None
    here.session.name = "account-1"
    stopped = await ended(here, found)
    last = await went_on(here, stopped)

    assert stopped.stop_reason is StopReason.NEEDS_SIGN_IN
    assert last.stop_reason is StopReason.DONE
    assert len(service.keys) == 3
    assert set(service.accounts) == {"account-1"}


async def test_a_booking_for_another_time_needs_a_decision_of_its_own(here: World) -> None:
    service = here.answering([reply("success", "c-1"), reply("success", "c-2")])
    service.calendars["c-1"] = EVENT.replace("20260130T200000Z", "20270305T203000")
    dated = [
        submission.model_copy(update={"appointment_date": date(2027, 3, 4)}) for submission in THREE
    ]
    found = await ended(here, (await start(here, candidates=dated))[0])

    views = list(map(CallView.of_record, found.records))
    first, *_, advice = call_list(found, Reader(timezone="UTC", now=NOW), views).splitlines()
    assert found.stop_reason is StopReason.NEEDS_DECISION
    assert first.endswith(", booked for another time. Tell the user now and ask if that works.")
    assert advice.startswith("If it does not work: make_call with changes_call_id ")
    assert len(service.keys) == 1


@pytest.mark.parametrize("status", ["success", "busy"])
async def test_an_unknown_outcome_that_is_found_later_decides_how_the_list_goes_on(
    here: World, status: str
) -> None:
    service = here.answering([LOST])
    service.calendars |= {"c-2": EVENT} | ({"c-1": EVENT} if status == "success" else {})
    stopped = await ended(here, (await start(here))[0])
    echo = {
        "respondent_phone": NUMBERS[0],
        "task_description": TABLE.task_description,
        "party_size": 4,
    }
    service.calls = [
        {"call_id": "c-1", "status": status, "created_at": NOW.isoformat(), "submission": echo}
    ]
    service.replies, keys = [reply("success", "c-2")], len(service.keys)
    found = await here.run(here.calls.find_list(stopped.list_id))
    assert found is not None
    last = await went_on(here, found)

    assert stopped.stop_reason is StopReason.UNKNOWN
    assert last.stop_reason is StopReason.BOOKED
    assert found.waits_for_user is (status == "busy")
    assert len(service.keys) - keys == (1 if status == "busy" else 0)


NOBODY: Json = {"call_id": "c-1", "status": "no_answer"}


async def left_after_one_call(here: World, stopped: CallList | None = None) -> CallList:
    """A list, new or `stopped`, whose process has ended after a call that reached nobody, before it
    placed the next.
    """
    asked, worker = stopped or await wanted(here), await here.run(here.ledger.database.take_lease())
    agreed = replace(ANY, last_calls=await here.run(here.ledger.read(lists.last_calls, asked)))
    begun, _ = await here.run(
        here.ledger.handle(ACCOUNT, ListRequested(asked, agreed, worker, new_tracking_id()))
    )
    call = Call.model_validate(NOBODY)
    sent = await here.run(here.ledger.handle(ACCOUNT, Leave(begun.records[-1])))
    await here.run(here.ledger.handle(ACCOUNT, Found(sent, call, proven=True)))
    await here.run(here.ledger.handle(ACCOUNT, Over(ended_as(sent, call))))
    left = await here.run(here.ledger.read(lists.find_list, asked.account, asked.list_id))
    assert left is not None
    assert [each.state for each in left.records[-2:]] == [CallState.ENDED, CallState.SCHEDULED]
    return left


@pytest.mark.parametrize(
    "works_alone", [True, False], ids=["one account", "an account for each request"]
)
async def test_a_process_that_died_between_two_calls_leaves_the_next_one_to_another(
    place: str, clock: ManualClock, *, works_alone: bool
) -> None:
    service = Service(clock, [reply("busy", "c-2"), reply("success", "c-3")], [NOBODY])
    async with world(service, place, works_alone=works_alone) as here:
        left = await left_after_one_call(here)
    async with world(service, place, works_alone=works_alone) as here:
        await here.run(here.calls.account_of_request())
        found = await ended(here, left)

    assert [record.call_id for record in found.records[1:]] == ["c-2", "c-3"]
    assert len(service.keys) == 2


@pytest.mark.parametrize("is_taken", [False, True], ids=["left", "taken by a process that died"])
async def test_a_later_sign_that_somebody_talked_stops_the_next_call_of_a_list(
    place: str, clock: ManualClock, *, is_taken: bool
) -> None:
    service = Service(clock, calls=[NOBODY])
    async with world(service, place) as here:
        left = await left_after_one_call(here)
        if is_taken:
            worker = await here.run(here.ledger.database.take_lease())
            await here.run(here.ledger.handle(ACCOUNT, Due(worker, [left.list_id])))
        service.transcripts["c-1"] = "Yes, you have a table"
    async with world(service, place) as here:
        await here.run(clock.sleep(60))
        found = await here.run(here.calls.find_list(left.list_id))

    assert found is not None
    assert (found.stop_reason, len(found.records)) == (StopReason.UNKNOWN, 1)
    assert service.keys == []


@pytest.mark.parametrize(
    "works_alone", [True, False], ids=["one account", "an account for each request"]
)
@pytest.mark.parametrize(
    ("first", "later", "why", "calls"),
    [(503, 200, "needs_decision", 1), (503, 503, "refused", 1), (410, 410, "unknown", 2)],
)
async def test_no_candidate_is_called_after_an_unclear_call(
    place: str,
    clock: ManualClock,
    first: int,
    later: int,
    why: str,
    calls: int,
    *,
    works_alone: bool,
) -> None:
    service = Service(
        clock, [reply("failed")], [{"call_id": "c-1", "status": "failed"}], transcript_status=first
    )
    service.transcripts["c-1"] = "Yes, you have a table"
    async with world(service, place, works_alone=works_alone) as here:
        found, _ = await start(here)
        await here.run(here.clock.sleep(3600))
        service.transcript_status = later
        stopped = await ended(here, found)

    assert stopped.stop_reason == why
    assert len(set(service.keys)) == calls


async def test_after_an_outage_of_the_ledger_a_list_waits_for_what_its_newest_call_reached(
    here: World,
) -> None:
    service = here.answering(
        [reply("busy"), reply("failed", "c-2")], [{"call_id": "c-2", "status": "failed"}]
    )
    service.transcripts["c-2"] = "Yes, you have a table"

    def fail(result: object) -> None:
        here.database.is_down = isinstance(result, CallRecord) and result.state is CallState.ENDED

    here.database.after_write = fail
    await start(here)
    await here.run(here.clock.sleep(1))
    here.database.after_write, here.database.is_down, service.transcript_status = (
        lambda _: None,
        False,
        503,
    )
    await here.run(here.clock.sleep(600))

    assert len(service.keys) == 2


@pytest.mark.parametrize("state", ["refused", "expired"])
async def test_the_end_of_a_call_that_the_user_has_passed_does_not_stop_the_list(
    here: World, state: str
) -> None:
    own = replace(
        here.request(THREE[0]),
        schedule=here.calls.schedule_for(here.clock.now() + timedelta(hours=1), 0),
    )
    id_ = (await here.run(here.calls.place(own))).tracking_id
    left = await left_after_one_call(here, await ended(here, (await start(here))[0]))
    here.clock.advance(5600)

    end = Late([id_]) if state == "expired" else Release(id_)

    def list_after(tx: Tx) -> CallList | None:
        handle(tx, ACCOUNT, end)
        return lists.find_list(tx, ACCOUNT, left.list_id)

    found = await here.run(here.ledger.write(ACCOUNT, list_after))
    assert found is not None
    assert (found.stop_reason, [record.state for record in found.records][::2]) == (
        None,
        [state, "scheduled"],
    )


async def test_a_list_stops_when_the_retry_of_a_call_that_was_asked_for_alone_expires(
    here: World,
) -> None:
    here.answering([after(lambda: here.clock.sleep(60), reply("busy", "c-1"))])
    await here.run(
        here.calls.place(replace(here.request(THREE[0]), schedule=here.calls.schedule_for(None, 1)))
    )
    found, _ = await start(here)
    await here.run(here.clock.sleep(120))
    here.session.name = None
    await here.run(here.clock.sleep(3600))
    why = await here.run(here.ledger.read(lambda tx: tx.rows("SELECT why FROM call_lists")))
    stopped = await here.run(here.ledger.read(lists.find_list, ACCOUNT, found.list_id))

    assert stopped is not None
    assert (why, stopped.stop_reason) == ([{"why": "refused"}], StopReason.REFUSED)


async def test_a_record_that_cannot_be_read_does_not_keep_the_outcome_of_the_next_call(
    here: World,
) -> None:
    later = after(lambda: here.clock.sleep(60), reply("success", "c-2"))
    here.answering([reply("busy", "c-1"), later], calendars={"c-2": EVENT})
    found, _ = await start(here)
    await here.run(here.clock.sleep(30))
    newer = "UPDATE calls SET outcome = '{}' WHERE call_id = 'c-1'"
    await here.run(here.ledger.write(ACCOUNT, lambda tx: tx.run(newer)))
    last = await ended(here, found)

    assert ([record.call_id for record in last.records], last.stop_reason) == (
        ["c-2"],
        StopReason.BOOKED,
    )


async def test_a_list_does_not_go_on_if_somebody_talked_after_all(
    place: str, clock: ManualClock
) -> None:
    service = Service(clock, [(201, NOBODY), reply("success", "c-2")], [NOBODY])
    async with world(service, place, policy=CallPolicy(Settings(calls_per_hour=1))) as here:
        limited = await ended(here, (await start(here))[0])
        service.transcripts["c-1"] = "Yes, you have a table"
        clock.advance(3700)
        found = await went_on(here, limited)

    assert limited.stop_reason is StopReason.REFUSED
    assert found.stop_reason is StopReason.UNKNOWN
    assert len(service.keys) == 1


async def done_by_an_older_version(here: World, *, has_ties: bool) -> CallList:
    """A list all of whose calls were made, as a version before `plan_id` has left them."""
    here.answering([reply("success", f"c-{number}") for number in range(3)])
    found = await ended(here, (await start(here, "all"))[0])

    def forget_plan(tx: Tx) -> None:
        for position, record in enumerate(found.records):
            values = {"list": found.list_id, "position": position, "id": record.tracking_id}
            if has_ties:
                tx.run("INSERT INTO call_list_calls VALUES (:list, :position, :id)", **values)
        tx.run("UPDATE calls SET plan_id = NULL")

    await here.run(here.ledger.write(None, forget_plan))
    read = await here.run(here.calls.find_list(found.list_id))
    assert read is not None
    return read


async def test_the_calls_of_an_older_versions_list_are_read(here: World) -> None:
    found = await done_by_an_older_version(here, has_ties=True)

    assert [record.call_id for record in found.records] == ["c-0", "c-1", "c-2"]
    assert found.not_called == ()


async def test_a_done_list_claims_no_unread_call(here: World) -> None:
    found = await done_by_an_older_version(here, has_ties=False)
    text = call_list(found, Reader("UTC", NOW), [])

    assert (found.records, found.not_called, found.unread) == ((), (), 3)
    assert text == (
        "Done: all 3 were called. What became of 3 of these calls can't be read here: list_calls."
    )
