"""The call card of a scheduled call cancels it, or has it placed now, after it has asked."""

from tests.agent import BISTRO, Agent
from tests.cards.conftest import Open
from tests.playwright_names import expect
from tests.tools.task_client import NUMBERS

LATER = BISTRO | {"respondent_phone": NUMBERS["success"], "not_before": "2026-01-26T13:00"}


async def test_a_scheduled_call_is_canceled_after_a_yes(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    await chat.give(await agent.use("make_call", LATER), LATER)
    await chat.button("Cancel call").click()

    question = chat.card.get_by_role("region", name="Cancel the call to Italian Bistro?")
    await expect(question).to_contain_text("The scheduled call will not be placed.")
    assert await chat.hard_to_use() == []
    assert chat.asked == []
    await chat.button("Cancel call").click()
    await expect(chat.card.locator("#status")).to_have_text("Canceled")
    assert await agent.calls_made() == 0


async def test_a_scheduled_call_is_placed_now_once(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    await chat.give(await agent.use("make_call", LATER), LATER)
    await chat.button("Call now").click()
    await expect(chat.card.get_by_role("region", name="Call Italian Bistro now?")).to_contain_text(
        "The scheduled call is canceled first."
    )
    await chat.button("Call now").dblclick()

    await chat.comes_to("Booked")
    assert [name for name, _ in chat.asked if name != "get_call"] == ["cancel_call", "make_call"]
    assert "not_before" not in chat.tools("make_call")[0]
    assert await agent.calls_made() == 1


async def test_an_answer_leads_into_the_conversation(agent: Agent, open_card: Open) -> None:
    task = {"task_category": "general", "task_description": "Is there parking?"}
    asked = task | {"respondent_phone": NUMBERS["success"], "questions": ["Are dogs allowed?"]}
    chat = await open_card()
    await chat.give(await agent.use("make_call", asked), asked)

    answers = chat.card.locator("#answers > li")
    await expect(chat.card.locator("#name")).to_have_text("“Dogs are welcome on the terrace.”")
    assert await chat.hard_to_use() == []
    await answers.first.get_by_role("link").click()
    turns = chat.card.locator("#turns > li")
    await expect(turns.filter(has_text="Dogs are welcome on the terrace.")).to_be_focused()
