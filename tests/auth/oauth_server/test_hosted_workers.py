"""Several workers, and keys that change: what one seals another opens, and what is spent on one is spent on all."""

import secrets

import pytest

from kallyai_mcp.auth.oauth_server.factory import check_public_url
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens, keys_from
from kallyai_mcp.transports.rate_limit import RateLimiter
from tests.auth.oauth_server.kit import KEY, OLD_KEY, Ask, Person, deployed, signed_in
from tests.processes import free_port
from tests.redis_server import RedisServer
from tests.transports.http_server import RunningSandbox


async def test_old_seals_open_while_their_key_is_there_and_not_after(world: RunningSandbox, person: Person) -> None:
    port = free_port()
    async with deployed(world, keys=OLD_KEY, port=port) as server:
        old = await signed_in(server, person)
    async with deployed(world, keys=f"{KEY},{OLD_KEY}", port=port) as server:
        between = await server.use(old["access_token"], "check_quota")
        new = await signed_in(server, person, old["client_id"])  # and so is the client's own id
    async with deployed(world, keys=KEY, port=port) as server:
        after = [await server.use(tokens["access_token"], "check_quota") for tokens in (old, new)]

    assert between.status_code == 200
    assert [answer.status_code for answer in after] == [401, 200]


async def test_with_redis_workers_are_as_one(world: RunningSandbox, person: Person, redis_server: RedisServer) -> None:
    one_key = secrets.token_hex(32)
    async with (
        deployed(world, keys=one_key, redis_url=redis_server.url) as one,
        deployed(world, keys=one_key, redis_url=redis_server.url, public_url=one.url) as other,
    ):
        ask = Ask.of(one, (await one.register())["client_id"])
        form = ask.form(await person.code(ask.url))
        tokens = (await other.post("token", form)).json()
        used = await one.use(tokens["access_token"], "check_quota")
        reused = await one.post("token", form)
        revoked = await other.use(tokens["access_token"], "check_quota")
        fresh = await signed_in(one, person, ask.client_id)
        page = await person.open(f"{one.url}/oauth/sign-out")
        await person.press(page, "")
        signed_out = await other.use(fresh["access_token"], "check_quota")

    assert [used.status_code, reused.status_code, revoked.status_code, signed_out.status_code] == [200, 400, 401, 401]
    assert reused.json()["error"] == "invalid_grant"


async def test_without_its_redis_nothing_counts_as_good_and_nothing_is_lost(
    world: RunningSandbox, person: Person, own_redis: RedisServer
) -> None:
    async with deployed(world, redis_url=own_redis.url) as server:
        tokens = await signed_in(server, person)
        ask = Ask.of(server, tokens["client_id"])
        form = ask.form(await person.code(ask.url))
        renewal = {name: tokens[name] for name in ("client_id", "refresh_token")} | {"grant_type": "refresh_token"}
        sign_out = await person.open(f"{server.url}/oauth/sign-out")
        own_redis.kill()
        down = [
            await server.use(tokens["access_token"], "check_quota"),
            await server.post("token", form),
            await server.post("token", renewal),
            await server.post("revoke", {"token": tokens["access_token"], "client_id": tokens["client_id"]}),
            await person.press(sign_out, ""),
        ]
        own_redis.start()
        up = [
            await server.use(tokens["access_token"], "check_quota"),
            await server.post("token", form),
            await server.post("token", renewal),
        ]

    assert [response.status_code for response in down] == [503] * 5
    assert all(int(response.headers["retry-after"]) > 0 for response in down)
    assert [response.status_code for response in up] == [200] * 3


async def test_one_address_cannot_ask_without_end(world: RunningSandbox) -> None:
    async with deployed(world, rate=RateLimiter("2/hour")) as server, Person() as person:
        registrations = [await server.http.post(f"{server.url}/oauth/register", json={}) for _ in range(3)]
        pages = [await person.open(f"{server.url}/oauth/authorize") for _ in range(3)]
        tokens = [await server.post("token", {"client_id": "nobody"}) for _ in range(3)]

    assert [response.status_code for response in registrations] == [400, 400, 429]
    assert [response.status_code for response in pages] == [400, 400, 429]
    assert [response.status_code for response in tokens] == [401, 401, 429]
    assert int(registrations[2].headers["retry-after"]) > 0
    assert "Wait a minute" in pages[2].text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("xyz", "not hexadecimal"),
        ("ab" * 31, "shorter than 32 bytes"),
        (f"{KEY},", "shorter"),
        ("00" * 32, "not random"),
    ],
)
def test_a_key_that_seals_nothing_is_refused_without_being_quoted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        keys_from(text)

    assert text not in str(caught.value)


def test_keys_show_nowhere() -> None:
    assert repr(SealedTokens(keys_from(f"{KEY}, {OLD_KEY}"), lambda: 0.0)) == "SealedTokens(2 keys)"


@pytest.mark.parametrize(
    "url",
    [
        "http://phone.example.com",
        "https://phone.example.com/path",
        "https://user@phone.example.com",
        "https://phone.example.com?x",
        "phone.example.com",
        "https://",
        "https://phone.example.com:port",
    ],
)
def test_a_public_url_that_clients_could_not_trust_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_public_url(url)


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        ("https://Phone.Example.com/", "https://phone.example.com"),
        ("https://phone.example.com:443", "https://phone.example.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_a_public_url_is_an_issuer_without_anything_after_it(url: str, issuer: str) -> None:
    assert check_public_url(url) == issuer
