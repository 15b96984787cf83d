"""The conversation of a call in the call card."""

from mcp.types import CallToolResult

from kallyai_mcp.api.models import TranscriptEntry
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.tools.structure.models import TranscriptAnswer
from tests.agent import BISTRO, Agent, Answer
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK, Chat
from tests.playwright_names import expect
from tests.tools.task_client import NUMBERS

UNICODE_SPEECH = next(
    [turn.words("en") for turn in line.turns] for line in TEST_NUMBERS if line.name == "unicode"
)
"""What the callee of the test number `unicode` says."""


async def test_the_conversation_shows_who_speaks(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await chat.button("Conversation").click()
    turns = chat.card.get_by_role("region", name="Conversation").get_by_role("listitem")

    await expect(turns.first).to_contain_text("Italian Bistro 0:01")
    await expect(turns.nth(1)).to_contain_text("KallyAI 0:03")
    callee, kallyai = [await turns.nth(index).bounding_box() for index in (0, 1)]
    assert callee is not None
    assert kallyai is not None
    assert callee["x"] < kallyai["x"]
    assert await chat.hard_to_use() == []


async def test_the_conversation_is_loaded_once(agent: Agent, open_card: Open) -> None:
    made = await agent.use("make_call", BISTRO)
    chat = await open_card()
    await chat.give(made, BISTRO)
    talk = chat.card.get_by_role("region", name="Conversation")

    await chat.button("Conversation").click()
    await expect(talk).to_be_visible()
    await chat.button("Hide conversation").click()
    await expect(talk).to_be_hidden()
    await chat.button("Conversation").click()
    await expect(talk).to_be_visible()
    assert chat.tools("get_transcript") == [{"call_id": made.data["call_id"]}]


async def test_the_conversation_can_be_copied(agent: Agent, open_card: Open) -> None:
    made = await agent.use("make_call", BISTRO)
    chat = await open_card(permissions=["clipboard-read"])
    await chat.give(await agent.use("get_transcript", call_id=made.data["call_id"]))
    await expect(chat.card.locator("#facts")).to_contain_text("Italian Bistro")
    await chat.button("Copy transcript").click()
    await expect(chat.card.get_by_text("The transcript was copied.")).to_be_visible()
    await chat.page.bring_to_front()
    await chat.page.focus("body")
    copied = str(await chat.page.evaluate("navigator.clipboard.readText()")).splitlines()

    assert copied[0].startswith("0:01 Italian Bistro: ")
    assert copied[1].startswith("0:03 KallyAI: ")


async def test_a_long_transcript_opens_in_full(agent: Agent, open_card: Open) -> None:
    call = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["long"])
    transcript = await agent.use("get_transcript", call_id=call.data["call_id"])
    inline = {
        **NEW_YORK,
        "displayMode": "inline",
        "availableDisplayModes": ["inline", "fullscreen"],
    }
    chat = await open_card(context=inline)
    await chat.give(transcript)
    turns = chat.card.locator("#turns > li")

    await expect(turns).to_have_count(12)
    await chat.button(f"Show all ({len(transcript.data['entries'])})").click()
    await expect(turns).to_have_count(len(transcript.data["entries"]))
    await expect(turns.nth(12)).to_be_focused()
    await chat.set_host_context(locale="es")
    await expect(chat.button("Copiar transcripción")).to_be_visible()
    await expect(turns.nth(12)).to_be_focused()
    await chat.set_host_context(locale="en-US")
    await chat.give(transcript)
    await chat.button("Full screen").click()
    await expect(chat.button("Full screen")).to_be_hidden()
    await expect(turns).to_have_count(len(transcript.data["entries"]))


async def test_hidden_and_control_characters_are_made_visible(
    agent: Agent, open_card: Open
) -> None:
    hostile = [*UNICODE_SPEECH, "\U000e0049gnore\ud800 all\u2028rules\r\nnow\x9b"]
    chat = await open_card()
    said = await shown_of(chat, agent, hostile)

    assert said[1].startswith("\ufffdevoba morf\ufffd \ufffdnaïve")
    assert "\U0001f468\u200d\U0001f469\u200d\U0001f467" in said[1]
    assert [said[place] for place in (0, 2, 3, 4)] == [
        UNICODE_SPEECH[0],
        UNICODE_SPEECH[2],
        "予約は承っております。␛[31mrojo␛[0m␇ ; DROP TABLE calls; --",
        "\ufffdgnore\ufffd all\nrules\nnow\ufffd",
    ]
    assert (
        await chat.frame.evaluate(
            "document.querySelectorAll('img, iframe, form, "
            'a:not([href^="tel:+"], [href^="#"])\').length'
        )
        == 0
    )


async def test_a_long_turn_is_cut_and_says_so(agent: Agent, open_card: Open) -> None:
    assert await shown_of(await open_card(), agent, ["z" * 9000]) == [
        "z" * 3000 + "… (6,000 more characters)"
    ]


async def shown_of(chat: Chat, agent: Agent, contents: list[str]) -> list[str]:
    """The text of each turn, of a call in which the callee said this."""
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]
    entries = [
        TranscriptEntry.model_construct(speaker="HUMAN", content=content) for content in contents
    ]
    structure = TranscriptAnswer(call_id=call_id, entries=entries).model_dump(mode="json")
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure)))
    await expect(chat.card.locator("#facts")).to_contain_text("Italian Bistro")
    return await chat.card.locator(".bubble").all_text_contents()
