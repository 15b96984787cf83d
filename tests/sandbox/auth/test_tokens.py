"""Tokens: which are accepted, how they are exchanged and renewed, and what revokes them."""

import base64
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jwt
import pytest

from kallyai_mcp.sandbox.accounts import SCOPES
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.state import Sandbox
from tests.sandbox.auth.requests import (
    CREDENTIALS,
    LOOPBACK,
    PARTNER,
    claims_of,
    error_of,
    exchange,
    guarded,
    new_code,
    reason_of,
    renew,
)
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refresh(client: httpx2.AsyncClient, refresh_token: str) -> httpx2.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": refresh_token})


async def test_an_access_token_has_account_scopes_and_times_and_expires_by_the_sandboxs_clock(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    now = int(clock.now().timestamp())
    token = sandbox.issue_tokens("acct-trial")["access_token"]
    claims = claims_of(token)
    assert (claims["sub"], claims["email"], claims["scope"]) == ("acct-trial", "trial@sandbox.test", " ".join(SCOPES))
    assert (claims["iat"], claims["exp"]) == (now, now + 3600)
    clock.advance(seconds=3599)
    response = await client.get("/v1/calls", headers={"authorization": f"bearer {token}"})
    assert response.status_code == 200
    clock.advance(seconds=1)
    response = await guarded(client, token)
    assert error_of(response, 401) == "token_expired"
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_forged_token_is_refused(client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock) -> None:
    header, payload, signature = sandbox.issue_tokens("acct-personal", ["sessions:read"])["access_token"].split(".")
    claims = claims_of(f"{header}.{payload}.{signature}")
    richer = _base64(claims | {"scope": "calls:read"})
    other = Sandbox(None, 1, clock)
    forged = {
        "claims changed": f"{header}.{richer}.{signature}",
        "signature cut": f"{header}.{payload}.",
        "unsigned": f"{_base64({'alg': 'none', 'typ': 'JWT'})}.{richer}.",
        "another key": jwt.encode(claims, "k" * 32, "HS256"),
        "another sandbox": other.issue_tokens()["access_token"],
        "no token": "eyJ...",
        "nested to death": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30",
        "not ASCII": "\u00e9.\u00e9.\u00e9",
    }
    other.close()
    for what, token in forged.items():
        response = await client.get("/v1/calls", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
        assert error_of(response, 401) == "invalid_token", what


async def test_tokens_survive_a_restart_and_all_processes_on_a_file_accept_them(
    tmp_path: Path, clock: ManualClock
) -> None:
    options: dict[str, Any] = {"data": tmp_path / "sandbox.db", "clock": clock}
    with sandbox_app(**options) as other:
        with sandbox_app(**options) as before:
            tokens = before.state.sandbox.issue_tokens("acct-business")
        with sandbox_app(**options) as after:
            for app in (other, after):
                transport = httpx2.ASGITransport(app)
                async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
                    assert (await guarded(client, tokens["access_token"])).status_code == 200
                    tokens = (await refresh(client, tokens["refresh_token"])).json()


REFRESH = {"grant_type": "refresh_token", "refresh_token": "x"}


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"client_id": "sandbox-client", "client_secret": "partner-secret"}, 401, "invalid_client"),
        ({"client_id": "nobody", "client_secret": "sandbox-secret"}, 401, "invalid_client"),
        ({}, 401, "invalid_client"),
        (CREDENTIALS | {"grant_type": ""}, 400, "invalid_request"),
        (CREDENTIALS | {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (CREDENTIALS | {"grant_type": "authorization_code", "redirect_uri": LOOPBACK}, 400, "invalid_request"),
        (CREDENTIALS | {"grant_type": "authorization_code", "code": "x"}, 400, "invalid_request"),
        (CREDENTIALS | {"refresh_token": ""}, 400, "invalid_request"),
        (CREDENTIALS, 400, "invalid_grant"),
    ],
)
async def test_a_wrong_token_request_says_what_is_wrong(
    client: httpx2.AsyncClient, form: dict[str, str], status: int, code: str
) -> None:
    response = await client.post("/v1/auth/gpt/token", data=REFRESH | form)
    assert error_of(response, status) == code
    assert reason_of(response)
    assert status != 401 or response.headers["www-authenticate"].startswith("Basic ")


