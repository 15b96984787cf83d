"""Calls about a booking that an earlier call made: what each says about the other."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.about_booking import without_change
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS
from tests.tools.user import User, open_agent_for

mode = pytest.fixture(one_generation)

TABLE = BISTRO | {"respondent_phone": NUMBERS["success"]}
MOVE = {
    name: TABLE[name]
    for name in ("task_category", "respondent_phone", "business_name", "appointment_date")
} | {
    "task_description": "Move the table to 8 PM",
    "appointment_time": "20:00",
}
CANCEL = {name: TABLE[name] for name in ("task_category", "respondent_phone")} | {
    "task_description": "Cancel the table"
}


async def moved(agent: Agent) -> tuple[str, Answer]:
    """The id of a booking, and the answer of the call that has moved it."""
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    return booked, await agent.use("make_call", MOVE, changes_call_id=booked, change="move")


async def test_a_move_names_what_it_replaces(agent: Agent) -> None:
    booked, move = await moved(agent)

    assert (
        f"Wed Jan 28, 8:00 PM. It replaces the booking of Wed Jan 28, 7:00 PM (call_id {booked})."
    ) in move.text.splitlines()[0]
    assert "KallyAI suggests" in move.text


async def test_a_moved_booking_says_so(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    shown = await agent.use("get_call", call_id=booked)

    assert shown.text.startswith(
        f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead.\nWas booked: table for 4"
    )
    assert shown.data["moved_by"] == later
    assert "KallyAI suggests" not in shown.text
    assert shown.data["next_steps"]  # the structure leaves out nothing that KallyAI reported


async def test_the_event_of_a_moved_booking_says_so(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    event = await agent.use("get_calendar_event", call_id=booked)

    assert event.data["moved_by"] == later
    assert event.data["start"] == "2026-01-28T20:00:00-05:00"
    assert event.text.startswith(
        f"Moved: call {later} has booked Wed Jan 28, 8:00 PM instead. This is its event.\n"
        '"Table for 4'
    )


async def test_a_moved_bookings_files_are_one_event(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    first = await agent.read(f"kallyai://calls/{booked}/calendar.ics")
    move = await agent.use("make_call", MOVE, changes_call_id=booked, change="move")
    second = await agent.use("get_calendar_event", call_id=move.data["call_id"], as_file=True)
    of_old = await agent.read(f"kallyai://calls/{booked}/calendar.ics")

    (before,) = Calendar.from_ical(first.text).events
    (after,) = Calendar.from_ical(second.data["file"]).events
    assert before.decoded("uid") == after.decoded("uid")
    assert (before.decoded("sequence"), after.decoded("sequence")) == (0, 1)
    assert after.decoded("dtstart") == datetime(2026, 1, 29, 1, tzinfo=UTC)  # 8:00 PM there
    assert of_old.text.replace("\r", "") == second.data["file"]


async def test_a_moved_booking_is_listed_as_moved(agent: Agent) -> None:
    booked, move = await moved(agent)
    later = move.data["call_id"]
    listed = await agent.use("list_calls")
    narrowed = await agent.use("list_calls", status="moved")

    assert (
        "  was booked  Italian Bistro +1 202-555-0100  Book a table  table for 4, Jan 28 7:00 PM; "
        f"moved, now {later}  " in listed.text
    )
    assert [call["call_id"] for call in narrowed.data["calls"]] == [booked]
    assert "moved_by" not in listed.data["calls"][0]
    assert listed.data["calls"][1] == {
        "status": "booked",
        "call_id": booked,
        "purpose": "Book a table",
        "appointment": "2026-01-28T19:00",
        "moved_by": later,
        "created_at": "2026-01-25T15:30Z",
        "disclosed": True,
        "business_name": "Italian Bistro",
    }


MENU = {
    "task_category": "general",
    "task_description": "Ask for the menu",
    "respondent_phone": NUMBERS["success"],
}
AHEAD = (
    "An earlier call booked there: Wed Jan 28, 8:00 PM (call_id {}).{} Nothing shows that this "
    "call has changed it. To move or cancel it: changes_call_id and change."
)


def asked_about(later: Answer) -> str:
    """How the words for what a later call was told about a booking end."""
    return f" (call_id {later.data['call_id']})."


async def test_a_booking_ahead_is_named_at_next_call(agent: Agent) -> None:
    _, move = await moved(agent)
    named = await agent.use("make_call", MENU)
    again = await agent.use("get_call", call_id=named.data["call_id"])

    assert AHEAD.format(move.data["call_id"], "") in named.text
    assert named.data["booked_there"] == move.data["call_id"]
    assert named.text.count("changes_call_id") == 1
    assert "An earlier call" not in again.text


async def test_a_second_booking_is_told(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    second = await agent.use("make_call", MOVE, user_name="Ada", party_size=4)

    assert (
        f"This is a second booking there; an earlier call booked Wed Jan 28, 7:00 PM (call_id "
        f"{booked}). As far as is known, both stand." in second.text
    )
    assert second.data["booked_there"] == booked


async def test_change_alone_names_the_known_booking(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    refused = await agent.use("make_call", CANCEL, change="cancel")

    assert (
        f"- changes_call_id: missing; the booking at this number is call_id {booked}: Table for 4"
        in refused.text
    )


ASK = CANCEL | {"task_description": "Write down my name for the table"}


async def test_a_call_about_a_booking_names_it_only(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    asked = await agent.use("make_call", ASK, changes_call_id=booked, change="ask")

    assert f"7:00 PM (call_id {booked}), which KallyAI was told to keep." in asked.text
    assert "An earlier call" not in asked.text


async def test_what_was_asked_about_a_booking_is_named(agent: Agent) -> None:
    booked, move = await moved(agent)
    asked = await agent.use("make_call", ASK, changes_call_id=booked, change="ask")
    after = await agent.use("make_call", MENU)
    before_report, after_report = AHEAD.split("{}")[0], AHEAD.split("{}")[2]

    assert f"{before_report}{move.data['call_id']}). A later call was about this" in after.text
    assert f"{asked_about(asked)}{after_report}" in after.text


async def test_a_booking_names_the_call_about_it(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    asked = await agent.use("make_call", ASK, changes_call_id=booked, change="ask")
    shown = await agent.use("get_call", call_id=booked)
    listed = await agent.use("list_calls")

    assert shown.text.startswith("A later call was about this booking: ")
    assert f"{asked_about(asked)}\nBooked: " in shown.text
    assert shown.data["asked_about_in"] == asked.data["call_id"]
    assert "changes_call_id" not in shown.text
    assert f'" {asked.data["call_id"]}  {booked}' in listed.text


CANCELED = '"I have canceled it: a table for 4 on Wednesday, January 28 at 7:00 PM'


async def canceled(agent: Agent) -> tuple[str, Answer]:
    """The id of a booking, and the answer of the call that has canceled it."""
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    return booked, await agent.use("make_call", CANCEL, changes_call_id=booked, change="cancel")


async def test_a_cancellation_begins_with_their_words(agent: Agent) -> None:
    booked, cancel = await canceled(agent)

    assert cancel.text.startswith(f"They say it is canceled: {CANCELED}")
    assert f"It was about the booking of Wed Jan 28, 7:00 PM (call_id {booked})." in cancel.text
    assert cancel.text.count("They sa") == 1
    assert cancel.data["evidence"]["quote"].startswith("I have canceled it: ")


async def test_a_canceled_booking_says_so_everywhere(agent: Agent) -> None:
    booked, cancel = await canceled(agent)
    later = cancel.data["call_id"]
    shown = await agent.use("get_call", call_id=booked)
    listed = await agent.use("list_calls")
    event = await agent.use("get_calendar_event", call_id=booked)

    assert shown.text.startswith(f"They say that it is canceled: {CANCELED}")
    assert "\nWas booked: table for 4 at Italian Bistro" in shown.text
    assert f"table for 4, Jan 28 7:00 PM; they say it is canceled {later}" in listed.text
    assert (shown.data["canceled_by"], event.data["canceled_by"]) == (later, later)
    assert event.text.startswith("They say that it is canceled: ")


async def test_a_canceled_bookings_file_cancels_its_event(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    before = await agent.read(f"kallyai://calls/{booked}/calendar.ics")
    await agent.use("make_call", CANCEL, changes_call_id=booked, change="cancel")
    canceled = await agent.use("get_calendar_event", call_id=booked, as_file=True)

    file = Calendar.from_ical(canceled.data["file"])
    (event,) = file.events
    assert (str(file["METHOD"]), str(event["STATUS"])) == ("CANCEL", "CANCELLED")
    assert str(event["UID"]) in before.text
    assert event.decoded("sequence") == 1
    assert str(event["DESCRIPTION"]).startswith("I have canceled it: ")
    assert "The file takes it out of a calendar." in canceled.text


async def test_a_canceled_booking_lies_not_ahead(agent: Agent) -> None:
    await canceled(agent)

    assert "An earlier call" not in (await agent.use("make_call", MENU)).text


async def test_a_refused_cancellation_cancels_nothing(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    refusing = CANCEL | {"respondent_phone": NUMBERS["fully_booked"]}
    asked = await agent.use("make_call", refusing, changes_call_id=booked, change="cancel")
    shown = await agent.use("get_call", call_id=booked)

    assert asked.text.startswith("They said (")
    assert "Nothing they said confirms that it is canceled." in asked.text.splitlines()[0]
    assert "\nBooked: " in shown.text
    assert "canceled_by" not in shown.data


async def test_asking_never_loses_a_booking(agent: Agent) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    asked = await agent.use("make_call", CANCEL, changes_call_id=booked, change="ask")
    canceled = await agent.use("make_call", CANCEL, changes_call_id=booked, change="cancel")

    assert "anceled:" not in asked.data["highlights"]
    assert canceled.data["highlights"].startswith("Canceled: ")
    assert (await agent.use("get_call", call_id=booked)).data["canceled_by"]


ABOUT = {"task_category": "restaurant", "task_description": "About the table"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"changes_call_id": "c-1"}, "- change: missing; move (to a new day or time), cancel, or ask"),
    ({"change": "ask"}, "- changes_call_id: missing; with change, the call_id of the booking to"),
    (
        {"changes_call_id": "c-1", "change": "move"},
        "- appointment_date: missing; change move needs a new appointment_date, appointment_time,",
    ),
    (
        {"changes_call_id": "c-1", "change": "cancel", "appointment_time": "20:00"},
        "- appointment_time: is only for change move; cancel leaves the day and the time",
    ),
    (
        {"changes_call_id": "c-1", "change": "ask", "departure_date": "2026-01-30"},
        "- departure_date: is only for change move; ask leaves the day and the time",
    ),
    ({"changes_call_id": "c-1", "change": "book"}, "- change: expected move, cancel, or ask"),
    (
        {"changes_call_id": "c-1", "change": "cancel", "other_times": "20:00"},
        "- other_times: is only for change move; cancel leaves the day and the time",
    ),
    (
        {"changes_call_id": "c-1", "change": "ask", "accept_other_time": True},
        "- accept_other_time: is only for change move; ask leaves the day and the time",
    ),
    (
        {"changes_call_id": "c-1", "change": "ask", "party_size": 6},
        "- party_size: is not for change ask; say another number of people in task_description",
    ),
    (
        {"changes_call_id": "c-1", "change": "cancel", "party_size": 4},
        "- party_size: is not for change cancel; for another number of people, change ask",
    ),
]


@pytest.mark.parametrize(("given", "problem"), WRONG)
async def test_arguments_about_a_booking_fit_together(
    agent: Agent, given: dict[str, Any], problem: str
) -> None:
    answer = await agent.use("make_call", ABOUT | {"respondent_phone": NUMBERS["success"]}, **given)

    assert answer.data["code"] == "invalid_arguments"
    assert problem in answer.text


async def test_the_number_comes_from_the_earlier_call(agent: Agent, app: SandboxApp) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    await agent.use("make_call", ABOUT, changes_call_id=booked, change="cancel")

    assert submissions(app)[-1]["respondent_phone"] == TABLE["respondent_phone"]


def submissions(app: SandboxApp) -> list[dict[str, Any]]:
    """What KallyAI was told, call by call."""
    with app.state.sandbox.store.transaction() as db:
        return [dict(one.submission) for one in call_table.all_calls(db)]


async def test_a_move_keeps_what_it_does_not_name(agent: Agent, app: SandboxApp) -> None:
    wishes = ["A table by the window"]
    first = await agent.use("make_call", TABLE, additional_instructions=wishes)
    later = ABOUT | {"appointment_time": "20:00"}
    await agent.use("make_call", later, changes_call_id=first.data["call_id"], change="move")
    told = submissions(app)[-1]

    assert (told["appointment_date"], told["appointment_time"]) == ("2026-01-28", "20:00")
    assert told["party_size"] == TABLE["party_size"]
    assert told["additional_instructions"][0] == wishes[0]
    assert told["additional_instructions"].count(wishes[0]) == 1


async def test_arguments_that_change_nothing_are_fine(agent: Agent, app: SandboxApp) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    await agent.use(
        "make_call", ABOUT, changes_call_id=booked, change="cancel", accept_other_time=False
    )

    assert len(submissions(app)) == 2


@pytest.mark.parametrize("change", ["move", "cancel", "ask"])
async def test_whose_booking_it_is_is_told(agent: Agent, app: SandboxApp, change: str) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    later = ABOUT | ({"appointment_time": "20:00"} if change == "move" else {})
    await agent.use("make_call", later, changes_call_id=booked, change=change)
    told = submissions(app)[-1]

    assert told["user_name"] == TABLE["user_name"]
    assert told["business_name"] == TABLE["business_name"]


async def test_another_number_keeps_its_name(agent: Agent, app: SandboxApp) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    elsewhere = ABOUT | {"respondent_phone": NUMBERS["fully_booked"]}
    await agent.use("make_call", elsewhere, changes_call_id=booked, change="cancel")

    assert "business_name" not in submissions(app)[-1]


ROOM = {name: value for name, value in TABLE.items() if name != "appointment_time"} | {
    "task_category": "hotel",
    "task_description": "Book a room",
    "departure_date": "2026-01-31",
}


async def moved_stay(agent: Agent, arrival: str) -> Answer:
    """The answer to moving the first day of a stay from January 28 to 31."""
    booked = (await agent.use("make_call", ROOM)).data["call_id"]
    later = {"task_category": "hotel", "task_description": "Move it", "appointment_date": arrival}
    return await agent.use("make_call", later, changes_call_id=booked, change="move")


async def test_a_moved_stay_ends_as_before(agent: Agent, app: SandboxApp) -> None:
    await moved_stay(agent, "2026-01-29")

    assert "Departure: 2026-01-31" in submissions(app)[-1]["additional_instructions"]


async def test_a_stay_moved_past_its_end_needs_one(agent: Agent) -> None:
    answer = await moved_stay(agent, "2026-02-02")

    assert answer.data["code"] == "invalid_arguments"
    assert (
        "- departure_date: missing; the stay was to end on 2026-01-31, before the new arrival."
        in answer.text
    )


async def test_a_moved_booking_is_changed_where_it_is(agent: Agent, app: SandboxApp) -> None:
    booked, move = await moved(agent)
    await agent.use("make_call", ABOUT, changes_call_id=booked, change="cancel")
    (about,) = (
        text
        for text in submissions(app)[-1]["additional_instructions"]
        if text.startswith("This call is about")
    )

    assert about.startswith(f"This call is about the booking of call {move.data['call_id']}: ")
    assert about.endswith("2026-01-28 20:00")


async def test_a_repeated_move_is_the_same_call(agent: Agent, app: SandboxApp) -> None:
    booked, move = await moved(agent)
    again = await agent.use("make_call", MOVE, changes_call_id=booked, change="move")

    assert again.data["call_id"] == move.data["call_id"]
    assert len(submissions(app)) == 2


async def test_an_older_call_about_a_booking_answers(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    """It did not tell KallyAI what a call was for, and its records are found by other digests."""
    named = CANCEL | {name: TABLE[name] for name in ("user_name", "business_name")}
    async with open_agent(settings_in(tmp_path), mode="auto", clock=clock, app=app) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        cancel = await agent.use("make_call", named, changes_call_id=booked, change="cancel")
        sent = Submission.model_validate(submissions(app)[-1])
        make_older(tmp_path, cancel.data["call_id"], without_change(sent))
        again = await agent.use("make_call", named, changes_call_id=booked, change="cancel")
        placed = len(submissions(app))

    assert again.data["call_id"] == cancel.data["call_id"]
    assert placed == 2


def make_older(home: Path, call_id: str, older: Submission) -> None:
    """Let a record say what that version would have sent."""
    (ledger,) = home.rglob("*.db")
    with closing(sqlite3.connect(ledger)) as file, file:
        changed = file.execute(
            "UPDATE calls SET submission = ?, fingerprint = ? WHERE call_id = ?",
            (older.model_dump_json(exclude_none=True), fingerprint(older), call_id),
        )
        assert changed.rowcount == 1


TOLD = {
    "move": "Move that booking to the new day and time. Keep everything else about it.",
    "cancel": "Cancel that booking. Make no other one.",
    "ask": "Only do what the task says about that booking. Do not cancel it, and do not agree to "
    "another day or time for it.",
}


@pytest.mark.parametrize("change", TOLD)
async def test_kallyai_is_told_what_a_call_is_for(
    agent: Agent, app: SandboxApp, change: str
) -> None:
    booked = (await agent.use("make_call", TABLE)).data["call_id"]
    new_time = {"appointment_time": "20:00"} if change == "move" else {}
    await agent.use("make_call", ABOUT | new_time, changes_call_id=booked, change=change)

    told = submissions(app)[-1]["additional_instructions"]
    assert [text for text in told if text in TOLD.values()] == [TOLD[change]]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Wed Jan 28, 7:00 PM: it is neither moved nor canceled"),
        ("es", "el miércoles 28 de enero a las 7:00 p. m.: ni se cambia ni se cancela"),
    ],
)
async def test_the_consent_says_what_a_call_is_for(
    tmp_path: Path, clock: ManualClock, app: SandboxApp, language: str, words: str
) -> None:
    user = User({"call_now": True}, {"call_now": True})
    async with open_agent_for(
        settings_in(tmp_path, CONFIRM="always"), "auto", clock, app, user
    ) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        await agent.use(
            "make_call",
            ASK,
            changes_call_id=booked,
            change="ask",
            language=language,
            call_language="en",
        )

    assert words in user.messages[1]
    assert booked not in user.messages[1]


async def test_changing_another_numbers_booking_is_asked_about(
    tmp_path: Path, clock: ManualClock, app: SandboxApp
) -> None:
    async with open_agent(
        settings_in(tmp_path, CONFIRM="auto"), mode="auto", clock=clock, app=app
    ) as agent:
        booked = (await agent.use("make_call", TABLE)).data["call_id"]
        clock.advance(hours=2)
        asked = await agent.use(
            "make_call",
            CANCEL,
            respondent_phone="+12025550119",
            changes_call_id=booked,
            change="cancel",
        )
        none = await agent.use("make_call", CANCEL, changes_call_id="no-such-call", change="cancel")

    assert asked.data["reasons"] == ["other_number"]
    assert (
        "You are asked because: the booking that it changes was made at another number"
        in asked.text
    )
    assert none.text.startswith("Not called: ")
