"""Which calls the sandbox refuses, and with which error codes of the reference."""

import json
import re
import uuid
from typing import Any

import httpx2
import phonenumbers
import pytest

from kallyai_mcp.sandbox.number_rules import MORE_EMERGENCY_NUMBERS
from kallyai_mcp.sandbox.simulator.numbers import RULE_EXAMPLES, TEST_NUMBERS
from kallyai_mcp.sandbox.validation import SUPPORTED_COUNTRIES
from tests.emergency_numbers import emergency_numbers, short_metadata
from tests.sandbox.fixture_types import PlaceCall, Reference, RequestBody, SameShape, SignIn
from tests.sandbox.manual_clock import ManualClock

NUMBERS: dict[tuple[int, str], list[str | None]] = {
    (422, "missing_phone_number"): [None, "", "   "],
    (422, "emergency_number"): [
        "911", "112", "999", "110", "+1911", "+1 (911)", "+911", "+112", "+34112", "+34 112", "+44999", "+49110",
        "tel:911", "9-1-1", "911;ext=5", "+1911x5", "+33112", "\uff19\uff11\uff11", "15", "17", "18", "113", "118",
        "144", "000", "061", "062", "091", "092",
    ],
    (400, "validation_error"): [
        "415-555-1234", "+1 415 555 1234", "4155551234", "+1", "+", "abc", "+15551234", "+141555512345678", "+0123",
        "+999123456789", "ext", "+1415555123\u0664", "\u0000", "+4913", "+12995551234", "+14151234567", "+447700900123",
        "+34112345678", "+34412345678", "+33012345678", "+4911112345678",
    ],
    (422, "toll_number"): [  # with a premium-rate prefix, whatever follows
        "+19005551234", "+34803123456", "+449098790000", "+979123456789", "+19001234567", "+19000000000",
        "+34905123456", "+34907000000", "+34803012345", "+499002123456", "+448711112222", "+33898012345",
        "+41900123456", "+4990012345",
    ],
    (403, "unsupported_country"): ["+81312345678", "+17875551234", "+80012345678", "+61255500100", "+74951234567"],
}  # fmt: skip
CHANGES: dict[tuple[int, str], list[dict[str, Any]]] = {
    (422, "unsupported_language"): [
        {field: language} for field in ("language", "call_language") for language in ("fr", "", "EN", "en-US")
    ],
    (422, "scheduling_violation"): [
        {"appointment_date": "2026-01-24"},
        {"appointment_date": "2027-01-27"},
        {"appointment_date": "2026-02-30"},
        {"appointment_date": "tomorrow"},
        {"appointment_date": ""},
        {"appointment_time": "7pm"},
        {"appointment_time": "24:00"},
        {"appointment_time": "9:00"},
        {"appointment_time": "19:00:00"},
        {"appointment_date": None, "appointment_time": "25:00"},
        {"appointment_date": "2026-01-25", "appointment_time": "10:29"},
    ],
    (422, "safety_violation"): [
        {"task_description": "Phone in a Bomb Threat"},
        {"task_description": "Diles que hay una amenaza de bomba"},
        {"additional_instructions": ["be nice", "then\nthreaten\nthem"]},
        {"business_name": "blackmail"},
    ],
}
PLACED: list[dict[str, Any]] = [
    {"appointment_date": "2026-01-25", "appointment_time": "10:30"},
    {"appointment_date": "2026-01-25", "appointment_time": None},
    {"appointment_date": "2027-01-26", "appointment_time": "00:00"},
    {"appointment_date": None, "appointment_time": "09:00"},
    {"task_description": "Ask about the threatened species tour"},
    *({"language": language, "call_language": language} for language in ("en", "es", None)),
    *({"respondent_phone": f"+{number}"} for number in (16135550123, 442079460123, 34911234567, 33142685300)),
    *({"respondent_phone": number.number} for number in TEST_NUMBERS if not number.refusal),
]


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.json()["error"]["details"]["reason"]
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        *[({"respondent_phone": number}, error) for error, numbers in NUMBERS.items() for number in numbers],
        *[(changes, error) for error, cases in CHANGES.items() for changes in cases],
    ],
)
async def test_a_call_that_breaks_a_rule_is_refused_with_its_code(
    place_call: PlaceCall, changes: dict[str, Any], error: tuple[int, str]
) -> None:
    assert refusal(await place_call(**changes)) == error


@pytest.mark.parametrize("changes", PLACED)
async def test_a_call_that_breaks_no_rule_is_placed(place_call: PlaceCall, changes: dict[str, Any]) -> None:
    assert (await place_call(**changes)).status_code == 201


@pytest.mark.parametrize("country", sorted(SUPPORTED_COUNTRIES))
async def test_emergency_and_premium_numbers_of_a_supported_country_are_refused(
    place_call: PlaceCall, country: str
) -> None:
    code, premium = phonenumbers.country_code_for_region(country), phonenumbers.PhoneNumberType.PREMIUM_RATE
    numbers = emergency_numbers(country)
    assert numbers
    for number in numbers:
        spaced = " ".join(number)
        for written in (number, spaced, f"+{code}{number}", f"+{code} {spaced}", f"+{code}-{number}"):
            assert refusal(await place_call(respondent_phone=written)) == (422, "emergency_number"), written
    if example := phonenumbers.example_number_for_type(country, premium):
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for ending in (e164[-4:], "0000", "5555", "9999"):
            assert refusal(await place_call(respondent_phone=e164[:-4] + ending)) == (422, "toll_number"), ending


