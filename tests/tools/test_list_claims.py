"""What the result of call_around claims of several calls, and what it must not leave out."""

from pathlib import Path
from typing import Any

from tests.agent import BISTRO, Answer
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file

ASKED = {name: value for name, value in BISTRO.items() if name not in ("respondent_phone", "business_name")}
FIRST, SECOND, THIRD = (
    {"respondent_phone": f"+1415555120{digit}", "business_name": name}
    for digit, name in ((1, "First"), (2, "Second"), (3, "Third"))
)
AT_NINE = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T020000Z"])


async def around(
    home: Path,
    clock: ManualClock,
    calls: dict[str, Any],
    calendars: dict[str, str | int] | None = None,
    *,
    goes_on: bool = False,
    **asked: Any,
) -> Answer:
    """The result for the three candidates, or as many as there are calls; `goes_on` past every decision."""
    candidates = [FIRST, SECOND, THIRD][: len(calls)]
    async with asking(home, clock, calls, calendars) as (_, agent):
        told = await agent.use("call_around", ASKED | asked, candidates=candidates)
        while goes_on and told.data["status"] == "needs_decision" and told.data["not_called"]:
            last = told.data["calls"][-1]["call_id"]
            told = await agent.use("call_around", ASKED | asked, candidates=candidates, continue_after=last)
        return told


async def test_a_row_keeps_what_kallyai_suggests_and_what_a_machine_was_told(
    tmp_path: Path, clock: ManualClock
) -> None:
    calls = {
        FIRST["respondent_phone"]: {"status": "voicemail", "highlights": "They call back from 415-555-7788"},
        SECOND["respondent_phone"]: {"status": "success", "highlights": "Free at 9", "next_steps": "Pay a $50 deposit"},
    }
    told = await around(tmp_path, clock, calls, until="all")

    _, machine, offer, *_ = told.text.splitlines()
    assert machine.startswith(
        '1. First (+1 415-555-1201): not reached, voicemail. KallyAI: "They call back from 415-555-7788." '
    )
    assert offer.startswith(
        '2. Second (+1 415-555-1202): answered. KallyAI: "Free at 9." KallyAI suggests: "Pay a $50 deposit." '
    )
    assert told.data["calls"][1]["next_steps"] == "Pay a $50 deposit"


async def test_an_appointment_that_is_not_known_of_is_marked_and_explained(tmp_path: Path, clock: ManualClock) -> None:
    calls = {FIRST["respondent_phone"]: {"status": "success"}, SECOND["respondent_phone"]: {"status": "busy"}}
    told = await around(tmp_path, clock, calls, {"+": 500}, until="all")

    assert "1. First (+1 415-555-1201): answered*." in told.text
    assert told.text.splitlines()[-1] == (
        "answered*: whether it booked something is not known here; get_call looks it up."
    )
    assert told.data["calls"][0]["calendar_checked"] is False


async def test_a_list_that_went_on_after_a_booking_does_not_say_that_nothing_was_booked(
    tmp_path: Path, clock: ManualClock
) -> None:
    calls = {FIRST["respondent_phone"]: {"status": "success"}, SECOND["respondent_phone"]: {"status": "busy"}}
    calendars: dict[str, str | int] = {FIRST["respondent_phone"]: AT_NINE}
    told = await around(tmp_path, clock, calls, calendars, goes_on=True, until="booked")

    assert told.data["status"] == "done"
    assert told.text.splitlines()[0].endswith("Done: 2 called, and there is a booking below.")


async def test_a_booking_for_another_time_is_told_as_one_although_it_was_allowed(
    tmp_path: Path, clock: ManualClock
) -> None:
    calls = {FIRST["respondent_phone"]: {"status": "success"}, SECOND["respondent_phone"]: {"status": "busy"}}
    told = await around(tmp_path, clock, calls, {"+": AT_NINE}, until="booked", accept_other_time=True)

    assert told.data["status"] == "booked"
    assert told.text.splitlines()[0] == (
        "Booked for another time: First (+1 415-555-1201), Wed Jan 28, 6:00 PM there. Tell the user now and ask if "
        "that works. Nobody else is called."
    )
