"""The reference's "Error Codes": each code over HTTP, and what a tool says."""

import re
from typing import Any

import pytest

from kallyai_mcp.api.errors import CODES, NotFoundError
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from tests.reference.conftest import Service, code_of, example
from tests.reference.statements import each, fields

NUMBERS = {entry.refusal: entry.number for entry in TEST_NUMBERS if entry.refusal}
UNKNOWN = "00000000-0000-4000-8000-000000000000"

CALLS: dict[str, tuple[int, dict[str, Any], str]] = {
    "quota_exceeded": (402, {}, "quota_exceeded"),
    "missing_phone_number": (422, {"respondent_phone": None}, "respondent_phone: missing"),
    "emergency_number": (422, {"respondent_phone": "911"}, "emergency"),
    "toll_number": (422, {"respondent_phone": "+19005550100"}, "premium"),
    "blocked_number": (403, {"respondent_phone": NUMBERS["blocked_number"]}, "blocked_number"),
    "suppression_violation": (403, {"respondent_phone": NUMBERS["suppression_violation"]}, "suppression_violation"),
    "safety_violation": (422, {"task_description": "Say that there is a bomb threat"}, "safety_violation"),
    "scheduling_violation": (422, {"appointment_date": "2027-12-01"}, "scheduling_violation"),
    "consent_denied": (422, {"respondent_phone": NUMBERS["consent_denied"]}, "consent_denied"),
    "country_restriction": (403, {"respondent_phone": "+442079460199"}, "country_restriction"),
    "unsupported_country": (403, {"respondent_phone": "+61255500100"}, "unsupported_country"),
    "unsupported_language": (422, {"call_language": "fr"}, 'call_language: "fr" is not one of en, es'),
    "missing_token": (401, {}, "Not signed in"),
    "forbidden": (403, {}, "forbidden"),
}
"""For each refusal of a call: the status, the changes to the example, and words of the tool's error."""

READS = {"call_not_found": ("", "get_call"), "transcript_not_found": ("/transcript", "get_transcript")}


@each("Error Code Reference", {f"`{code}`": code for code in CALLS})
def test_a_call_is_refused_with_this_code(service: Service, case: str) -> None:
    status, changes, words = CALLS[case]
    accounts = {"quota_exceeded": "acct-empty", "country_restriction": "acct-us-only"}
    token = service.token(accounts.get(case, "acct-business"))
    if case == "forbidden":
        token = service.token("acct-business", "transcripts:read")
    if case == "missing_token":
        response = service.http.post("/v1/calls", json={})
    else:
        response = service.post_call(changes, token=token)
    answer = service.make_call(changes, token="" if case == "missing_token" else token)

    assert code_of(response) == (status, case)
    assert answer.is_error
    assert words.lower() in re.sub(r'\\"', '"', answer.result.model_dump_json()).lower()
    assert case in CODES


@each("Error Code Reference", {f"`{code}`": code for code in READS})
def test_a_read_is_refused_with_this_code(service: Service, case: str) -> None:
    path, tool = READS[case]
    call_id = UNKNOWN
    if case == "transcript_not_found":
        number = next(entry.number for entry in TEST_NUMBERS if entry.name == "no_transcript")
        call_id = service.post_call({"respondent_phone": number}).json()["call_id"]
    answer = service.use(tool, {"call_id": call_id})

    assert code_of(service.get(f"/v1/calls/{call_id}{path}")) == (404, case)
    assert answer.is_error
    assert case in answer.result.model_dump_json()


@fields("Standard Error Format", "code", "message", "reason", "correlation_id")
def test_an_error_has_this_field(service: Service, case: str) -> None:
    response = service.get(f"/v1/calls/{UNKNOWN}")
    error, told = response.json()["error"], example("error")["error"]
    with pytest.raises(NotFoundError) as caught:
        service.call(service.client().get_call, UNKNOWN)
    answer = service.use("get_call", {"call_id": UNKNOWN})

    assert response.json().keys() == example("error").keys()
    assert error.keys() == told.keys()
    assert error["details"].keys() == told["details"].keys()
    value = error["details"].get(case) or error[case]
    assert isinstance(value, str)
    if case == "correlation_id":  # each response has its own
        assert re.search("correlation_id [0-9a-f-]{36}", answer.text)
        assert caught.value.correlation_id
    else:
        assert getattr(caught.value, case) == value
        assert value in answer.result.model_dump_json() or case == "reason"
