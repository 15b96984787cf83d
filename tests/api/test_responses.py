"""Responses are read without loss if they follow the reference, and in every other shape of the
live service.
"""

import gzip
from datetime import UTC, datetime
from traceback import format_exception
from typing import Any

import pytest

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import BadRequestError, UnreadableResponseError
from kallyai_mcp.api.models import Call, CallPage
from tests.api.raw_server import SUBMISSION, TOKEN, client_and_server, reference
from tests.fake_service import answer


async def ask(method: str, body: Any, status: int = 200, **headers: str) -> Any:
    """What the client's `method` returns for a response."""
    arguments: dict[str, tuple[Any, ...]] = {"create_call": (SUBMISSION,), "refresh": ("r-1",)}
    needs_id = method in {"get_call", "get_transcript", "get_calendar"}
    id_ = str(body.get("call_id") or "").strip() or "c" if isinstance(body, dict) else "c"
    async with client_and_server(answer(body, status, **headers)) as (client, _):
        return await getattr(client, method)(*arguments.get(method, (id_,) if needs_id else ()))


def without_nulls(model: Any) -> Any:
    return model.model_dump(mode="json", exclude_none=True)


async def test_each_payload_of_the_reference_is_read_completely() -> None:
    for method, name in (
        ("get_transcript", "transcript"),
        ("get_subscription", "subscription"),
        ("get_statistics", "statistics"),
        ("get_billing_portal", "billing_portal"),
    ):
        read = without_nulls(await ask(method, reference(name)))
        assert read == {
            field: held for field, held in reference(name).items() if field != "management_url"
        }
    for method in ("create_call", "get_call"):
        call = without_nulls(await ask(method, reference("call_details")))
        assert call | {"metadata": {"created_at": call.pop("created_at")}} == reference(
            "call_details"
        )


async def test_duration_or_highlights_make_unknown_statuses_final() -> None:
    ended = [
        "success",
        "no_answer",
        "busy",
        "failed",
        "voicemail",
        "cancelled",
        "canceled",
        "terminated",
    ]
    for status in (*ended, "in_progress", "queued", "scheduled", "In-Progress", "ringing"):
        seconds = 0 if status in ended else 12  # they tell nothing
        call = await ask(
            "get_call", {"call_id": "c", "status": status, "duration_seconds": seconds}
        )
        assert (call.status, call.is_final) == (status, status in ended)
    more: list[tuple[dict[str, Any], bool]] = [
        ({"status": None}, False),
        ({}, False),
        ({"duration_seconds": 3}, True),
        ({"duration_seconds": 0, "highlights": ""}, False),
        ({"highlights": "Table booked"}, True),
    ]
    for fields, is_final in more:
        assert (
            await ask("get_call", {"call_id": "c", "status": "handed_over"} | fields)
        ).is_final == is_final


@pytest.mark.parametrize(
    "body",
    [
        {
            "created_at": "2026-01-25T15:30:00Z",
            "to": "+14155551234",
            "business_name": "Italian Bistro",
        },
        {
            "metadata": {"created_at": "2026-01-25T16:30:00+01:00"},
            "submission": {"to": "+14155551234", "business_name": "Italian Bistro"},
        },
        {
            "created_at": None,
            "metadata": {"created_at": "2026-01-25 15:30:00.000"},
            "submission": {"respondent_phone": "+14155551234", "business_name": " "},
            "business_name": " Italian Bistro ",
        },
    ],
)
@pytest.mark.parametrize("name", ["calls", "items", None])
async def test_a_list_is_read_in_each_known_shape(name: str | None, body: dict[str, Any]) -> None:
    entries = [{"call_id": "c"} | body]
    page: CallPage = await ask(
        "list_calls", entries if name is None else {name: entries, "total": 1}
    )
    (call,) = page.calls
    assert call.created_at == datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
    assert (call.submission.respondent_phone, call.submission.business_name) == (
        "+14155551234",
        "Italian Bistro",
    )
    assert page.total == (None if name is None else 1)


async def test_a_body_is_unreadable_only_without_a_list() -> None:
    empty: list[Any] = [{"calls": []}, {"calls": None, "total": "0"}, {"items": []}, []]
    for body in empty:
        assert (await ask("list_calls", body)).calls == ()
    none: list[Any] = [{}, {"total": 3}, {"calls": "none"}, {"calls": {"a": 1}}, "calls", 7, None]
    for body in none:
        with pytest.raises(UnreadableResponseError):
            await ask("list_calls", body)


