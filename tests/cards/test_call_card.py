"""What the call card shows and what its buttons do, with real results in a real host page."""

import re
from pathlib import Path
from typing import Any

import anyio
from mcp.types import CallToolResult, TextContent

from kallyai_mcp.cards.pages import call_card
from tests.agent import BISTRO, Agent, Answer
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK
from tests.page_checks import hard_to_use
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file
from tests.tools.outcomes import ROWS
from tests.tools.task_client import NUMBERS
from tests.tools.user import NOON


def error(**structure: Any) -> Answer:
    given = (
        {"status": "refused", "retryable": False, "placed": "no", **structure}
        if structure
        else None
    )
    return Answer(CallToolResult(content=[], structured_content=given, is_error=True))


async def test_each_outcome_has_its_text_and_buttons(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    for row in ROWS:
        await chat.set_host_context(locale="en-US")
        arguments = BISTRO | {"respondent_phone": NUMBERS[row.callee]}
        if row.outcome == "booked_other_time":
            arguments |= {"accept_other_time": True}
        made = await agent.use("make_call", arguments)
        blocks = [TextContent(text="TEXT FOR THE MODEL")]
        await chat.give(Answer(made.result.model_copy(update={"content": blocks})), arguments)

        await expect(chat.card.locator("#said")).to_have_text(row.card.sentence)
        await expect(chat.card.locator("#status")).to_have_text(row.card.status)
        await expect(chat.card.locator("body")).to_have_attribute("data-tone", row.card.tone)
        buttons = chat.card.get_by_role("button").filter(visible=True)
        await expect(buttons).to_have_text(list(row.card.buttons))
        assert await chat.card.locator("button.primary:visible").count() <= 1
        assert "TEXT FOR THE MODEL" not in await chat.card.locator("body").inner_text()
        await chat.set_host_context(locale="es-MX")
        await expect(chat.card.locator("#status")).to_have_text(row.card.estado)
        assert await chat.hard_to_use() == [], row.callee


async def test_an_appointment_is_the_cards_headline(agent: Agent, open_card: Open) -> None:
    chat = await open_card(written=True)  # as the example host of MCP Apps does
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)

    heading = chat.card.get_by_role("heading", level=1)
    await expect(heading).to_have_text("Wed, Jan 28 · 7:00 PM, Los Angeles time · 4 people")
    facts = "Italian Bistro · Under Sample Guest · +1 415-555-1234"
    await expect(chat.card.locator("#facts")).to_have_text(facts)
    number = chat.card.get_by_role("link", name="+1 415-555-1234")
    await expect(number).to_have_attribute("href", "tel:+14155551234")
    await expect(chat.card.locator("#report")).to_be_hidden()  # the calendar confirms all of it
    assert "58 s" not in await chat.card.locator("main").inner_text()
    await chat.card.get_by_text("Details").click()
    for fact in (
        "“Reserved a table for 4",
        "“Nothing more to do.",
        "Sun, Jan 25, 10:30 AM",
        "58 s",
    ):
        await expect(chat.card.get_by_role("group")).to_contain_text(fact)
    for context, shown in (
        (
            {"locale": "es-ES", "timeZone": "America/Los_Angeles"},
            "Mié, 28 ene · 19:00 · 4 personas",
        ),
        (
            {"locale": "en-US", "timeZone": "Europe/London"},
            "Wed, Jan 28 · 7:00 PM, Los Angeles time · 4 people",
        ),
        (
            {"locale": "??", "timeZone": "Mars/Olympus"},
            "Wed, Jan 28 · 7:00 PM, Los Angeles time · 4 people",
        ),
    ):
        await chat.set_host_context(**{**NEW_YORK, **context})
        await expect(heading).to_have_text(shown)
    await expect(chat.card.locator("html")).to_have_attribute("lang", "en")

    booked, ids = await agent.use("list_calls"), {}
    [ids["call_id"]] = [call["call_id"] for call in booked.data["calls"]]
    cancel = {name: BISTRO[name] for name in ("task_category", "respondent_phone")} | {
        "task_description": "Cancel it"
    }
    await agent.use("make_call", cancel, changes_call_id=ids["call_id"], change="cancel")
    await chat.give(await agent.use("get_call", ids), ids)
    await expect(chat.card.locator("#said")).to_contain_text("In a later call they said it")

    missed = {**BISTRO, "respondent_phone": NUMBERS["busy"]}
    await chat.give(await agent.use("make_call", missed), missed)
    await expect(heading).to_have_text("Italian Bistro")
    await expect(chat.card.locator("#report")).to_be_hidden()  # that the line was busy is told once


