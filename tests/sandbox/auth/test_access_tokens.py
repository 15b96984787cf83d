"""`require`: which access tokens are accepted."""

import base64
import json
from pathlib import Path

import httpx2
import jwt
import pytest

from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.state import Sandbox
from tests.sandbox.auth.conftest import make_app
from tests.sandbox.auth.requests import error_of, guarded, reason_of
from tests.sandbox.manual_clock import ManualClock


def _segments(token: str) -> list[str]:
    return token.split(".")


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _payload(token: str) -> dict[str, object]:
    payload: dict[str, object] = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    return payload


async def test_a_valid_token_signs_its_account_in(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    response = await guarded(client, sandbox.issue_tokens("acct-trial")["access_token"])
    assert (response.status_code, response.json()) == (200, "trial@sandbox.test")


async def test_the_scheme_is_read_in_any_case(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    token = sandbox.issue_tokens("acct-personal")["access_token"]
    response = await client.get("/guarded", headers={"authorization": f"bearer {token}"})
    assert response.status_code == 200


def test_an_access_token_contains_account_scopes_and_times(sandbox: Sandbox) -> None:
    now = int(sandbox.clock.now().timestamp())
    first, second = (_payload(sandbox.issue_tokens("acct-personal")["access_token"]) for _ in range(2))
    assert first["sub"] == "acct-personal"
    assert first["email"] == "personal@sandbox.test"
    assert first["scope"] == " ".join(SCOPES)
    assert (first["iat"], first["exp"]) == (now, now + 3600)
    assert first["jti"] != second["jti"]
    assert first["iss"]


async def test_without_a_header_the_token_is_missing(client: httpx2.AsyncClient) -> None:
    response = await client.get("/guarded")
    assert error_of(response, 401) == "missing_token"
    assert "error=" not in response.headers["www-authenticate"]


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "nonsense", ""])
async def test_another_scheme_or_no_token_is_an_invalid_token(client: httpx2.AsyncClient, header: str) -> None:
    response = await client.get("/guarded", headers={"Authorization": header})
    assert error_of(response, 401) == "invalid_token"


async def test_a_token_expires_after_an_hour_by_the_sandboxs_clock(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    token = sandbox.issue_tokens("acct-personal")["access_token"]
    clock.advance(seconds=3599)
    assert (await guarded(client, token)).status_code == 200
    clock.advance(seconds=1)
    response = await guarded(client, token)
    assert error_of(response, 401) == "token_expired"
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_forged_token_is_refused(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    header, payload, signature = _segments(sandbox.issue_tokens("acct-personal", ["sessions:read"])["access_token"])
    claims = _payload(f"{header}.{payload}.{signature}")
    richer = _base64(claims | {"scope": "calls:read"})
    forged = {
        "claims changed": f"{header}.{richer}.{signature}",
        "signature cut": f"{header}.{payload}.",
        "unsigned": f"{_base64({'alg': 'none', 'typ': 'JWT'})}.{richer}.",
        "another key": jwt.encode(claims, "k" * 32, "HS256"),
        "no token": "eyJ...",
        "nested to death": f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30",
        "not ASCII": "\u00e9.\u00e9.\u00e9",
    }
    for what, token in forged.items():
        response = await client.get("/guarded", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
        assert error_of(response, 401) == "invalid_token", what


async def test_a_token_of_another_sandbox_is_refused(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    other = Sandbox(None, 1, clock)
    token = other.issue_tokens("acct-personal")["access_token"]
    other.close()
    assert error_of(await guarded(client, token), 401) == "invalid_token"


async def test_a_missing_scope_is_named(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    token = sandbox.issue_tokens("acct-personal", ["calls:read"])["access_token"]
    response = await client.get("/guarded-twice", headers={"Authorization": f"Bearer {token}"})
    assert error_of(response, 403) == "forbidden"
    assert reason_of(response) == "missing scope: transcripts:read"
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert 'scope="calls:read transcripts:read"' in response.headers["www-authenticate"]


async def test_tokens_survive_a_restart_on_the_same_file(tmp_path: Path, clock: ManualClock) -> None:
    file = tmp_path / "sandbox.db"
    before = Sandbox(file, 1, clock)
    tokens = before.issue_tokens("acct-business")
    before.close()
    after = Sandbox(file, 1, clock)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(make_app(after)), base_url="http://sandbox.test"
    ) as client:
        assert (await guarded(client, tokens["access_token"])).json() == "business@sandbox.test"
        renewed = await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert renewed.status_code == 200
    after.close()


async def test_two_processes_on_one_file_accept_each_others_tokens(tmp_path: Path, clock: ManualClock) -> None:
    file = tmp_path / "sandbox.db"
    one, other = (Sandbox(file, 1, clock) for _ in range(2))
    token = one.issue_tokens("acct-personal")["access_token"]
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(make_app(other)), base_url="http://sandbox.test"
    ) as client:
        assert (await guarded(client, token)).status_code == 200
    one.close()
    other.close()


def test_refresh_tokens_are_not_stored_in_plain_text(tmp_path: Path, clock: ManualClock) -> None:
    sandbox = Sandbox(tmp_path / "sandbox.db", 1, clock)
    secret = sandbox.issue_tokens("acct-personal")["refresh_token"].encode()
    sandbox.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"acct-personal" in kept
    assert secret not in kept


def test_tokens_are_issued_for_known_accounts_and_scopes_only(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no such account: acct-nobody"):
        sandbox.issue_tokens("acct-nobody")
    with pytest.raises(ValueError, match="no such scope: calls:all"):
        sandbox.issue_tokens("acct-personal", ["calls:read", "calls:all"])


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_every_account_can_sign_in(client: httpx2.AsyncClient, sandbox: Sandbox, account: str) -> None:
    tokens = sandbox.issue_tokens(account)
    assert (await guarded(client, tokens["access_token"])).json() == ACCOUNTS[account].email
