"""What the call card shows and what its buttons do, with real results in a real host page."""

import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import CallToolResult, TextContent
from starlette.requests import Request

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, Agent, Answer, open_agent, settings_in
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK, NUMBERS, calls_made
from tests.fake_service import fake_service
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock


@pytest.mark.parametrize("written", [False, True], ids=["opaque origin", "written as the example host does"])
async def test_a_success_shows_who_was_called_when_and_what_was_agreed(
    agent: Agent, open_card: Open, written: bool
) -> None:
    chat = await open_card(written=written)
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)

    main = chat.card.get_by_role("main", name="Italian Bistro")
    await expect(chat.card.get_by_role("heading", level=1)).to_have_text("Italian Bistro")
    await expect(main).to_contain_text("Booked")
    await expect(main).to_contain_text("+1 415-555-1234")
    await expect(main).to_contain_text("Sun, Jan 25, 10:30 AM")
    await expect(main).to_contain_text("58 s")
    await expect(main).to_contain_text("Wed, Jan 28, 7:00 PM.")
    report = chat.card.get_by_role("region", name="KallyAI reports")
    await expect(report).to_contain_text(
        "“Reserved a table for 4 at Italian Bistro on Wednesday, January 28 at 7:00 PM"
    )
    await expect(chat.card.get_by_role("region", name="KallyAI suggests")).to_contain_text("“Nothing more to do.")
    assert await chat.violations() == []
    assert chat.asked == []


async def test_the_calendar_file_is_passed_to_the_host(agent: Agent, open_card: Open) -> None:
    made = await agent.use("make_call", BISTRO)
    chat = await open_card()
    await chat.give(made, BISTRO)
    await chat.button("Calendar file").click()

    await expect(chat.card.get_by_text("Calendar file ready: Table for 4 at Italian Bistro")).to_be_visible()
    [download] = await chat.seen("downloads")
    [file] = download["contents"]
    [ours] = (await agent.use("get_calendar_event", call_id=made.data["call_id"])).files
    assert file["resource"] == {"uri": str(ours.uri), "mimeType": "text/calendar", "text": ours.text}


async def test_a_calendar_file_that_was_not_attached_is_read_by_the_host(
    settings: Settings, clock: ManualClock, app: SandboxApp, open_card: Open
) -> None:
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:  # as a server without sessions sees it
        made = await agent.use("make_call", BISTRO)
        chat = await open_card(by=agent)
        await chat.give(made, BISTRO)
        await chat.button("Calendar file").click()

        await expect(chat.card.get_by_text("Calendar file ready: Table for 4 at Italian Bistro")).to_be_visible()
        [download] = await chat.seen("downloads")
    [file] = download["contents"]
    assert file["resource"]["uri"] == made.data["calendar_uri"]
    assert file["resource"]["text"].startswith("BEGIN:VCALENDAR")


async def test_a_calendar_file_that_was_not_saved_is_not_reported_as_saved(agent: Agent, open_card: Open) -> None:
    chat = await open_card(refuses=("downloads",))
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await chat.button("Calendar file").click()

    await expect(chat.card.get_by_text("The calendar file was not saved.")).to_be_visible()


