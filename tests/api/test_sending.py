"""Requests are exactly those of the reference."""

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotFoundError
from kallyai_mcp.api.models import Submission
from tests.api.raw_server import TOKEN, USER_AGENT, client_and_server, reference
from tests.fake_service import answer

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


async def test_create_call_posts_every_field() -> None:
    async with client_and_server(answer(reference("call_details"), 201)) as (client, server):
        submission = Submission.model_validate(EVERY_FIELD)
        await client.create_call(submission, timezone="America/New_York", session_id="s-1")
    (request,) = server.requests

    assert (request.method, request.target) == ("POST", "/v1/calls")
    assert request.json == {
        "submission": EVERY_FIELD,
        "timezone": "America/New_York",
        "session_id": "s-1",
    }
    assert list(request.json["submission"]) == list(EVERY_FIELD)


async def test_create_call_sends_its_key_and_token() -> None:
    key = "8b9f6a0e-6f9e-4d0c-9b57-0a3f0e6f7a11"
    async with client_and_server(answer(reference("call_details"), 201)) as (client, server):
        await client.create_call(Submission.model_validate(EVERY_FIELD), idempotency_key=key)
    (request,) = server.requests
    expected = {
        "content-type": "application/json",
        "authorization": f"Bearer {TOKEN}",
        "idempotency-key": key,
        "user-agent": USER_AGENT,
    }

    assert {name: request.headers[name] for name in expected} == expected


Request = Callable[[KallyAI], Awaitable[Any]]


@pytest.mark.parametrize(
    ("ask", "target", "body"),
    [
        (lambda client: client.list_calls(200, 40), "/v1/calls?limit=200&offset=40", "call_list"),
        (lambda client: client.get_call("uuid"), "/v1/calls/uuid", "call_details"),
        (
            lambda client: client.get_transcript("3f0c-1d"),
            "/v1/calls/3f0c-1d/transcript",
            "transcript",
        ),
        (lambda client: client.get_subscription(), "/v1/users/me/subscription", "subscription"),
        (lambda client: client.get_statistics(), "/v1/users/me/statistics", "statistics"),
        (lambda client: client.get_billing_portal(), "/v1/stripe/billing-portal", "billing_portal"),
    ],
)
async def test_a_get_request_has_its_path_and_token(ask: Request, target: str, body: str) -> None:
    async with client_and_server(answer(reference(body), set_cookie="who=me; Path=/")) as (
        client,
        server,
    ):
        await ask(client)
        server.replies = [answer(reference(body))]
        await ask(client)
    for request in server.requests:
        assert (request.method, request.target, request.body) == ("GET", target, b"")
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert "cookie" not in request.headers


async def test_a_token_is_refreshed_with_json() -> None:
    async with client_and_server(answer(reference("token"))) as (client, server):
        await client.refresh("r-1")
    (request,) = server.requests

    assert (request.method, request.target) == ("POST", "/v1/auth/refresh")
    assert request.json == {"refresh_token": "r-1"}
    assert "authorization" not in request.headers


async def test_a_client_gets_tokens_with_forms() -> None:
    async with client_and_server(*[answer(reference("token"))] * 2) as (client, server):
        await client.exchange_code("the code", "https://x.example/cb?a=1", "my id", "s&cret")
        await client.refresh_code("r-1", "my id", "s&cret")
    client_fields = [("client_id", "my id"), ("client_secret", "s&cret")]

    for request in server.requests:
        assert (request.method, request.target) == ("POST", "/v1/auth/gpt/token")
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert [request.form for request in server.requests] == [
        [
            ("grant_type", "authorization_code"),
            *client_fields,
            ("code", "the code"),
            ("redirect_uri", "https://x.example/cb?a=1"),
        ],
        [("grant_type", "refresh_token"), *client_fields, ("refresh_token", "r-1")],
    ]


async def test_an_unsendable_id_is_not_found_without_request() -> None:
    wrong = [
        "",
        "..",
        "c/transcript",
        "c%2Ftranscript",
        "a?b",
        "a#b",
        "\u00f1",
        "a\n",
        "\ud83d",
        "a" * 501,
    ]
    async with client_and_server() as (client, server):
        for call_id, method in product(wrong, ("get_call", "get_transcript", "get_calendar")):
            with pytest.raises(NotFoundError) as caught:
                await getattr(client, method)(call_id)
            assert caught.value.code == "call_id_not_usable"
    assert server.connections == 0


def test_a_submission_refuses_what_the_reference_forbids() -> None:
    wrong: dict[str, list[object]] = {
        "task_category": ["pizza"],
        "task_description": ["  "],
        "respondent_phone": ["415-555-1234", "+1415555123456789", "+٤١٥٥٥٥١٢٣٤"],
        "appointment_date": ["14.02.2026", "2026-02-30", 1770000000, "2026-02-14T00:00:00"],
        "appointment_time": ["7pm", "24:00", "19:00:00"],
        "party_size": [0, 51, True, "4"],
        "language": ["fr"],
        "call_language": ["EN"],
        "is_urgent": ["yes"],
        "additional_instructions": ["just one"],
    }
    for field, values in wrong.items():
        for value in values:
            with pytest.raises(ValidationError) as caught:
                Submission.model_validate(EVERY_FIELD | {field: value})
            assert {problem["loc"][0] for problem in caught.value.errors()} == {field}, value