async def test_a_card_tells_of_a_reported_other_time(open_card: Open, tmp_path: Path) -> None:
    call = {"status": "success", "highlights": "Reserved a table at 7:30 PM."}
    at_seven = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T030000Z"])
    async with asking(tmp_path, ManualClock(NOON), {"+": call}, {"+": at_seven}) as (_, agent):
        made = await agent.use("make_call", BISTRO)
    chat = await open_card()
    await chat.give(made, BISTRO)

    said = "They agreed to 7:30 PM, and the calendar has another time. Check it with them."
    await expect(chat.card.locator("#status")).to_have_text("Booked for another time")
    await expect(chat.card.locator("#said")).to_have_text(said)


async def test_a_number_without_country_can_be_used(agent: Agent, open_card: Open) -> None:
    wrong = BISTRO | {"respondent_phone": "415 555 1234"}
    chat = await open_card()
    await chat.give(await agent.use("make_call", wrong), wrong)
    said = "The number has no country code. Did you mean +1 415-555-1234?"
    await expect(chat.card.locator("#said")).to_have_text(said)
    await chat.button("Use +1 415-555-1234").click()
    await chat.button("Call now").click()

    await expect(chat.card.locator("#status")).to_have_text("Booked")
    assert chat.tools("make_call")[-1]["respondent_phone"] == "+14155551234"


async def test_the_calendar_file_is_passed_to_the_host(agent: Agent, open_card: Open) -> None:
    made = await agent.use("make_call", BISTRO)
    chat = await open_card()
    await chat.give(made, BISTRO)
    await chat.button("Add to calendar").click()
    await expect(
        chat.card.get_by_text("Calendar file ready: Table for 4 at Italian Bistro")
    ).to_be_visible()
    [download] = await chat.seen("downloads")
    [file] = download["contents"]
    ours = await agent.read(f"kallyai://calls/{made.data['call_id']}/calendar.ics")
    assert file["resource"] == {
        "uri": str(ours.uri),
        "mimeType": "text/calendar",
        "text": ours.text,
    }

    chat = await open_card(refuses=("downloads",))
    await chat.give(made, BISTRO)
    await chat.button("Add to calendar").click()
    await expect(chat.card.get_by_text("The calendar file was not saved.")).to_be_visible()


