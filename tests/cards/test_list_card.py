"""The call card shows a list of candidates: who is being called, what came of each call, and what
to do next.
"""

from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult

from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import Agent, Answer, open_agent, settings_in
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK, Chat
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_around import BUSY, FREE, FULL, LAST, TABLE

UNKNOWN = {
    "calls": [
        {"respondent_phone": BUSY["respondent_phone"], "status": "unknown", "outcome": "unknown"}
    ]
}
THREE = TABLE | {"candidates": [BUSY, FULL, FREE]}


async def rows(chat: Chat) -> list[str]:
    """The text of each row, on one line."""
    texts = await chat.card.locator("#candidates > li").all_inner_texts()
    return [" ".join(text.split()) for text in texts]


async def test_a_card_follows_a_list_to_its_end(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    asked = TABLE | {"candidates": [FREE, LAST]}
    clock.hold()
    chat = await open_card()
    await chat.start(asked)
    # A list's title is its task.
    await expect(chat.card.locator("#name")).to_have_text("Book a table")
    await expect(chat.card.locator("#facts")).to_have_text("2 numbers")
    await chat.give(await agent.use("call_around", asked, wait_seconds=0), asked)

    await clock.sleepers(1)
    await chat.comes_to("Calling one after another")
    await chat.pass_time(5)
    await expect(chat.card.locator("#facts")).to_have_text("Third · 1 of 2")
    await expect(chat.card.get_by_text("You can leave; the calls go on.")).to_be_visible()
    assert await rows(chat) == [
        "Third +1 202-555-0100 Call in progress",
        "Fourth +1 202-555-0128 Not called yet",
    ]
    assert await chat.hard_to_use() == []

    clock.advance(minutes=5)
    await chat.comes_to("Booked")
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", "good")
    first, last = await rows(chat)
    assert first == "Third +1 202-555-0100 Booked. Wed, Jan 28, 7:00 PM."
    assert last == "Fourth +1 202-555-0128 Not called"
    await expect(chat.card.locator("#live")).to_have_text("Third: Booked.")
    await expect(chat.button("Add to calendar")).to_be_visible()
    assert await agent.calls_made() == 1


async def test_a_card_shows_several_calls_in_progress(open_card: Open) -> None:
    calling = [one | {"status": "in_progress"} for one in (FULL, FREE)]
    structure = {
        "status": "in_progress",
        "tracking_id": "t-1",
        "until": "all",
        "calls": [BUSY | {"status": "busy", "outcome": "not_reached"}, *calling],
        "not_called": [LAST],
    }
    chat = await open_card()
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure)), THREE)

    await expect(chat.card.locator("#status")).to_have_text("Calling several at a time")
    await expect(chat.card.locator("#facts")).to_contain_text("1 of 4 finished")
    assert sum("Call in progress" in row for row in await rows(chat)) == 2
    assert await chat.hard_to_use() == []


@pytest.fixture
async def undecided(agent: Agent, open_card: Open) -> Chat:
    """A chat with a list that needs a decision after its second candidate."""
    chat = await open_card()
    await chat.give(await agent.use("call_around", THREE), THREE)
    await expect(chat.card.locator("#status")).to_have_text("Needs your decision")
    return chat


async def test_a_decision_says_what_came_of_each_call(undecided: Chat) -> None:
    await expect(undecided.card.locator("#facts")).to_contain_text("Second")
    await expect(undecided.card.locator("#said")).to_have_text("Second seems to have no table.")
    busy, full, free = await rows(undecided)
    assert busy == "First +1 202-555-0103 Not reached. The line was busy."  # told once
    assert full.startswith(
        "Second +1 202-555-0102 Answered. They talked, but KallyAI's calendar has nothing about it."
    )
    assert free == "Third +1 202-555-0100 Not called yet"
    assert await undecided.hard_to_use() == []


async def test_a_decision_offers_what_to_do(undecided: Chat) -> None:
    await undecided.button("Conversation").click()
    await expect(undecided.card.get_by_role("region", name="Conversation")).to_be_visible()

    await expect(undecided.card.locator("#choices button:visible")).to_have_text(
        ["Call Third", "Don't call anyone else", "Hide conversation"]
    )
    await expect(undecided.card.locator("button.primary:visible")).to_have_text("Call Third")


