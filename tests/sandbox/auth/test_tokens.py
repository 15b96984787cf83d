"""The token endpoints: which codes and refresh tokens are accepted."""

import base64
import json
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx2
import pytest

from kallyai_mcp.sandbox.auth.identity_providers import AppleSignIn, GoogleSignIn
from kallyai_mcp.sandbox.auth.token_endpoints import RefreshRequest
from kallyai_mcp.sandbox.auth.token_responses import TokenResponse
from kallyai_mcp.sandbox.docs_page import beyond_the_reference
from kallyai_mcp.sandbox.state import Sandbox
from tests.sandbox.auth.conftest import make_app
from tests.sandbox.auth.requests import (
    CREDENTIALS,
    LOOPBACK,
    PARTNER,
    error_of,
    exchange,
    guarded,
    new_code,
    reason_of,
    renew,
)
from tests.sandbox.manual_clock import ManualClock

REFERENCE = Path(__file__).parents[2] / "reference" / "token.json"


def _basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_a_code_becomes_the_references_token_response(client: httpx2.AsyncClient) -> None:
    response = await exchange(client, await new_code(client, scope="calls:read calls:write"))
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    tokens = response.json()
    assert tokens.keys() - {"token_type"} == reference.keys()
    assert {name: type(tokens[name]) for name in reference} == {name: type(reference[name]) for name in reference}
    assert tokens["token_type"] == "Bearer"
    assert (tokens["expires_in"], tokens["scope"]) == (reference["expires_in"], reference["scope"])
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert (await guarded(client, tokens["access_token"])).json() == "personal@sandbox.test"


async def test_token_type_is_documented_as_beyond_the_reference() -> None:
    assert "token_type" not in json.loads(REFERENCE.read_text(encoding="utf-8"))
    assert "not in the reference" in str(TokenResponse.model_fields["token_type"].description)
    assert any("`token_type`" in choice for choice in beyond_the_reference("en"))


async def test_a_code_grants_only_the_allowed_scopes(client: httpx2.AsyncClient) -> None:
    tokens = (await exchange(client, await new_code(client, scope="calls:write"))).json()
    assert tokens["scope"] == "calls:write"
    assert reason_of(await guarded(client, tokens["access_token"])) == "missing scope: calls:read"


async def test_the_client_may_prove_itself_with_http_basic(client: httpx2.AsyncClient) -> None:
    form = {"grant_type": "authorization_code", "code": await new_code(client), "redirect_uri": LOOPBACK}
    headers = _basic("sandbox%2Dclient", "sandbox%2Dsecret")  # form-encoded, as in RFC 6749, section 2.3.1
    assert (await client.post("/v1/auth/gpt/token", data=form, headers=headers)).status_code == 200


async def test_the_client_id_may_be_in_the_form_beside_http_basic(client: httpx2.AsyncClient) -> None:
    form = {"grant_type": "authorization_code", "code": await new_code(client), "redirect_uri": LOOPBACK}
    form["client_id"] = "sandbox-client"
    headers = _basic("sandbox-client", "sandbox-secret")
    assert (await client.post("/v1/auth/gpt/token", data=form, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        pytest.param({"client_id": "sandbox-client", "client_secret": "wrong"}, {}, id="wrong secret"),
        pytest.param({"client_id": "sandbox-client", "client_secret": "partner-secret"}, {}, id="another's secret"),
        pytest.param({"client_id": "sandbox-client"}, {}, id="no secret"),
        pytest.param({"client_id": "nobody", "client_secret": "sandbox-secret"}, {}, id="unknown client"),
        pytest.param({}, {}, id="no credentials"),
        pytest.param({}, _basic("sandbox-client", "wrong"), id="wrong secret, Basic"),
        pytest.param({}, {"Authorization": "Basic %%%"}, id="broken Basic"),
        pytest.param({}, {"Authorization": "Basic //8="}, id="Basic that is not UTF-8"),
    ],
)
async def test_wrong_client_credentials_are_refused(
    client: httpx2.AsyncClient, form: dict[str, str], headers: dict[str, str]
) -> None:
    code = await new_code(client)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": LOOPBACK} | form
    response = await client.post("/v1/auth/gpt/token", data=form, headers=headers)
    assert error_of(response, 401) == "invalid_client"
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert (await exchange(client, code)).status_code == 200  # the code's client can still use it


async def test_credentials_in_two_places_are_refused(client: httpx2.AsyncClient) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    both = await client.post("/v1/auth/gpt/token", data=form | CREDENTIALS, headers=_basic(*CREDENTIALS.values()))
    assert error_of(both, 400) == "invalid_request"
    two = {**form, "client_id": "sandbox-partner"}
    differing = await client.post("/v1/auth/gpt/token", data=two, headers=_basic(*CREDENTIALS.values()))
    assert error_of(differing, 400) == "invalid_request"