async def test_a_card_shows_a_call_in_progress(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card(reduced_motion="reduce")
    await chat.start(BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Placing the call")
    assert await chat.hard_to_use() == []
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)

    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await expect(chat.card.get_by_text("Book a table")).to_be_visible()
    await expect(chat.card.get_by_text("minutes. You can leave; the call goes on.")).to_be_visible()
    assert await chat.hard_to_use() == []
    assert await chat.frame.evaluate("document.getAnimations().length") == 0


async def test_a_card_counts_the_seconds_of_a_call(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await clock.sleepers(1)
    clock.advance(seconds=20)
    await chat.pass_time(3)

    await expect(chat.card.get_by_role("timer")).to_contain_text(re.compile("2[2-9] s since"))
    # Every 5 s, and the browser's clock runs meanwhile.
    assert 1 <= len(chat.tools("get_call")) <= 3
    await expect(chat.card.locator("#live")).to_be_empty()  # not each second


async def test_a_card_follows_a_call_to_its_end(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    made = await agent.use("make_call", BISTRO, wait_seconds=0)
    await chat.give(made, BISTRO)
    await clock.sleepers(1)
    clock.advance(minutes=5)
    await agent.use("get_call", call_id=made.data["tracking_id"], wait_seconds=5)
    await chat.pass_time(5)

    await expect(chat.card.locator("#status")).to_have_text("Booked")
    await expect(chat.card.locator("#live")).to_have_text(
        "The call to Italian Bistro has ended. Outcome: Booked."
    )
    asked = len(chat.asked)
    await chat.pass_time(120)
    assert len(chat.asked) == asked
    assert await agent.calls_made() == 1


async def test_a_hidden_or_removed_card_sends_nothing(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.frame.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.away ?? true, configurable: "
        "true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    await chat.pass_time(60)
    assert chat.asked == []
    await chat.frame.evaluate(
        "window.away = false; document.dispatchEvent(new Event('visibilitychange'))"
    )
    await chat.pass_time(1)
    await expect(chat.card.get_by_role("timer")).to_contain_text("since")
    assert len(chat.asked) == 1
    await chat.page.evaluate("window.bridge.teardownResource({})")
    await chat.pass_time(60)
    assert len(chat.asked) == 1


async def test_an_unknown_outcome_offers_to_check_again(
    open_card: Open, clock: ManualClock, tmp_path: Path
) -> None:
    boom = {"+": {"error": (500, {"detail": "boom"})}}
    async with asking(tmp_path / "odd", clock, boom, SETTLE_SECONDS="0.2") as (_, agent):
        chat = await open_card(by=agent)
        await chat.give(await agent.use("make_call", BISTRO), BISTRO)

        await expect(chat.card.locator("#status")).to_have_text("Outcome unknown")
        await expect(chat.card.get_by_text("Check before anyone calls again.")).to_be_visible()
        assert await chat.hard_to_use() == []
        await chat.button("Check again").click()
        await expect(chat.button("Check again")).not_to_have_attribute("aria-disabled", "true")
        assert len(chat.tools("get_call")) == 1
        for lost in (error(status="unknown", code="answer_lost", placed="maybe"), error()):
            await chat.give(lost, BISTRO)
            await expect(chat.card.locator("#status")).to_have_text("Outcome unknown")
            await expect(
                chat.card.get_by_role("button", name=re.compile("Call again|Try again"))
            ).to_have_count(0)


async def test_a_card_tells_how_to_fix_errors(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    emergency = {**BISTRO, "respondent_phone": "+1 911"}
    await chat.give(await agent.use("make_call", emergency), emergency)
    await expect(chat.card.locator("#said")).to_have_text("KallyAI can't call emergency services.")
    dial = chat.card.get_by_role("link", name="911")
    await expect(dial).to_have_attribute("href", "tel:911")
    assert await chat.hard_to_use() == []
    assert await chat.card.get_by_role("button").count() == 0

    blocked = {**BISTRO, "respondent_phone": NUMBERS["suppression_violation"]}
    refused = await agent.use("make_call", blocked)
    await chat.give(refused, blocked)
    await expect(chat.card.get_by_text("This number is on the do-not-call list.")).to_be_visible()
    for told in ("suppression_violation", refused.data["correlation_id"]):
        assert told not in await chat.card.locator("main").inner_text()
    await chat.card.get_by_text("Details").click()
    await expect(chat.card.get_by_role("group")).to_contain_text(refused.data["correlation_id"])

    await chat.give(error(code="not_signed_in", link="http://127.0.0.1:5000/x"), BISTRO)
    await expect(chat.card.locator("#name")).to_have_text("Sign in to place calls")
    assert await chat.hard_to_use() == []
    await chat.button("Sign in").click()
    await chat.give(error(code="quota_exceeded", upgrade_url="https://pay.example/"), BISTRO)
    await chat.button("Get more calls").click()
    await chat.page.wait_for_function("() => window.seen.links.length === 2")
    assert [link["url"] for link in await chat.seen("links")] == [
        "http://127.0.0.1:5000/x",
        "https://pay.example/",
    ]
    await chat.give(error(code="quota_exceeded", upgrade_url="javascript:alert(1)"), BISTRO)
    await expect(chat.card.get_by_role("button")).to_have_count(0)


Claim = tuple[dict[str, Any], str | int, dict[str, Any], str, str, str]
CLAIMS: list[Claim] = [
    # A word of KallyAI's that is also one of ours; an event that shows less than was asked; no day
    # was asked.
    (
        {"status": "refused", "highlights": "They did not want to talk to an AI."},
        404,
        {},
        "Outcome unknown",
        "Italian Bistro",
        "What came of the call is not known.",
    ),
    (
        {"status": "success"},
        calendar_file(["SUMMARY:Table for 2", "DTSTART;VALUE=DATE:20260128"]),
        {"time_preference_text": "after 5pm"},
        "Booked, not all confirmed",
        "Wed, Jan 28 · 4\u00a0people (not confirmed)",
        "Not confirmed: the time.",
    ),
    (
        {"status": "success"},
        calendar_file(["SUMMARY:Table for 4", "DTSTART:20260126T043000Z"]),
        {"appointment_date": None, "task_category": "general", "accept_other_time": True},
        "Booked for another time",
        "Sun, Jan 25 · 8:30 PM, Los Angeles time · 4 people",
        "You asked for 7:00 PM. Check whether it works for you.",
    ),
]


async def test_the_card_claims_no_more_than_kallyai_said(
    tmp_path: Path, clock: ManualClock, open_card: Open
) -> None:
    async with asking(tmp_path, clock, {}) as (kallyai, agent):
        chat = await open_card(by=agent)
        for number, (call, calendar, asked, status, headline, sentence) in enumerate(CLAIMS):
            kallyai.calls, kallyai.calendars = {"+": call}, {"+": calendar}
            arguments = {
                name: value for name, value in (BISTRO | asked).items() if value is not None
            }
            arguments |= {"respondent_phone": f"+1415555123{number}"}
            await chat.give(await agent.use("make_call", arguments), arguments)

            await expect(chat.card.locator("#status")).to_have_text(status)
            await expect(chat.card.locator("#name")).to_have_text(headline)
            await expect(chat.card.locator("#said")).to_have_text(sentence)


async def test_a_host_without_capabilities_sees_no_buttons(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card(capabilities={})
    in_progress = await agent.use("make_call", BISTRO, wait_seconds=0)
    found = {"call_id": in_progress.data["tracking_id"], "wait_seconds": 0}
    # Of another chat, too, it says what it is for.
    await chat.give(await agent.use("get_call", found), found)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")
    await chat.pass_time(30)
    assert await chat.card.get_by_role("button").count() == 0

    with anyio.fail_after(60):
        await clock.sleepers(1)
    clock.advance(minutes=5)
    await chat.give(await agent.use("get_call", found | {"wait_seconds": 5}), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Booked")
    assert await chat.card.get_by_role("button").count() == 0
    assert chat.asked == []


async def test_a_canceled_request_may_have_placed_its_call(
    open_card: Open,
) -> None:
    chat = await open_card()
    await chat.start(BISTRO)
    await chat.page.evaluate("window.bridge.sendToolCancelled({reason: 'the user stopped it'})")

    await expect(chat.card.get_by_text("If the call was placed, it goes on.")).to_be_visible()
    assert await chat.hard_to_use() == []
    await expect(chat.button("Call again")).to_be_hidden()


async def test_a_long_name_stays_in_its_place(agent: Agent, open_card: Open) -> None:
    missed = {**BISTRO, "respondent_phone": NUMBERS["no_answer"]}
    chat = await open_card(width=280)
    for name in (
        "<img src=x onerror=alert(1)>\u202egnp.exe\u202c <b>Bistro</b>" + "x" * 400,
        "\u0645\u0637\u0639\u0645",
    ):
        arguments = {**missed, "business_name": name}
        await chat.give(await agent.use("make_call", arguments), arguments)
        heading = chat.card.get_by_role("heading", level=1)
        await expect(heading).to_contain_text(name[:20])
        assert len(await heading.inner_text()) < 170
        assert await chat.frame.evaluate("document.querySelectorAll('img, b').length") == 0
        assert await chat.frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await chat.hard_to_use() == []
        await chat.frame.evaluate("document.documentElement.style.fontSize = '200%'")
        assert await chat.hard_to_use() == []
        await chat.frame.evaluate("document.documentElement.style.fontSize = ''")


async def test_everything_can_be_done_with_the_keyboard(agent: Agent, open_card: Open) -> None:
    chat = await open_card(forced_colors="active")
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await expect(chat.button("Conversation")).to_be_visible()

    keys = chat.page.keyboard
    await keys.press("Tab")
    await expect(chat.card.get_by_role("link", name="+1 415-555-1234")).to_be_focused()
    await keys.press("Tab")
    await expect(chat.card.get_by_role("link", name="Conversation at")).to_be_focused()
    await keys.press("Tab")
    await expect(chat.button("Add to calendar")).to_be_focused()
    assert (
        await chat.frame.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        == "solid"
    )
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(chat.card.locator("#turns > li").first).to_be_visible()
    await expect(chat.button("Hide conversation")).to_be_focused()
    assert await hard_to_use(chat.frame) == []

    missed = {**BISTRO, "respondent_phone": NUMBERS["busy"]}
    await chat.give(await agent.use("make_call", missed), missed)
    await chat.button("Call again").focus()
    await keys.press("Enter")
    await expect(
        chat.card.get_by_role("heading", name="Call Italian Bistro again?")
    ).to_be_focused()
    await keys.press("Tab")
    await keys.press("Tab")
    await expect(chat.button("Don't call")).to_be_focused()
    await keys.press("Enter")
    await expect(chat.card.get_by_role("region", name="Call Italian Bistro again?")).to_be_hidden()
    await expect(chat.button("Call again")).to_be_focused()
    assert chat.tools("make_call") == []


async def test_a_read_only_servers_card_places_no_call(agent: Agent, open_card: Open) -> None:
    made = await agent.use("make_call", BISTRO, respondent_phone=NUMBERS["busy"])
    chat = await open_card(call_card(read_only=True))
    for arguments in (BISTRO, {}):
        await chat.give(made, arguments)
        await expect(chat.card.locator("#status")).to_have_text("Not reached")
        await expect(chat.card.locator("#choices button:visible")).to_have_count(0)
    structure = {
        "status": "needs_confirmation",
        "confirmation": "x",
        "reasons": ["urgent"],
        "placed_now": False,
    }
    await chat.give(Answer(CallToolResult(content=[], structured_content=structure)), BISTRO)
    await expect(chat.card.locator("#consent")).to_contain_text("+1 415-555-1234")
    await expect(chat.button("Call now")).to_be_hidden()


async def test_only_placing_tools_say_so_before_results(open_card: Open) -> None:
    chat = await open_card()
    await chat.start({"call_id": "c-1", "wait_seconds": 45})
    await expect(chat.card.locator("#status")).to_have_text("Getting the call")
    await chat.set_host_context(locale="es-MX")
    await expect(chat.card.locator("#status")).to_have_text("Consultando la llamada")
    await chat.set_host_context(locale="en-US")
    await chat.start(BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Placing the call")