async def test_the_user_lets_a_list_go_on(agent: Agent, undecided: Chat) -> None:
    await undecided.button("Conversation").click()
    await undecided.button("Call Third").dblclick()
    await undecided.comes_to("Booked")

    await expect(undecided.card.locator("#facts")).to_contain_text("Third")
    await expect(undecided.card.get_by_role("region", name="Conversation")).to_be_hidden()
    [more] = undecided.tools("call_around")
    assert more == THREE | {"continue_after": more["continue_after"], "wait_seconds": 0}
    told = [
        block["text"]
        for context in await undecided.seen("contexts")
        for block in context["content"]
    ]
    assert "list_booked" in told[-1]
    assert await agent.calls_made() == 3


async def test_a_stopped_list_finishes_its_call_in_progress(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    asked = TABLE | {"candidates": [BUSY, LAST]}
    stop = "No llamar a nadie más"
    clock.hold()
    chat = await open_card(context={**NEW_YORK, "locale": "es-ES"})
    await chat.give(await agent.use("call_around", asked, wait_seconds=0), asked)
    await clock.sleepers(1)
    await chat.button(stop).click()

    await chat.comes_to("Última llamada en curso")
    clock.advance(minutes=5)
    await chat.comes_to("Llamadas detenidas")
    await expect(chat.button(stop)).to_be_hidden()
    assert await agent.calls_made() == 1


async def test_the_model_learns_that_nobody_else_is_called(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    await chat.give(await agent.use("call_around", THREE), THREE)
    await chat.button("Don't call anyone else").click()

    await expect(chat.card.locator("#status")).to_have_text("Answered")
    await expect(chat.card.locator("#said")).to_have_text(
        "Somebody answered, so nobody else is called."
    )
    await expect(chat.card.locator("#choices button:visible")).to_have_text(["Conversation"])
    [context] = await chat.seen("contexts")
    assert "decided to call nobody else" in context["content"][0]["text"]


async def test_one_consent_in_the_card_names_every_candidate(
    open_card: Open, clock: ManualClock, app: SandboxApp, tmp_path: Path
) -> None:
    async with open_agent(
        settings_in(tmp_path, CONFIRM="always"), mode="auto", clock=clock, app=app
    ) as agent:
        chat = await open_card(by=agent)
        await chat.give(await agent.use("call_around", THREE), THREE)
        question = chat.card.get_by_role("region", name="Call up to 3 numbers, one after another?")
        await expect(question).to_contain_text("First · +1 202-555-0103")
        await expect(question).to_contain_text("Third · +1 202-555-0100")
        await expect(question).to_contain_text("one is booked")
        assert await chat.hard_to_use() == []
        assert await agent.calls_made() == 0

        await chat.button("Call now").dblclick()
        await chat.comes_to("Needs your decision")
        assert len(chat.tools("call_around")) == 1

        clock.advance(hours=3)
        await chat.button("Call Third").click()
        question = chat.card.get_by_role(
            "region", name="Go on with the list, and call up to 1 more?"
        )
        await expect(question).to_contain_text("Third · +1 202-555-0100")
        await expect(question).not_to_contain_text("First")
        assert await agent.calls_made() == 2
        await chat.button("Call now").click()
        await chat.comes_to("Booked")
        assert await agent.calls_made() == 3


ENDS: list[tuple[str, dict[str, Any], str, str, list[str]]] = [
    ("answered", {}, "Answered", "quiet", []),
    ("done", {"until": "booked"}, "All were called", "quiet", []),
    ("unknown", {}, "Stopped: outcome unknown", "warn", ["Try again"]),
    ("unknown", UNKNOWN, "Stopped: outcome unknown", "warn", ["Check again"]),
    ("needs_sign_in", {}, "Stopped: not signed in", "live", ["Sign in↗", "Try again"]),
    ("refused", {}, "Stopped", "bad", ["Try again"]),
    ("canceled", {}, "Calls stopped", "quiet", []),
]


async def test_each_end_of_a_list_is_told(open_card: Open) -> None:
    call = {
        "respondent_phone": BUSY["respondent_phone"],
        "status": "busy",
        "outcome": "not_reached",
    }
    chat = await open_card()
    for status, more, word, tone, buttons in ENDS:
        structure = {
            "status": status,
            "tracking_id": "t-1",
            "until": "all",
            "calls": [call],
            "not_called": [],
            **more,
        }
        await chat.give(Answer(CallToolResult(content=[], structured_content=structure)), THREE)

        await expect(chat.card.locator("#status")).to_have_text(word)
        await expect(chat.card.locator("#said")).not_to_be_empty()
        await expect(chat.card.locator("body")).to_have_attribute("data-tone", tone)
        await expect(chat.card.get_by_role("button").filter(visible=True)).to_have_text(buttons)
        assert await chat.hard_to_use() == [], status
