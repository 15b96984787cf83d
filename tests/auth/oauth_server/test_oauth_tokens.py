"""Codes and tokens: what each can be used for, and what not."""

from typing import Any

import pytest

from tests.auth.oauth_server.deployment import (
    READ_SCOPES,
    AuthRequest,
    Deployment,
    User,
    answer_in,
    deploy,
    next_url,
    sign_in,
)
from tests.auth.oauth_server.odd_kallyai import OddKallyAI
from tests.fake_service import fake_service
from tests.transports.http_server import RunningSandbox


def assert_error(response: Any, error: str = "invalid_grant", status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"] == error
    assert response.headers["cache-control"] == "no-store"


def changed(sealed: str) -> str:
    """`sealed` with one letter changed."""
    middle = len(sealed) // 2
    return sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]


async def renew(server: Deployment, tokens: dict[str, Any], **changes: str) -> Any:
    form = {"grant_type": "refresh_token", "client_id": tokens["client_id"], "refresh_token": tokens["refresh_token"]}
    return await server.post("token", form | changes)


async def test_a_code_needs_its_client_its_verifier_and_its_redirect_uri_and_lasts_a_minute(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    auth_request = AuthRequest.to(server, (await server.register())["client_id"])
    form = auth_request.form(await user.code(auth_request.url))
    other = (await server.register())["client_id"]
    for error, changes in (
        ("invalid_grant", {"code_verifier": "w" * 43}),
        ("invalid_grant", {"code_verifier": ""}),
        ("invalid_request", {"redirect_uri": "http://127.0.0.1:5124/back"}),
        ("invalid_grant", {"code": "x"}),
        ("invalid_grant", {"client_id": other}),
    ):
        assert_error(await server.post("token", form | changes), error)
    late = form | {"code": await user.code(auth_request.url)}
    good = await server.post("token", form)
    sandbox.clock.advance(seconds=60)

    assert good.status_code == 200  # no attempt has used the code up
    assert_error(await server.post("token", late))


async def test_an_access_token_expires_with_kallyais_and_a_refresh_token_is_its_clients(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    other = (await server.register())["client_id"]
    used = []
    for seconds in (3599, 1):
        sandbox.clock.advance(seconds=seconds)
        used.append((await server.use(tokens["access_token"], "check_quota")).status_code)
    assert_error(await renew(server, tokens, client_id=other))
    renewed = (await renew(server, tokens)).json()

    assert used == [200, 401]
    assert (await server.use(renewed["access_token"], "check_quota")).status_code == 200


async def test_what_kallyai_has_refused_or_the_user_has_ended_is_refused(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    auth_request = AuthRequest.to(server, (await server.register())["client_id"])
    callback = await user.callback_url(auth_request.url)
    forged = callback.replace(answer_in(callback)["code"], "forged")
    assert_error(await server.post("token", auth_request.form(answer_in(next_url(await user.open(forged)))["code"])))
    tokens = await sign_in(server, user)
    with sandbox.app.state.sandbox.store.transaction() as db:
        db.execute("UPDATE auth_families SET revoked = 1")
    assert_error(await renew(server, tokens))
    code = await user.code(auth_request.url)
    await user.press(await user.open(f"{server.url}/oauth/sign-out"), "")
    assert_error(await server.post("token", auth_request.form(code)))


async def test_a_reused_code_or_refresh_token_is_refused_and_revokes_the_sign_in(
    server: Deployment, user: User
) -> None:
    auth_request = AuthRequest.to(server, (await server.register())["client_id"])
    form = auth_request.form(await user.code(auth_request.url))
    of_code = (await server.post("token", form)).json() | {"client_id": auth_request.client_id}
    of_renewal = await sign_in(server, user)
    renewed = of_renewal | (await renew(server, of_renewal)).json()
    before = [await server.use(each["access_token"], "check_quota") for each in (of_code, renewed)]
    assert_error(await server.post("token", form))
    assert_error(await renew(server, of_renewal))
    after = [await server.use(each["access_token"], "check_quota") for each in (of_code, renewed)]

    assert [response.status_code for response in before + after] == [200, 200, 401, 401]
    for tokens in (of_code, renewed):
        assert_error(await renew(server, tokens))


async def test_a_sealed_token_works_for_its_purpose_only_and_not_after_a_change(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    auth_request = AuthRequest.to(server, tokens["client_id"])
    code = await user.code(auth_request.url)
    for bad in (refresh, code, tokens["client_id"], changed(access), f"{access}=", access[:-4]):
        assert (await server.use(bad, "check_quota")).status_code == 401
    for bad in (access, code, changed(refresh), refresh[1:]):
        assert_error(await renew(server, tokens, refresh_token=bad))
    for bad in (access, refresh, changed(code)):
        assert_error(await server.post("token", auth_request.form(bad)))

    assert (await server.use(access, "check_quota")).status_code == 200


@pytest.mark.parametrize("kind", ["cut_before_read", "unavailable_before"])
async def test_while_kallyai_is_down_codes_and_refresh_tokens_are_not_used_up(
    sandbox: RunningSandbox, server: Deployment, user: User, kind: str
) -> None:
    async def fail_once() -> None:
        plan = {"faults": [{"kind": kind, "path": "/v1/auth/gpt/token"}]}
        assert (await server.http.put(f"{sandbox.url}/_sandbox/faults", json=plan)).status_code == 200

    auth_request = AuthRequest.to(server, (await server.register())["client_id"])
    form = auth_request.form(await user.code(auth_request.url))
    await fail_once()
    no_tokens = await server.post("token", form)
    tokens = (await server.post("token", form)).json() | {"client_id": auth_request.client_id}
    await fail_once()
    no_renewal = await renew(server, tokens)
    renewed = await renew(server, tokens)

    for response in (no_tokens, no_renewal):
        assert_error(response, "temporarily_unavailable", 503)
        assert int(response.headers["retry-after"]) > 0
    assert renewed.status_code == 200


async def test_a_wrong_client_secret_of_the_server_is_logged_and_is_not_the_users_error(
    sandbox: RunningSandbox, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    async with deploy(sandbox, client_secret="not the secret") as server:
        auth_request = AuthRequest.to(server, (await server.register())["client_id"])
        response = await server.post("token", auth_request.form(await user.code(auth_request.url)))

    assert_error(response, "temporarily_unavailable", 503)
    assert "KALLYAI_CLIENT_SECRET" in caplog.text
    assert "not the secret" not in caplog.text


async def test_revoking_a_token_revokes_its_family_for_its_client_only(server: Deployment, user: User) -> None:
    for kind in ("access_token", "refresh_token"):
        tokens = await sign_in(server, user)
        other = (await server.register())["client_id"]
        statuses = []
        for token, client in (("whatever", other), (tokens[kind], other), (tokens[kind], tokens["client_id"])):
            answer = await server.post("revoke", {"token": token, "client_id": client})
            used = await server.use(tokens["access_token"], "check_quota")
            statuses.append((answer.status_code, used.status_code))

        assert statuses == [(200, 200), (200, 200), (200, 401)]
        assert_error(await renew(server, tokens))
        assert_error(await server.post("revoke", {"token": tokens[kind]}), "invalid_client", 401)


async def test_a_token_for_another_server_with_the_same_keys_is_not_valid(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    async with deploy(sandbox) as other:
        used = await other.use(tokens["access_token"], "check_quota")
        renewed = await renew(other, tokens)

    assert used.status_code == 401
    assert_error(renewed)


async def test_a_refresh_token_is_replaced_even_if_kallyais_is_not_and_gets_no_more_than_kallyai_gives(
    sandbox: RunningSandbox, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    kallyai = OddKallyAI()
    async with fake_service(kallyai) as api_url, deploy(sandbox, api_url=api_url) as server:
        auth_request = AuthRequest.to(server, (await server.register())["client_id"])
        form = auth_request.form(await kallyai.code(server, user, auth_request))
        tokens = (await server.post("token", form)).json() | {"client_id": auth_request.client_id}
        kallyai.refresh_token = None
        renewed = (await renew(server, tokens)).json()
        accounts = [await server.verify(given["access_token"]) for given in (tokens, renewed)]
        reused = await renew(server, tokens)
        code = await kallyai.code(server, user, auth_request)
        no_refresh_token = (await server.post("token", form | {"code": code})).json()
        kallyai.scope = "billing:manage"
        no_scope = await server.post("token", form | {"code": await kallyai.code(server, user, auth_request)})

    assert accounts[0] is not None
    assert accounts[1] is not None
    assert (accounts[0].token, accounts[1].token) == ("opaque-1", "opaque-2")
    assert accounts[0].subject == accounts[1].subject  # a renewal does not change the account
    assert tokens["scope"] == renewed["scope"] == READ_SCOPES  # KallyAI did not say the scope: all that was requested
    assert_error(reused)
    assert "was used again" in caplog.text
    assert "refresh_token" not in no_refresh_token
    assert_error(no_scope, "invalid_scope")
