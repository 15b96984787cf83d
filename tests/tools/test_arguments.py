from collections.abc import Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types, and one function of it is used
import phonenumbers
import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.countries import is_never_called
from kallyai_mcp.calls.disclosure import without_disclosure
from kallyai_mcp.calls.numbers import NumberProblem, normalize
from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.sandbox.validation import SUPPORTED_COUNTRIES
from tests.agent import BISTRO, Agent, Answer
from tests.conftest import one_generation
from tests.emergency_numbers import emergency_numbers
from tests.sandbox.manual_clock import ManualClock
from tests.tools.test_around import TABLE

mode = pytest.fixture(one_generation)

EMERGENCY = "Not called: KallyAI cannot call emergency services. Tell the user to dial "


def placed(app: SandboxApp) -> dict[str, Any]:
    """The submission of the last call that was placed."""
    with app.state.sandbox.store.transaction() as db:
        return dict(call_table.all_calls(db)[-1].submission)


WRONG: list[tuple[str, Any, str]] = [
    (
        "respondent_phone",
        "5551234",
        '"5551234" has no country code; E.164 looks like +14155551234.',
    ),
    (
        "respondent_phone",
        "415-555-1234",
        "has no country code; it may be +14155551234 (United States).",
    ),
    (
        "respondent_phone",
        "0034912345678",
        '"0034912345678" has no country code; it may be +34912345678 (Spain).',
    ),
    ("respondent_phone", "+1415555", '"+1415555" is not a valid number; check it with the user.'),
    (
        "respondent_phone",
        "+999123456",
        '"+999123456" is not a phone number; E.164 looks like +14155551234.',
    ),
    (
        "respondent_phone",
        "+14155551234 ext. 5",
        "has an extension, which KallyAI does not support;",
    ),
    ("respondent_phone", "+44 7700 900123", "is not a valid number; check it with the user."),
    ("respondent_phone", "null", "missing. E.164: +14155551234."),
    ("respondent_phone", " ", "blank. E.164: +14155551234."),
    ("respondent_phone", "none", '"none" is not a phone number; E.164 looks like +14155551234.'),
    ("respondent_phone", "+1-800-FLOWERS", '"+1-800-FLOWERS" has letters; it may be +18003569377.'),
    ("task_category", "bar", 'expected restaurant, clinic, hotel, or general; got "bar".'),
    ("task_description", "  ", "blank. What to achieve; may be read aloud. Up to 1500 "),
    ("task_description", "x" * 1501, "expected up to 1500 characters; got 1501."),
    (
        "appointment_date",
        "tomorrow",
        'YYYY-MM-DD; only to make or move a booking; got "tomorrow".',
    ),
    ("appointment_date", "2026-02-29", '; got "2026-02-29": day value is outside expected range.'),
    ("appointment_date", "2026-01-23", '"2026-01-23" is past; it is Sunday, 2026-01-25 there.'),
    ("appointment_time", "24:00", 'expected HH:MM, 24-hour, at the callee; got "24:00".'),
    ("not_before", "tomorrow", '"tomorrow" is not a date and time in the form YYYY-MM-DDTHH:MM.'),
    ("not_before", "2026-01-26", '"2026-01-26" has no time of day; the form is YYYY-MM-DDTHH:MM.'),
    ("not_before", "2026-01-26T09:75", '"2026-01-26T09:75" is not a time: minute must be in 0..59'),
    ("not_before", "2026-01-26T25:00", '"2026-01-26T25:00" is not a time: hour must be in 0..23'),
    ("not_before", "2026-02-30T09:00", '"2026-02-30T09:00" is not a time: day '),
    (
        "not_before",
        "2026-01-24T09:00",
        '"2026-01-24 09:00" is past; it is 2026-01-25 10:30 in America/New_York.',
    ),
    ("not_before", "9999-12-31T23:59:59Z", "is more than 30 days away; call or schedule later."),
    (
        "not_before",
        "2026-01-29T09:00",
        '"2026-01-29 09:00" is after the appointment that the call asks for.',
    ),
    ("other_times", "19:00, 25:00", 'expected times such as "10:00-12:00, 15:00".'),
    (
        "party_size",
        51,
        "expected 1 to 50; got 51. Ask the user what to do; fewer people are another request.",
    ),
    ("party_size", True, "expected integer: 1 to 50; got true."),
    ("is_urgent", "perhaps", '; got "perhaps".'),
    (
        "redial",
        "maybe",
        'expected boolean: A second call on purpose, if the user wants it; got "maybe".',
    ),
    ("questions", ["?"] * 11, "expected Up to 10; each answer is quoted; got a list of 11."),
    ("additional_instructions[0]", "[1]", "expected string: Wishes and limits; got 1."),
    (
        "additional_instructions[0]",
        '["\\ud83d"]',
        "has half of a surrogate pair, which is no character.",
    ),
    (
        "timezone",
        "../etc/passwd",
        '"../etc/passwd" is not an IANA time zone; it looks like America/New_York.',
    ),
    (
        "phone",
        "+14155551234",
        "make_call has no such argument; it takes task_category, task_description, ",
    ),
]