async def test_a_code_is_bound_to_its_client_and_redirect_uri_and_lasts_a_minute(
    client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    code, late = await new_code(client), await new_code(client)
    assert "unknown" in reason_of(await exchange(client, code, **PARTNER))
    assert "redirect_uri" in reason_of(await exchange(client, code, redirect_uri=f"{LOOPBACK}/"))
    assert "unknown" in reason_of(await exchange(client, code + "x"))
    clock.advance(seconds=59)
    assert (await exchange(client, code)).status_code == 200
    clock.advance(seconds=1)
    assert "expired" in reason_of(await exchange(client, late))


async def test_a_second_use_of_a_code_revokes_its_tokens(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    code = await new_code(client)
    tokens = (await exchange(client, code)).json()
    clock.advance(minutes=10)
    await new_code(client)  # deletes old codes
    assert "used before" in reason_of(await exchange(client, code))
    assert error_of(await guarded(client, tokens["access_token"]), 401) == "invalid_token"
    assert error_of(await renew(client, tokens["refresh_token"]), 400) == "invalid_grant"


async def test_a_clients_refresh_token_rotates_and_a_second_use_revokes_the_family(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client, scope="calls:read"))).json()
    second = (await renew(client, first["refresh_token"])).json()
    assert second["scope"] == "calls:read"
    for tokens in (first, second):  # the first one until it expires
        assert (await guarded(client, tokens["access_token"])).status_code == 200
    assert error_of(await renew(client, first["refresh_token"], **PARTNER), 400) == "invalid_grant"  # revokes nothing
    second = (await renew(client, second["refresh_token"])).json()
    assert error_of(await renew(client, first["refresh_token"]), 400) == "invalid_grant"
    assert error_of(await renew(client, second["refresh_token"]), 400) == "invalid_grant"
    assert error_of(await guarded(client, second["access_token"]), 401) == "invalid_token"


async def test_a_refresh_token_expires_after_ninety_days_without_use(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    early, late, old = (sandbox.issue_tokens()["refresh_token"] for _ in range(3))
    clock.advance(days=89)
    assert (await refresh(client, early)).status_code == 200
    clock.advance(days=1)
    response = await refresh(client, late)
    assert error_of(response, 401) == "invalid_token"
    assert "expired" in reason_of(response)
    sandbox.issue_tokens()  # deletes those that have expired
    assert "unknown" in reason_of(await refresh(client, old))


async def test_of_many_refreshes_at_once_one_succeeds(tmp_path: Path, clock: ManualClock) -> None:
    processes = [create_app(data=tmp_path / "sandbox.db", clock=clock) for _ in range(2)]
    token = processes[0].state.sandbox.issue_tokens()["refresh_token"]
    statuses: list[int] = []

    async def try_refresh(client: httpx2.AsyncClient) -> None:
        statuses.append((await refresh(client, token)).status_code)

    with anyio.fail_after(30):
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            for app in processes:
                transport = httpx2.ASGITransport(app)
                client = httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test")
                await stack.enter_async_context(client)
                for _ in range(4):
                    tasks.start_soon(try_refresh, client)
    assert sorted(statuses) == [200] + [401] * 7
    for app in processes:
        app.state.sandbox.close()


@pytest.mark.parametrize(
    ("provider", "path", "name"),
    [("google", "/v1/auth/google/validate", "id_token"), ("apple", "/v1/auth/apple/token", "identity_token")],
)
async def test_only_an_id_token_of_the_provider_signs_its_account_in(
    client: httpx2.AsyncClient, sandbox: Sandbox, provider: str, path: str, name: str
) -> None:
    async def made(by: str, **wanted: object) -> str:
        response = await client.post(f"/_sandbox/{by}/id_token", json={"account": "acct-business", **wanted})
        (token,) = response.json().values()
        return str(token)

    response = await client.post(path, json={name: await made(provider)})
    assert response.headers["cache-control"] == "no-store"
    assert (await guarded(client, response.json()["access_token"])).status_code == 200
    assert claims_of(response.json()["access_token"])["email"] == "business@sandbox.test"
    assert (await refresh(client, response.json()["refresh_token"])).status_code == 200

    header, payload, signature = (await made(provider)).split(".")
    richer = _base64(claims_of(f"{header}.{payload}.{signature}") | {"email": "personal@sandbox.test"})
    other = await made({"google": "apple", "apple": "google"}[provider])
    wrong = {"expired": await made(provider, expires_in=0), "of the other provider": other,
             "claims changed": f"{header}.{richer}.{signature}", "empty": "",
             "an access token": sandbox.issue_tokens()["access_token"]}  # fmt: skip
    for what, token in wrong.items():
        code = error_of(await client.post(path, json={name: token}), 401)
        assert code == ("token_expired" if what == "expired" else "invalid_token"), what
    assert (await client.post(path, json={"token": "x"})).status_code == 400
    nobody = await client.post(f"/_sandbox/{provider}/id_token", json={"account": "acct-nobody"})
    assert error_of(nobody, 404) == "account_not_found"
