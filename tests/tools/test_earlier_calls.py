"""What a user is told of earlier calls to a number, before the next one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.facets.earlier_calls import EarlierCalls, earlier_calls
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.earlier_calls import earlier_rows
from kallyai_mcp.tools.text.plain import Reader
from tests.agent import BISTRO, settings_in
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_facets import AT_SEVEN, NOW, about, called
from tests.tools.test_facets import asked as requested
from tests.tools.user import NOON, User, open_agent_for

NUMBER = "+12025550100"
LATER = AT_SEVEN + timedelta(hours=1)


QUESTION = requested()
BOOKING = requested(appointment_date=AT_SEVEN.date())


def told(
    calls: list[CallView],
    minutes: int = 12,
    language: Any = "en",
    asked: Submission = QUESTION,
) -> list[str]:
    """The rows about these calls, newest first, so many minutes after the last one, before the one
    that is asked for.
    """
    now = NOW + timedelta(minutes=minutes)
    reader = Reader("America/New_York", now)
    earlier = earlier_calls(NUMBER, calls, now)
    return [str(row) for row in earlier_rows(earlier, asked, Words(language), reader)]


BOOKED = called("c-1", start=AT_SEVEN)


@pytest.mark.parametrize(
    ("last", "came_of_it"),
    [
        (called("c-1", "busy"), "The line was busy."),
        (called("c-1", "no_answer"), "Nobody picked up."),
        (called("c-1", "failed"), "Failed"),
        (BOOKED, "Booked: Wed Jan 28, 7:00 PM"),
        (called("c-1"), "Answered"),
    ],
)
def test_the_last_call_is_told(last: CallView, came_of_it: str) -> None:
    assert told([last]) == [f"Last call: 12 min ago. {came_of_it}"]


def test_kallyais_report_is_quoted() -> None:
    answered = called("c-1")
    assert answered.call is not None
    reported = replace(answered, call=answered.call.model_copy(update={"highlights": "Full."}))

    assert told([reported]) == ['Last call: 12 min ago. Answered. KallyAI: "Full."']


def test_a_call_longer_ago_has_its_day() -> None:
    assert told([BOOKED], minutes=120) == [
        "Last call: Mon Jan 26, 10:00 AM. Booked: Wed Jan 28, 7:00 PM"
    ]


def test_a_booking_ahead_is_told_after_another_call() -> None:
    assert told([called("c-2", "busy"), BOOKED])[1:] == ["Booked there: Wed Jan 28, 7:00 PM"]


def test_a_second_booking_is_told_before() -> None:
    assert told([BOOKED], asked=BOOKING)[1:] == [
        "Second booking: the one that is booked already stays; this call neither moves nor "
        "cancels it"
    ]
    assert len(told([called("c-2", "busy")], asked=BOOKING)) == 1


def test_a_booking_that_was_moved_is_not_told() -> None:
    moved = called("c-2", "success", about("c-1"), start=LATER)

    assert told([called("c-3", "busy"), moved, BOOKED])[1:] == ["Booked there: Wed Jan 28, 8:00 PM"]


def test_a_booking_that_is_past_is_not_told() -> None:
    week = 7 * 24 * 60

    assert len(told([called("c-2", "busy"), BOOKED], minutes=week)) == 1


def test_earlier_calls_are_told_in_spanish() -> None:
    assert told([BOOKED], language="es") == [
        "Última llamada: hace 12 min. Reservado: el miércoles 28 de enero a las 7:00 p. m."
    ]


def test_a_number_never_called_has_no_rows() -> None:
    assert earlier_calls("+12025550199", [BOOKED], NOW) == EarlierCalls()


async def test_the_consent_names_the_last_call(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    clock.set(NOON)
    user = User("decline", "decline")
    settings = settings_in(tmp_path, CONFIRM="auto")
    several = [{"respondent_phone": number} for number in ("+14155551234", "+14155551235")]
    question = {"task_category": "general", "task_description": "Ask about parking"}
    async with open_agent_for(settings, mode, clock, app, user) as agent:
        await agent.use("make_call", BISTRO)
        await agent.use("make_call", BISTRO, task_description="Ask for the terrace")
        await agent.use("call_around", question, candidates=several, until="all")
    alone, in_list = user.messages

    assert "\nLast call: 1 min ago. Booked: Wed Jan 28, 7:00 PM, 4 people\n" in alone
    assert "\n  Last call: 1 min ago. Booked: Wed Jan 28, 7:00 PM, 4 people\n" in in_list
