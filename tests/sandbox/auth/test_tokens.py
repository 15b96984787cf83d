"""Tokens: which are accepted, how they are exchanged and renewed, and what revokes them."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2

from kallyai_mcp.sandbox.accounts import SCOPES
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
from tests.sandbox.sandbox_app import client_of, sandbox_app


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refresh(client: httpx2.AsyncClient, refresh_token: str) -> httpx2.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": refresh_token})


def test_an_access_token_has_account_scopes_and_times(sandbox: Sandbox, clock: ManualClock) -> None:
    now = int(clock.now().timestamp())
    claims = claims_of(sandbox.issue_tokens("acct-trial")["access_token"])
    known = {
        "sub": "acct-trial",
        "email": "trial@sandbox.test",
        "scope": " ".join(SCOPES),
        "iat": now,
        "exp": now + 3600,
    }

    assert {name: claims[name] for name in known} == known


async def test_a_sandbox_token_expires_by_its_clock(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    token = sandbox.issue_tokens()["access_token"]
    clock.advance(seconds=3599)
    in_time = await client.get("/v1/calls", headers={"authorization": f"bearer {token}"})
    clock.advance(seconds=1)
    late = await guarded(client, token)

    assert in_time.status_code == 200
    assert error_of(late, 401) == "token_expired"
    assert 'error="invalid_token"' in late.headers["www-authenticate"]


async def test_a_refresh_token_expires_after_90_days(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    tokens = sandbox.issue_tokens()
    clock.advance(days=90, hours=1)

    assert "expired" in reason_of(await refresh(client, tokens["refresh_token"]))


async def test_a_forged_token_is_refused(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    header, payload, signature = sandbox.issue_tokens("acct-personal", ["sessions:read"])[
        "access_token"
    ].split(".")
    claims = claims_of(f"{header}.{payload}.{signature}")
    richer = _base64(claims | {"scope": "calls:read"})
    other = Sandbox(None, 1, clock)
    forged = {
        "claims changed": f"{header}.{richer}.{signature}",
        "unsigned": f"{_base64({'alg': 'none', 'typ': 'JWT'})}.{richer}.",
        "another sandbox": other.issue_tokens()["access_token"],
        "nested to death": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30",
    }
    other.close()
    for what, token in forged.items():
        assert error_of(await guarded(client, token), 401) == "invalid_token", what


async def test_all_processes_on_a_file_accept_tokens(tmp_path: Path, clock: ManualClock) -> None:
    options: dict[str, Any] = {"data": tmp_path / "sandbox.db", "clock": clock}
    with sandbox_app(**options) as other:
        with sandbox_app(**options) as before:
            tokens = before.state.sandbox.issue_tokens("acct-business")
        with sandbox_app(**options) as after:
            for app in (other, after):
                async with client_of(app) as client:
                    assert (await guarded(client, tokens["access_token"])).status_code == 200
                    tokens = (await refresh(client, tokens["refresh_token"])).json()


REFRESH = {"grant_type": "refresh_token", "refresh_token": "x"}


async def test_a_wrong_token_request_says_what_is_wrong(client: httpx2.AsyncClient) -> None:
    for form, status, code in (
        ({"client_id": "sandbox-client", "client_secret": "partner-secret"}, 401, "invalid_client"),
        ({}, 401, "invalid_client"),
        (CREDENTIALS | {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (CREDENTIALS | {"grant_type": "authorization_code", "code": "x"}, 400, "invalid_request"),
        (CREDENTIALS, 400, "invalid_grant"),
    ):
        response = await client.post("/v1/auth/gpt/token", data=REFRESH | form)
        assert error_of(response, status) == code
        assert reason_of(response)
        assert status != 401 or response.headers["www-authenticate"].startswith("Basic ")


async def test_a_sandbox_code_is_bound_and_lasts_briefly(
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


async def test_reusing_a_sandbox_code_revokes_its_tokens(
    client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    code = await new_code(client)
    tokens = (await exchange(client, code)).json()
    clock.advance(minutes=10)
    await new_code(client)  # deletes old codes
    assert "used before" in reason_of(await exchange(client, code))
    assert error_of(await guarded(client, tokens["access_token"]), 401) == "invalid_token"
    assert error_of(await renew(client, tokens["refresh_token"]), 400) == "invalid_grant"


async def test_a_clients_refresh_token_rotates(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client, scope="calls:read"))).json()
    second = (await renew(client, first["refresh_token"])).json()
    used = [await guarded(client, tokens["access_token"]) for tokens in (first, second)]

    assert second["scope"] == "calls:read"
    assert second["refresh_token"] != first["refresh_token"]
    assert [answer.status_code for answer in used] == [200, 200]  # the first one until it expires


async def test_another_clients_use_of_a_token_revokes_nothing(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client))).json()
    stolen = await renew(client, first["refresh_token"], **PARTNER)

    assert error_of(stolen, 400) == "invalid_grant"
    assert (await renew(client, first["refresh_token"])).status_code == 200


async def test_reusing_a_refresh_token_revokes_its_family(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client))).json()
    second = (await renew(client, first["refresh_token"])).json()
    again = await renew(client, first["refresh_token"])

    assert error_of(again, 400) == "invalid_grant"
    assert error_of(await renew(client, second["refresh_token"]), 400) == "invalid_grant"
    assert error_of(await guarded(client, second["access_token"]), 401) == "invalid_token"


async def test_only_the_providers_id_token_signs_in(
    client: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    async def made(by: str, **wanted: object) -> str:
        response = await client.post(
            f"/_sandbox/{by}/id_token", json={"account": "acct-business", **wanted}
        )
        (token,) = response.json().values()
        return str(token)

    for path, name, provider, other in (
        ("/v1/auth/google/validate", "id_token", "google", "apple"),
        ("/v1/auth/apple/token", "identity_token", "apple", "google"),
    ):
        tokens = (await client.post(path, json={name: await made(provider)})).json()
        assert claims_of(tokens["access_token"])["email"] == "business@sandbox.test"
        assert (await refresh(client, tokens["refresh_token"])).status_code == 200
        for wrong in (await made(other), sandbox.issue_tokens()["access_token"]):
            assert error_of(await client.post(path, json={name: wrong}), 401) == "invalid_token"
        expired = await client.post(path, json={name: await made(provider, expires_in=0)})
        assert error_of(expired, 401) == "token_expired"
    nobody = await client.post("/_sandbox/google/id_token", json={"account": "acct-nobody"})
    assert error_of(nobody, 404) == "account_not_found"
