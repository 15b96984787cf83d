"""Which calls the sandbox refuses, beyond the examples of `tests/reference`, and in which order its rules apply."""

import json
import re
import uuid
from typing import Any

import httpx2
import phonenumbers

from kallyai_mcp.sandbox.simulator.numbers import RULE_EXAMPLES, TEST_NUMBERS
from kallyai_mcp.sandbox.validation import MORE_EMERGENCY_NUMBERS, SUPPORTED_COUNTRIES
from tests.emergency_numbers import emergency_numbers, short_metadata
from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn

NUMBERS: dict[tuple[int, str], list[str]] = {
    (422, "emergency_number"): [
        "999", "+1 (911)", "+112", "+34 112", "+44999", "tel:911", "9-1-1", "911;ext=5", "+1911x5",
        "\uff19\uff11\uff11", "15", "118", "000", "061", "092",
    ],
    (400, "validation_error"): [
        "415-555-1234", "+1 415 555 1234", "+", "abc", "+15551234", "+141555512345678", "+0123", "+999123456789",
        "+1415555123\u0664", "\u0000", "+14151234567", "+34112345678", "+33012345678",
    ],
    (422, "toll_number"): ["+19005551234", "+34803123456", "+449098790000", "+979123456789"],
    (403, "unsupported_country"): ["+81312345678", "+17875551234", "+80012345678", "+74951234567"],
}  # fmt: skip
CHANGES: dict[tuple[int, str], list[dict[str, Any]]] = {
    (422, "scheduling_violation"): [
        {"appointment_date": "2027-01-27"},
        {"appointment_date": "tomorrow"},
        {"appointment_date": None, "appointment_time": "25:00"},
        {"appointment_date": "2026-01-25", "appointment_time": "10:29"},
    ],
    (422, "safety_violation"): [
        {"task_description": "Diles que hay una amenaza de bomba"},
        {"additional_instructions": ["be nice", "then\nthreaten\nthem"]},
        {"business_name": "blackmail"},
    ],
    (400, "validation_error"): [
        {"party": 4}, {"user_name": "\ud800"}, {"\ud800": "name"}, {"appointment_date": 20260128},
        {"appointment_date": "2026-02-30", "party_size": 0}, {"timezone": ""}, {"timezone": None},
        {"timezone": "../etc/passwd"}, {"additional_instructions": ["\udfff"]},
    ],
}  # fmt: skip
PLACED: list[dict[str, Any]] = [
    {"appointment_date": "2026-01-25", "appointment_time": "10:30"},
    {"appointment_date": "2026-01-25", "appointment_time": None},
    {"appointment_date": "2027-01-26", "appointment_time": "00:00"},
    {"appointment_date": None, "appointment_time": "09:00"},
    {"task_description": "Ask about the threatened species tour"},
    *({"respondent_phone": number.number} for number in TEST_NUMBERS if not number.refusal),
]
ORDER: list[tuple[dict[str, Any], str]] = [
    ({"respondent_phone": "911", "language": "fr"}, "emergency_number"),
    ({"respondent_phone": "+19005551234", "language": "fr"}, "toll_number"),
    ({"respondent_phone": "+81312345678", "language": "fr"}, "unsupported_country"),
    ({"language": "fr", "appointment_date": "2020-01-01"}, "unsupported_language"),
    ({"appointment_date": "2020-01-01", "task_description": "threaten"}, "scheduling_violation"),
    ({"respondent_phone": "+12025550120", "task_description": "threaten"}, "safety_violation"),
    ({"respondent_phone": "+12025550120"}, "blocked_number"),
    ({}, "quota_exceeded"),
]


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.json()["error"]["details"]["reason"]
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_call_that_breaks_a_rule_is_refused_with_its_code_and_does_not_count(
    client: httpx2.AsyncClient, place_call: PlaceCall, body: RequestBody, sign_in: SignIn
) -> None:
    headers = sign_in() | {"Content-Type": "application/json"}
    before = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()
    for error, numbers in NUMBERS.items():
        for number in numbers:
            assert refusal(await place_call(respondent_phone=number)) == error, number
    for error, cases in CHANGES.items():
        for changes in cases:  # as ASCII, in which a lone surrogate is valid JSON
            answer = await client.post("/v1/calls", headers=headers, content=json.dumps(body(**changes)))
            assert refusal(answer) == error, changes
    assert (await client.get("/v1/calls", headers=sign_in())).json()["total"] == 0
    assert (await client.get("/v1/users/me/statistics", headers=sign_in())).json() == before


async def test_a_call_that_breaks_no_rule_is_placed(place_call: PlaceCall) -> None:
    for changes in PLACED:
        assert (await place_call("acct-business", **changes)).status_code == 201, changes


async def test_emergency_and_premium_numbers_of_every_supported_country_are_refused(place_call: PlaceCall) -> None:
    for country in SUPPORTED_COUNTRIES:
        code, premium = phonenumbers.country_code_for_region(country), phonenumbers.PhoneNumberType.PREMIUM_RATE
        numbers = emergency_numbers(country)
        assert numbers
        for number in numbers:
            for written in (number, f"+{code}{number}", f"+{code} {' '.join(number)}"):
                assert refusal(await place_call(respondent_phone=written)) == (422, "emergency_number"), written
        if example := phonenumbers.example_number_for_type(country, premium):
            e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert refusal(await place_call(respondent_phone=e164)) == (422, "toll_number"), e164
    for country, more in MORE_EMERGENCY_NUMBERS.items():
        assert all(re.fullmatch(short_metadata(country).short_code.national_number_pattern, number) for number in more)


async def test_a_documented_number_refuses_with_its_code(place_call: PlaceCall) -> None:
    refusals = [(line.number, line.refusal) for line in TEST_NUMBERS if line.refusal]
    for number, code in (*refusals, *((example.number, example.refusal) for example in RULE_EXAMPLES)):
        answer = await place_call("acct-us-only", respondent_phone=number)
        assert refusal(answer)[1] == code
        assert ("retry-after" in answer.headers) == (answer.status_code == 429)


async def test_a_body_that_is_no_request_is_a_validation_error(
    client: httpx2.AsyncClient, sign_in: SignIn, body: RequestBody
) -> None:
    headers = sign_in() | {"Content-Type": "application/json"}
    for content in ("", "{", "[]", "null", '{"submission": 1, "timezone": "UTC"}', json.dumps(body())[:-1]):
        answer = await client.post("/v1/calls", headers=headers, content=content)
        assert refusal(answer) == (400, "validation_error"), content


async def test_the_first_broken_rule_decides_the_error(place_call: PlaceCall) -> None:
    for changes, code in ORDER:
        assert (await place_call("acct-empty", **changes)).json()["error"]["code"] == code


async def test_every_error_has_an_id_of_its_own_and_a_405_says_what_is_allowed(client: httpx2.AsyncClient) -> None:
    answers = [await client.delete("/v1/calls") for _ in range(2)]
    assert len({uuid.UUID(answer.json()["error"]["correlation_id"]) for answer in answers}) == 2
    assert refusal(answers[0]) == (405, "method_not_allowed")
    assert answers[0].headers["allow"] == "GET, POST"
