"""The reference's "Request Schemas", "Supported Countries", and "Supported Languages"."""

import re
from typing import Any

import phonenumbers
import pytest

from kallyai_mcp.sandbox.validation import SUPPORTED_COUNTRIES
from tests.reference.conftest import EXAMPLE, Service, code_of
from tests.reference.statements import each, states

FIELDS: dict[str, tuple[bool, tuple[Any, ...], tuple[Any, ...]]] = {
    "task_category": (True, ("restaurant", "clinic", "hotel", "general"), ("bar", 1)),
    "task_description": (True, ("Ask for a quiet table",), (["x"],)),
    "respondent_phone": (True, ("+34912345678",), ("4155551234", "+1415")),
    "business_name": (False, ("Casa Añil",), (["x"],)),
    "user_name": (False, ("Ada",), (["x"],)),
    "user_phone": (False, ("+14155550199",), (["x"],)),
    "appointment_date": (False, ("2026-02-28",), ("28.2.2026", "2026-02-30")),
    "appointment_time": (False, ("08:05", "23:00"), ("8:05 PM", "24:00")),
    "time_preference_text": (False, ("morning", "after 5pm"), (["x"],)),
    "party_size": (False, (1, 50), (0, 51, 2.5)),
    "language": (False, ("en", "es"), ("fr",)),
    "call_language": (False, ("en", "es"), ("fr",)),
    "is_urgent": (False, (True, False), ("perhaps",)),
    "additional_instructions": (False, (["By the window", "No peanuts"],), (3,)),
}
"""For each field: whether it is required, values that it takes, and values that it does not take."""


@each("SubmissionPayload", {f"`{name}`": name for name in FIELDS})
def test_a_submission_has_this_field(service: Service, case: str) -> None:
    is_required, good, bad = FIELDS[case]
    for value in good:
        changes = {"business_name": f"For {case} {value}", case: value}
        response, answer = service.post_call(changes), service.make_call(changes)
        assert response.status_code == 201, response.text
        assert not answer.is_error, answer.text
        by_tool = answer.data["submission"].get(case, False)  # what is false, such as `is_urgent`, is left out
        by_tool = by_tool[: len(value)] if isinstance(value, list) else by_tool  # and what is said about other times
        assert response.json()["submission"][case] == by_tool == value
    total = service.json("/v1/calls")["total"]
    for value in bad:
        assert service.post_call({case: value}).status_code in (400, 422)
        # To the tools, 0 stands for absent: a model in a strict mode has to send something.
        assert value == 0 or service.make_call({case: value}).is_error
    assert service.json("/v1/calls")["total"] == total
    without, tool_without = service.post_call({case: None}), service.make_call({case: None, "user_phone": None})
    assert without.status_code == (201 if not is_required else 422 if case == "respondent_phone" else 400)
    assert tool_without.is_error is is_required


@states("CallCreateRequest", '"submission"')
def test_a_request_has_a_submission(service: Service) -> None:
    assert code_of(service.http.post("/v1/calls", json={}, headers={"Authorization": f"Bearer {service.token()}"})) == (
        400,
        "validation_error",
    )
    assert service.use("make_call").is_error


@states("CallCreateRequest", '"timezone"')
def test_the_timezone_says_when_a_time_is_past(service: Service) -> None:
    today = {"appointment_date": "2026-01-25", "appointment_time": "12:00"}  # it is 10:30 in New York, 16:30 in Madrid

    assert service.post_call(today).status_code == 201
    assert not service.make_call(today).is_error
    assert code_of(service.post_call(today, timezone="Europe/Madrid")) == (422, "scheduling_violation")
    assert service.post_call(timezone="Mars/Olympus").status_code == 400
    assert service.make_call(timezone="Mars/Olympus").is_error


@states("CallCreateRequest", '"session_id"')
def test_a_session_id_is_a_text_and_optional(service: Service) -> None:
    assert service.post_call(session_id="s-1").status_code == 201
    assert service.post_call(session_id=["s-1"]).status_code == 400
    assert not service.make_call({"business_name": "In a session"}, session_id="s-1").is_error
    assert service.make_call(session_id=["s-1"]).is_error


def example_number(country: str) -> str:
    number = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.FIXED_LINE)
    assert number is not None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@each("Supported Countries", {"US": ["US"], "Canada": ["CA"], "UK": ["GB"], "Spain": ["ES"]})
def test_this_country_can_be_called(service: Service, case: list[str]) -> None:
    for country in case:
        changes = {"respondent_phone": example_number(country)}
        assert service.post_call(changes).status_code == 201
        assert not service.make_call(changes).is_error


MOST = {
    "AD", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI",
    "LT", "LU", "LV", "MC", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "SM",
}  # fmt: skip


@states("Supported Countries", "most European countries")
def test_most_european_countries_can_be_called(service: Service) -> None:
    assert MOST <= SUPPORTED_COUNTRIES
    for country in sorted(MOST):
        assert service.post_call({"respondent_phone": example_number(country)}).status_code == 201
    assert not service.make_call({"respondent_phone": example_number("DE")}).is_error


@pytest.mark.parametrize("number", ["911", "112", "+1911", "+34112"])
@states("Supported Countries", "Emergency numbers (911, 112, etc.) are blocked")
def test_emergency_numbers_are_blocked(service: Service, number: str) -> None:
    answer = service.make_call({"respondent_phone": number})

    assert code_of(service.post_call({"respondent_phone": number})) == (422, "emergency_number")
    assert answer.is_error
    assert answer.data["code"] == "emergency_number"


@each("Supported Languages", {"English (`en`)": "en", "Spanish (`es`)": "es"})
def test_this_language_is_supported(service: Service, case: str) -> None:
    changes = {"language": case, "call_language": case, "business_name": f"All in {case}"}
    call, answer = service.post_call(changes).json(), service.make_call(changes)
    spoken = service.json(f"/v1/calls/{call['call_id']}/transcript")["entries"]

    for text in (call["highlights"], answer.data["highlights"], " ".join(entry["content"] for entry in spoken)):
        assert is_spanish(text) is (case == "es")


@states("Supported Languages", "Set `language` for app interface")
def test_language_is_for_the_summary_and_call_language_for_the_phone(service: Service) -> None:
    for language, call_language in (("en", "es"), ("es", "en")):
        changes = {"language": language, "call_language": call_language, "business_name": f"Both {language}"}
        call = service.post_call(changes).json()
        answer = service.make_call(changes)
        for call_id, highlights in (
            (call["call_id"], call["highlights"]),
            (answer.data["call_id"], answer.data["highlights"]),
        ):
            spoken = service.use("get_transcript", {"call_id": call_id}).data["entries"]
            assert is_spanish(highlights) is (language == "es")
            assert is_spanish(" ".join(entry["content"] for entry in spoken)) is (call_language == "es")


def is_spanish(text: str) -> bool:
    return re.search(r"\b(una|para|nombre|mesa|hola|gracias)\b", text, re.IGNORECASE) is not None


def test_the_example_is_a_valid_request_of_the_reference() -> None:
    assert EXAMPLE.keys() <= FIELDS.keys()
