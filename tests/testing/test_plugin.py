"""The pytest plug-in, as somebody uses it who tests an agent with a real client and server."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from runpy import run_path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.testing import KallyAISandbox
from tests.agent import Agent
from tests.docs.pages import fenced
from tests.programs import run

NUMBER = "+12025550142"
TABLE = {
    "task_category": "restaurant",
    "task_description": "Book a table",
    "respondent_phone": NUMBER,
    "business_name": "Italian Bistro",
    "user_name": "Ada",
    "party_size": 4,
    "timezone": "America/New_York",
}
QUESTION = {
    "task_category": "general",
    "task_description": "Ask when they close",
    "respondent_phone": NUMBER,
}

OpenAgent = Callable[..., AbstractAsyncContextManager[Agent]]


@asynccontextmanager
async def agent_with(env: Mapping[str, str], **client_options: Any) -> AsyncIterator[Agent]:
    """An agent whose server has the settings of `env`."""
    connection = Connection(Settings.from_env(env))
    server = build_server(lambda: open_app_context(connection, timezone="America/New_York"))
    with anyio.fail_after(60):
        async with Client(server, **client_options) as client:
            yield Agent(client)


def tomorrow() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))


async def test_the_agent_calls_the_tests_lines(kallyai_sandbox: KallyAISandbox) -> None:
    kallyai_sandbox.line(NUMBER).declines()
    kallyai_sandbox.line("+12025550144").books(at="20:30", ignores_instructions=True)
    async with agent_with(kallyai_sandbox.env) as agent:
        asked = TABLE | {"appointment_date": tomorrow(), "appointment_time": "19:00"}
        answer = await agent.use("make_call", asked)
        other = await agent.use("make_call", asked, respondent_phone="+12025550144")

    assert "Nothing was booked" in answer.text
    assert "for another time" in other.text
    assert "T203000" in (kallyai_sandbox.calls[1].calendar or "")


async def test_a_test_sees_what_was_called(kallyai_sandbox: KallyAISandbox) -> None:
    kallyai_sandbox.line(NUMBER).declines()
    async with agent_with(kallyai_sandbox.env) as agent:
        await agent.use("make_call", TABLE)
    call = kallyai_sandbox.assert_called_once(NUMBER)

    assert call.submission["party_size"] == 4
    assert (call.status, call.calendar) == ("success", None)
    assert call.transcript[0][0] == "HUMAN"


async def test_an_unexpected_call_fails_the_test(kallyai_sandbox: KallyAISandbox) -> None:
    async with agent_with(kallyai_sandbox.env) as agent:
        for _ in range(2):
            await agent.use("make_call", QUESTION, redial=True)

    with pytest.raises(
        AssertionError, match="1 call to \\+12025550143 was expected, but 0 were placed to it"
    ):
        kallyai_sandbox.assert_called_once("+12025550143")
    with pytest.raises(AssertionError, match="No call to anybody was expected, but 2 were placed"):
        kallyai_sandbox.assert_not_called()
    kallyai_sandbox.assert_not_called("+12025550143")


async def test_a_line_does_something_else_each_call(kallyai_sandbox: KallyAISandbox) -> None:
    line = kallyai_sandbox.line(NUMBER)
    line.is_busy().then.does_not_answer().then.goes_to_voicemail().then.says(
        "We have moved."
    ).answers("At ten.")
    async with agent_with(kallyai_sandbox.env) as agent:
        for says in ("busy", "no answer", "voicemail", "At ten.", "At ten."):
            assert says in (await agent.use("make_call", QUESTION, redial=True)).text

    ended = ["busy", "no_answer", "voicemail", "success", "success"]
    assert [call.status for call in kallyai_sandbox.calls] == ended
    said = [words for speaker, words in kallyai_sandbox.calls[3].transcript if speaker == "HUMAN"]
    assert said[said.index("We have moved.") + 1].endswith("At ten.")


async def test_a_failed_check_lists_what_was_called(kallyai_sandbox: KallyAISandbox) -> None:
    kallyai_sandbox.line(NUMBER).is_busy()
    kallyai_sandbox.line("+12025550143").refuses("suppression_violation")
    async with agent_with(kallyai_sandbox.env) as agent:
        for _ in range(2):
            await agent.use("make_call", QUESTION, redial=True)
        refused = await agent.use("make_call", QUESTION, respondent_phone="+12025550143")
    with pytest.raises(AssertionError) as failed:
        kallyai_sandbox.assert_called_once(NUMBER)
    first, *_, busy, last = str(failed.value).splitlines()

    assert "do-not-call list" in refused.text
    assert first == f"1 call to {NUMBER} was expected, but 2 were placed to it."
    assert (
        busy == f"  {NUMBER}, “Ask when they close”: busy: The line was busy. Nobody was reached."
    )
    assert last.startswith("  +12025550143, “Ask when they close”: suppression_violation: ")


async def test_a_line_knows_what_the_test_says(kallyai_sandbox: KallyAISandbox) -> None:
    line = kallyai_sandbox.line(NUMBER).knows(hours="At nine.", parking=None)
    line.then.knows(hours="At ten.").books()
    async with agent_with(kallyai_sandbox.env) as agent:
        answers = [(await agent.use("make_call", QUESTION, redial=True)).text for _ in "12"]

    assert "At nine." in answers[0]
    assert "At ten." in answers[1]


async def test_a_line_can_lose_answers_and_time(
    kallyai_sandbox: KallyAISandbox,
) -> None:
    kallyai_sandbox.line("+12025550143").loses_the_answer().answers("At ten.")
    kallyai_sandbox.line(NUMBER).takes(3600)
    async with agent_with(kallyai_sandbox.env) as agent:
        found = await agent.use("make_call", QUESTION, respondent_phone="+12025550143")
        answer = await agent.use("make_call", QUESTION, wait_seconds=0)
        while len(kallyai_sandbox.calls) < 2:  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(0.01)
        # On a slow machine, the first answer may come before the request has left.
        answer = await agent.use("get_call", call_id=answer.data["tracking_id"], wait_seconds=0)

    assert "At ten." in found.text
    kallyai_sandbox.assert_called_once("+12025550143")
    assert answer.text.startswith("In progress")
    assert kallyai_sandbox.assert_called_once(NUMBER).status == "in_progress"


async def test_consent_is_what_the_user_was_asked_for(kallyai_sandbox: KallyAISandbox) -> None:
    async def agree(_context: Any, _params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"call_now": True})

    with pytest.raises(AssertionError, match=r"0 were placed.*\n.*\n  no call"):
        kallyai_sandbox.assert_consented()
    asks = kallyai_sandbox.env | {"KALLYAI_CONFIRM": "always"}
    async with agent_with(asks, elicitation_callback=agree) as agent:
        await agent.use("make_call", QUESTION)
    kallyai_sandbox.assert_consented()

    async with agent_with(kallyai_sandbox.env) as agent:
        await agent.use("make_call", QUESTION, respondent_phone="+12025550143")
    with pytest.raises(AssertionError) as failed:
        kallyai_sandbox.assert_consented()
    assert "2 were placed, 1 of them without it. The server asks" in str(failed.value)


def request(url: str, method: str = "GET", body: Any = None, token: str = "") -> Any:
    """The JSON of a response that is a success."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = httpx2.request(
        method, url, json=body, headers=headers, timeout=60
    ).raise_for_status()
    return response.json() if response.content else None


