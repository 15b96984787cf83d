"""Several workers, keys that change, limits, and the public URL."""

import asyncio
import hashlib
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.auth.oauth_server.deployment import (
    KEY,
    OAUTH,
    OLD_KEY,
    OddKallyAI,
    User,
    deploy,
    sign_in,
)
from tests.cli.machine import invoke
from tests.fake_service import fake_service
from tests.postgres_server import PostgresServer
from tests.processes import free_port
from tests.transports.http_server import LIMIT, RunningSandbox


async def test_tokens_work_until_their_key_is_removed(sandbox: RunningSandbox, user: User) -> None:
    port = free_port()
    async with deploy(sandbox, SECRET_KEYS=OLD_KEY, port=port) as server:
        old, revoked = [await sign_in(server, user) for _ in range(2)]
        await server.post(
            "revoke", {"token": revoked["refresh_token"], "client_id": revoked["client_id"]}
        )
    async with deploy(sandbox, SECRET_KEYS=f"{KEY},{OLD_KEY}", port=port) as server:
        between = [await server.use(tokens["access_token"]) for tokens in (old, revoked)]
        # The client_id is sealed with the old key, too.
        new = await sign_in(server, user, old["client_id"])
    async with deploy(sandbox, port=port) as server:
        after = [await server.use(tokens["access_token"]) for tokens in (old, new)]

    assert [answer.status_code for answer in between + after] == [200, 401, 401, 200]


NEXT_KEY = hashlib.sha256(b"next").hexdigest()


@pytest.mark.parametrize(
    ("restarted", "other"),
    [
        (f"{OLD_KEY},{KEY}", OLD_KEY),  # the new key is second at the first worker
        (f"{KEY},{OLD_KEY}", f"{OLD_KEY},{KEY}"),  # it is first there
        (KEY, f"{KEY},{OLD_KEY}"),  # the old one is gone there
    ],
)
async def test_workers_change_their_keys_in_turn(
    sandbox: RunningSandbox, user: User, restarted: str, other: str
) -> None:
    """In each phase of a change of keys, each worker opens what the other one seals."""
    async with (
        deploy(sandbox, SECRET_KEYS=restarted) as first,
        deploy(sandbox, SECRET_KEYS=other, PUBLIC_URL=first.url) as second,
    ):
        of_first, of_second = await sign_in(first, user), await sign_in(second, user)
        used = [
            await second.use(of_first["access_token"]),
            await first.use(of_second["access_token"]),
        ]

    assert [answer.status_code for answer in used] == [200, 200]