async def refused(agent: Agent, argument: str, value: Any) -> Answer:
    """The answer to a call with a wrong argument, or a wrong item of one."""
    return await agent.use("make_call", BISTRO | {argument.partition("[")[0]: value})


async def test_a_wrong_argument_is_named_in_one_line(agent: Agent) -> None:
    for argument, value, line in WRONG:
        answer = await refused(agent, argument, value)
        heading, problem = answer.text.splitlines()

        assert answer.is_error
        assert heading == "Not called. Fix 1 argument:"
        assert problem.startswith(f"- {argument}: ")
        assert line in problem


async def test_a_wrong_argument_is_in_the_structure(agent: Agent) -> None:
    for argument, value, _ in WRONG:
        answer = await refused(agent, argument, value)
        told = answer.text.splitlines()[-1].split(": ", 1)[1].removesuffix(".")

        [wrong] = answer.data["arguments"]
        assert (wrong["argument"], wrong["problem"]) == (argument, told)
    assert await agent.calls_made() == 0


@pytest.mark.parametrize(
    ("number", "kind", "suggestions"),
    [
        ("415-555-1234", "no_country", ["+14155551234"]),
        ("+1-800-FLOWERS", "letters", ["+18003569377"]),
        ("5551234", "no_country", None),
        ("+1415555", "invalid", None),
    ],
)
async def test_what_may_be_meant_has_a_field(
    agent: Agent, number: str, kind: str, suggestions: list[str] | None
) -> None:
    [wrong] = (await refused(agent, "respondent_phone", number)).data["arguments"]

    assert (wrong.get("kind"), wrong.get("suggestions")) == (kind, suggestions)


async def test_the_callees_clock_tells_a_past_date(agent: Agent, clock: ManualClock) -> None:
    # 1:30 AM of the 26th for the reader; 10:30 PM of the 25th in California.
    clock.advance(hours=15)

    today = {
        "appointment_date": "2026-01-25",
        "appointment_time": "23:30",
        "timezone": "America/Los_Angeles",
    }
    there = await agent.use("make_call", BISTRO | today)
    past = await agent.use("make_call", BISTRO, appointment_date="2026-01-24")
    several = [{"respondent_phone": number} for number in ("+14155551234", "+442079460123")]
    unknown_there = await agent.use(
        "call_around", TABLE, candidates=several, appointment_date="2026-01-24"
    )

    assert not there.is_error
    assert past.text.endswith(
        '- appointment_date: "2026-01-24" is past; it is Sunday, 2026-01-25 there.'
    )
    assert unknown_there.text.endswith(
        '- appointment_date: "2026-01-24" is past; today is Monday, 2026-01-26.'
    )


DIAL = {
    "911": "911",
    "9 1 1": "911",
    "+1911": "911",
    "tel:911": "911",
    "0034 112": "112",
    "011 44 999": "999",
}