BUSY_THEN_TEN = {"does": "is_busy", "then": [{"does": "answers", "answer": "At ten."}]}


@pytest.fixture
def control(kallyai_sandbox: KallyAISandbox) -> str:
    """The URL of the control endpoints, for a program in any language."""
    return f"{kallyai_sandbox.url}/_sandbox"


def call_with_http(url: str) -> dict[str, Any]:
    """Place a call as the business account; returns it."""
    signed_in = request(f"{url}/_sandbox/sign-in", "POST", {"account_id": "acct-business"})
    body = {"submission": QUESTION, "timezone": "Europe/Madrid"}
    call: dict[str, Any] = request(f"{url}/v1/calls", "POST", body, signed_in["access_token"])
    return call


def test_other_languages_set_lines_over_http(kallyai_sandbox: KallyAISandbox, control: str) -> None:
    line = f"{control}/line/{NUMBER}"
    set_ = request(line, "PUT", BUSY_THEN_TEN)
    shown = request(line)
    calls = [call_with_http(kallyai_sandbox.url) for _ in range(2)]
    request(line, "DELETE")

    assert set_["does"] == "is_busy"
    assert shown["then"][0]["answer"] == {"en": "At ten.", "es": "At ten."}
    assert [call["status"] for call in calls] == ["busy", "success"]
    assert request(line) == {}


