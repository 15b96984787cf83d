"""What may be claimed of a call, by its status and by KallyAI's calendar file."""

from datetime import timedelta

import anyio
import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.appointment import Calendar
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.calls.records import CallState
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