async def test_a_second_use_of_a_code_revokes_its_tokens(client: httpx2.AsyncClient) -> None:
    code = await new_code(client)
    tokens = (await exchange(client, code)).json()
    again = await exchange(client, code)
    assert error_of(again, 400) == "invalid_grant"
    assert "used before" in reason_of(again)
    assert error_of(await guarded(client, tokens["access_token"]), 401) == "invalid_token"
    assert error_of(await renew(client, tokens["refresh_token"]), 400) == "invalid_grant"


async def test_a_code_lasts_a_minute(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    fresh, late = await new_code(client), await new_code(client)
    clock.advance(seconds=59)
    assert (await exchange(client, fresh)).status_code == 200
    clock.advance(seconds=1)
    response = await exchange(client, late)
    assert error_of(response, 400) == "invalid_grant"
    assert "expired" in reason_of(response)


async def test_a_second_use_after_the_code_expired_revokes_its_tokens(
    client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    code = await new_code(client)
    tokens = (await exchange(client, code)).json()
    clock.advance(minutes=10)
    await new_code(client)
    assert "used before" in reason_of(await exchange(client, code))
    assert error_of(await guarded(client, tokens["access_token"]), 401) == "invalid_token"


async def test_a_code_is_bound_to_its_client_and_redirect_uri(client: httpx2.AsyncClient) -> None:
    code = await new_code(client)
    assert "unknown" in reason_of(await exchange(client, code, **PARTNER))
    assert "redirect_uri" in reason_of(await exchange(client, code, redirect_uri=f"{LOOPBACK}/"))
    assert "unknown" in reason_of(await exchange(client, code + "x"))
    assert (await exchange(client, code)).status_code == 200


@pytest.mark.parametrize(
    ("form", "code"),
    [
        pytest.param({}, "invalid_request", id="no grant_type"),
        pytest.param({"grant_type": ""}, "invalid_request", id="empty grant_type"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="another grant_type"),
        pytest.param({"grant_type": "authorization_code", "redirect_uri": LOOPBACK}, "invalid_request", id="no code"),
        pytest.param({"grant_type": "authorization_code", "code": "x"}, "invalid_request", id="no redirect_uri"),
        pytest.param({"grant_type": "refresh_token"}, "invalid_request", id="no refresh_token"),
        pytest.param({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant", id="unknown token"),
    ],
)
async def test_an_incomplete_token_request_says_what_is_wrong(
    client: httpx2.AsyncClient, form: dict[str, str], code: str
) -> None:
    assert error_of(await client.post("/v1/auth/gpt/token", data=form | CREDENTIALS), 400) == code


async def test_a_parameter_given_twice_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = (
        "grant_type=refresh_token&refresh_token=a&refresh_token=b&client_id=sandbox-client&client_secret=sandbox-secret"
    )
    response = await client.post("/v1/auth/gpt/token", content=body, headers=headers)
    assert error_of(response, 400) == "invalid_request"


async def test_a_json_body_is_not_a_token_request(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/auth/gpt/token", json={"grant_type": "refresh_token"} | CREDENTIALS)
    assert error_of(response, 401) == "invalid_client"


async def test_a_clients_refresh_token_rotates(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client, scope="calls:read"))).json()
    second = (await renew(client, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == "calls:read"
    assert (await guarded(client, second["access_token"])).status_code == 200
    assert (await guarded(client, first["access_token"])).status_code == 200  # until it expires
    assert (await renew(client, second["refresh_token"])).status_code == 200


async def test_a_second_use_of_a_clients_refresh_token_revokes_the_family(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client))).json()
    second = (await renew(client, first["refresh_token"])).json()
    stolen = await renew(client, first["refresh_token"])
    assert error_of(stolen, 400) == "invalid_grant"
    assert error_of(await renew(client, second["refresh_token"]), 400) == "invalid_grant"
    assert error_of(await guarded(client, second["access_token"]), 401) == "invalid_token"


async def test_a_clients_refresh_token_needs_that_client(client: httpx2.AsyncClient, sandbox: Sandbox) -> None:
    tokens = (await exchange(client, await new_code(client))).json()
    bare = await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert error_of(bare, 401) == "invalid_token"
    assert error_of(await renew(client, tokens["refresh_token"], **PARTNER), 400) == "invalid_grant"
    first_party = sandbox.issue_tokens("acct-personal")["refresh_token"]
    assert error_of(await renew(client, first_party), 400) == "invalid_grant"
    assert (await renew(client, tokens["refresh_token"])).status_code == 200
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": first_party})).status_code == 200


async def test_another_client_cannot_revoke_a_family_with_a_used_token(client: httpx2.AsyncClient) -> None:
    first = (await exchange(client, await new_code(client))).json()
    second = (await renew(client, first["refresh_token"])).json()
    await renew(client, first["refresh_token"], **PARTNER)
    assert (await renew(client, second["refresh_token"])).status_code == 200


async def test_a_first_party_refresh_rotates_and_keeps_account_and_scopes(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    tokens = sandbox.issue_tokens("acct-trial", ["calls:read"])
    clock.advance(hours=2)
    response = await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    renewed = response.json()
    assert renewed.keys() == tokens.keys()
    assert (renewed["scope"], renewed["expires_in"]) == ("calls:read", 3600)
    assert response.headers["cache-control"] == "no-store"
    assert (await guarded(client, renewed["access_token"])).json() == "trial@sandbox.test"


async def test_a_second_use_of_a_first_party_refresh_token_revokes_the_family(
    client: httpx2.AsyncClient, sandbox: Sandbox
) -> None:
    first = {"refresh_token": sandbox.issue_tokens("acct-personal")["refresh_token"]}
    other = sandbox.issue_tokens("acct-personal")
    second = (await client.post("/v1/auth/refresh", json=first)).json()
    again = await client.post("/v1/auth/refresh", json=first)
    assert error_of(again, 401) == "invalid_token"
    assert "used before" in reason_of(again)
    successor = await client.post("/v1/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert "revoked" in reason_of(successor)
    assert error_of(await guarded(client, second["access_token"]), 401) == "invalid_token"
    assert (await guarded(client, other["access_token"])).status_code == 200  # another sign-in of the same account


async def test_a_refresh_token_expires_after_ninety_days_without_use(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    early, late = (sandbox.issue_tokens("acct-personal")["refresh_token"] for _ in range(2))
    clock.advance(days=89)
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": early})).status_code == 200
    clock.advance(days=1)
    response = await client.post("/v1/auth/refresh", json={"refresh_token": late})
    assert error_of(response, 401) == "invalid_token"
    assert "expired" in reason_of(response)


async def test_expired_sign_ins_are_deleted_and_others_are_not(
    client: httpx2.AsyncClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    old = sandbox.issue_tokens("acct-personal")["refresh_token"]
    clock.advance(days=45)
    living = sandbox.issue_tokens("acct-personal")["refresh_token"]
    clock.advance(days=45)
    sandbox.issue_tokens("acct-personal")
    assert "unknown" in reason_of(await client.post("/v1/auth/refresh", json={"refresh_token": old}))
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": living})).status_code == 200


async def test_of_many_refreshes_at_once_one_succeeds(tmp_path: Path, clock: ManualClock) -> None:
    processes = [Sandbox(tmp_path / "sandbox.db", 1, clock) for _ in range(2)]
    body = {"refresh_token": processes[0].issue_tokens("acct-personal")["refresh_token"]}
    statuses: list[int] = []

    async def refresh(client: httpx2.AsyncClient) -> None:
        statuses.append((await client.post("/v1/auth/refresh", json=body)).status_code)

    with anyio.fail_after(30):
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            for sandbox in processes:
                transport = httpx2.ASGITransport(make_app(sandbox))
                client = httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test")
                await stack.enter_async_context(client)
                for _ in range(4):
                    tasks.start_soon(refresh, client)
    assert sorted(statuses) == [200] + [401] * 7
    for sandbox in processes:
        sandbox.close()


def test_no_body_shows_its_tokens_when_it_is_printed() -> None:
    bodies = [
        RefreshRequest(refresh_token="eyJ..."),
        GoogleSignIn(id_token="eyJ..."),
        AppleSignIn(identity_token="eyJ..."),
        TokenResponse.model_validate(json.loads(REFERENCE.read_text(encoding="utf-8"))),
    ]
    for body in bodies:
        assert "eyJ" not in f"{body!r} {body}"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"refresh_token": null}', b"{"])
async def test_a_refresh_without_a_refresh_token_is_not_valid(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await client.post("/v1/auth/refresh", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "validation_error"


@pytest.mark.parametrize("token", ["", "eyJ...", "x" * 100_000, "\u00f1\u4e16\u754c", "\ud800"])
async def test_an_unknown_refresh_token_is_refused(client: httpx2.AsyncClient, token: str) -> None:
    body, headers = json.dumps({"refresh_token": token}), {"Content-Type": "application/json"}
    assert error_of(await client.post("/v1/auth/refresh", content=body, headers=headers), 401) == "invalid_token"
