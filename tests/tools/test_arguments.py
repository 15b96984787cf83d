from typing import Any

import phonenumbers
import pytest

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.validation import SUPPORTED_COUNTRIES
from tests.agent import BISTRO, Agent
from tests.conftest import one_generation
from tests.emergency_numbers import emergency_numbers
from tests.sandbox.manual_clock import ManualClock

mode = pytest.fixture(one_generation)

EMERGENCY = "Not called: KallyAI cannot call emergency services. Tell the user to dial "


def placed(app: SandboxApp) -> dict[str, Any]:
    """The submission of the last call that was placed."""
    with app.state.sandbox.store.transaction() as db:
        return dict(call_table.all_calls(db)[-1].submission)


WRONG: list[tuple[str, Any, str]] = [
    ("respondent_phone", "415-555-1234", "has no country code; with one, it may be +14155551234 (United States)."),
    ("respondent_phone", "0034912345678", '"0034912345678" starts with 00; in E.164 it is +34912345678 (Spain).'),
    ("respondent_phone", "+1415555", '"+1415555" is too short for a number of +1.'),
    ("respondent_phone", "+999123456", '"+999123456" has a country code that doesn\'t exist;'),
    (
        "respondent_phone",
        "+14155551234 ext. 5",
        "has an extension, which KallyAI does not support;",
    ),
    ("respondent_phone", "+1 900 234 5678", "is a premium-rate number, which KallyAI can't call;"),
    ("respondent_phone", "+44 7700 900123", "is not valid as a number of +44; check it with the user."),
    ("respondent_phone", "null", '"null" is not a phone number; E.164 looks like +14155551234.'),
    ("respondent_phone", "+1-800-FLOWERS", '"+1-800-FLOWERS" has letters; in digits it is +18003569377.'),
    ("task_category", "bar", '"bar" is not one of restaurant, clinic, hotel, general.'),
    ("task_description", "  ", "missing or empty."),
    (
        "task_description",
        "x" * 1501,
        f'"{"x" * 59}…" is longer than 1500 characters; shorten it to what the call ',
    ),
    ("appointment_date", "tomorrow", '"tomorrow" must be a date written YYYY-MM-DD.'),
    ("appointment_date", "2026-01-23", "2026-01-23 is past; it is Sunday, 2026-01-25 there."),
    ("appointment_time", "24:00", '"24:00" is not a time as HH:MM (24 hours).'),
    ("not_before", "tomorrow", '"tomorrow" is not a date and time; it looks like 2026-01-26T09:00.'),
    ("other_times", "19:00, 25:00", '"19:00, 25:00" is not times such as "10:00-12:00, 15:00".'),
    ("party_size", 51, "51 is over the limit of 50."),
    ("party_size", 0, "0 is under 1."),
    ("party_size", "many", '"many" is not a whole number.'),
    ("party_size", True, "true must be a number."),
    ("is_urgent", "perhaps", '"perhaps" is neither true nor false.'),
    ("additional_instructions", "[1]", "1 is not a text."),
    ("additional_instructions", '["\\ud83d"]', "holds half of a surrogate pair, which is no text."),
    ("user_name", ["x"], "a list is not a text."),
    ("timezone", "../etc/passwd", '"../etc/passwd" is not an IANA time zone; it looks like America/New_York.'),
    ("phone", "+14155551234", "make_call has no such argument; it takes task_category, task_description, "),
    ("notes", "x", " confirmation. Wishes go into additional_instructions."),
]


async def test_a_wrong_argument_is_named_in_one_line(agent: Agent) -> None:
    for argument, value, line in WRONG:
        answer = await agent.use("make_call", BISTRO | {argument: value})

        assert answer.is_error
        heading, problem = answer.text.splitlines()
        assert heading == "Not called. Fix 1 argument:"
        assert problem.startswith(f"- {argument}: ")
        assert line in problem
        told = problem.split(": ", 1)[1].removesuffix(".")
        assert answer.data["arguments"] == [{"argument": argument, "problem": told}]
    assert (await agent.use("list_calls")).data["total"] == 0


async def test_the_day_of_a_past_date_is_that_of_the_callee(agent: Agent, clock: ManualClock) -> None:
    clock.advance(hours=15)  # 1:30 AM of the 26th for the reader; 10:30 PM of the 25th in California

    past = await agent.use("make_call", BISTRO, appointment_date="2026-01-24")
    unknown_there = await agent.use(
        "call_around",
        {name: value for name, value in BISTRO.items() if name not in ("respondent_phone", "business_name")},
        candidates=[{"respondent_phone": number} for number in ("+14155551234", "+442079460123")],
        until="booked",
        appointment_date="2026-01-24",
    )

    assert past.text.endswith("- appointment_date: 2026-01-24 is past; it is Sunday, 2026-01-25 there.")
    assert unknown_there.text.endswith("- appointment_date: 2026-01-24 is past; today is Monday, 2026-01-26.")


DIAL = {"911": "911", "9 1 1": "911", "+1911": "911", "tel:911": "911", "0034 112": "112", "011 44 999": "999"}