async def test_a_call_in_progress_is_followed_until_it_has_ended(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    await chat.start(BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Placing the call")
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)

    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await expect(chat.card.get_by_role("timer")).to_have_text("0 s so far")
    await expect(chat.card.get_by_text("Book a table")).to_be_visible()
    await expect(chat.card.get_by_text("minutes. You can leave; the call goes on.")).to_be_visible()
    assert await chat.violations() == []
    await clock.sleepers(1)
    clock.advance(seconds=20)
    await chat.pass_time(3)
    await expect(chat.card.get_by_role("timer")).to_contain_text(re.compile("2[2-9] s so far"))
    assert 1 <= len(chat.tools("get_call")) <= 3  # every 5 s, and the browser's clock runs meanwhile
    await expect(chat.card.locator("#live")).to_be_empty()  # not each second

    clock.advance(minutes=5)
    await agent.use("get_call", call_id=chat.tools("get_call")[0]["call_id"], wait_seconds=5)
    await chat.pass_time(5)
    await expect(chat.card.locator("#status")).to_have_text("Booked")
    await expect(chat.card.locator("#live")).to_have_text("The call to Italian Bistro has ended. Outcome: Booked.")

    asked = len(chat.asked)
    await chat.pass_time(120)
    assert len(chat.asked) == asked
    assert await calls_made(agent) == 1


async def test_a_hidden_card_sends_no_requests(agent: Agent, open_card: Open, clock: ManualClock) -> None:
    clock.hold()
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.frame.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.away ?? true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    await chat.pass_time(60)
    assert chat.asked == []

    await chat.frame.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    await chat.pass_time(1)
    await expect(chat.card.get_by_role("timer")).to_contain_text("so far")
    assert len(chat.asked) == 1


async def test_after_a_refusal_of_the_host_only_the_user_can_ask_again(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card(refuses=("tools",))
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.pass_time(2)

    await expect(chat.button("Check again")).to_be_visible()
    await chat.button("Check again").click()
    await expect(chat.card.get_by_text("The app did not allow that.")).to_be_visible()
    assert chat.asked == []


async def test_every_other_outcome_has_its_own_text_and_does_not_look_like_a_success(
    agent: Agent, open_card: Open
) -> None:
    chat = await open_card()
    for status, word, text, tone, again in [
        ("no_answer", "Not reached", "Nobody picked up.", "warn", True),
        ("busy", "Not reached", "The line was busy.", "warn", True),
        ("voicemail", "Not reached", "Only voicemail answered.", "warn", True),
        ("failed", "Failed", "The call failed. Nothing is known to be agreed.", "bad", False),
        ("cancelled", "Canceled", "The call was canceled. Take nothing as agreed.", "quiet", False),
        ("terminated", "Failed", "The call was ended early. Nothing is known to be agreed.", "bad", False),
    ]:
        arguments = {**BISTRO, "respondent_phone": NUMBERS[status]}
        await chat.give(await agent.use("make_call", arguments), arguments)

        await expect(chat.card.locator("#said")).to_have_text(text)
        await expect(chat.card.locator("#status")).to_have_text(word)
        await expect(chat.card.locator("body")).to_have_attribute("data-tone", tone)
        await expect(chat.button("Calendar file")).to_be_hidden()
        await expect(chat.button("Call again")).to_be_visible(visible=again)
        if tone != "warn":
            assert await chat.violations() == []


async def test_a_call_for_later_says_when_it_is_due_and_that_it_was_missed(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    asked = BISTRO | {"not_before": "2026-01-26T09:00:00-08:00"}
    chat = await open_card()
    scheduled = await agent.use("make_call", asked)
    await chat.give(scheduled, asked)
    await expect(chat.card.locator("#status")).to_have_text("Scheduled")
    await expect(chat.card.locator("#said")).to_have_text(
        "Due Mon, Jan 26, 12:00 PM. The program must be running then."
    )
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", "live")
    assert await chat.violations() == []

    clock.advance(days=3)
    await chat.give(await agent.use("get_call", call_id=scheduled.data["tracking_id"]), asked)
    await expect(chat.card.locator("#status")).to_have_text("Not called")
    await expect(chat.card.locator("#said")).to_contain_text("nobody was called")


@pytest.mark.parametrize("locale", ["en-US", "es-ES"])
async def test_a_booking_for_another_time_is_amber_and_names_both_times(
    agent: Agent, open_card: Open, locale: str
) -> None:
    arguments = {**BISTRO, "respondent_phone": NUMBERS["counter_offer"], "accept_other_time": True}
    chat = await open_card(context={**NEW_YORK, "locale": locale})
    made = await agent.use("make_call", arguments)
    await chat.give(made, arguments)

    booked = {"en-US": "Booked for another time", "es-ES": "Reservado para otro momento"}[locale]
    await expect(chat.card.locator("#status")).to_have_text(booked)
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", "warn")
    asked = {"en-US": "You asked for Wed, Jan 28, 7:00 PM.", "es-ES": "Pediste: mié, 28 ene, 19:00."}[locale]
    await expect(chat.card.locator("#said")).to_contain_text(asked)
    await expect(chat.button("Call again")).to_be_hidden()


async def test_an_answer_without_a_booking_is_neutral(agent: Agent, open_card: Open) -> None:
    arguments = {**BISTRO, "respondent_phone": NUMBERS["fully_booked"]}
    chat = await open_card()
    await chat.give(await agent.use("make_call", arguments), arguments)

    await expect(chat.card.locator("#status")).to_have_text("Answered")
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", "quiet")
    await expect(chat.card.get_by_text("but nothing shows a booking")).to_be_visible()
    await expect(chat.button("Calendar file")).to_be_hidden()
    await expect(chat.button("Call again")).to_be_hidden()


async def test_an_unknown_outcome_offers_to_check_again_but_not_to_call_again(
    open_card: Open, clock: ManualClock, tmp_path: Path
) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        return (500, {"detail": "boom"}) if request.method == "POST" else (200, {"calls": [], "total": 0})

    async with fake_service(answer) as url:
        settings = settings_in(tmp_path / "odd", API_URL=url, ACCESS_TOKEN="token", SETTLE_SECONDS="0.2")
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            chat = await open_card(by=agent)
            await chat.give(await agent.use("make_call", BISTRO), BISTRO)

            await expect(chat.card.locator("#status")).to_have_text("Outcome unknown")
            await expect(chat.card.get_by_text("Check before anyone calls again.")).to_be_visible()
            await expect(chat.button("Call again")).to_be_hidden()
            await chat.button("Check again").click()
            await expect(chat.button("Check again")).not_to_have_attribute("aria-disabled", "true")
            assert len(chat.tools("get_call")) == 1


@pytest.mark.parametrize("phone", ["911", "+1 911", "9 1 1"])
async def test_an_emergency_number_is_to_be_dialed_by_the_user(agent: Agent, open_card: Open, phone: str) -> None:
    arguments = {**BISTRO, "respondent_phone": phone}
    chat = await open_card()
    await chat.give(await agent.use("make_call", arguments), arguments)

    await expect(chat.card.locator("#status")).to_have_text("Not called")
    said = chat.card.get_by_text("KallyAI can't call emergency services. Dial 911 yourself, now.")
    await expect(said).to_be_visible()
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", "bad")
    assert await chat.card.get_by_role("button").count() == 0
    assert await chat.violations() == []


@pytest.mark.parametrize("language", ["en", "es"])
async def test_a_refusal_is_told_in_the_cards_words_and_its_code_is_in_the_details(
    agent: Agent, open_card: Open, language: str
) -> None:
    arguments = {**BISTRO, "respondent_phone": NUMBERS["suppression_violation"]}
    refused = await agent.use("make_call", arguments)
    chat = await open_card(context={**NEW_YORK, "locale": language})
    await chat.give(refused, arguments)

    sentence = {"en": "This number is on the do-not-call list.", "es": "Este número está en la lista de no llamar."}
    await expect(chat.card.get_by_text(sentence[language])).to_be_visible()
    shown = await chat.card.locator("main").inner_text()
    for told in ("Not called:", "suppression_violation", refused.data["correlation_id"]):
        assert told not in shown
    await chat.card.get_by_text({"en": "Details", "es": "Detalle"}[language]).click()
    await expect(chat.card.get_by_role("group")).to_contain_text("suppression_violation")
    await expect(chat.card.get_by_role("group")).to_contain_text(refused.data["correlation_id"])


async def test_no_text_for_the_model_is_in_the_card(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    for arguments in (BISTRO, {**BISTRO, "respondent_phone": NUMBERS["busy"]}, {**BISTRO, "party_size": 99}):
        made = await agent.use("make_call", arguments)
        blocks = [TextContent(text="TEXT FOR THE MODEL")]
        await chat.give(Answer(made.result.model_copy(update={"content": blocks})), arguments)

        await expect(chat.card.locator("#status")).not_to_be_empty()
        assert "TEXT FOR THE MODEL" not in await chat.card.locator("body").inner_text()


async def test_an_error_that_leaves_it_open_whether_a_call_was_placed_is_unknown(open_card: Open) -> None:
    chat = await open_card()
    structure = {"status": "unknown", "code": "answer_lost", "retryable": False, "placed": "maybe"}
    for given in (structure, None):
        await chat.give(Answer(CallToolResult(content=[], structured_content=given, is_error=True)), BISTRO)

        await expect(chat.card.locator("#status")).to_have_text("Outcome unknown")
        await expect(chat.button("Call again")).to_be_hidden()
        await expect(chat.button("Try again")).to_be_hidden()


@pytest.mark.parametrize(
    ("structure", "button", "link"),
    [
        ({"code": "not_signed_in", "link": "http://127.0.0.1:5000/x"}, "Sign in", "http://127.0.0.1:5000/x"),
        ({"code": "quota_exceeded", "upgrade_url": "https://pay.example/"}, "Get more calls", "https://pay.example/"),
        ({"code": "quota_exceeded", "upgrade_url": "javascript:alert(1)"}, None, None),
    ],
)
async def test_a_link_that_removes_the_reason_is_a_button(
    open_card: Open, structure: dict[str, Any], button: str | None, link: str | None
) -> None:
    chat = await open_card()
    given = {"status": "refused", "retryable": False, "placed": "no", **structure}
    await chat.give(Answer(CallToolResult(content=[], structured_content=given, is_error=True)), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Not called")
    if button is None:
        assert await chat.card.get_by_role("button").count() == 0
        return
    await chat.button(button).click()
    await chat.page.wait_for_function("() => window.seen.links.length === 1")
    assert await chat.seen("links") == [{"url": link}]


async def test_a_host_without_capabilities_gets_a_card_without_buttons(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card(capabilities={})
    in_progress = await agent.use("make_call", BISTRO, wait_seconds=0)
    await chat.give(in_progress, BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.pass_time(30)
    assert await chat.card.get_by_role("button").count() == 0

    with anyio.fail_after(5):
        await clock.sleepers(1)
    clock.advance(minutes=5)
    await chat.give(await agent.use("get_call", call_id=in_progress.data["tracking_id"], wait_seconds=5), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Booked")
    assert await chat.card.get_by_role("button").count() == 0
    assert chat.asked == []


async def test_a_canceled_request_does_not_look_like_a_call_that_was_not_placed(open_card: Open) -> None:
    chat = await open_card()
    await chat.start(BISTRO)
    await chat.page.evaluate("window.bridge.sendToolCancelled({reason: 'the user stopped it'})")

    await expect(chat.card.get_by_text("If the call was placed, it goes on.")).to_be_visible()
    await expect(chat.button("Call again")).to_be_hidden()


async def test_the_card_stops_its_requests_when_the_host_removes_it(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.page.evaluate("window.bridge.teardownResource({})")
    await chat.pass_time(60)

    assert chat.asked == []


async def test_a_call_that_another_chat_placed_says_what_it_was_asked_for(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    placed = await agent.use("make_call", BISTRO, wait_seconds=0)
    found = {"call_id": placed.data["tracking_id"], "wait_seconds": 0}
    chat = await open_card()
    await chat.give(await agent.use("get_call", found), found)

    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await expect(chat.card.get_by_text("Book a table")).to_be_visible()
