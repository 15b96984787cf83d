"""The call card is easy to see, to read, and to use: languages, themes, sizes, and the keyboard."""

from typing import Any

import pytest

from tests.agent import BISTRO, Agent
from tests.cards.conftest import Open
from tests.cards.kit import NEW_YORK, NUMBERS
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock

SPANISH = {"theme": "light", "locale": "es-ES", "timeZone": "Europe/Madrid"}


async def test_markup_in_a_name_is_shown_as_text(agent: Agent, open_card: Open) -> None:
    name = "<img src=x onerror=alert(1)>\u202egnp.exe\u202c <b>Bistro</b>" + "x" * 400
    arguments = {**BISTRO, "business_name": name}
    chat = await open_card(width=280)
    await chat.give(await agent.use("make_call", arguments), arguments)

    heading = chat.card.get_by_role("heading", level=1)
    await expect(heading).to_contain_text("<img src=x onerror=alert(1)>")
    assert len(await heading.inner_text()) < 170
    assert await chat.frame.evaluate("document.querySelectorAll('img, b').length") == 0
    assert await chat.frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_the_card_is_in_spanish_in_a_spanish_host(agent: Agent, open_card: Open) -> None:
    chat = await open_card(context=SPANISH)
    await chat.give(await agent.use("make_call", BISTRO, language="es"), BISTRO)

    main = chat.card.get_by_role("main")
    await expect(main).to_contain_text("Reservado")
    await expect(main).to_contain_text("dom, 25 ene, 16:30")
    await expect(chat.button("Archivo de calendario")).to_be_visible()
    await expect(chat.card.locator("html")).to_have_attribute("lang", "es")

    await chat.set_host_context(**{**SPANISH, "locale": "en-GB"})
    await expect(main).to_contain_text("Booked")


async def test_without_a_locale_of_the_host_the_browsers_is_used(agent: Agent, open_card: Open) -> None:
    chat = await open_card(context={}, locale="es-MX", timezone_id="America/Mexico_City")
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)

    await expect(chat.card.locator("#status")).to_have_text("Reservado")
    await expect(chat.card.locator("#facts")).to_contain_text("9:30")


async def test_an_unknown_time_zone_of_the_host_is_ignored(agent: Agent, open_card: Open) -> None:
    chat = await open_card(context={"timeZone": "Mars/Olympus", "locale": "??"})
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)

    await expect(chat.card.locator("#facts")).to_contain_text("3:30 PM")


@pytest.mark.parametrize(
    ("context", "browser"), [({**NEW_YORK, "theme": "dark"}, "light"), ({"timeZone": "UTC"}, "dark")]
)
async def test_the_theme_is_the_hosts_or_else_the_browsers(
    agent: Agent, open_card: Open, context: dict[str, Any], browser: str
) -> None:
    chat = await open_card(context=context, color_scheme=browser)
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await chat.button("Conversation").click()
    await expect(chat.card.get_by_role("listitem").first).to_be_visible()

    assert await chat.frame.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(23, 30, 41)"
    assert await chat.violations() == []


async def test_the_hosts_colors_are_applied_all_together_or_not_at_all(agent: Agent, open_card: Open) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    colors = {
        "--color-background-primary": "#fffdf5",
        "--color-background-secondary": "#f5f0e0",
        "--color-text-primary": "#201a10",
    }
    chat = await open_card(context={**NEW_YORK, "styles": {"variables": colors}})
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Booked")
    assert await chat.frame.evaluate(ground) == "rgb(255, 255, 255)"

    all_colors = {**colors, "--color-text-secondary": "#574f40"}
    await chat.set_host_context(**NEW_YORK, styles={"variables": all_colors})
    await chat.until(f"{ground} === 'rgb(255, 253, 245)'")
    assert await chat.violations() == []


@pytest.mark.parametrize(
    "browsing",
    [{"width": 280}, {"forced_colors": "active"}, {"color_scheme": "dark"}],
    ids=["narrow", "forced colors", "dark"],
)
async def test_everything_is_easy_to_see_and_to_press(agent: Agent, open_card: Open, browsing: dict[str, Any]) -> None:
    theme = {**NEW_YORK, "theme": browsing.get("color_scheme", "light")}
    chat = await open_card(context=theme, **browsing)
    for callee, button in (("failed", "Conversation"), ("busy", "Call again")):
        asked = {**BISTRO, "respondent_phone": NUMBERS[callee]}
        await chat.give(await agent.use("make_call", asked), asked)
        await chat.card.get_by_text("Details").click()
        await chat.button(button).click()
        if callee == "failed":
            await expect(chat.card.get_by_role("listitem").first).to_be_visible()

        assert await chat.hard_to_use() == []
        assert await chat.violations() == []
        await chat.frame.evaluate("document.documentElement.style.fontSize = '200%'")
        assert await chat.hard_to_use() == []
        await chat.until("Math.abs(document.documentElement.scrollHeight - innerHeight) <= 1")
        await chat.frame.evaluate("document.documentElement.style.fontSize = ''")


async def test_a_name_from_right_to_left_stays_beside_its_picture(agent: Agent, open_card: Open) -> None:
    name_in_arabic = "\u0645\u0637\u0639\u0645 \u0628\u064a\u0631\u0648\u062a"
    arguments = {**BISTRO, "business_name": name_in_arabic}
    chat = await open_card()
    await chat.give(await agent.use("make_call", arguments), arguments)
    await expect(chat.card.locator("#name")).to_have_text(name_in_arabic)

    name, picture = [await chat.card.locator(place).bounding_box() for place in ("#name", "#disc")]
    assert name is not None
    assert picture is not None
    assert 0 < name["x"] - (picture["x"] + picture["width"]) < 32


async def test_everything_can_be_done_with_the_keyboard(agent: Agent, open_card: Open) -> None:
    chat = await open_card()
    await chat.give(await agent.use("make_call", BISTRO), BISTRO)
    await expect(chat.button("Conversation")).to_be_visible()

    keys = chat.page.keyboard
    await keys.press("Tab")
    await expect(chat.button("Calendar file")).to_be_focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await chat.frame.evaluate(outline) == "solid"
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(chat.card.get_by_role("listitem").first).to_be_visible()
    await expect(chat.button("Hide conversation")).to_be_focused()
    await keys.press("Tab")
    await expect(chat.button("Copy transcript")).to_be_focused()

    missed = {**BISTRO, "respondent_phone": NUMBERS["busy"]}
    await chat.give(await agent.use("make_call", missed), missed)
    await chat.button("Call again").focus()
    await keys.press("Enter")
    await expect(chat.card.get_by_role("heading", name="Call Italian Bistro again?")).to_be_focused()
    await keys.press("Tab")
    await expect(chat.button("Don't call")).to_be_focused()
    await keys.press("Enter")
    await expect(chat.card.get_by_role("region", name="Call Italian Bistro again?")).to_be_hidden()
    await expect(chat.button("Call again")).to_be_focused()
    assert chat.tools("make_call") == []


async def test_nothing_moves_when_the_user_prefers_reduced_motion(
    agent: Agent, open_card: Open, clock: ManualClock
) -> None:
    clock.hold()
    chat = await open_card(reduced_motion="reduce")
    await chat.give(await agent.use("make_call", BISTRO, wait_seconds=0), BISTRO)
    await expect(chat.card.locator("#status")).to_have_text("Call in progress")

    assert await chat.frame.evaluate("document.getAnimations().length") == 0
