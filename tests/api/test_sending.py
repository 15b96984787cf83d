"""What is sent is exactly the reference."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotFoundError, NotSignedInError
from kallyai_mcp.api.models import Submission
from tests.api.raw_server import SUBMISSION, TOKEN, USER_AGENT, Tokens, answer, reference, talking

EVERY_FIELD: dict[str, Any] = {
    "task_category": "restaurant",
    "task_description": "Reserve table for 4",
    "respondent_phone": "+14155551234",
    "business_name": "Italian Bistro",
    "user_name": "Ana García",
    "user_phone": "+14155550000",
    "appointment_date": "2026-02-14",
    "appointment_time": "19:00",
    "time_preference_text": "after 5pm",
    "party_size": 4,
    "language": "en",
    "call_language": "es",
    "is_urgent": False,
    "additional_instructions": ["Ask for the terrace", "No smoking"],
}


async def test_a_call_is_posted_with_every_field_of_the_reference_and_the_given_key() -> None:
    async with talking(answer(reference("call_details"), 201)) as (client, server):
        submission = Submission.model_validate(EVERY_FIELD)
        key = "8b9f6a0e-6f9e-4d0c-9b57-0a3f0e6f7a11"
        await client.create_call(submission, timezone="America/New_York", session_id="s-1", idempotency_key=key)
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/calls")
    assert seen.json == {"submission": EVERY_FIELD, "timezone": "America/New_York", "session_id": "s-1"}
    assert list(seen.json["submission"]) == list(EVERY_FIELD)
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["idempotency-key"] == key
    assert seen.headers["user-agent"] == USER_AGENT


async def test_what_is_not_set_is_not_sent() -> None:
    async with talking(answer(reference("call_details"), 201)) as (client, server):
        await client.create_call(SUBMISSION)
    (seen,) = server.seen
    assert seen.json == {
        "submission": {
            "task_category": "restaurant",
            "task_description": "Reserve table for 4",
            "respondent_phone": "+14155551234",
        }
    }
    assert "idempotency-key" not in seen.headers
    assert "cookie" not in seen.headers


Asking = Callable[[KallyAI], Awaitable[Any]]


@pytest.mark.parametrize(
    ("ask", "target", "body"),
    [
        (lambda client: client.list_calls(), "/v1/calls?limit=50&offset=0", "call_list"),
        (lambda client: client.list_calls(200, 40), "/v1/calls?limit=200&offset=40", "call_list"),
        (lambda client: client.get_call("3f0c-1d"), "/v1/calls/3f0c-1d", "call_details"),
        (lambda client: client.get_transcript("3f0c-1d"), "/v1/calls/3f0c-1d/transcript", "transcript"),
        (lambda client: client.get_subscription(), "/v1/users/me/subscription", "subscription"),
        (lambda client: client.get_statistics(), "/v1/users/me/statistics", "statistics"),
        (lambda client: client.get_billing_portal(), "/v1/stripe/billing-portal", "billing_portal"),
    ],
)
async def test_each_reading_endpoint_is_asked_with_the_token(ask: Asking, target: str, body: str) -> None:
    async with talking(answer(reference(body))) as (client, server):
        await ask(client)
    (seen,) = server.seen
    assert (seen.method, seen.target, seen.body) == ("GET", target, b"")
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


async def test_the_calendar_is_asked_for_as_a_calendar() -> None:
    ics = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    async with talking(answer(ics, content_type="text/calendar")) as (client, server):
        assert await client.get_calendar("3f0c-1d") == ics.decode()
    (seen,) = server.seen
    assert seen.target == "/v1/calls/3f0c-1d/calendar.ics"
    assert seen.headers["accept"].startswith("text/calendar")


@pytest.mark.parametrize(
    ("ask", "path", "body"),
    [
        (lambda client: client.refresh("r-1"), "/v1/auth/refresh", {"refresh_token": "r-1"}),
        (lambda client: client.validate_google("g-1"), "/v1/auth/google/validate", {"id_token": "g-1"}),
        (lambda client: client.apple_token("a-1"), "/v1/auth/apple/token", {"identity_token": "a-1"}),
    ],
)
async def test_each_json_sign_in_is_posted_without_a_token(ask: Asking, path: str, body: dict[str, str]) -> None:
    async with talking(answer(reference("token"))) as (client, server):
        await ask(client)
    (seen,) = server.seen
    assert (seen.method, seen.target, seen.json) == ("POST", path, body)
    assert "authorization" not in seen.headers


async def test_a_code_is_exchanged_as_a_form_in_the_references_fields() -> None:
    async with talking(answer(reference("token"))) as (client, server):
        await client.exchange_code("the code", "https://x.example/cb?a=1", "my id", "s&cret")
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/auth/gpt/token")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.form == [
        ("grant_type", "authorization_code"),
        ("client_id", "my id"),
        ("client_secret", "s&cret"),
        ("code", "the code"),
        ("redirect_uri", "https://x.example/cb?a=1"),
    ]


async def test_a_codes_refresh_token_is_sent_as_a_form_in_the_references_fields() -> None:
    async with talking(answer(reference("token"))) as (client, server):
        await client.refresh_code("r-1", "my id", "s&cret")
    assert server.seen[0].form == [
        ("grant_type", "refresh_token"),
        ("client_id", "my id"),
        ("client_secret", "s&cret"),
        ("refresh_token", "r-1"),
    ]


@pytest.mark.parametrize(
    ("call_id", "path"),
    [
        ("a/../b?c#d", "/v1/calls/a%2F..%2Fb%3Fc%23d"),
        ("50% off", "/v1/calls/50%25%20off"),
        ("ñ\r\nX: 1", "/v1/calls/%C3%B1%0D%0AX%3A%201"),
        ("half \ud83d pair", "/v1/calls/half%20%3F%20pair"),
    ],
)
async def test_a_call_id_can_not_leave_its_place_in_the_path(call_id: str, path: str) -> None:
    async with talking(answer(reference("call_details"))) as (client, server):
        await client.get_call(call_id)
    assert server.seen[0].target == path


@pytest.mark.parametrize("call_id", ["", ".", ".."])
async def test_an_id_that_would_be_another_endpoint_is_not_found_without_asking(call_id: str) -> None:
    async with talking() as (client, server):
        with pytest.raises(NotFoundError) as caught:
            await client.get_transcript(call_id)
    assert caught.value.code == "call_not_found"
    assert server.connections == 0


async def test_a_path_in_front_of_v1_is_kept() -> None:
    async with (
        talking(answer(reference("call_list"))) as (_, server),
        KallyAI(f"{server.url}/gateway/", tokens=Tokens(TOKEN), user_agent=USER_AGENT) as client,
    ):
        await client.list_calls()
    assert server.seen[0].target == "/gateway/v1/calls?limit=50&offset=0"


async def test_cookies_are_not_kept() -> None:
    replies = [answer(reference("call_list"), set_cookie="who=me; Path=/"), answer(reference("call_list"))]
    async with talking(*replies) as (client, server):
        await client.list_calls()
        await client.list_calls()
    assert "cookie" not in server.seen[1].headers


async def test_a_client_without_a_sign_in_sends_nothing_that_needs_one() -> None:
    async with talking(tokens=None) as (client, server):
        with pytest.raises(NotSignedInError):
            await client.list_calls()
    assert server.connections == 0


@pytest.mark.parametrize("value", ["", "línea", "two\nlines"])
async def test_a_header_that_can_not_be_sent_is_refused_before(value: str) -> None:
    with pytest.raises(ValueError, match="user_agent"):
        KallyAI("http://127.0.0.1:1", user_agent=value)
    async with talking() as (client, server):
        with pytest.raises(ValueError, match="idempotency_key"):
            await client.create_call(SUBMISSION, idempotency_key=value)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_category", "pizza"),
        ("task_description", "  "),
        ("respondent_phone", "415-555-1234"),
        ("respondent_phone", "+1415555123456789"),
        ("respondent_phone", "+٤١٥٥٥٥١٢٣٤"),
        ("appointment_date", "14.02.2026"),
        ("appointment_date", "2026-02-30"),
        ("appointment_date", 1770000000),
        ("appointment_date", "2026-02-14T00:00:00"),
        ("appointment_time", "7pm"),
        ("appointment_time", "24:00"),
        ("appointment_time", "19:00:00"),
        ("party_size", 0),
        ("party_size", 51),
        ("party_size", True),
        ("party_size", "4"),
        ("language", "fr"),
        ("call_language", "EN"),
        ("is_urgent", "yes"),
        ("additional_instructions", "just one"),
    ],
)
def test_a_value_outside_the_references_table_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Submission.model_validate(EVERY_FIELD | {field: value})
    assert {problem["loc"][0] for problem in caught.value.errors()} == {field}


def test_a_submission_is_trimmed_and_takes_a_date_as_a_date() -> None:
    submission = Submission.model_validate(
        EVERY_FIELD | {"business_name": "  Italian Bistro\n", "appointment_date": date(2026, 2, 14)}
    )
    assert submission.as_json() == EVERY_FIELD
    assert submission == Submission.model_validate_json(submission.model_dump_json())