async def test_doctor_knows_what_a_new_address_ends(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deploy(sandbox) as server:
        await server.new_client()
        for name, value in {**OAUTH, "AUTH": "oauth", "API_URL": sandbox.url}.items():
            monkeypatch.setenv(f"KALLYAI_{name}", value)
        monkeypatch.setenv("KALLYAI_HOME", str(sandbox.home))
        told = []
        for url in (server.url, "https://phone.example.com"):
            monkeypatch.setenv("KALLYAI_PUBLIC_URL", url)
            told.append((await anyio.to_thread.run_sync(invoke, "doctor")).output)

    ends = f"KALLYAI_PUBLIC_URL was {server.url}; with another one, all sign-ins end"
    words = [" ".join(text.split()) for text in told]
    assert [ends in text for text in words] == [False, True]


async def test_a_new_key_in_one_step_is_refused(sandbox: RunningSandbox, user: User) -> None:
    async with (
        deploy(sandbox, SECRET_KEYS=f"{KEY},{OLD_KEY}") as first,
        deploy(sandbox, SECRET_KEYS=OLD_KEY, PUBLIC_URL=first.url) as second,
    ):
        tokens = await sign_in(first, user)
        used = await second.use(tokens["access_token"])

    assert used.status_code == 401


async def test_a_registration_outlasts_the_keys_that_sealed_it(
    sandbox: RunningSandbox, user: User
) -> None:
    """A client that renews its tokens while both keys are known keeps its client_id."""
    port, statuses = free_port(), []
    async with deploy(sandbox, SECRET_KEYS=OLD_KEY, port=port) as server:
        tokens = await sign_in(server, user)
    for keys in (f"{KEY},{OLD_KEY}", KEY, f"{NEXT_KEY},{KEY}", NEXT_KEY):
        async with deploy(sandbox, SECRET_KEYS=keys, port=port) as server:
            renewed = await server.renew(tokens)
            consent = await user.open(server.authorize_url(tokens["client_id"]))
            statuses += [renewed.status_code, consent.status_code]
            tokens |= renewed.json()

    assert statuses == [200] * 8


async def test_a_registration_keeps_its_secret_after_its_key(
    sandbox: RunningSandbox, user: User
) -> None:
    port = free_port()
    async with deploy(sandbox, SECRET_KEYS=OLD_KEY, port=port) as server:
        client = await server.register(token_endpoint_auth_method="client_secret_post")
        code = await user.code(server.authorize_url(client["client_id"]))
    secret = {"client_secret": client["client_secret"]}
    async with deploy(sandbox, SECRET_KEYS=f"{KEY},{OLD_KEY}", port=port) as server:
        tokens = await server.redeem(client["client_id"], code, **secret)
    async with deploy(sandbox, port=port) as server:
        given = tokens.json() | {"client_id": client["client_id"]}
        without, with_it = await server.renew(given), await server.renew(given, **secret)

    assert [tokens.status_code, without.status_code, with_it.status_code] == [200, 401, 200]


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The setting of the workers' database; none for the SQLite file in their home."""
    return (
        {"DATABASE_URL": request.getfixturevalue("database_url")}
        if request.param == "postgresql"
        else {}
    )


async def test_of_two_uses_at_two_workers_one_succeeds(
    sandbox: RunningSandbox, user: User, shared_database: dict[str, Any]
) -> None:
    kallyai = OddKallyAI()
    async with (
        fake_service(kallyai) as api_url,
        deploy(sandbox, API_URL=api_url, **shared_database) as one,
        deploy(sandbox, API_URL=api_url, PUBLIC_URL=one.url, **shared_database) as other,
    ):

        async def concurrently(method: str, *arguments: Any) -> list[httpx2.Response]:
            answers = await asyncio.gather(
                *(getattr(server, method)(*arguments) for server in (one, other) * 4)
            )
            return sorted(answers, key=lambda answer: answer.status_code)

        client = await one.new_client()
        redeemed = await concurrently("redeem", client, await kallyai.code(one, user, client))
        tokens = (await one.redeem(client, await kallyai.code(one, user, client))).json() | {
            "client_id": client
        }
        renewed = await concurrently("renew", tokens)

        for responses in (redeemed, renewed):
            assert [response.status_code for response in responses] == [200] + [400] * 7
            assert (await other.use(responses[0].json()["access_token"])).status_code == 401


async def test_without_its_database_no_token_is_used_up(
    sandbox: RunningSandbox, user: User, own_postgres: PostgresServer
) -> None:
    async with deploy(sandbox, DATABASE_URL=own_postgres.url()) as server:
        tokens = await sign_in(server, user)
        client = tokens["client_id"]
        code = await user.code(server.authorize_url(client))
        sign_out = await user.open(server.url)
        own_postgres.kill()
        down = [
            await server.use(tokens["access_token"]),
            await server.redeem(client, code),
            await server.renew(tokens),
            await server.post("revoke", {"token": tokens["access_token"], "client_id": client}),
            await user.press(sign_out, ""),
        ]
        own_postgres.start()
        with anyio.fail_after(LIMIT):
            while (used := await server.use(tokens["access_token"])).status_code == 503:
                pass  # the worker connects again after a while
        up = [used, await server.redeem(client, code), await server.renew(tokens)]

    assert [response.status_code for response in down] == [503] * 5
    assert all(int(response.headers["retry-after"]) > 0 for response in down)
    assert [response.status_code for response in up] == [200] * 3


async def test_sign_ins_behind_one_address_are_limited_separately(
    sandbox: RunningSandbox, user: User
) -> None:
    async with deploy(sandbox, RATE_LIMIT="6/hour") as server:
        client = await server.new_client()
        mine, other = await sign_in(server, user, client), await sign_in(server, user, client)
        unknown = [(await server.renew(mine, refresh_token="x")).status_code for _ in range(7)]
        renewed = []
        for _ in range(7):
            answer = await server.renew(mine)
            renewed.append(answer.status_code)
            mine |= answer.json() if answer.status_code == 200 else {}
        of_other = await server.renew(other)
        revoked = await server.post("revoke", {"token": mine["refresh_token"], "client_id": client})

    assert unknown == [400] * 6 + [429]
    assert renewed == [200] * 5 + [429] * 2  # the code of the sign-in was counted, too
    assert of_other.status_code == revoked.status_code == 200
