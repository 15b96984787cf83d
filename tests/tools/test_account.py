import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.responses import HTMLResponse

from kallyai_mcp.api.models import Statistics
from kallyai_mcp.auth.token_store import TokenStore
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.tools.text.account import last_ones, quota
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.fake_service import fake_service, out_of_reach
from tests.sandbox.auth import browser_client
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking
from tests.tools.user import NOON, User, open_agent_for

TOKEN = "token-of-the-settings-0123456789"


@pytest.fixture
async def signed_out(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> AsyncIterator[Agent]:
    """An agent of a sandbox to which nobody has signed in."""
    async with (
        running(app) as url,
        open_agent(settings_in(tmp_path, API_URL=url), mode=mode, clock=clock) as agent,
    ):
        yield agent


async def test_without_a_sign_in_there_is_a_link(signed_out: Agent) -> None:
    refused = await signed_out.use("make_call", BISTRO)
    link = await signed_out.use("sign_in")

    assert refused.is_error
    assert refused.text.startswith(
        "Not called: not signed in to KallyAI. Give the user this link (valid for 5"
    )
    assert "call make_call again with the same arguments" in refused.text
    assert link.data["link"] in refused.text  # both links have the same listener
    assert link.data["expires_in"] == 300


async def test_after_the_sign_in_the_call_works(signed_out: Agent) -> None:
    link = (await signed_out.use("sign_in")).data["link"]
    page = await anyio.to_thread.run_sync(browser_client.sign_in, link)
    with anyio.fail_after(60):
        while not (await signed_out.use("sign_in")).data["signed_in"]:
            await anyio.lowlevel.checkpoint()

    assert "Sign-in received" in page
    assert (await signed_out.use("make_call", BISTRO)).data["status"] == "success"


QUOTA = {
    "plan_type": "trial",
    "minutes_allocated": 30,
    "minutes_used": 30,
    "upgrade_url": "https://kallyai.com/plans",
}
STANDARD = {
    "code": "quota_exceeded",
    "details": {"message": "Out of minutes"},
    "correlation_id": "c-1",
}
USED_UP = (
    "all 30 minutes of the trial plan are used (quota_exceeded). To get more now: "
    "https://kallyai.com/plans."
)
BOT_CHECK = HTMLResponse("<html><title>Just a moment...</title>" + "x" * 9000, 403)
EXPIRED = {"error": {"code": "token_expired", "details": {"message": "Token expired"}}}


REFUSALS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "the quota": ((402, QUOTA), (USED_UP,)),
    "the quota, as an error": (
        (402, {"error": STANDARD, **QUOTA}),
        (USED_UP, 'KallyAI: "Out of minutes". correlation_id c-1'),
    ),
    "a bot check": (
        BOT_CHECK,
        ("KallyAI's bot check answered with a web page instead of the API", "KALLYAI_USER_AGENT"),
    ),
    "the token": (
        (401, EXPIRED),
        ("KallyAI does not accept the token in KALLYAI_ACCESS_TOKEN.",),
    ),
}
"""An answer of KallyAI, and the words with which it is told."""


@pytest.mark.parametrize(("response", "words"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_says_what_to_do(
    tmp_path: Path, clock: ManualClock, response: Any, words: tuple[str, ...]
) -> None:
    async with fake_service(
        lambda request: response if request.url.path == "/v1/calls" else (404, {})
    ) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=TOKEN)
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            answer = await agent.use("make_call", BISTRO)

    assert answer.is_error
    assert answer.text.startswith(f"Not called: {words[0]}")
    assert all(word in answer.text for word in words)
    assert not [word for word in ("<", "sign_in", TOKEN) if word in answer.text]
    assert len(answer.text) < 600, "the error quotes a whole page of the service"


MUCH_LEFT = {
    "plan_type": "personal",
    "minutes_allocated": 210,
    "minutes_remaining": 165,
    "calls_allocated": 35,
    "calls_remaining": 27,
    "period_end": "2026-02-01T00:00:00Z",
}
QUESTION = {
    "task_category": "general",
    "task_description": "Ask about parking",
    "respondent_phone": BISTRO["respondent_phone"],
}
NO_CALLS = MUCH_LEFT | {"calls_remaining": 0}
SOME = QUOTA | {"minutes_used": 29}
QUOTAS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        QUOTA,
        MUCH_LEFT,
        "all 30 minutes of the trial plan are used (quota_exceeded). They come back Feb 1.",
    ),
    (
        {"credits_allocated": 8, "credits_used": 9},
        {},
        "all 8 credits of the plan are used (quota_exceeded).",
    ),
    (
        SOME,
        NO_CALLS,
        "the quota is used up (quota_exceeded). 0 of 35 calls left (and 165 of 210 minutes); ",
    ),
    (
        SOME,
        MUCH_LEFT,
        (
            "the quota is used up (quota_exceeded). KallyAI counts 29 of 30 minutes of the "
            "trial plan "
            "as used."
        ),
    ),
    (
        {},
        MUCH_LEFT,
        "the quota is used up (quota_exceeded). KallyAI's statistics do not show it yet.",
    ),
    ({}, {}, "the quota is used up (quota_exceeded). KallyAI gives no figures."),
]


