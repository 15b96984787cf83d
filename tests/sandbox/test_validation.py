"""Which calls the sandbox refuses, beyond the examples of `tests/reference`, and in which order its
rules apply.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.simulator.numbers import RULE_EXAMPLES, TEST_NUMBERS
from kallyai_mcp.sandbox.simulator.submission import Submission
from kallyai_mcp.sandbox.validation import MORE_EMERGENCY_NUMBERS, SUPPORTED_COUNTRIES, check
from tests.emergency_numbers import emergency_numbers
from tests.reference.cases import EXAMPLE
from tests.sandbox.conftest import PlaceCall, RequestBody, SignIn

NUMBERS: dict[tuple[int, str], list[str]] = {
    (422, "emergency_number"): ["+1 (911)", "+44999", "tel:911", "911;ext=5", "\uff19\uff11\uff11"],
    (400, "validation_error"): [
        "415-555-1234",
        "+1 415 555 1234",
        "+",
        "abc",
        "+15551234",
        "+0123",
        "+1415555123\u0664",
        "\u0000",
    ],
    (422, "toll_number"): ["+979123456789"],
    (403, "unsupported_country"): ["+81312345678", "+17875551234", "+80012345678"],
}
CHANGES: dict[tuple[int, str], list[dict[str, Any]]] = {
    (422, "scheduling_violation"): [
        {"appointment_date": "2027-01-27"},
        {"appointment_date": "tomorrow"},
        {"appointment_date": "2026-01-25", "appointment_time": "10:29"},
    ],
    (422, "safety_violation"): [
        {"task_description": "Diles que hay una amenaza de bomba"},
        {"additional_instructions": ["be nice", "then\nthreaten\nthem"]},
    ],
    (400, "validation_error"): [
        {"user_name": "\ud800"},
        {"timezone": ""},
        {"timezone": "../etc/passwd"},
    ],
}
PLACED: list[dict[str, Any]] = [
    {"appointment_date": "2026-01-25", "appointment_time": "10:30"},
    {"appointment_date": "2027-01-26", "appointment_time": "00:00"},
    {"task_description": "Ask about the threatened species tour"},
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


async def test_a_call_that_breaks_a_rule_is_refused(
    client: httpx2.AsyncClient, place_call: PlaceCall, body: RequestBody, sign_in: SignIn
) -> None:
    headers = sign_in() | {"Content-Type": "application/json"}
    before = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()
    for error, numbers in NUMBERS.items():
        for number in numbers:
            assert refusal(await place_call(respondent_phone=number)) == error, number
    for error, cases in CHANGES.items():
        for changes in cases:  # as ASCII, in which a lone surrogate is valid JSON
            answer = await client.post(
                "/v1/calls", headers=headers, content=json.dumps(body(**changes))
            )
            assert refusal(answer) == error, changes
    assert (await client.get("/v1/calls", headers=sign_in())).json()["total"] == 0
    assert (await client.get("/v1/users/me/statistics", headers=sign_in())).json() == before
    for changes in PLACED:
        assert (await place_call(**changes)).status_code == 201, changes


def code_of(number: str) -> str | None:
    """The code of the error with which a call to this number is refused."""
    try:
        check(
            Submission.model_validate(EXAMPLE | {"respondent_phone": number}),
            ACCOUNTS["acct-personal"],
            ZoneInfo("UTC"),
            datetime.now(UTC),
        )
    except ApiError as error:
        return error.code
    return None


def test_every_countrys_emergency_and_premium_numbers_are_refused() -> None:
    for country in SUPPORTED_COUNTRIES:
        code, premium = (
            phonenumbers.country_code_for_region(country),
            phonenumbers.PhoneNumberType.PREMIUM_RATE,
        )
        numbers = emergency_numbers(country)
        assert numbers
        for number in numbers:
            for written in (number, f"+{code}{number}", f"+{code} {' '.join(number)}"):
                assert code_of(written) == "emergency_number", written
        if example := phonenumbers.example_number_for_type(country, premium):
            e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert code_of(e164) == "toll_number", e164
    for country, more in MORE_EMERGENCY_NUMBERS.items():
        known: Any = PhoneMetadata.short_metadata_for_region(country)
        assert all(
            re.fullmatch(known.short_code.national_number_pattern, number) for number in more
        )


async def test_a_documented_number_refuses_with_its_code(place_call: PlaceCall) -> None:
    refusals = [(line.number, line.refusal) for line in TEST_NUMBERS if line.refusal]
    for number, code in (
        *refusals,
        *((example.number, example.refusal) for example in RULE_EXAMPLES),
    ):
        answer = await place_call("acct-us-only", respondent_phone=number)
        assert refusal(answer)[1] == code
        assert ("retry-after" in answer.headers) == (answer.status_code == 429)


async def test_the_first_broken_rule_decides_the_error(place_call: PlaceCall) -> None:
    for changes, code in ORDER:
        assert (await place_call("acct-empty", **changes)).json()["error"]["code"] == code
