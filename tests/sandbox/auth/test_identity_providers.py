"""Google and Apple sign-in: which ID tokens are accepted."""

import base64
import hmac
import json
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kallyai_mcp.sandbox.state import Sandbox
from tests.sandbox.auth.requests import error_of, guarded

SIGN_IN = {"google": "/v1/auth/google/validate", "apple": "/v1/auth/apple/token"}
NONE = b'{"alg": "none", "typ": "JWT"}'
HS256 = b'{"alg": "HS256", "typ": "JWT"}'
FIELD = {"google": "id_token", "apple": "identity_token"}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


both = pytest.mark.parametrize("provider", ["google", "apple"])


async def make(client: httpx2.AsyncClient, provider: str, **wanted: Any) -> dict[str, str]:
    response = await client.post(f"/_sandbox/{provider}/id_token", json={"account": "acct-business"} | wanted)
    assert response.status_code == 200, response.text
    body: dict[str, str] = response.json()
    return body


@both
async def test_an_id_token_signs_its_account_in(client: httpx2.AsyncClient, provider: str) -> None:
    response = await client.post(SIGN_IN[provider], json=await make(client, provider))
    tokens = response.json()
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert (await guarded(client, tokens["access_token"])).json() == "business@sandbox.test"
    renewed = await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200


@both
async def test_the_published_keys_verify_the_id_token(client: httpx2.AsyncClient, provider: str) -> None:
    token = (await make(client, provider))[FIELD[provider]]
    keys = (await client.get(f"/_sandbox/{provider}/.well-known/jwks.json")).json()
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, options={"verify_aud": False, "verify_exp": False, "verify_iat": False})
    assert claims["email"] == "business@sandbox.test"
    assert all("d" not in one for one in keys["keys"])  # no private key


@both
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        pytest.param({"audience": "another-app"}, "invalid_token", id="wrong audience"),
        pytest.param({"audience": ""}, "invalid_token", id="empty audience"),
        pytest.param({"issuer": "https://issuer.example"}, "invalid_token", id="wrong issuer"),
        pytest.param({"expires_in": 0}, "token_expired", id="just expired"),
        pytest.param({"expires_in": -3600}, "token_expired", id="expired"),
        pytest.param({"email_verified": False}, "invalid_token", id="address not verified"),
        pytest.param({"email": "unknown@sandbox.test"}, "unknown_account", id="no account"),
    ],
)
async def test_an_id_token_with_a_wrong_claim_is_refused(
    client: httpx2.AsyncClient, provider: str, wanted: dict[str, Any], code: str
) -> None:
    response = await client.post(SIGN_IN[provider], json=await make(client, provider, **wanted))
    assert error_of(response, 401) == code


async def test_one_providers_token_is_refused_by_the_other(client: httpx2.AsyncClient) -> None:
    google, apple = (await make(client, "google"))["id_token"], (await make(client, "apple"))["identity_token"]
    assert error_of(await client.post(SIGN_IN["apple"], json={"identity_token": google}), 401) == "invalid_token"
    assert error_of(await client.post(SIGN_IN["google"], json={"id_token": apple}), 401) == "invalid_token"


@both
async def test_a_forged_id_token_is_refused(client: httpx2.AsyncClient, provider: str) -> None:
    token = (await make(client, provider))[FIELD[provider]]
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    other = _base64(json.dumps(claims | {"email": "personal@sandbox.test"}).encode())
    keys = (await client.get(f"/_sandbox/{provider}/.well-known/jwks.json")).json()
    pem = jwt.PyJWKSet.from_dict(keys).keys[0].key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    confused = f"{_base64(HS256)}.{payload}"
    forged = {
        "claims changed": f"{header}.{other}.{signature}",
        "unsigned": f"{_base64(NONE)}.{payload}.",
        "the public key as a secret": f"{confused}.{_base64(hmac.digest(pem, confused.encode(), 'sha256'))}",
        "an access token": "eyJ...",
        "empty": "",
        "half a character": "\ud800.e30.e30",
    }
    for what, forgery in forged.items():
        body = json.dumps({FIELD[provider]: forgery})
        response = await client.post(SIGN_IN[provider], content=body, headers={"Content-Type": "application/json"})
        assert error_of(response, 401) == "invalid_token", what


async def test_id_tokens_are_issued_for_sandbox_accounts_only(client: httpx2.AsyncClient) -> None:
    response = await client.post("/_sandbox/google/id_token", json={"account": "acct-nobody"})
    assert error_of(response, 404) == "account_not_found"


@pytest.mark.parametrize(("provider", "body"), [("google", {"identity_token": "x"}), ("apple", {"id_token": "x"})])
async def test_each_provider_has_its_own_field(client: httpx2.AsyncClient, provider: str, body: dict[str, str]) -> None:
    response = await client.post(SIGN_IN[provider], json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_error")


async def test_the_keys_are_made_once(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    first = (await client.get("/_sandbox/google/.well-known/jwks.json")).json()
    assert (await client.get("/_sandbox/google/.well-known/jwks.json")).json() == first
    with sandbox.store.transaction() as db:
        (count,) = db.execute("SELECT count(*) FROM auth_keys WHERE name = 'google'").fetchone()
    assert count == 1