@pytest.mark.parametrize(("refusal", "statistics", "words"), QUOTAS)
async def test_the_figures_of_a_refusal_count(
    tmp_path: Path,
    clock: ManualClock,
    refusal: dict[str, Any],
    statistics: dict[str, Any],
    words: str,
) -> None:
    async with asking(tmp_path, clock, {"+": {"error": (402, refusal)}}) as (kallyai, agent):
        kallyai.statistics = statistics
        answer = await agent.use("make_call", BISTRO)

    assert answer.text.startswith(f"Not called: {words}")
    assert "HTTP 402" not in answer.text


async def test_nothing_left_is_said_before_anybody_is_asked(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with asking(tmp_path, clock, {}, CONFIRM="always") as (kallyai, agent):
        kallyai.statistics = NO_CALLS
        answer = await agent.use("make_call", BISTRO)

    assert answer.text == (
        "Not called: all 35 calls of the personal plan are used. They come back Feb 1. To get more "
        "now: check_quota with billing_link=true."
    )
    assert answer.data["placed"] == "no"
    assert answer.data["used_up"]["unit"] == "calls"
    assert kallyai.bodies == []


@pytest.mark.parametrize("asks", ["auto", "never"])
async def test_a_call_is_not_scheduled_with_nothing_left(
    tmp_path: Path, clock: ManualClock, asks: str
) -> None:
    async with asking(tmp_path, clock, {}, CONFIRM=asks) as (kallyai, agent):
        kallyai.statistics = NO_CALLS
        refused = await agent.use("make_call", QUESTION, not_before="2026-01-27T10:00")
        later = await agent.use("make_call", QUESTION, not_before="2026-02-02T10:00")

    assert refused.text == (
        "Not scheduled: no calls are left until Feb 1, and this one was for Jan 27. To get more "
        "now: check_quota with billing_link=true."
    )
    assert not later.is_error


async def test_a_placed_call_is_told_with_nothing_left(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, {"+": {"status": "success"}}, CONFIRM="auto") as (
        kallyai,
        agent,
    ):
        clock.set(NOON)
        await agent.use("make_call", BISTRO)
        kallyai.statistics = NO_CALLS
        again = await agent.use("make_call", BISTRO)

    assert again.text.startswith("Already called")
    assert len(kallyai.bodies) == 1


END = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (None, ""),
        (Statistics(calls_remaining=4, minutes_remaining=11), ""),
        (Statistics(calls_remaining=2, calls_allocated=35), "2 of 35 calls left."),
        (Statistics(minutes_remaining=9.5, period_end=END), "9.5 minutes left until Feb 1."),
        (
            Statistics(
                calls_remaining=0,
                calls_allocated=5,
                minutes_remaining=6,
                minutes_allocated=30,
                period_end=END,
            ),
            "0 of 5 calls and 6 of 30 minutes left until Feb 1.",
        ),
        (
            Statistics(calls_remaining=2, calls_allocated=35, credits_remaining=120),
            "2 of 35 calls and 120 credits left.",
        ),
        (
            Statistics(calls_remaining=2, subscription_status="trialing", period_end=END),
            "2 calls left.",
        ),
    ],
)
def test_the_last_calls_are_announced(usage: Statistics | None, words: str) -> None:
    assert last_ones(usage, datetime(2026, 1, 26, tzinfo=UTC)) == words


@pytest.mark.parametrize(("credits_left", "refused"), [(None, True), (0, True), (120, False)])
def test_credits_pay_where_calls_are_used(credits_left: int | None, refused: bool) -> None:
    usage = Statistics(calls_remaining=0, credits_remaining=credits_left, period_end=END)
    text = quota(usage, None, now=datetime(2026, 1, 26, tzinfo=UTC))

    assert ("Calls are refused until then." in text) is refused


async def test_a_result_says_that_few_calls_are_left(tmp_path: Path, clock: ManualClock) -> None:
    clock.set(NOON)
    answers = {"+": {"status": "success"}}
    several = [{"respondent_phone": f"+1202555010{end}"} for end in range(2)]
    async with asking(tmp_path, clock, answers, CONFIRM="auto") as (kallyai, agent):
        kallyai.statistics = MUCH_LEFT | {"calls_remaining": 2}
        alone = await agent.use("make_call", QUESTION)
        again = await agent.use("make_call", QUESTION)
        asked = QUESTION | {"respondent_phone": None}
        in_list = await agent.use("call_around", asked, candidates=several, until="all")

    assert alone.text.endswith("\n2 of 35 calls left until Feb 1.")
    assert in_list.text.endswith("\n2 of 35 calls left until Feb 1.")
    assert "left" not in again.text


