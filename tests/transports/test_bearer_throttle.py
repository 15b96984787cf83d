"""An address that sends many invalid bearer tokens is refused, and other clients are not."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kallyai_mcp.cli.serve_http import ServeOptions, build_app
from kallyai_mcp.transports.limits import (
    BearerThrottle,
    RateLimiter,
    TooManyAttemptsError,
    VerificationUnavailableError,
)
from tests.agent import settings_in
from tests.fake_service import fake_service
from tests.transports.http_server import LIMIT, post_initialize, running_app, running_server

SECRET = "a-secret-of-many-characters"
ALLOWED = 20
"""Invalid tokens that one address may send in a minute."""


def bearer_header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def server_for_callers(home: Path, checks: "Counter[str]", **settings: str) -> AsyncIterator[str]:
    """A server on a KallyAI whose valid tokens begin with "good", and which counts the checks of each token."""

    def answer(request: Request) -> tuple[int, object]:
        bearer = request.headers["authorization"].removeprefix("Bearer ")
        checks[bearer] += 1
        if bearer.startswith("good"):
            return 200, {"calls": [], "total": 0}
        return 401, {"error": {"code": "unauthorized", "message": "No"}}

    async with (
        fake_service(answer) as service,
        running_server(settings_in(home, API_URL=service, **settings), auth="caller") as url,
    ):
        yield url


async def test_after_too_many_invalid_tokens_unknown_ones_are_not_checked(tmp_path: Path) -> None:
    checks: Counter[str] = Counter()
    async with server_for_callers(tmp_path, checks) as url:
        known = await post_initialize(url, bearer_header("good-known"))
        answers = [await post_initialize(url, bearer_header(f"bad-{number}")) for number in range(ALLOWED + 2)]
        unknown = await post_initialize(url, bearer_header("good-unknown"))
        without = await post_initialize(url)
        still_known = await post_initialize(url, bearer_header("good-known"))

    assert known.status_code == still_known.status_code == 200
    assert [answer.status_code for answer in answers] == [401] * ALLOWED + [429] * 2
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert unknown.status_code == 429
    assert without.status_code == 401
    assert checks == {"good-known": 1} | {f"bad-{number}": 1 for number in range(ALLOWED)}


async def test_concurrent_invalid_tokens_cause_hardly_more_checks(tmp_path: Path) -> None:
    checks: Counter[str] = Counter()
    codes: Counter[int] = Counter()

    async def send_invalid_token(number: int) -> None:
        codes[(await post_initialize(url, bearer_header(f"bad-{number}"))).status_code] += 1

    async with server_for_callers(tmp_path, checks) as url:
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as tasks:
                for number in range(60):
                    tasks.start_soon(send_invalid_token, number)

    assert set(codes) == {401, 429}
    assert ALLOWED <= codes[401] == checks.total() < ALLOWED + 4


async def test_the_secret_works_after_many_invalid_tokens_from_its_address(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, MCP_TOKEN=SECRET)
    async with running_server(settings, auth="secret") as url:
        answers = [await post_initialize(url, bearer_header("wrong")) for _ in range(ALLOWED + 1)]
        right = await post_initialize(url, bearer_header(SECRET))

    assert [answer.status_code for answer in answers] == [401] * ALLOWED + [429]
    assert right.status_code == 200


async def test_an_address_that_a_client_names_itself_is_not_believed(tmp_path: Path) -> None:
    async with server_for_callers(tmp_path, Counter()) as url:
        guesses = [
            (await post_initialize(url, bearer_header("bad") | {"X-Forwarded-For": f"192.0.2.{number}"})).status_code
            for number in range(ALLOWED + 1)
        ]

    assert guesses == [401] * ALLOWED + [429]


async def test_an_address_that_uvicorn_took_from_a_client_is_not_believed(tmp_path: Path) -> None:
    """Without `--no-proxy-headers`, uvicorn's own command line believes every program on this machine."""
    settings = settings_in(tmp_path, MCP_TOKEN=SECRET)
    app = build_app(settings, ServeOptions("127.0.0.1", "secret"))
    # uvicorn has types of its own for the same ASGI app.
    async with running_app(ProxyHeadersMiddleware(app, "127.0.0.1")) as url:  # type: ignore[arg-type]
        guesses = [
            (await post_initialize(url, bearer_header("bad") | {"X-Forwarded-For": address})).status_code
            for number in range(ALLOWED // 2 + 1)
            for address in (f"192.0.2.{number}", f"[2001:db8:{number}::1]:5000")
        ]
        right = await post_initialize(url, bearer_header(SECRET) | {"X-Forwarded-For": "192.0.2.1"})

    assert guesses == [401] * ALLOWED + [429] * 2
    assert right.status_code == 200


async def test_clients_behind_a_trusted_proxy_are_counted_by_their_own_addresses(tmp_path: Path) -> None:
    checks: Counter[str] = Counter()
    async with server_for_callers(tmp_path, checks, TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1") as url:
        one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        wrong = [(await post_initialize(url, bearer_header("bad") | one)).status_code for _ in range(ALLOWED + 1)]
        right = await post_initialize(url, bearer_header("good") | other)

    assert wrong[-1] == 429
    assert right.status_code == 200


async def test_a_client_on_the_machine_of_a_trusted_proxy_is_counted_and_warned_of_by_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with server_for_callers(tmp_path, Counter(), TRUSTED_PROXIES="127.0.0.1") as url:
        answered = await post_initialize(url, bearer_header("good") | {"X-Forwarded-For": "127.0.0.1"})

    assert answered.status_code == 200
    assert "uvicorn has replaced" not in caplog.text


def throttle(verify: Callable[[str], object], *, known: str = "", allowed: str = "2/hour") -> BearerThrottle:
    async def verifier(bearer: str) -> AccessToken | None:
        if isinstance(found := verify(bearer), Exception):
            raise found
        return AccessToken(token=bearer, client_id="tests", scopes=[]) if found else None

    return BearerThrottle(verifier, lambda bearer: bearer == known, RateLimiter(allowed))


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("/run/proxy.sock", "/run/proxy.sock", True),
    ],
)
async def test_which_addresses_count_as_one(first: str, second: str, shared: bool) -> None:
    throttled = throttle(lambda _: False)
    assert [await throttled.check("bad", first) for _ in range(2)] == [None, None]

    if shared:
        with pytest.raises(TooManyAttemptsError) as refused:
            await throttled.check("bad", second)
        assert refused.value.retry_after > 3000
    else:
        assert await throttled.check("bad", second) is None


async def test_a_token_that_can_not_be_checked_is_not_counted() -> None:
    verdict: list[object] = [VerificationUnavailableError(7)]
    throttled = throttle(lambda _: verdict[0])
    for _ in range(3):
        with pytest.raises(VerificationUnavailableError):
            await throttled.check("whatever", "192.0.2.1")
    verdict[0] = True

    assert await throttled.check("whatever", "192.0.2.1") is not None