async def test_an_emergency_number_is_named_as_the_user_must_dial_it(agent: Agent) -> None:
    for number, dial in DIAL.items():
        answer = await agent.use("make_call", BISTRO | {"respondent_phone": number})

        assert answer.text == f"{EMERGENCY}{dial} themselves, now."
        assert (answer.data["code"], answer.data["dial"]) == ("emergency_number", dial)


async def test_every_emergency_number_of_every_supported_country_gets_the_emergency_answer(agent: Agent) -> None:
    numbers = {"000", "0034 112", "tel:911", "9-1-1"}
    for country in SUPPORTED_COUNTRIES:
        code = phonenumbers.country_code_for_region(country)
        for number in emergency_numbers(country):
            numbers |= {number, " ".join(number), f"+{code}{number}", f"+{code} {' '.join(number)}"}
    wrong = [
        number
        for number in sorted(numbers)
        if not (await agent.use("make_call", BISTRO, respondent_phone=number)).text.startswith(EMERGENCY)
    ]

    assert len(numbers) > 400
    assert wrong == []


async def test_an_unknown_argument_is_named_in_a_readable_line(agent: Agent) -> None:
    answer = await agent.use("get_call", {"\x1b[2J" + "x" * 1_000_000: "\ud83d", "\x00": "\ud83d", "call_id": "c"})

    assert answer.is_error
    assert answer.text.splitlines() == [
        "Fix 2 arguments:",
        f"- [2J{'x' * 36}…: get_call has no such argument; it takes call_id, wait_seconds, timezone.",
        '- "": get_call has no such argument.',
    ]


async def test_of_many_unknown_arguments_the_first_are_named_and_all_counted(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO, **{f"{number:x}": 1 for number in range(1000)})

    assert answer.is_error
    first, *_, last = answer.text.splitlines()
    assert first == "Not called. Fix 1000 arguments:"
    assert last == "- and 980 more."
    assert len(answer.text) < 2500
    assert len(answer.data["arguments"]) == 20


TEXTS = ("task_description", "business_name", "user_name", "time_preference_text")


async def test_a_text_that_looks_like_json_or_like_nothing_stays_a_text(agent: Agent, app: SandboxApp) -> None:
    for text in ("null", "true", "123", "NaN", "[1]", '["by the window"]', '{"a": 1}', '"4"', "None", "0"):
        await agent.use("make_call", BISTRO | dict.fromkeys(TEXTS, text))

        assert {name: placed(app)[name] for name in TEXTS} == dict.fromkeys(TEXTS, text)


async def test_null_as_text_is_read_as_null_unless_any_text_is_valid(agent: Agent, app: SandboxApp) -> None:
    picky = ("appointment_date", "appointment_time", "language", "party_size", "is_urgent", "additional_instructions")
    answer = await agent.use("make_call", BISTRO | dict.fromkeys((*picky, "wait_seconds", "redial"), " null "))

    assert not answer.is_error
    assert not placed(app).keys() & set(picky)


NOTHING = {
    "business_name": "N/A",
    "user_name": "n/a",
    "user_phone": "000-000-0000",
    "appointment_date": "0000-00-00",
    "appointment_time": "00:00",
    "time_preference_text": "N/A",
    "party_size": None,
    "language": "none",
    "call_language": "N/A",
    "is_urgent": "null",
    "additional_instructions": ["N/A", "none"],
    "accept_other_time": "N/A",
    "timezone": "unknown",
    "session_id": "N/A",
    "wait_seconds": 0,
    "redial": False,
    "confirmation": "N/A",
}
"""What a model sends for the arguments that it does not need, when its client demands all of them."""


async def test_placeholders_of_a_strict_mode_stand_for_absent(agent: Agent, app: SandboxApp) -> None:
    asked = {name: BISTRO[name] for name in ("task_category", "task_description", "respondent_phone")}
    every = set((await agent.client.list_tools()).tools[0].input_schema["properties"])
    answer = await agent.use("make_call", asked | dict.fromkeys(every - asked.keys(), "N/A") | NOTHING)

    zero = await agent.use(
        "make_call", asked | dict.fromkeys(every - asked.keys(), "N/A") | NOTHING | {"party_size": 0}
    )

    assert answer.data["status"] == "success"  # a wait of 0 s from a placeholder is ignored
    assert placed(app) == asked
    assert zero.text == "Not called. Fix 1 argument:\n- party_size: 0 is under 1."


async def test_a_wait_of_no_seconds_is_taken_at_its_word_where_the_model_chose_it(
    agent: Agent, clock: ManualClock
) -> None:
    clock.hold()

    assert (await agent.use("make_call", BISTRO, wait_seconds=0)).data["status"] == "in_progress"
    clock.advance(hours=1)


async def test_other_forms_of_a_value_are_accepted(agent: Agent, app: SandboxApp) -> None:
    forms = {"respondent_phone": "tel:+1-415-555-1234", "appointment_time": "19:00:00", "party_size": " 4\n"}
    answer = await agent.use("make_call", BISTRO | forms, additional_instructions=" by the window", wait_seconds="30")

    assert not answer.is_error
    sent = placed(app)
    assert (sent["respondent_phone"], sent["appointment_time"], sent["party_size"]) == ("+14155551234", "19:00", 4)
    assert sent["additional_instructions"][0] == "by the window"