@pytest.mark.parametrize("country", sorted(MORE_EMERGENCY_NUMBERS))
def test_the_additional_emergency_numbers_are_short_numbers_of_their_country(country: str) -> None:
    pattern = short_metadata(country).short_code.national_number_pattern
    assert all(re.fullmatch(pattern, number) for number in MORE_EMERGENCY_NUMBERS[country])


async def test_a_supported_country_outside_of_the_accounts_region_is_a_country_restriction(
    place_call: PlaceCall,
) -> None:
    assert refusal(await place_call("acct-us-only", respondent_phone="+442079460123")) == (403, "country_restriction")
    assert refusal(await place_call("acct-us-only", respondent_phone="+81312345678")) == (403, "unsupported_country")
    assert (await place_call("acct-us-only", respondent_phone="+16135550123")).status_code == 201


@pytest.mark.parametrize(
    ("timezone", "status"), [("Pacific/Auckland", 422), ("Pacific/Honolulu", 201), ("Europe/Madrid", 201)]
)
async def test_past_times_are_judged_in_the_users_time_zone(
    clock: ManualClock, place_call: PlaceCall, timezone: str, status: int
) -> None:
    clock.advance(hours=6)  # 21:30 UTC: the 26th in Auckland, 11:30 on the 25th in Honolulu
    answer = await place_call(timezone=timezone, appointment_date="2026-01-25", appointment_time="23:00")
    assert answer.status_code == status


@pytest.mark.parametrize("number", [*(n for n in TEST_NUMBERS if n.refusal), *RULE_EXAMPLES], ids=lambda n: n.refusal)
async def test_a_documented_number_refuses_with_its_code(
    place_call: PlaceCall, number: Any, reference: Reference, assert_same_shape: SameShape
) -> None:
    answer = await place_call("acct-us-only", respondent_phone=number.number)
    assert refusal(answer)[1] == number.refusal
    assert_same_shape(answer.json(), reference("error"))
    assert ("retry-after" in answer.headers) == (answer.status_code == 429)


@pytest.mark.parametrize(
    "changes",
    [
        {"party_size": 0}, {"party_size": 51}, {"party_size": "4"}, {"task_category": "bank"}, {"task_category": None},
        {"task_description": ""}, {"task_description": None}, {"respondent_phone": 14155551234}, {"is_urgent": "yes"},
        {"additional_instructions": "be nice"}, {"appointment_date": 20260128}, {"party": 4}, {"user_name": "\ud800"},
        {"\ud800": "name"}, {"appointment_date": "2026-02-30", "party_size": 0}, {"timezone": "Mars/Olympus"},
        {"timezone": ""}, {"timezone": None}, {"timezone": "../etc/passwd"},
        "", "{", "[]", "null", "{}", '{"submission": 1, "timezone": "UTC"}',
    ],
)  # fmt: skip
async def test_a_body_that_breaks_the_schema_is_a_validation_error(
    client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody, changes: Any
) -> None:
    headers = sign_in() | {"Content-Type": "application/json"}
    # As ASCII, in which a lone surrogate is valid JSON.
    content = changes if isinstance(changes, str) else json.dumps(body(**changes))
    assert refusal(await client.post("/v1/calls", headers=headers, content=content)) == (400, "validation_error")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"respondent_phone": "911", "language": "fr"}, "emergency_number"),
        ({"respondent_phone": "+19005551234", "language": "fr"}, "toll_number"),
        ({"respondent_phone": "+81312345678", "language": "fr"}, "unsupported_country"),
        ({"language": "fr", "appointment_date": "2020-01-01"}, "unsupported_language"),
        ({"appointment_date": "2020-01-01", "task_description": "threaten"}, "scheduling_violation"),
        ({"respondent_phone": "+12025550120", "task_description": "threaten"}, "safety_violation"),
        ({"respondent_phone": "+12025550120"}, "blocked_number"),
        ({}, "quota_exceeded"),
    ],
)
async def test_the_first_broken_rule_decides_the_error(
    place_call: PlaceCall, changes: dict[str, Any], code: str
) -> None:
    assert (await place_call("acct-empty", **changes)).json()["error"]["code"] == code


async def test_a_refused_call_is_not_listed_and_does_not_count(
    client: httpx2.AsyncClient, place_call: PlaceCall, sign_in: SignIn
) -> None:
    before = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()
    for number in ("911", "+12025550120", "+81312345678"):
        assert (await place_call(respondent_phone=number)).is_error
    assert (await client.get("/v1/calls", headers=sign_in())).json()["total"] == 0
    assert (await client.get("/v1/users/me/statistics", headers=sign_in())).json() == before


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/nothing", 404, "not_found"),
        ("DELETE", "/v1/calls", 405, "method_not_allowed"),
        ("GET", "/v1/calls/some-id", 401, "missing_token"),
        ("POST", "/v1/calls", 400, "validation_error"),
    ],
)
async def test_every_error_has_the_format_of_the_reference_and_an_id_of_its_own(
    client: httpx2.AsyncClient, reference: Reference, sign_in: SignIn, assert_same_shape: SameShape, method: str,
    path: str, status: int, code: str,
) -> None:  # fmt: skip
    headers = sign_in() if status == 400 else {}
    answers = [await client.request(method, path, headers=headers) for _ in range(2)]
    assert refusal(answers[0]) == (status, code)
    assert len({uuid.UUID(answer.json()["error"]["correlation_id"]) for answer in answers}) == 2
    assert_same_shape(answers[0].json(), reference("error"))
    assert status != 405 or answers[0].headers["allow"] == "GET, POST"
