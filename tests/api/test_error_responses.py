"""Every error response becomes an error of its class, with the service's code and message, without
pages and tokens.
"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from kallyai_mcp.api import errors
from kallyai_mcp.api.errors import KallyAIError, ServiceError
from tests.api.raw_server import FRESH, SUBMISSION, TOKEN, Tokens, client_and_server, reference
from tests.fake_service import answer


async def refused(body: Any, status: int, **headers: str) -> KallyAIError:
    """The error of a POST with this response; it is sent once, or twice after a 401."""
    tries = 2 if status == 401 else 1
    async with client_and_server(
        *[answer(body, status, **headers)] * tries, tokens=Tokens(TOKEN, FRESH)
    ) as (
        client,
        server,
    ):
        with pytest.raises(KallyAIError) as caught:
            await client.create_call(SUBMISSION)
    assert len(server.requests) == tries
    return caught.value


def standard(code: str) -> dict[str, Any]:
    body: dict[str, Any] = reference("error")
    body["error"]["code"] = code
    return body


NUMBERS = {
    422: "missing_phone_number emergency_number toll_number",
    403: "blocked_number suppression_violation country_restriction unsupported_country",
    400: "phone_not_provisioned",
}
CLASSES: list[tuple[int, type[ServiceError], str]] = [
    *((status, errors.NumberRefusedError, codes) for status, codes in NUMBERS.items()),
    (402, errors.BadRequestError, "budget_exceeded budget_approval_required soft_cap_reached"),
    (402, errors.QuotaExceededError, "quota_exceeded"),
    (401, errors.UnauthorizedError, "missing_token token_expired"),
    (403, errors.ForbiddenError, "forbidden"),
    (404, errors.NotFoundError, "call_not_found transcript_not_found recording_not_found"),
    (
        422,
        errors.BadRequestError,
        "safety_violation scheduling_violation consent_denied unsupported_language",
    ),
    (429, errors.RateLimitedError, "rate_limited"),
    *((status, errors.BadRequestError, "Brand.New-Code_1") for status in (400, 409, 418)),
    *((status, errors.UnavailableError, "emergency_number") for status in (500, 503)),
    (700, ServiceError, "Brand.New-Code_1"),
]


async def test_the_status_and_the_code_determine_the_class() -> None:
    for status, kind, codes in CLASSES:
        for code in codes.split():
            error = await refused(standard(code), status)
            assert type(error) is kind
            assert (error.code, error.status) == (code, status)
            assert (error.message, error.reason) == ("Human readable message", "Additional context")
            assert (error.correlation_id, error.retry_after) == ("uuid", None)


MESSAGE, REASON = "Not that day", "They are closed"


@pytest.mark.parametrize(
    ("body", "code", "message", "reason"),
    [
        ({"error": {"code": "c", "message": MESSAGE, "details": REASON}}, "c", MESSAGE, REASON),
        ({"error": {"code": "c", "message": MESSAGE, "reason": REASON}}, "c", MESSAGE, REASON),
        ({"error": {"code": "c", "details": MESSAGE}}, "c", MESSAGE, None),
        (
            {"error": {"code": "c", "details": [MESSAGE, {"message": REASON}, 5]}},
            "c",
            f"{MESSAGE}; {REASON}",
            None,
        ),
        (
            {"error": {"code": None, "details": {"code": "c", "message": MESSAGE}}},
            "c",
            MESSAGE,
            None,
        ),
        ({"error": "c", "message": MESSAGE, "details": {"reason": REASON}}, "c", MESSAGE, REASON),
        ({"error": MESSAGE}, "http_422", MESSAGE, None),
        ({"message": MESSAGE, "details": REASON}, "http_422", MESSAGE, REASON),
        ({"error": {"code": 42, "message": ["a", "b"]}}, "http_422", "a; b", None),
        ({"detail": MESSAGE}, "http_422", MESSAGE, None),
        ({"detail": "toll_number"}, "toll_number", "HTTP 422 Unprocessable Entity", None),
        ({"detail": {"error": {"code": "c", "details": {"message": MESSAGE}}}}, "c", MESSAGE, None),
        (
            {
                "detail": [
                    {"loc": ["body", "submission", "party_size"], "msg": MESSAGE},
                    {"loc": ["body"], "msg": REASON},
                ]
            },
            "http_422",
            f"submission.party_size: {MESSAGE}; body: {REASON}",
            None,
        ),
        (MESSAGE.encode(), "http_422", MESSAGE, None),
        (7, "http_422", "HTTP 422 Unprocessable Entity", None),
        (b"[" * 200_000, "http_422", "[" * 299 + "…", None),
        (
            {"error": {"code": "", "details": {"message": "  "}}},
            "http_422",
            "HTTP 422 Unprocessable Entity",
            None,
        ),
    ],
)
async def test_an_error_is_read_in_each_known_shape(
    body: Any, code: str, message: str, reason: str | None
) -> None:
    error = await refused(body, 422)
    # Python 3.13 renamed the phrase of 422.
    assert error.message.replace("Content", "Entity") == message
    assert (error.code, error.reason) == (code, reason)


QUOTA = reference("quota_exceeded")


async def test_an_exceeded_quota_is_read_in_either_shape() -> None:
    inside = {"error": {"code": "quota_exceeded", "details": {"message": "Out of minutes"} | QUOTA}}
    for body in (QUOTA, inside, {"detail": QUOTA}):
        error = await refused(body, 402)
        assert isinstance(error, errors.QuotaExceededError)
        assert error.code == "quota_exceeded"
        assert {name: getattr(error, name) for name in QUOTA} == QUOTA


PAGE = (
    b"<!DOCTYPE html><html><head><title>Nope</title></head>"
    b"<body><script>alert(1)</script></body></html>"
)


@pytest.mark.parametrize(
    ("status", "page", "headers", "kind", "code"),
    [
        (
            403,
            PAGE,
            {"content_type": "text/html; charset=utf-8"},
            errors.BadRequestError,
            "bot_check",
        ),
        (
            403,
            b"\xef\xbb\xbf \n<HTML>",
            {"content_type": "application/json"},
            errors.BadRequestError,
            "bot_check",
        ),
        (503, PAGE, {"content_type": "text/html"}, errors.UnavailableError, "http_503"),
        (
            429,
            PAGE + b"captcha",
            {"content_type": "text/html"},
            errors.RateLimitedError,
            "http_429",
        ),
    ],
)
async def test_an_error_page_is_told_without_its_text(
    status: int, page: bytes, headers: dict[str, str], kind: type[ServiceError], code: str
) -> None:
    error = await refused(page, status, **headers)
    assert type(error) is kind
    assert error.code == code
    assert "web page" in error.message
    assert "<" not in error.message
    assert "Nope" not in error.message


NOW = "Wed, 21 Oct 2026 07:28:30 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1.5", 1.5),
        ("Wed, 21 Oct 2026 07:30:00 GMT", 90),
        ("Wednesday, 21-Oct-26 07:30:00 GMT", 90),
        ("Wed Oct 21 07:30:00 2026", 90),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert (await refused({}, 429, retry_after=value, date=NOW)).retry_after == seconds


async def test_without_a_date_retry_after_counts_from_now() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    error = await refused({}, 429, retry_after=at)

    assert error.retry_after == pytest.approx(3600, abs=120)


async def test_a_refusal_naming_a_call_means_lost_response() -> None:
    for place in (
        {"call_id": "c"},
        {"error": {"call_id": "c"}},
        {"error": {"details": {"call_id": "c"}}},
    ):
        for status, content_type in (
            (429, "application/json"),
            (422, "text/html"),
            (302, "application/json"),
        ):
            error = await refused(place, status, retry_after="5", content_type=content_type)
            assert isinstance(error, errors.ResponseLostError)
            assert (error.status, error.retry_after) == (status, None)


async def test_an_error_from_outside_is_one_short_line() -> None:
    error = await refused(
        {
            "error": {
                "code": "c",
                "correlation_id": "id\r\n1",
                "details": {
                    "message": "a\x1b[31m\n\tb\u202ec" + "x" * 999,
                    "reason": "\x00" + "y" * 999,
                },
            }
        },
        400,
    )
    assert error.message.startswith("a [31m b cxxx")
    assert error.reason is not None
    assert len(error.message) == len(error.reason) == 300
    assert error.correlation_id == "id 1"
    assert f"{error.message}{error.reason}".isprintable()


OPAQUE = "rt_0123456789abcdefghij"


async def test_a_token_that_the_service_repeats_is_replaced() -> None:
    for said in (f"bad token {TOKEN}", f"Authorization: bearer {OPAQUE}!", "eyJhbGciOiJ was cut"):
        error = await refused(
            {"error": {"code": "c", "details": {"message": said, "reason": said}}}, 400
        )
        text = f"{error!r} {error} {error.reason}"
        assert "[token]" in error.message
        assert not any(part in text for part in ("eyJ", "first-token", OPAQUE))


async def test_an_error_hides_secrets_but_no_grant_type() -> None:
    fields = ("message", "reason", "code", "correlation_id")
    bodies = [{"error": {"code": "c", "message": "m"} | {field: OPAQUE}} for field in fields]
    said = {
        "error": "invalid_client",
        "error_description": f"{OPAQUE} is wrong for authorization_code",
    }
    async with client_and_server(*(answer(body, 400) for body in bodies), answer(said, 401)) as (
        client,
        server,
    ):
        for _ in bodies:
            with pytest.raises(errors.BadRequestError) as refused:
                await client.refresh(OPAQUE)
            assert OPAQUE not in str(vars(refused.value))
            assert "[token]" in str(vars(refused.value))
        with pytest.raises(errors.UnauthorizedError) as caught:
            await client.exchange_code("c", "https://x.example/cb", "id", OPAQUE)
    assert (caught.value.code, caught.value.message) == (
        "invalid_client",
        "[token] is wrong for authorization_code",
    )
    assert len(server.requests) == len(bodies) + 1
