"""Codes and tokens: what each is good for, and everything that it is not good for."""

from typing import Any

import anyio
import pytest
from starlette.requests import Request

from tests.auth.oauth_server.kit import READS, Ask, Deployment, Person, answer_in, deployed, onward, signed_in
from tests.fake_service import odd_service
from tests.transports.http_server import RunningSandbox


def refused(response: Any, error: str = "invalid_grant", status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"] == error
    assert response.headers["cache-control"] == "no-store"


def changed(sealed: str) -> str:
    """Another one by a single letter."""
    middle = len(sealed) // 2
    return sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]


async def renew(server: Deployment, tokens: dict[str, Any], **changes: str) -> Any:
    form = {"grant_type": "refresh_token", "client_id": tokens["client_id"], "refresh_token": tokens["refresh_token"]}
    return await server.post("token", form | changes)


async def faults(world: RunningSandbox, server: Deployment, *kinds: str) -> None:
    plan = {"faults": [{"kind": kind, "path": "/v1/auth/gpt/token"} for kind in kinds]}
    assert (await server.http.put(f"{world.url}/_sandbox/faults", json=plan)).status_code == 200


CODES: dict[str, dict[str, str]] = {
    "a wrong verifier": {"code_verifier": "w" * 43},
    "a verifier that is none": {"code_verifier": "short"},
    "no verifier": {"code_verifier": ""},
    "another redirect address": {"redirect_uri": "http://127.0.0.1:5124/back"},
    "a code that is none": {"code": "x"},
    "no code": {"code": ""},
}


@pytest.mark.parametrize("wrong", CODES)
async def test_a_code_needs_all_that_belongs_to_it(server: Deployment, person: Person, wrong: str) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    code = await person.code(ask.url)
    first = await server.post("token", ask.form(code) | CODES[wrong])
    second = await server.post("token", ask.form(code))

    refused(first)
    assert second.status_code == 200  # whoever guessed has used nothing up


