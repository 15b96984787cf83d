"""The same request after a call that reached nobody: when it places a call again, on both
drivers."""

from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallRequest
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import NOW, asked, ended
from tests.calls.manual_time import ManualClock
from tests.calls.world import PLACED, TABLE, Json, Service, World, reply, world

ACCOUNT_HERE = AccountKey("https://api.example", "account-1")
LATER = NOW + timedelta(hours=2)


async def ask(
    here: World, *, due: datetime | None = None, retries: int = 0, redial: bool = False
) -> CallRecord:
    """Ask for the table, and don't wait for the end of the call."""
    schedule = here.calls.schedule_for(due, retries)
    request = CallRequest(TABLE, "UTC", Stopwatch(here.clock), schedule, redial)
    return await here.run(here.calls.place(request))


async def told(here: World, *, retries: int = 0) -> CallRecord:
    """Ask for the table, and tell the client how the call ended."""
    record = await here.outcome(await ask(here, retries=retries))
    await here.tell(record)
    return record


@pytest.mark.parametrize("retries", [0, 2])
async def test_within_a_minute_retries_make_no_other_call(here: World, retries: int) -> None:
    service = here.answering([reply("voicemail")])
    first = await told(here, retries=retries)
    again = [await ask(here, retries=retries) for _ in range(2)]

    assert [(one.is_new, one.tracking_id) for one in again] == [(False, first.tracking_id)] * 2
    assert len(service.keys) == 1


async def test_within_a_minute_another_time_is_another_call(here: World) -> None:
    here.answering([reply("busy")])
    first = await told(here)
    later = await ask(here, due=LATER, retries=1)

    assert later.is_new
    assert later.tracking_id != first.tracking_id


# KallyAI is asked once more


TALKED = "Yes, I booked it for 7 PM"
AFTER_A_MINUTE = 66.0
MISSING: Json = {"call_id": "c-1", "status": "no_answer"}


async def unanswered(here: World) -> CallRecord:
    """A call that reached nobody, of which the client was told a minute ago."""
    here.answering([(201, MISSING), PLACED], [MISSING])
    record = await told(here)
    here.clock.advance(AFTER_A_MINUTE)
    return record


AGAIN: dict[str, dict[str, Any]] = {
    "the same": {},
    "later": {"due": LATER},
    "with retries": {"retries": 1},
    "on purpose": {"redial": True},
}


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
async def test_a_call_that_reached_somebody_answers(here: World, again: dict[str, Any]) -> None:
    first = await unanswered(here)
    here.service.transcripts["c-1"] = TALKED
    answer = await ask(here, **again)

    assert (answer.is_new, answer.tracking_id) == (False, first.tracking_id)
    assert answer.outcome is Outcome.UNKNOWN
    assert len(here.service.keys) == 1


async def test_a_redial_follows_a_told_late_outcome(here: World) -> None:
    await unanswered(here)
    here.service.transcripts["c-1"] = TALKED
    await here.tell(await ask(here, redial=True))
    again = await ask(here, redial=True)

    assert again.is_new


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
async def test_a_call_that_reached_nobody_is_placed_again(
    here: World, again: dict[str, Any]
) -> None:
    await unanswered(here)
    here.service.calls = [MISSING | {"highlights": "Nobody answered"}]
    placed = await ask(here, **again)

    assert placed.is_new


@pytest.mark.parametrize(
    ("status", "headers", "retry_after"),
    [(503, {}, None), (408, {}, None), (429, {"Retry-After": "120"}, 120.0)],
)
async def test_an_unclear_earlier_call_prevents_another(
    here: World, status: int, headers: dict[str, str], retry_after: float | None
) -> None:
    await unanswered(here)
    here.service.transcript_status, here.service.headers = status, headers
    here.service.transcripts["c-1"] = TALKED
    with pytest.raises(KallyAIError) as raised:
        await ask(here)

    assert (raised.value.code, raised.value.retry_after) == ("earlier_call_unclear", retry_after)
    assert len(here.service.keys) == 1


@pytest.mark.parametrize("part", ["/c-1", "/transcript"])
@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
async def test_an_empty_answer_about_earlier_tells_nothing(
    here: World, again: dict[str, Any], part: str
) -> None:
    await unanswered(here)
    here.service.transcripts["c-1"], here.service.empty = TALKED, part
    with pytest.raises(KallyAIError, match="did not say"):
        await ask(here, **again)

    here.service.empty = ""
    assert (await ask(here, **again)).outcome is Outcome.UNKNOWN
    assert len(here.service.keys) == 1


async def test_an_empty_calendar_file_tells_nothing(here: World) -> None:
    await unanswered(here)
    here.service.empty = "/calendar.ics"
    with pytest.raises(KallyAIError, match="did not say"):
        await ask(here)

    assert len(here.service.keys) == 1


async def test_a_calendar_with_several_events_tells_all(here: World) -> None:
    await unanswered(here)
    here.service.calendars["c-1"] = (
        "BEGIN:VCALENDAR\r\n"
        "BEGIN:VEVENT\r\nDTSTART:20260130T200000Z\r\nEND:VEVENT\r\n"
        "BEGIN:VEVENT\r\nDTSTART:20260131T200000Z\r\nEND:VEVENT\r\n"
        "END:VCALENDAR\r\n"
    )
    placed = await ask(here)

    assert placed.is_new


async def test_a_look_that_hangs_ends_after_ten_seconds(place: str, clock: ManualClock) -> None:
    async with world(Service(clock), place, timing=Timing(calendar=60)) as here:
        await unanswered(here)
        here.service.calendars["c-1"] = anyio.sleep_forever
        began = clock.monotonic()
        with pytest.raises(KallyAIError, match="did not say"):
            await ask(here)

    assert clock.monotonic() - began == pytest.approx(10)
    assert len(here.service.keys) == 1


async def test_a_newer_missed_call_is_looked_at_too(here: World) -> None:
    """Another process places the call, and tells its end, while this one looks at the call
    before."""
    await unanswered(here)
    looked = list[str]()

    async def place_another() -> None:
        looked.append("c-1")
        newer = asked(9, account=ACCOUNT_HERE, submission=TABLE, timezone="UTC")
        await ended(here.ledger, newer, "busy")
        here.service.calendars["c-t-9"] = note_second

    async def note_second() -> None:
        looked.append("c-t-9")

    here.service.calendars["c-1"] = place_another
    here.service.calls.append({"call_id": "c-t-9", "status": "busy"})
    here.clock.advance(AFTER_A_MINUTE)
    await ask(here, due=LATER)

    assert looked == ["c-1", "c-t-9"]


async def test_yesterdays_call_is_not_looked_at(here: World) -> None:
    await unanswered(here)
    here.clock.advance(86_400)
    here.service.transcripts["c-1"] = TALKED
    placed = await ask(here)

    assert placed.is_new
