"""The page on which a person plays the callee, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from kallyai_mcp.sandbox.serve import running
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, Page, expect
from tests.sandbox.sandbox_app import sandbox_app

LONG_NAME = "Restaurante-Marisquería La Nueva Casa de los Pescadores <b>"

SUBMISSION = {
    "task_category": "restaurant",
    "task_description": "Book a table",
    "respondent_phone": "+12025550142",
    "business_name": LONG_NAME,
    "user_name": "Test Guest",
    "party_size": 4,
}


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    async with await chromium.new_context(
        locale="en-US", viewport={"width": 390, "height": 1000}
    ) as context:
        yield await context.new_page()


def soon() -> str:
    """A day for which a table can be booked."""
    return str(datetime.now(UTC).date() + timedelta(days=10))


async def problems(page: Page) -> list[str]:
    """What is hard to use in either theme."""
    await page.emulate_media(color_scheme="dark")
    dark = await hard_to_use(page)
    await page.emulate_media(color_scheme="light")
    return dark + await hard_to_use(page)


async def play(page: Page) -> None:
    """Pick up, propose another time, agree, and hang up."""
    await expect(page.get_by_role("meter", name="Seconds to pick up")).to_be_visible()
    assert await problems(page) == []
    await page.get_by_role("button", name="Pick up").click()
    await expect(page.get_by_role("listitem")).to_have_count(2)
    await expect(page.get_by_role("heading", name=LONG_NAME)).to_be_visible()
    await expect(page.get_by_text("+1 202-555-0142")).to_be_visible()
    await expect(page.get_by_label("With that you")).to_have_value("")  # just talk

    await page.get_by_label("You say").fill("We have a table at 8:30 pm.")
    await page.get_by_role("button", name="Propose another time: 20:30").click()
    await expect(page.get_by_label("Time")).to_have_value("20:30")
    await page.get_by_label("Day").fill("2099-01-28")
    assert await problems(page) == []
    await page.get_by_role("button", name="Say it").click()
    await expect(page.get_by_role("listitem")).to_have_count(4)
    await page.get_by_label("You say").fill("Done.")
    await page.get_by_label("With that you").select_option(label="agree to the request")
    await page.get_by_role("button", name="Say it").click()
    await expect(page.get_by_role("listitem")).to_have_count(6)
    await page.get_by_role("button", name="Hang up").click()


async def test_a_person_picks_up_and_proposes_another_time(page: Page) -> None:
    with sandbox_app(plays=True) as app:
        token = app.state.sandbox.issue_tokens()["access_token"]
        async with running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
            await page.goto(f"{url}/_sandbox/play")
            await expect(page.locator("#none")).to_be_visible()
            asked = {"submission": SUBMISSION, "timezone": "UTC"}
            headers = {"Authorization": f"Bearer {token}"}
            answer = asyncio.create_task(client.post("/v1/calls", headers=headers, json=asked))
            await play(page)
            highlights = (await answer).json()["highlights"]

            assert "January 28" in highlights
            told = f"The call has ended. The caller is told: {highlights}"
            await expect(page.get_by_text(told)).to_be_visible()
            assert await problems(page) == []


async def test_a_players_words_alone_book_nothing(page: Page) -> None:
    asked = SUBMISSION | {"appointment_date": soon(), "appointment_time": "19:00"}
    with sandbox_app(plays=True) as app:
        token = app.state.sandbox.issue_tokens()["access_token"]
        async with running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
            await page.goto(f"{url}/_sandbox/play")
            headers = {"Authorization": f"Bearer {token}"}
            body = {"submission": asked, "timezone": "UTC"}
            answer = asyncio.create_task(client.post("/v1/calls", headers=headers, json=body))
            await page.get_by_role("button", name="Pick up").click()
            await page.get_by_label("You say").fill("Sorry, we are full.")
            await page.get_by_role("button", name="Say it").click()  # just talk
            await expect(page.get_by_role("listitem")).to_have_count(4)
            await page.get_by_label("You say").fill("No, nothing is left.")
            await page.get_by_label("With that you").select_option(label="say no to the request")
            await page.get_by_role("button", name="Say it").click()
            await expect(page.get_by_role("listitem")).to_have_count(6)
            await page.get_by_role("button", name="Hang up").click()
            call_id = (await answer).json()["call_id"]
            event = await client.get(f"/v1/calls/{call_id}/calendar.ics", headers=headers)

    assert event.status_code == 404


async def test_a_yes_to_another_time_books_that_time(page: Page) -> None:
    asked = SUBMISSION | {"appointment_date": soon(), "appointment_time": "19:00"}
    with sandbox_app(plays=True) as app:
        token = app.state.sandbox.issue_tokens()["access_token"]
        async with running(app) as url, httpx2.AsyncClient(base_url=url, timeout=60) as client:
            await page.goto(f"{url}/_sandbox/play")
            headers = {"Authorization": f"Bearer {token}"}
            body = {"submission": asked, "timezone": "UTC"}
            answer = asyncio.create_task(client.post("/v1/calls", headers=headers, json=body))
            await page.get_by_role("button", name="Pick up").click()
            await page.get_by_label("You say").fill("Yes, at half past eight.")
            await page.get_by_label("With that you").select_option(label="agree to the request")
            await expect(page.get_by_text("Counts as a yes, whatever you type.")).to_be_visible()
            await page.get_by_label("Time").fill("20:30")
            assert await problems(page) == []
            await page.get_by_role("button", name="Say it").click()
            await expect(page.get_by_role("listitem")).to_have_count(4)
            await page.get_by_role("button", name="Hang up").click()

            assert "8:30 PM" in (await answer).json()["highlights"]


async def test_without_a_played_line_no_calls_come(page: Page) -> None:
    with sandbox_app() as app:
        async with running(app) as url, httpx2.AsyncClient(base_url=url) as client:
            await page.goto(url)
            await page.get_by_role("link", name="Play the callee").click()
            await expect(
                page.get_by_text("No calls come here: this sandbox answers all of them itself.")
            ).to_be_visible()
            await client.put("/_sandbox/line/+12025550142", json={"does": "is_played"})
            await expect(page.get_by_text("Waiting for a call.")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_visible()  # the sandbox has ended
    assert await problems(page) == []