def test_other_languages_see_calls_over_http(kallyai_sandbox: KallyAISandbox, control: str) -> None:
    request(f"{control}/line/{NUMBER}", "PUT", BUSY_THEN_TEN["then"][0])
    call_with_http(kallyai_sandbox.url)
    (call,) = request(f"{control}/calls")["calls"]
    request(f"{control}/calls", "DELETE")

    assert call["submission"]["respondent_phone"] == NUMBER
    assert "At ten." in call["highlights"]
    assert [entry["speaker"] for entry in call["transcript"]][:2] == ["HUMAN", "AI"]
    assert request(f"{control}/calls") == {"calls": [], "refused": []}


def test_other_languages_see_refusals_over_http(
    kallyai_sandbox: KallyAISandbox, control: str
) -> None:
    request(f"{control}/line/{NUMBER}", "PUT", {"refusal": "blocked_number"})
    with pytest.raises(httpx2.HTTPStatusError) as refused:
        call_with_http(kallyai_sandbox.url)

    assert "blocked_number" in refused.value.response.text
    assert [(each["code"], each["reason"]) for each in request(f"{control}/calls")["refused"]] == [
        ("blocked_number", f"This is what the sandbox's scenario for {NUMBER} says")
    ]


@pytest.mark.parametrize(
    ("path", "method", "wrong", "says"),
    [
        ("sign-in", "POST", {"scopes": ["calls:dream"]}, "not calls:dream"),
        (f"line/{NUMBER}", "PUT", {"does": "sings"}, "does: Input should be 'agrees'"),
    ],
)
def test_a_wrong_control_request_says_why(
    control: str, path: str, method: str, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(httpx2.HTTPStatusError) as refused:
        request(f"{control}/{path}", method, wrong)

    assert says in refused.value.response.text


@pytest.mark.programs
def test_the_example_of_the_documentation_passes(
    tmp_path: Path, kallyai_sandbox: KallyAISandbox
) -> None:
    (example,) = fenced("docs/testing-agents.md", "python")
    (tmp_path / "test_example.py").write_text(example, encoding="utf-8")
    (test,) = (
        value
        for name, value in run_path(str(tmp_path / "test_example.py")).items()
        if name.startswith("test_")
    )

    test(kallyai_sandbox)  # the fixture comes from the plug-in as it is installed


@pytest.mark.programs
def test_an_unused_plug_in_imports_nothing_else() -> None:
    code = (
        "import sys, pytest, kallyai_mcp.testing.plugin\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('kallyai_mcp', 'fastapi', "
        "'pydantic', 'mcp'))))"
    )
    done = run([sys.executable, "-c", code], variables=os.environ)

    assert done.stdout.split() == [
        "kallyai_mcp",
        "kallyai_mcp.testing",
        "kallyai_mcp.testing.plugin",
    ]


def test_wrong_use_says_what_is_possible(kallyai_sandbox: KallyAISandbox) -> None:
    wrong: list[tuple[Callable[[KallyAISandbox], object], str]] = [
        (
            lambda sandbox: sandbox.line("+1 202-555-0142"),
            "'.1 202-555-0142' is not a number in E.164",
        ),
        (
            lambda sandbox: sandbox.assert_not_called("2025550142"),
            "'2025550142' is not a number in E.164",
        ),
        (
            # The wrong use that is tried.
            lambda sandbox: sandbox.line(NUMBER).refuses("nonsense"),  # type: ignore[arg-type]
            "^code='nonsense': should be 'quota_exceeded'",
        ),
        (
            lambda sandbox: sandbox.line(NUMBER).is_busy().then.books(on="Friday"),
            "^on='Friday': must be a date in the format YYYY-MM-DD$",
        ),
        (
            lambda sandbox: sandbox.line(NUMBER).books(at="8pm"),
            r"^at='8pm': must be a time in the format HH:MM \(24-hour\)$",
        ),
    ]
    for use, message in wrong:
        with pytest.raises(ValueError, match=message):
            use(kallyai_sandbox)