async def test_a_code_is_not_another_clients(server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    other = (await server.register())["client_id"]

    refused(await server.post("token", ask.form(await person.code(ask.url), client_id=other)))


async def test_a_code_is_not_for_a_foreign_resource(server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    form = ask.form(await person.code(ask.url), resource="https://elsewhere.example/mcp")

    refused(await server.post("token", form), "invalid_target")


async def test_a_reused_code_is_refused_and_what_it_gave_is_revoked(server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    form = ask.form(await person.code(ask.url))
    tokens = (await server.post("token", form)).json()
    before = await server.use(tokens["access_token"], "check_quota")
    refused(await server.post("token", form))
    after = await server.use(tokens["access_token"], "check_quota")

    assert [before.status_code, after.status_code] == [200, 401]
    refused(await renew(server, {**tokens, "client_id": ask.client_id}))


async def test_a_code_lasts_a_minute(world: RunningSandbox, server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    code = await person.code(ask.url)
    world.clock.advance(seconds=60)

    refused(await server.post("token", ask.form(code)))


async def test_an_access_token_ends_when_kallyais_ends(
    world: RunningSandbox, server: Deployment, person: Person
) -> None:
    tokens = await signed_in(server, person)
    world.clock.advance(seconds=3599)
    before = await server.use(tokens["access_token"], "check_quota")
    world.clock.advance(seconds=1)
    after = await server.use(tokens["access_token"], "check_quota")
    renewed = (await renew(server, tokens)).json()
    again = await server.use(renewed["access_token"], "check_quota")

    assert [before.status_code, after.status_code, again.status_code] == [200, 401, 200]


async def test_a_seal_of_one_kind_opens_as_no_other_and_not_when_it_was_changed(
    server: Deployment, person: Person
) -> None:
    tokens = await signed_in(server, person)
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    ask = Ask.of(server, tokens["client_id"])
    code = await person.code(ask.url)
    for bad in (refresh, code, tokens["client_id"], changed(access), f"{access}=", access[:-4]):
        assert (await server.use(bad, "check_quota")).status_code == 401
    for bad in (access, code, changed(refresh), refresh[1:]):
        refused(await renew(server, tokens, refresh_token=bad))
    for bad in (access, refresh, changed(code)):
        refused(await server.post("token", ask.form(bad)))

    assert (await server.use(access, "check_quota")).status_code == 200


async def test_a_refresh_token_is_not_another_clients(server: Deployment, person: Person) -> None:
    tokens = await signed_in(server, person)
    other = (await server.register())["client_id"]

    refused(await renew(server, tokens, client_id=other))
    assert (await renew(server, tokens)).status_code == 200


async def test_a_refresh_token_that_comes_twice_ends_the_sign_in(server: Deployment, person: Person) -> None:
    tokens = await signed_in(server, person)
    renewed = (await renew(server, tokens)).json()
    refused(await renew(server, tokens))

    refused(await renew(server, tokens | renewed))
    assert (await server.use(renewed["access_token"], "check_quota")).status_code == 401


async def test_a_refresh_can_ask_for_less_and_later_for_all_again(server: Deployment, person: Person) -> None:
    tokens = await signed_in(server, person)
    less = (await renew(server, tokens, scope="calls:read")).json()
    refused(await renew(server, tokens | less, scope="calls:read calls:write"), "invalid_scope")
    refused(await renew(server, tokens | less, resource="https://elsewhere.example"), "invalid_target")
    again = (await renew(server, tokens | less)).json()

    assert less["scope"] == "calls:read"
    assert (await server.use(less["access_token"], "check_quota")).status_code == 403
    assert again["scope"] == tokens["scope"]


@pytest.mark.parametrize("kind", ["cut_before_read", "unavailable_before", "html", "rate_limited"])
async def test_when_kallyai_is_down_nothing_is_lost(
    world: RunningSandbox, server: Deployment, person: Person, kind: str
) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    form = ask.form(await person.code(ask.url))
    await faults(world, server, kind)
    no_tokens = await server.post("token", form)
    tokens = (await server.post("token", form)).json() | {"client_id": ask.client_id}
    await faults(world, server, kind)
    no_renewal = await renew(server, tokens)
    renewed = await renew(server, tokens)

    for response in (no_tokens, no_renewal):
        refused(response, "temporarily_unavailable", 503)
        assert int(response.headers["retry-after"]) > 0
    assert renewed.status_code == 200


async def test_when_kallyai_ends_the_sign_in_a_refresh_says_so(
    world: RunningSandbox, server: Deployment, person: Person
) -> None:
    tokens = await signed_in(server, person)
    with world.app.state.sandbox.store.transaction() as db:
        db.execute("UPDATE auth_families SET revoked = 1")

    refused(await renew(server, tokens))


async def test_a_server_that_kallyai_refuses_does_not_blame_the_user(
    world: RunningSandbox, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    async with deployed(world, client_secret="not the secret") as server:
        ask = Ask.of(server, (await server.register())["client_id"])
        response = await server.post("token", ask.form(await person.code(ask.url)))

    refused(response, "temporarily_unavailable", 503)
    assert "KALLYAI_CLIENT_SECRET" in caplog.text
    assert "not the secret" not in caplog.text


async def test_a_revoked_token_takes_its_family_with_it(server: Deployment, person: Person) -> None:
    for kind in ("access_token", "refresh_token"):
        tokens = await signed_in(server, person)
        other = (await server.register())["client_id"]
        foreign = await server.post("revoke", {"token": tokens[kind], "client_id": other})
        still = await server.use(tokens["access_token"], "check_quota")
        own = await server.post("revoke", {"token": tokens[kind], "client_id": tokens["client_id"]})
        gone = await server.use(tokens["access_token"], "check_quota")

        assert [foreign.status_code, still.status_code, own.status_code, gone.status_code] == [200, 200, 200, 401]
        refused(await renew(server, tokens))


async def test_to_revoke_what_is_no_token_is_no_error_but_to_name_none_is(server: Deployment) -> None:
    client = (await server.register())["client_id"]
    unknown = await server.post("revoke", {"token": "whatever", "client_id": client})

    assert unknown.status_code == 200
    refused(await server.post("revoke", {"client_id": client}), "invalid_request")
    refused(await server.post("revoke", {"token": "whatever", "client_id": "nobody"}), "invalid_client", 401)


async def test_what_is_no_token_request_is_refused(server: Deployment) -> None:
    client = (await server.register())["client_id"]
    as_json = await server.http.post(f"{server.url}/oauth/token", json={"grant_type": "authorization_code"})
    twice = await server.http.post(
        f"{server.url}/oauth/token",
        content=f"client_id={client}&client_id={client}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    refused(as_json, "invalid_request")
    refused(twice, "invalid_request")
    refused(await server.post("token", {"client_id": client, "grant_type": "password"}), "unsupported_grant_type")
    refused(await server.post("token", {"grant_type": "refresh_token"}), "invalid_client", 401)


async def test_a_code_that_kallyai_does_not_honour_is_refused(server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    callback = await person.returning(ask.url)
    forged = callback.replace(answer_in(callback)["code"], "forged")
    code = answer_in(onward(await person.open(forged)))["code"]

    refused(await server.post("token", ask.form(code)))


async def test_a_code_is_worth_nothing_after_signing_out(server: Deployment, person: Person) -> None:
    ask = Ask.of(server, (await server.register())["client_id"])
    code = await person.code(ask.url)
    await person.press(await person.open(f"{server.url}/oauth/sign-out"), "")

    refused(await server.post("token", ask.form(code)))


class OddKallyAI:
    """A service whose tokens name nobody, whose refresh tokens stay the same, and which tells no scopes."""

    def __init__(self) -> None:
        self.scope: str | None = None
        self.refresh_token: str | None = "kept"
        self.given = 0

    def __call__(self, _: Request) -> tuple[int, Any]:
        self.given += 1
        answer = {"access_token": f"opaque-{self.given}", "refresh_token": self.refresh_token, "scope": self.scope}
        return 200, {name: value for name, value in answer.items() if value is not None}

    async def code(self, server: Deployment, person: Person, ask: Ask) -> str:
        """What its browser page would have sent back for."""
        state = answer_in(onward(await person.press(await person.open(ask.url), "allow")))["state"]
        return answer_in(onward(await person.open(f"{server.url}/oauth/callback?code=its-own&state={state}")))["code"]


async def test_a_refresh_token_is_replaced_even_if_kallyais_is_not(
    world: RunningSandbox, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    kallyai = OddKallyAI()
    async with odd_service(kallyai) as api_url, deployed(world, api_url=api_url) as server:
        ask = Ask.of(server, (await server.register())["client_id"])
        form = ask.form(await kallyai.code(server, person, ask))
        tokens = (await server.post("token", form)).json() | {"client_id": ask.client_id}
        kallyai.refresh_token = None
        renewed = (await renew(server, tokens)).json()
        accounts = [await server.verify(given["access_token"]) for given in (tokens, renewed)]
        reused = await renew(server, tokens)

    assert accounts[0] is not None
    assert accounts[1] is not None
    assert (accounts[0].token, accounts[1].token) == ("opaque-1", "opaque-2")
    assert accounts[0].subject == accounts[1].subject  # so a renewal does not make another caller of them
    assert tokens["scope"] == renewed["scope"] == READS  # left out: all that was asked for
    refused(reused)
    assert "was used again" in caplog.text


async def test_two_refreshes_at_once_are_two_uses(world: RunningSandbox, person: Person) -> None:
    kallyai = OddKallyAI()
    async with odd_service(kallyai) as api_url, deployed(world, api_url=api_url) as server:
        ask = Ask.of(server, (await server.register())["client_id"])
        form = ask.form(await kallyai.code(server, person, ask))
        tokens = (await server.post("token", form)).json() | {"client_id": ask.client_id}
        statuses: list[int] = []

        async def once() -> None:
            statuses.append((await renew(server, tokens)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(once)

    assert sorted(statuses) in ([200, 400, 400], [400, 400, 400])


async def test_without_a_refresh_token_of_kallyais_there_is_none(world: RunningSandbox, person: Person) -> None:
    kallyai = OddKallyAI()
    kallyai.refresh_token = None
    async with odd_service(kallyai) as api_url, deployed(world, api_url=api_url) as server:
        ask = Ask.of(server, (await server.register())["client_id"])
        tokens = (await server.post("token", ask.form(await kallyai.code(server, person, ask)))).json()

    assert "refresh_token" not in tokens


async def test_where_kallyai_grants_nothing_that_was_asked_for_there_is_no_token(
    world: RunningSandbox, person: Person
) -> None:
    kallyai = OddKallyAI()
    kallyai.scope = "billing:manage"
    async with odd_service(kallyai) as api_url, deployed(world, api_url=api_url) as server:
        ask = Ask.of(server, (await server.register())["client_id"])

        refused(await server.post("token", ask.form(await kallyai.code(server, person, ask))), "invalid_scope")
