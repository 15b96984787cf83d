"""The card's column of the table of outcomes."""

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.cards.conftest import Open
from tests.fake_service import fake_service
from tests.playwright_names import expect
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import answering, calendar_file
from tests.tools.outcomes import NUMBERS, ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.callee)
async def test_the_card_shows_what_is_known(agent: Agent, open_card: Open, row: Row) -> None:
    arguments = BISTRO | {"respondent_phone": NUMBERS[row.callee]}
    if row.outcome == "booked_other_time":
        arguments |= {"accept_other_time": True}
    chat = await open_card()
    await chat.give(await agent.use("make_call", arguments), arguments)

    await expect(chat.card.locator("#status")).to_have_text(row.card.status)
    await expect(chat.card.locator("body")).to_have_attribute("data-tone", row.card.tone)
    await expect(chat.card.locator("#said")).to_have_text(row.card.sentence)
    buttons = chat.card.get_by_role("button").filter(visible=True)
    await expect(buttons).to_have_text(list(row.card.buttons))
    await chat.set_host_context(locale="es-MX")
    await expect(chat.card.locator("#status")).to_have_text(row.card.estado)


async def test_a_time_of_another_zone_has_its_name_and_ones_own_has_none(agent: Agent, open_card: Open) -> None:
    london = BISTRO | {"respondent_phone": "+442079460100", "timezone": "Europe/London"}
    made = await agent.use("make_call", london)
    chat = await open_card()
    await chat.give(made, london)

    await expect(chat.card.locator("#said")).to_have_text("Wed, Jan 28, 7:00 PM, London time.")
    await chat.set_host_context(locale="es-ES", timeZone="America/New_York")
    await expect(chat.card.locator("#said")).to_have_text("Mié, 28 ene, 19:00 (hora de Reino Unido).")
    await chat.set_host_context(locale="es-MX")
    await expect(chat.card.locator("#said")).to_have_text(
        re.compile(r"^Mié 28 de ene, 7:00.p\.m\. \(hora de Reino Unido\)\.$")
    )
    await chat.set_host_context(timeZone="Europe/London")
    await expect(chat.card.locator("#said")).to_have_text(re.compile(r"^Mié 28 de ene, 7:00.p\.m\.$"))
    await chat.set_host_context(locale="en-GB", timeZone="Europe/Lisbon")  # another zone whose clock shows the same
    await expect(chat.card.locator("#said")).to_have_text("Wed 28 Jan, 19:00.")


async def test_a_refusal_for_want_of_calls_says_what_is_used_up_and_when_it_renews(
    tmp_path: Path, clock: ManualClock, open_card: Open
) -> None:
    figures = {"calls_allocated": 35, "calls_remaining": 0, "minutes_allocated": 210, "minutes_remaining": 93}

    def answer(request: Request) -> tuple[int, Any]:
        if request.url.path.endswith("/statistics"):
            return 200, figures | {"period_end": "2026-02-01T00:00:00Z"}
        return (402, {"plan_type": "personal"}) if request.method == "POST" else (404, {})

    async with fake_service(answer) as url:
        settings = settings_in(tmp_path, API_URL=url, ACCESS_TOKEN="token-0123456789")
        async with open_agent(settings, mode="auto", clock=clock) as agent:
            refused = await agent.use("make_call", BISTRO)
            chat = await open_card(by=agent)
            await chat.give(refused, BISTRO)
            said = chat.card.locator("#said")
            await expect(said).to_have_text("All 35 calls of your plan are used. It renews Feb 1, 2026.")
            await chat.set_host_context(locale="es-ES")
            await expect(said).to_have_text("Se agotaron las 35 llamadas de tu plan. Se renueva el 1 feb 2026.")


@pytest.mark.parametrize(
    ("call", "calendar", "asked", "status", "sentence"),
    [
        (
            {"status": "refused", "highlights": "The callee did not want to talk to an AI."},
            404,
            {},
            "Outcome unknown",
            "What came of the call is not known.",
        ),
        (
            {"status": "success"},
            calendar_file(["SUMMARY:Table for 2", "DTSTART;VALUE=DATE:20260128"]),
            {"time_preference_text": "after 5pm"},
            "Booked",
            "Wed, Jan 28. The event does not show all you asked for.",
        ),
        (
            {"status": "success"},
            calendar_file(["SUMMARY:Table for 4", "DTSTART:20260126T013000Z"]),
            {"appointment_date": None, "accept_other_time": True},
            "Booked for another time",
            "Sun, Jan 25, 8:30 PM. You asked for 7:00 PM. Check whether it works for you.",
        ),
    ],
    ids=["a word of KallyAI's that is also one of ours", "an event that shows less than was asked", "no day was asked"],
)
async def test_the_card_claims_no_more_than_kallyai_said(
    tmp_path: Path,
    clock: ManualClock,
    open_card: Open,
    call: dict[str, Any],
    calendar: str | int,
    asked: dict[str, Any],
    status: str,
    sentence: str,
) -> None:
    arguments = {name: value for name, value in (BISTRO | asked).items() if value is not None}
    async with (
        answering(tmp_path, {"+": call}, {"+": calendar}) as (_, settings),
        open_agent(settings, mode="auto", clock=clock) as agent,
    ):
        chat = await open_card(by=agent)
        await chat.give(await agent.use("make_call", arguments), arguments)

        await expect(chat.card.locator("#status")).to_have_text(status)
        await expect(chat.card.locator("#said")).to_have_text(sentence)
