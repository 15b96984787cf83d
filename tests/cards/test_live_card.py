"""The card of a call in progress says what KallyAI reports of it: ringing, talking, and the last
sentences.
"""

from typing import Any

from tests.agent import BISTRO, Agent
from tests.cards.conftest import Open
from tests.cards.scripts import value_of
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock

LIVE = BISTRO | {"respondent_phone": "+12025550116"}


async def test_a_card_follows_ringing_and_talking(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    await chat.give(await agent.use("make_call", LIVE, wait_seconds=0), LIVE)
    await chat.comes_to("Ringing")
    await expect(chat.card.locator("#heard")).to_be_hidden()

    clock.advance(seconds=20)
    await chat.comes_to("Talking")
    await expect(chat.card.locator("#heard > li")).to_have_count(2)
    assert await chat.hard_to_use() == []

    clock.advance(minutes=5)
    await chat.comes_to("Booked")
    await expect(chat.card.locator("#heard")).to_be_hidden()


def test_only_what_is_reported_is_said() -> None:
    steps = ["card = afterResult(card, result(data), 0)"]

    def status(**live: Any) -> Any:
        data = {"status": "in_progress", "call_id": "c-1", **live}
        return value_of("[shown(card, can).status, shown(card, can).heard]", *steps, data=data)

    said = [{"speaker": "AI", "content": str(number)} for number in range(3)]
    assert status() == ["Call in progress", []]
    assert status(live={"line": "ringing", "said": []}) == ["Ringing", []]
    assert status(live={"line": "talking", "said": said}) == ["Talking", said[1:]]
    assert status(live={"line": "sleeping", "said": 5}) == ["Call in progress", []]