async def test_the_refusal_says_what_is_used_up(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, {"+": {"error": (402, QUOTA)}}) as (kallyai, agent):
        kallyai.statistics = MUCH_LEFT
        answer = await agent.use("make_call", BISTRO)

    renews = "2026-02-01T00:00:00Z"
    assert answer.data["used_up"] == {
        "unit": "minutes",
        "remaining": 0,
        "allocated": 30,
        "renews": renews,
    }


async def test_only_kallyais_own_words_are_quoted(tmp_path: Path, clock: ManualClock) -> None:
    async with asking(tmp_path, clock, {"+": {"error": (403, {})}}) as (_, agent):
        answer = await agent.use("make_call", BISTRO)

    assert answer.text.startswith(
        "Not called: the sign-in lacks the permission for this (http_403)."
    )
    assert "KallyAI:" not in answer.text


@pytest.mark.parametrize(
    "ends", [{"expires_at": math.inf}, {"expires_at": 0, "refresh_token": "r"}]
)
async def test_a_401_keeps_what_kallyai_said(
    tmp_path: Path, clock: ManualClock, ends: dict[str, Any]
) -> None:
    details = {"message": "No Authorization header", "reason": "Sent as a cookie"}
    error = {"code": "missing_token", "details": details, "correlation_id": "c-7"}

    async with fake_service(lambda _: (401, {"error": error})) as url:
        TokenStore("file", tmp_path, url).save(Tokens.model_validate({"access_token": "a", **ends}))
        async with open_agent(
            settings_in(tmp_path, API_URL=url), mode="auto", clock=clock
        ) as agent:
            refused = await agent.use("make_call", BISTRO)

    assert refused.is_error
    words = '"No Authorization header – Sent as a cookie"'  # noqa: RUF001
    assert f"KallyAI: {words} (missing_token). correlation_id c-7" in refused.text


async def test_no_connection_says_that_nothing_was_sent(tmp_path: Path, clock: ManualClock) -> None:
    settings = settings_in(tmp_path, API_URL="http://127.0.0.1:9", ACCESS_TOKEN=TOKEN)
    async with open_agent(settings, mode="auto", clock=clock) as agent:
        answer = await agent.use("make_call", BISTRO)
    (tmp_path / "file").touch()
    nowhere = settings_in(tmp_path / "file" / "home", API_URL="http://127.0.0.1:9")
    async with open_agent(nowhere, mode="auto", clock=clock) as agent:
        not_kept = [await agent.use("sign_in"), await agent.use("make_call", BISTRO)]

    assert answer.text == (
        "Not called: KallyAI cannot be reached, and nothing was sent (connection_failed). "
        "It is safe to try again in a minute."
    )
    for refused in not_kept:
        assert refused.is_error
        assert "sign-in can't be kept in " in refused.text
    assert not_kept[1].data["placed"] == "no"


@pytest.mark.parametrize("closes", [0, 1])
async def test_a_call_without_its_request_is_not_placed(
    tmp_path: Path, clock: ManualClock, closes: int
) -> None:
    async with out_of_reach(closes) as (url, is_waiting):
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN=TOKEN)
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            made = await agent.use("make_call", BISTRO, wait_seconds=0)
            await is_waiting.wait()
            clock.advance(seconds=1)
            again = await agent.use("make_call", BISTRO, wait_seconds=0)
            found = await agent.use("get_call", call_id=made.data["tracking_id"])

    assert again.text == f"Asked for before; no new call was placed. {found.text}"
    assert found.text == (
        "Not placed yet: KallyAI has not been reached. This program tries until 10:33 AM at the "
        "latest and then gives "
        "up; do not place the call again.\n"
        f'Next: get_call with call_id "{made.data["tracking_id"]}" and wait_seconds 45.'
    )
    assert (again.data["status"], again.data["placed_now"]) == ("in_progress", False)
    assert not {"elapsed_seconds", "created_at", "placed_now"} & found.data.keys()


async def test_a_tool_continues_after_its_user_signs_in(
    tmp_path: Path, mode: str, clock: ManualClock, app: SandboxApp
) -> None:
    user = User("decline", browser_client.sign_in)
    async with (
        running(app) as url,
        open_agent_for(settings_in(tmp_path, API_URL=url), mode, clock, None, user) as agent,
    ):
        refused = await agent.use("make_call", BISTRO)
        answer = await agent.use("check_quota")

    assert refused.is_error
    assert refused.text.startswith("Not called: not signed in to KallyAI. Give the user this link")
    assert answer.text.startswith("27 of 35 calls left")
    assert user.messages == ["Sign in to KallyAI, so that calls can be made on your account."] * 2
