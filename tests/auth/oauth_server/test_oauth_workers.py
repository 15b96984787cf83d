"""Several workers, keys that change, limits, and the public URL."""

import secrets

import pytest

from kallyai_mcp.auth.oauth_server.factory import check_public_url
from kallyai_mcp.auth.oauth_server.sealed_tokens import SealedTokens, keys_from
from kallyai_mcp.transports.rate_limit import RateLimiter
from tests.auth.oauth_server.deployment import KEY, OLD_KEY, AuthRequest, User, deploy, sign_in
from tests.processes import free_port
from tests.redis_server import RedisServer
from tests.transports.http_server import RunningSandbox


async def test_tokens_of_an_old_key_work_until_the_key_is_removed(sandbox: RunningSandbox, user: User) -> None:
    port = free_port()
    async with deploy(sandbox, keys=OLD_KEY, port=port) as server:
        old = await sign_in(server, user)
    async with deploy(sandbox, keys=f"{KEY},{OLD_KEY}", port=port) as server:
        between = await server.use(old["access_token"], "check_quota")
        new = await sign_in(server, user, old["client_id"])  # the client_id is sealed with the old key, too
    async with deploy(sandbox, keys=KEY, port=port) as server:
        after = [await server.use(tokens["access_token"], "check_quota") for tokens in (old, new)]

    assert between.status_code == 200
    assert [answer.status_code for answer in after] == [401, 200]


async def test_workers_with_one_redis_share_used_codes_and_revocations(
    sandbox: RunningSandbox, user: User, redis_server: RedisServer
) -> None:
    one_key = secrets.token_hex(32)
    async with (
        deploy(sandbox, keys=one_key, redis_url=redis_server.url) as one,
        deploy(sandbox, keys=one_key, redis_url=redis_server.url, public_url=one.url) as other,
    ):
        auth_request = AuthRequest.to(one, (await one.register())["client_id"])
        form = auth_request.form(await user.code(auth_request.url))
        tokens = (await other.post("token", form)).json()
        used = await one.use(tokens["access_token"], "check_quota")
        reused = await one.post("token", form)
        revoked = await other.use(tokens["access_token"], "check_quota")
        fresh = await sign_in(one, user, auth_request.client_id)
        page = await user.open(f"{one.url}/oauth/sign-out")
        await user.press(page, "")
        signed_out = await other.use(fresh["access_token"], "check_quota")

    assert [used.status_code, reused.status_code, revoked.status_code, signed_out.status_code] == [200, 400, 401, 401]
    assert reused.json()["error"] == "invalid_grant"


async def test_while_redis_is_down_no_token_is_accepted_and_none_is_used_up(
    sandbox: RunningSandbox, user: User, own_redis: RedisServer
) -> None:
    async with deploy(sandbox, redis_url=own_redis.url) as server:
        tokens = await sign_in(server, user)
        auth_request = AuthRequest.to(server, tokens["client_id"])
        form = auth_request.form(await user.code(auth_request.url))
        renewal = {name: tokens[name] for name in ("client_id", "refresh_token")} | {"grant_type": "refresh_token"}
        sign_out = await user.open(f"{server.url}/oauth/sign-out")
        own_redis.kill()
        down = [
            await server.use(tokens["access_token"], "check_quota"),
            await server.post("token", form),
            await server.post("token", renewal),
            await server.post("revoke", {"token": tokens["access_token"], "client_id": tokens["client_id"]}),
            await user.press(sign_out, ""),
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


async def test_requests_from_one_address_are_limited(sandbox: RunningSandbox) -> None:
    async with deploy(sandbox, rate=RateLimiter("2/hour")) as server, User() as user:
        registrations = [await server.http.post(f"{server.url}/oauth/register", json={}) for _ in range(3)]
        pages = [await user.open(f"{server.url}/oauth/authorize") for _ in range(3)]
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
def test_an_unusable_key_is_refused_without_being_quoted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        keys_from(text)

    assert text not in str(caught.value)


def test_the_repr_does_not_show_keys() -> None:
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
def test_an_unsafe_public_url_is_refused(url: str) -> None:
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
def test_the_issuer_is_the_origin_of_the_public_url(url: str, issuer: str) -> None:
    assert check_public_url(url) == issuer
