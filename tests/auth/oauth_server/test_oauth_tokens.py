"""Codes and tokens: what each can be used for, and what not."""

import base64
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.auth.oauth_server.deployment import (
    READ_SCOPES,
    Deployment,
    OddKallyAI,
    User,
    answer_in,
    deploy,
    next_url,
    opened,
    seals,
    sign_in,
)
from tests.fake_service import fake_service
from tests.transports.http_server import LIMIT, RunningSandbox, connected_agent
from tests.transports.test_lists_over_http import AROUND


def assert_error(response: Any, error: str = "invalid_grant", status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"] == error
    assert response.headers["cache-control"] == "no-store"


def changed(sealed: str) -> str:
    """`sealed` with one letter changed."""
    middle = len(sealed) // 2
    return sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]


async def statuses(server: Deployment, *access_tokens: str) -> list[int]:
    return [(await server.use(token)).status_code for token in access_tokens]


async def test_a_code_needs_what_it_was_requested_with(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    client, other = await server.new_client(), await server.new_client()
    code, late = [await user.code(server.authorize_url(client)) for _ in range(2)]
    for error, changes in (
        ("invalid_grant", {"code_verifier": "w" * 43}),
        ("invalid_request", {"redirect_uri": "http://127.0.0.1:5124/back"}),
        ("invalid_grant", {"code": "x"}),
        ("invalid_grant", {"client_id": other}),
    ):
        assert_error(await server.redeem(client, code, **changes), error)
    good = await server.redeem(client, code)
    sandbox.clock.advance(seconds=60)

    assert good.status_code == 200  # no attempt has used the code up
    assert_error(await server.redeem(client, late))


async def test_an_access_token_expires_with_kallyais(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    used = []
    for seconds in (3599, 1):
        sandbox.clock.advance(seconds=seconds)
        used += await statuses(server, tokens["access_token"])
    assert_error(await server.renew(tokens, client_id=await server.new_client()))
    renewed = (await server.renew(tokens)).json()

    assert used == [200, 401]
    assert await statuses(server, renewed["access_token"]) == [200]


async def test_a_sign_in_that_ended_is_refused(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    client = await server.new_client()
    callback = await user.callback_url(server.authorize_url(client))
    forged = callback.replace(answer_in(callback)["code"], "forged")
    assert_error(await server.redeem(client, answer_in(next_url(await user.open(forged)))["code"]))
    tokens = await sign_in(server, user)
    with sandbox.app.state.sandbox.store.transaction() as db:
        db.execute("UPDATE auth_families SET revoked = 1")
    assert_error(await server.renew(tokens))
    assert await statuses(server, tokens["access_token"]) == [401]
    code = await user.code(server.authorize_url(client))
    await user.press(await user.open(server.url), "")
    assert_error(await server.redeem(client, code))


async def test_reusing_codes_or_tokens_revokes_the_sign_in(server: Deployment, user: User) -> None:
    client = await server.new_client()
    code = await user.code(server.authorize_url(client))
    of_code = (await server.redeem(client, code)).json() | {"client_id": client}
    of_renewal = await sign_in(server, user)
    renewed = of_renewal | (await server.renew(of_renewal)).json()
    both = (of_code["access_token"], renewed["access_token"])
    assert await statuses(server, *both) == [200, 200]
    assert_error(await server.redeem(client, code))
    assert_error(await server.renew(of_renewal))
    assert await statuses(server, *both) == [401, 401]
    for tokens in (of_code, renewed):
        assert_error(await server.renew(tokens))


@dataclass(frozen=True)
class Sealed:
    """What one sign-in gets from the server."""

    tokens: dict[str, Any]
    code: str

    @property
    def access(self) -> str:
        return str(self.tokens["access_token"])

    @property
    def refresh(self) -> str:
        return str(self.tokens["refresh_token"])

    @property
    def client(self) -> str:
        return str(self.tokens["client_id"])


@pytest.fixture
async def sealed(server: Deployment, user: User) -> Sealed:
    tokens = await sign_in(server, user)
    return Sealed(tokens, await user.code(server.authorize_url(tokens["client_id"])))


async def test_only_an_access_token_is_accepted(server: Deployment, sealed: Sealed) -> None:
    access = sealed.access
    wrong = [
        *(sealed.refresh, sealed.code, sealed.client),
        *(changed(access), f"{access}=", access[:-4]),
    ]

    assert await statuses(server, *wrong) == [401] * 6
    assert await statuses(server, access) == [200]


async def test_only_a_refresh_token_can_be_renewed(server: Deployment, sealed: Sealed) -> None:
    for bad in (sealed.access, sealed.code, changed(sealed.refresh), sealed.refresh[1:]):
        assert_error(await server.renew(sealed.tokens, refresh_token=bad))


async def test_only_a_code_can_be_redeemed(server: Deployment, sealed: Sealed) -> None:
    for bad in (sealed.access, sealed.refresh, changed(sealed.code)):
        assert_error(await server.redeem(sealed.client, bad))


async def test_no_other_token_opens_the_consent_page(
    server: Deployment, user: User, sealed: Sealed
) -> None:
    others = [sealed.access, sealed.refresh, sealed.code, sealed.client, changed(sealed.code), ""]
    for bad in others:
        page = await user.open(f"{server.url}/oauth/consent?request={bad}")

        assert (page.status_code, "<form" in page.text) == (400, False)


async def test_another_server_accepts_no_token(sandbox: RunningSandbox, sealed: Sealed) -> None:
    async with deploy(sandbox) as other:  # with the same keys
        assert await statuses(other, sealed.access) == [401]
        assert_error(await other.renew(sealed.tokens), "invalid_client", 401)


async def test_no_sealed_token_shows_kallyais(
    server: Deployment, user: User, sealed: Sealed
) -> None:
    cookies = (cookie.value or "" for cookie in user.http.cookies.jar)
    given = " ".join([sealed.access, sealed.refresh, *cookies])

    for part in opened(server, sealed.access)["token"].split("."):
        assert part not in given
        assert base64.urlsafe_b64encode(part.encode()).decode().strip("=")[:20] not in given


async def test_a_token_for_another_server_is_refused(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user, resource=f"{server.issuer}/sse")
    own = opened(server, tokens["access_token"])
    elsewhere = own | {"resource": "https://elsewhere.example/mcp", "generation": 9}
    refresh, access = [seals(server).seal(purpose, elsewhere) for purpose in ("refresh", "access")]

    assert own["resource"] == f"{server.issuer}/sse"
    assert_error(await server.renew(tokens, refresh_token=refresh))
    assert await statuses(server, access, tokens["access_token"]) == [401, 200]


async def test_kallyais_outage_uses_up_no_token(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    async def fail_once(kind: str) -> None:
        plan = {"faults": [{"kind": kind, "path": "/v1/auth/gpt/token"}]}
        assert (
            await server.http.put(f"{sandbox.url}/_sandbox/faults", json=plan)
        ).status_code == 200

    client = await server.new_client()
    code = await user.code(server.authorize_url(client))
    await fail_once("cut_before_read")
    no_tokens = await server.redeem(client, code)
    tokens = (await server.redeem(client, code)).json() | {"client_id": client}
    await fail_once("unavailable_before")
    no_renewal = await server.renew(tokens)

    for response in (no_tokens, no_renewal):
        assert_error(response, "temporarily_unavailable", 503)
        assert int(response.headers["retry-after"]) > 0
    assert (await server.renew(tokens)).status_code == 200


async def test_the_servers_wrong_client_secret_is_logged(
    sandbox: RunningSandbox, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    async with deploy(sandbox, CLIENT_SECRET="not-the-secret") as server:
        client = await server.new_client()
        response = await server.redeem(client, await user.code(server.authorize_url(client)))

    assert_error(response, "temporarily_unavailable", 503)
    assert "KALLYAI_CLIENT_SECRET" in caplog.text
    assert "not-the-secret" not in caplog.text


async def test_revoking_a_token_revokes_its_family(server: Deployment, user: User) -> None:
    for kind in ("access_token", "refresh_token"):
        tokens = await sign_in(server, user)
        other = await server.new_client()
        after = []
        for token, client in (
            ("whatever", other),
            (tokens[kind], other),
            (tokens[kind], tokens["client_id"]),
        ):
            answer = await server.post(
                "revoke", {"token": token, "client_id": client, "token_type_hint": "unknown"}
            )
            after.append((answer.status_code, *await statuses(server, tokens["access_token"])))

        assert after == [(200, 200), (200, 200), (200, 401)]
        assert_error(await server.renew(tokens))
        assert_error(await server.post("revoke", {"token": tokens[kind]}), "invalid_client", 401)


async def test_a_renewed_token_gains_no_scope(
    sandbox: RunningSandbox, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    kallyai = OddKallyAI()
    async with fake_service(kallyai) as api_url, deploy(sandbox, API_URL=api_url) as server:
        client = await server.new_client()
        tokens = (await server.redeem(client, await kallyai.code(server, user, client))).json() | {
            "client_id": client
        }
        kallyai.refresh_token = None
        renewed = (await server.renew(tokens)).json()
        assert_error(await server.renew(tokens))
        no_refresh_token = (
            await server.redeem(client, await kallyai.code(server, user, client))
        ).json()
        kallyai.scope = "billing:manage"
        no_scope = await server.redeem(client, await kallyai.code(server, user, client))

    before, after = opened(server, tokens["access_token"]), opened(server, renewed["access_token"])
    assert (before["token"], after["token"]) == ("opaque-1", "opaque-2")
    assert before["subject"] == after["subject"]  # also of a token that names none
    # KallyAI did not say the scope: all that was requested.
    assert tokens["scope"] == renewed["scope"] == READ_SCOPES
    assert "was used again" in caplog.text
    assert "refresh_token" not in no_refresh_token
    assert_error(no_scope, "invalid_scope")


async def test_a_revoked_sign_in_stops_its_call_list(
    server: Deployment, sandbox: RunningSandbox, user: User
) -> None:
    mine, other = [await sign_in(server, user, scope="calls:read calls:write") for _ in range(2)]
    before = len(await sandbox.calls())
    with anyio.fail_after(LIMIT):
        async with connected_agent(server.url, token=mine["access_token"]) as agent:
            started = await agent.use(
                "call_around", AROUND | {"task_description": "Ask"}, wait_seconds=0
            )
        await sandbox.wait_for_calls(before + 1)
        await server.post("revoke", {"token": mine["access_token"], "client_id": mine["client_id"]})
        sandbox.end_calls()
        async with connected_agent(server.url, token=other["access_token"]) as agent:
            stopped = await agent.use(
                "get_call", call_id=started.data["tracking_id"], wait_seconds=LIMIT
            )

    assert stopped.data["status"] == "needs_sign_in", stopped.text
    assert len(await sandbox.calls()) == before + 1