def test_every_emergency_number_is_refused() -> None:
    numbers = {"000", "9-1-1"}
    for country in SUPPORTED_COUNTRIES:
        code = phonenumbers.country_code_for_region(country)
        for number in emergency_numbers(country):
            numbers |= {number, " ".join(number), f"+{code}{number}", f"+{code} {' '.join(number)}"}
    problems = {number: normalize(number) for number in sorted(numbers)}

    assert len(numbers) > 400
    assert [
        number
        for number, problem in problems.items()
        if not isinstance(problem, NumberProblem) or problem.kind != "emergency_number"
    ] == []


@pytest.mark.parametrize(("number", "dial"), DIAL.items())
async def test_the_user_is_told_what_to_dial(agent: Agent, number: str, dial: str) -> None:
    answer = await agent.use("make_call", BISTRO | {"respondent_phone": number})

    assert answer.text == f"{EMERGENCY}{dial} themselves, now."
    assert answer.data["code"] == "emergency_number"
    assert answer.data["dial"] == dial


async def test_a_premium_rate_number_is_refused(agent: Agent) -> None:
    premium = await agent.use("make_call", BISTRO | {"respondent_phone": "+1 900 234 5678"})

    assert premium.text.startswith(
        "Not called: KallyAI does not call premium-rate numbers such as +1 900 234 5678. "
    )
    assert premium.data["code"] == "toll_number"


@pytest.mark.parametrize("number", ["+81 3-1234-5678", "+1 876 555 1234", "+52 55 1234 5678"])
async def test_a_country_elsewhere_is_refused(agent: Agent, number: str) -> None:
    answer = await agent.use("make_call", BISTRO | {"respondent_phone": number})

    assert answer.text == (
        "Not called: KallyAI calls only the United States, Canada, and Europe, and "
        f"{number} is elsewhere. Tell the user; no number there will work."
    )
    assert answer.data["code"] == "unsupported_country"


@pytest.mark.parametrize(
    "number",
    [
        "+17875551234",
        "+905321234567",
        "+79161234567",
        "+262262123456",
        "+80012345678",
        "+3545551234",
    ],
)
def test_kallyai_decides_about_places_in_doubt(number: str) -> None:
    assert not is_never_called(number)


async def test_a_callback_number_may_be_anywhere(agent: Agent) -> None:
    answer = await agent.use("make_call", BISTRO | {"user_phone": "+81 3-1234-5678"})

    assert not answer.is_error


async def test_an_emergency_number_has_no_calls(agent: Agent) -> None:
    searched = await agent.use("list_calls", number="911")

    assert searched.text.endswith('- number: "911" is a number that KallyAI never calls.')


async def test_unknown_arguments_are_named_in_readable_lines(agent: Agent) -> None:
    unreadable = {"\x1b[2J" + "x" * 1_000_000: "\ud83d", "\x00": "\ud83d"}
    few = await agent.use("get_call", unreadable, call_id="c")

    assert few.is_error
    assert few.text.splitlines() == [
        "Fix 2 arguments:",
        (
            f"- [2J{'x' * 30}… [cut]: get_call has no such argument; it takes call_id, "
            "wait_seconds, timezone."
        ),
        '- "": get_call has no such argument.',
    ]


async def test_of_many_unknown_arguments_twenty_are_named(agent: Agent) -> None:
    many = await agent.use("make_call", BISTRO, **{f"{number:x}": 1 for number in range(1000)})
    heading, *_, last = many.text.splitlines()

    assert heading == "Not called. Fix 1000 arguments:"
    assert last == "- and 980 more."
    assert len(many.text) < 2500, "the error explains more than the first 20 arguments"
    assert len(many.data["arguments"]) == 20


TEXTS = ("task_description", "business_name", "user_name", "time_preference_text")


async def test_a_text_like_json_stays_a_text(agent: Agent, app: SandboxApp) -> None:
    for text in ("123", "NaN", '["by the window"]', "None"):
        await agent.use("make_call", BISTRO | dict.fromkeys(TEXTS, text))

        assert {name: placed(app)[name] for name in TEXTS} == dict.fromkeys(TEXTS, text)


