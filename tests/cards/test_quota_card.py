"""What the quota card shows, with real results in a real host page."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp.types import CallToolResult

from kallyai_mcp.cards.pages import quota_card
from kallyai_mcp.tools.structure.models import QuotaAnswer, ToolResult
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK
from tests.fake_service import fake_service
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock
from tests.tools.task_client import NUMBERS


def quota(**figures: Any) -> Answer:
    return Answer(ToolResult("", QuotaAnswer(**figures)).for_client())


async def test_the_quota_is_a_bar_calls_a_chart(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.set(datetime(2026, 1, 25, 16, tzinfo=UTC))
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["no_answer"])
    clock.set(datetime(2026, 1, 26, 16, tzinfo=UTC))
    await agent.use("make_call", BISTRO)
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])
    clock.set(datetime(2026, 1, 27, 4, 30, tzinfo=UTC))  # the 26th in New York, where the reader is
    await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["success"])
    chat = await open_card(quota_card(), context=NEW_YORK, width=280)
    answer = await agent.use("check_quota")
    await chat.give(answer)
    (day,) = re.findall(r"They all come back (\w+ \d+)\.", answer.text)

    await expect(chat.card.get_by_role("heading", level=1)).to_have_text("Personal plan")
    await expect(chat.card.get_by_role("main")).to_contain_text(f"back {day}")
    await expect(chat.card.get_by_role("main")).to_contain_text("Active")
    await expect(chat.card.get_by_role("main")).to_contain_text("Monthly")
    minutes = chat.card.get_by_role("meter", name="Minutes")
    left = (await agent.use("check_quota")).data["minutes_remaining"]
    await expect(minutes).to_have_attribute("aria-valuetext", f"{left:g} of 210 minutes left")
    await expect(minutes).to_have_attribute("aria-valuenow", f"{left:g}")
    await expect(chat.card.get_by_role("meter").first).to_have_attribute(
        "aria-valuetext", "23 of 35 calls left"
    )
    await expect(
        chat.card.get_by_role("img", name="Calls in this period 4 calls, 2 answered.")
    ).to_be_visible()
    assert chat.tools("list_calls") == [{"limit": 200, "offset": 0}]

    await chat.card.get_by_text("Show as a table").click()
    await expect(chat.card.get_by_role("row")).to_have_text(
        ["DayAnsweredOther outcomes", "Sun, Jan 2501", "Mon, Jan 2611", "Tue, Jan 2710"]
    )
    assert await chat.hard_to_use() == []


async def test_a_low_or_used_quota_is_in_words(open_card: Open) -> None:
    chat = await open_card(quota_card(), capabilities={})
    await chat.give(
        quota(
            plan_type="trial",
            minutes_allocated=30,
            minutes_remaining=2,
            calls_allocated=5,
            calls_remaining=0,
        )
    )

    await expect(chat.card.get_by_text("low")).to_be_visible()
    await expect(chat.card.get_by_role("heading", level=1)).to_have_text("No calls left")
    await expect(chat.card.locator("#status")).to_have_text("Used up")
    calls = chat.card.get_by_role("meter", name="Calls")
    await expect(calls).to_have_attribute("aria-valuetext", "0 of 5 calls left")
    assert await chat.hard_to_use() == []
    structure = {"status": "error", "code": "unavailable", "retryable": True}
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure, is_error=True)))
    await expect(
        chat.card.get_by_text("KallyAI has a problem of its own. Try again later.")
    ).to_be_visible()
    assert await chat.hard_to_use() == []


async def test_the_billing_button_opens_only_web_pages(
    open_card: Open, clock: ManualClock, tmp_path: Path
) -> None:
    links = ["javascript:alert(1)", "https://billing.example/portal"]
    async with fake_service(lambda _: (200, {"url": links[0]})) as url:
        settings = settings_in(tmp_path / "odd", API_URL=url, ACCESS_TOKEN="token")
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            chat = await open_card(quota_card(), by=agent)
            await chat.give(quota(minutes_remaining=3))
            await chat.button("Billing").click()
            await expect(chat.card.locator("#notice")).to_contain_text("can't be read")
            assert await chat.seen("links") == []
            del links[0]
            await chat.button("Billing").click()
            await chat.page.wait_for_function("() => window.seen.links.length === 1")
            assert await chat.seen("links") == [{"url": links[0]}]


async def test_the_sign_in_button_opens_the_link(open_card: Open) -> None:
    chat = await open_card(quota_card())
    link = "https://kallyai.example/sign-in"
    structure = {"status": "error", "code": "not_signed_in", "link": link}
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure, is_error=True)))

    await chat.button("Sign in").click()
    await chat.page.wait_for_function("() => window.seen.links.length === 1")
    assert await chat.seen("links") == [{"url": link}]
    assert await chat.hard_to_use() == []