async def test_a_wrong_optional_field_is_read_as_none() -> None:
    numbers: list[Any] = ["abc", True, -1, 10**400, float("nan"), [185.5]]
    moments: list[Any] = [17, "soon", "9999-12-31T23:59:59-12:00", {}]
    wrong: list[dict[str, Any]] = [
        *({"duration_seconds": value} for value in numbers),
        *({"created_at": value} for value in moments),
        {"highlights": {"text": "x"}},
        {"metadata": "none"},
        {"submission": "none"},
        {"submission": {"party_size": 4.5, "is_urgent": "perhaps", "business_name": []}},
        {"credits_used": "many"},
    ]
    for unimportant in wrong:
        call = await ask("create_call", {"call_id": "c", "status": "success"} | unimportant, 201)
        assert call == Call(call_id="c", status="success"), unimportant


ENTRIES: list[dict[str, str | None]] = [
    {"speaker": "AI", "content": "Hello.", "timestamp": "00:00:01"},
    {"speaker": "HUMAN", "content": "Hi.", "timestamp": None},
]


async def test_a_transcript_is_read_in_each_known_shape() -> None:
    renamed = [
        {"role": e["speaker"], "text": e["content"], "timestamp": e["timestamp"]} for e in ENTRIES
    ]
    shapes: list[Any] = [{"entries": ENTRIES}, {"transcript": ENTRIES}, ENTRIES, renamed]
    for body in shapes:
        assert (await ask("get_transcript", body)).model_dump() == {"entries": tuple(ENTRIES)}


async def test_a_billing_link_must_be_a_web_url() -> None:
    for url in (None, 5, "javascript:alert(1)", "https:///p", "https://a b", "http://[::1"):
        with pytest.raises(UnreadableResponseError, match="url"):
            await ask("get_billing_portal", {"url": url})


NO_TOKENS = ("", None, f"{TOKEN} x", f"{TOKEN}\nx", f"{TOKEN}é", TOKEN * 500)
"""What a header can't have."""


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": TOKEN}, [TOKEN], *({"access_token": no} for no in NO_TOKENS)]
)
async def test_a_grant_without_an_access_token_is_unreadable(body: Any) -> None:
    with pytest.raises(UnreadableResponseError) as caught:
        await ask("refresh", body)
    assert "eyJ" not in f"{caught.value!r} {''.join(format_exception(caught.value))}"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "empty"),
        (b'{"call_id": "c"', "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"call_id":' * 700 + b"7" + b"}" * 700, "not JSON|usable"),
        (b"<!DOCTYPE html><p>Sign in to this network", "web page"),
    ],
)
async def test_a_success_without_data_is_unreadable(body: bytes, what: str) -> None:
    with pytest.raises(UnreadableResponseError, match=what) as caught:
        await ask("get_call", body, x_request_id="req-1")
    assert (caught.value.code, caught.value.status, caught.value.correlation_id) == (
        "unreadable_answer",
        200,
        "req-1",
    )
    assert "<" not in caught.value.message


async def test_a_long_body_is_refused_even_if_compressed() -> None:
    assert (
        await ask("get_call", gzip.compress(b'{"call_id": "c"}'), content_encoding="gzip")
    ).call_id == "c"
    long = b'{"call_id": "c", "highlights": "%s"}' % (b"x" * 6_000_000)
    for body, encoding in ((long, "identity"), (gzip.compress(long), "gzip")):
        with pytest.raises(UnreadableResponseError, match="not JSON"):
            await ask("get_call", body, content_encoding=encoding)
        with pytest.raises(BadRequestError) as caught:
            await ask("get_call", body, 400, content_encoding=encoding)
        assert (caught.value.code, len(caught.value.message)) == ("http_400", 300)


def test_the_sign_in_urls_are_the_references() -> None:
    client = KallyAI("https://api.kallyai.com", user_agent="tests")
    assert client.cli_auth_url("http://127.0.0.1:8321", "s t/ä&") == (
        "https://api.kallyai.com/v1/auth/cli?redirect_uri=http://127.0.0.1:8321&state=s%20t/%C3%A4%26"
    )
    assert client.authorize_url(
        "YOUR_CLIENT_ID", "YOUR_REDIRECT_URI", state="RANDOM_STATE", scope="calls:read calls:write"
    ) == (
        "https://api.kallyai.com/v1/auth/authorize?response_type=code&client_id=YOUR_CLIENT_ID"
        "&redirect_uri=YOUR_REDIRECT_URI&state=RANDOM_STATE&scope=calls:read%20calls:write"
    )