NOTHING = {
    "business_name": "N/A",
    "user_name": "n/a",
    "user_phone": "000-000-0000",
    "appointment_date": "0000-00-00",
    "appointment_time": "00:00",
    "time_preference_text": "N/A",
    "party_size": " null ",
    "language": "none",
    "call_language": "N/A",
    "is_urgent": "null",
    "additional_instructions": ["N/A", "none"],
    "accept_other_time": "N/A",
    "timezone": "unknown",
    "session_id": "N/A",
    "wait_seconds": 0,
    "redial": False,
    "confirmation": None,
}
"""What a model sends for the arguments that it does not need, when its client demands all of
them.
"""


async def test_placeholders_of_a_strict_mode_stand_for_absent(
    agent: Agent, app: SandboxApp
) -> None:
    asked = {
        name: BISTRO[name] for name in ("task_category", "task_description", "respondent_phone")
    }
    every = set((await agent.client.list_tools()).tools[0].input_schema["properties"])
    filled = asked | dict.fromkeys(every - asked.keys(), "N/A") | NOTHING
    answer = await agent.use("make_call", filled)
    zero = await agent.use("make_call", filled | {"party_size": 0})

    assert answer.data["status"] == "success"  # a wait of 0 s from a placeholder is ignored
    assert without_disclosure(placed(app)) == asked
    assert zero.text == "Not called. Fix 1 argument:\n- party_size: expected 1 to 50; got 0."


def filled_in(schema: Mapping[str, Any], unknown: str) -> Any:
    """What a model writes for an argument that it does not know, as the schema allows it."""
    if {"type": "null"} in schema.get("anyOf", []):
        return None
    match schema["type"]:
        case "string":
            return unknown
        case "boolean":
            return False
        case "array":
            return [unknown]
    return 0


ONE_TABLE = {name: value for name, value in BISTRO.items() if name != "timezone"}
TWO = [
    {"respondent_phone": "+14155551234"},
    {"respondent_phone": "+14155551236", "business_name": "Second"},
]
STRICT: list[tuple[str, dict[str, Any]]] = [
    ("make_call", ONE_TABLE),
    (
        "make_call",
        {name: BISTRO[name] for name in ("task_category", "task_description", "respondent_phone")},
    ),
    ("call_around", TABLE | {"candidates": TWO}),
]


@pytest.mark.parametrize("unknown", ["none", "null", "0"])
@pytest.mark.parametrize(("tool", "asked"), STRICT)
async def test_filling_in_every_argument_places_the_call(
    agent: Agent, app: SandboxApp, tool: str, asked: dict[str, Any], unknown: str
) -> None:
    (schema,) = (
        each.input_schema for each in (await agent.client.list_tools()).tools if each.name == tool
    )
    filled = {name: filled_in(one, unknown) for name, one in schema["properties"].items()} | asked
    jsonschema.validate(filled, schema)
    answer = await agent.use(tool, filled)

    said = placed(app)
    said.pop("additional_instructions", None)  # about another time
    wanted = {name: value for name, value in asked.items() if name in Submission.model_fields}
    assert said == {"respondent_phone": "+14155551234"} | wanted
    assert answer.data["status"] in ("success", "booked")


async def test_other_forms_of_a_value_are_accepted(agent: Agent, app: SandboxApp) -> None:
    forms = {
        "respondent_phone": "tel:+1-415-555-1234",
        "appointment_time": "19:00:00",
        "party_size": " 4\n",
    }
    answer = await agent.use(
        "make_call", BISTRO | forms, additional_instructions=" by the window", wait_seconds="30"
    )

    assert not answer.is_error
    sent = placed(app)
    assert (sent["respondent_phone"], sent["appointment_time"], sent["party_size"]) == (
        "+14155551234",
        "19:00",
        4,
    )
    assert sent["additional_instructions"][0] == "by the window"
