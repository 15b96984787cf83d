"""What may be claimed of a call, by its status and by KallyAI's calendar file."""

from datetime import timedelta

import anyio
import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallRequest, CallState
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import NOW
from tests.calls.manual_time import ManualClock
from tests.calls.world import Json, Reply, Service, World, shown, world

pytestmark = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""One driver is enough: the tests of the ledger run each statement on both."""

DINNER = Submission(
    task_category="restaurant",
    task_description="Book a table",
    respondent_phone="+14155551234",
    appointment_date="2026-01-28",
    appointment_time="19:00",
)


def ics(*lines: str) -> str:
    return "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:tests",
            "BEGIN:VEVENT",
            *lines,
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    )


AT_SEVEN = ics("SUMMARY:Table for 4", "DTSTART:20260128T190000Z")


@pytest.mark.parametrize(
    ("status", "calendar", "outcome"),
    [
        ("success", AT_SEVEN, Outcome.BOOKED),
        ("success", ics("DTSTART:20260128T190000"), Outcome.BOOKED),
        ("Success", ics("DTSTART;VALUE=DATE:20260128"), Outcome.BOOKED),
        ("success", ics("SUMMARY:Table"), Outcome.ANSWERED),
        ("success", ics("DTSTART:20260128T190000Z", "STATUS:CONFIRMED"), Outcome.BOOKED),
        ("success", ics("DTSTART:20260128T190000Z", "STATUS:CANCELLED"), Outcome.ANSWERED),
        ("success", ics("DTSTART:20260128T190000Z", "STATUS:tentative"), Outcome.ANSWERED),
        (
            "success",
            AT_SEVEN.replace("PRODID:tests", "PRODID:tests\r\nMETHOD:CANCEL"),
            Outcome.ANSWERED,
        ),
        ("success", ics("DTSTART:20260128T203000Z"), Outcome.BOOKED_OTHER_TIME),
        ("success", ics("DTSTART:20260129T190000Z"), Outcome.BOOKED_OTHER_TIME),
        ("success", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n", Outcome.ANSWERED),
        ("success", "BEGIN:VCALENDAR", Outcome.ANSWERED),
        ("success", ics("DTSTART:tomorrow"), Outcome.ANSWERED),
        ("success", None, Outcome.ANSWERED),
        ("no-answer", AT_SEVEN, Outcome.UNKNOWN),
        ("busy", None, Outcome.NOT_REACHED),
        ("voicemail", None, Outcome.NOT_REACHED),
        ("failed", None, Outcome.FAILED),
        ("terminated", None, Outcome.FAILED),
        ("canceled", None, Outcome.CANCELED),
        ("settled", None, Outcome.UNKNOWN),
    ],
)
async def test_an_outcome_claims_what_status_and_calendar_say(
    here: World, status: str, calendar: str | None, outcome: Outcome
) -> None:
    ended = {"call_id": "c-1", "status": status, "highlights": "They talked"}
    here.answering([(201, ended)], calendars={} if calendar is None else {"c-1": calendar})
    record = await here.call(DINNER)

    assert (record.state, record.outcome) == (CallState.ENDED, outcome)


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (
            {"status": "processing", "duration_seconds": 95},
            {"status": "success", "highlights": "Booked"},
        ),
        (
            {"status": "success", "highlights": None},
            {"status": "success", "highlights": "They are full"},
        ),
    ],
    ids=["a status that is not known", "no summary yet"],
)
async def test_what_the_service_tells_later_is_not_lost(
    here: World, first: Json, later: Json
) -> None:
    service = here.answering(
        [(201, {"call_id": "c-1"} | first)], [shown() | later], calendars={"c-1": AT_SEVEN}
    )
    await here.tell(await here.call(DINNER))
    found = await here.find("c-1")
    service.calls = [shown(status="failed")]
    kept = await here.run(here.calls.find("c-1"))
    assert found.call is not None
    assert (found.outcome, found.call.highlights) == (Outcome.BOOKED, later["highlights"])
    assert found.delivered_at is None
    assert kept == found


async def test_a_booking_stays_known_without_its_calendar_file(
    here: World,
) -> None:
    no_summary = {"call_id": "c-1", "status": "success"}
    service = here.answering([(201, no_summary)], [shown()], calendars={"c-1": AT_SEVEN})
    booked = await here.call(DINNER)
    service.calendars = {"c-1": anyio.sleep_forever}
    found = await here.find("c-1")
    assert found.call is not None
    assert (found.call.highlights, found.outcome) == ("Booked", Outcome.BOOKED)
    assert found.calendar == booked.calendar


async def test_a_missing_calendar_delays_an_outcome_by_seconds(
    here: World,
) -> None:
    here.answering(calendars={"c-1": anyio.sleep_forever})
    record = await here.call(DINNER)

    assert record.outcome is Outcome.ANSWERED
    assert record.calendar == Calendar(is_known=False)
    assert here.clock.now() - NOW < timedelta(seconds=6)


async def test_an_outcome_survives_a_crash_before_its_calendar(
    place: str, clock: ManualClock
) -> None:
    reads = anyio.Event()

    async def hang() -> None:
        reads.set()
        await anyio.sleep_forever()

    ended: Reply = (201, {"call_id": "c-1", "status": "success", "highlights": "Booked"})
    service = Service(clock, [ended], calendars={"c-1": hang})
    async with world(service, place) as here:
        placed = await here.place(DINNER)
        await here.run(reads.wait())
    service.calendars = {"c-1": AT_SEVEN}  # the service forgets the call itself: `calls` is empty

    async with world(service, place) as after:
        assert (await after.run(after.calls.find("c-1"))) is not None
        record = await after.outcome(placed)

    assert record.call is not None
    assert (record.call.highlights, record.outcome) == ("Booked", Outcome.BOOKED)


MENU = "For reservations, press 1. For opening hours, press 2."


def without_report(call_id: str = "c-1", **more: str) -> Reply:
    return 201, {"call_id": call_id, "status": "success", **more}


@pytest.mark.parametrize(
    ("said", "more", "outcome"),
    [
        (MENU, {}, Outcome.NOT_REACHED),
        (
            MENU,
            {"highlights": "An automated menu answered. Nothing was booked."},
            Outcome.NOT_REACHED,
        ),
        (MENU, {"highlights": "Booked a table for 4."}, Outcome.ANSWERED),
        (f"Your table is confirmed. {MENU}", {}, Outcome.ANSWERED),
        (f"Hello, this is Ada. {MENU} Just kidding, how can I help?", {}, Outcome.ANSWERED),
        ("Hello?", {}, Outcome.ANSWERED),
    ],
)
async def test_a_machine_is_nobody_reached(
    here: World, said: str, more: dict[str, str], outcome: Outcome
) -> None:
    here.answering([without_report(**more)], transcripts={"c-1": said})
    record = await here.call()

    assert record.outcome is outcome
    assert record.reached is (outcome is Outcome.ANSWERED)


async def test_an_event_counts_more_than_a_machine(here: World) -> None:
    here.answering([without_report()], transcripts={"c-1": MENU}, calendars={"c-1": AT_SEVEN})

    assert (await here.call(DINNER)).outcome is Outcome.BOOKED


@pytest.mark.parametrize("transcript_status", [404, 500])
async def test_a_transcript_that_comes_later_takes_nobody_away(
    here: World, transcript_status: int
) -> None:
    here.answering(
        [without_report()],
        [shown()],
        transcripts={"c-1": MENU},
        transcript_status=transcript_status,
    )
    first = await here.call()
    here.answering([without_report()], [shown()], transcript_status=200)
    later = await here.find(first.tracking_id)

    assert (first.outcome, later.outcome) == (Outcome.ANSWERED, Outcome.ANSWERED)
    assert later.reached is True


async def test_a_later_transcript_may_show_a_person(here: World) -> None:
    here.answering([without_report()], [shown()], transcripts={"c-1": MENU})
    first = await here.call()
    here.answering([without_report()], [shown()], transcripts={"c-1": "Hello, who is this?"})
    later = await here.find(first.tracking_id)

    assert (first.outcome, later.outcome) == (Outcome.NOT_REACHED, Outcome.ANSWERED)


async def test_after_a_machine_a_call_is_repeated(here: World) -> None:
    here.answering([without_report(), without_report("c-2")], transcripts={"c-1": MENU})
    first = await here.call()
    await here.tell(first)
    at_once = await here.place()
    here.clock.advance(61)
    again = await here.place()

    assert at_once.tracking_id == first.tracking_id
    assert again.is_new


async def test_no_retry_follows_a_machine(here: World) -> None:
    here.answering([without_report()], transcripts={"c-1": MENU})
    twice = CallRequest(
        DINNER, "UTC", Stopwatch(here.clock), here.calls.schedule_for(None, retries=1)
    )
    record = await here.outcome(await here.run(here.calls.place(twice)))

    assert (record.state, record.outcome) == (CallState.ENDED, Outcome.NOT_REACHED)
