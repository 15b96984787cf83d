"""What a person is shown of a call before they agree to it."""

from datetime import date

import pytest

from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.cli.preview_screen import preview_screen, question_of
from kallyai_mcp.cli.screen import Terminal, rendered
from kallyai_mcp.cli.service import Service
from kallyai_mcp.clock import Clock, Stopwatch
from kallyai_mcp.tools.facets.earlier_calls import EarlierCalls
from kallyai_mcp.tools.text.plain import Reader
from tests.calls.ledgers import submission, system_now
from tests.tools.test_facets import called

READER = Reader("America/New_York", system_now())
SANDBOX = Service(is_simulated=True, is_embedded=True)


def request(schedule: Schedule | None = None, **asked: str) -> CallRequest:
    wanted = submission(
        business_name="Italian Bistro", party_size=4, appointment_date=date(2027, 3, 5), **asked
    )
    arrived = Stopwatch(Clock())
    return CallRequest(wanted, "America/New_York", arrived, schedule or Schedule())


def shown(service: Service, *flags: RiskFlag) -> str:
    screen = preview_screen(request(), flags, Statistics(calls_remaining=27), READER, service)
    return rendered(screen, Terminal(80))


def test_the_last_call_stands_before_the_details() -> None:
    earlier = EarlierCalls(called("c-1", "busy"))
    screen = preview_screen(request(), (), None, READER, SANDBOX, earlier=earlier)
    lines = rendered(screen, Terminal(80)).splitlines()

    assert lines[3].startswith("  Last call   ")
    assert lines[3].endswith("The line was busy.")


@pytest.mark.parametrize(
    ("service", "headline"),
    [
        (Service(), "? Real call   to another person"),
        (SANDBOX, "? Simulated call   SANDBOX    nobody is called"),
    ],
    ids=["real", "sandbox"],
)
def test_the_preview_says_first_whether_it_is_real(service: Service, headline: str) -> None:
    assert shown(service).startswith(f"{headline}\n  Who         Italian Bistro\n")


def test_preview_facts_stand_below_each_other() -> None:
    text = shown(Service())

    assert "\n  Details     Fri Mar 5, 2027, 4 people\n" in text
    assert "\n  Calls left  27" in text


def test_a_task_in_another_language_is_named() -> None:
    asked = request(task_description="Réserver une table pour quatre personnes, s'il vous plaît")
    text = rendered(preview_screen(asked, (), None, READER, SANDBOX), Terminal(80))

    assert "May be spoken as written  the task (neither English nor Spanish)" in text


def test_a_risk_stands_before_the_question() -> None:
    assert shown(Service(), RiskFlag.URGENT, RiskFlag.COSTLY).endswith(
        "  Before you agree: it is an urgent call; calls to this number may cost more."
    )


@pytest.mark.parametrize(
    ("service", "schedule", "question"),
    [
        (Service(), Schedule(), "Place this real call?"),
        (SANDBOX, Schedule(), "Place this simulated call?"),
        (Service(), Schedule(not_before=system_now()), "Schedule this real call?"),
    ],
    ids=["real", "sandbox", "later"],
)
def test_the_question_names_the_kind_of_call(
    service: Service, schedule: Schedule, question: str
) -> None:
    assert question_of(request(schedule), service) == question
