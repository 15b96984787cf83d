"""The authorization and registration endpoints: which requests are refused, and where the error goes."""

from typing import Any

import pytest

from tests.auth.oauth_server.deployment import REDIRECT, AuthRequest, Deployment, User, answer_in, deploy
from tests.transports.http_server import RunningSandbox

INVALID: dict[str, dict[str, str | None]] = {
    "no PKCE": {"code_challenge": None, "code_challenge_method": None},
    "plain PKCE": {"code_challenge_method": "plain"},
    "no method, which means plain": {"code_challenge_method": None},
    "an invalid challenge": {"code_challenge": "short"},
    "another response type": {"response_type": "token"},
    "another response mode": {"response_mode": "fragment"},
    "another resource": {"resource": "https://elsewhere.example/mcp"},
    "an unknown scope only": {"scope": "everything"},
    "a state that is too long": {"state": "s" * 2000},
}


@pytest.mark.parametrize("wrong", INVALID)
async def test_an_error_is_redirected_to_a_program_on_the_users_machine(
    server: Deployment, user: User, wrong: str
) -> None:
    client = await server.register()
    response = await user.open(AuthRequest.to(server, client["client_id"], **INVALID[wrong]).url)
    answer = answer_in(response.headers["location"])

    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{REDIRECT}?")
    assert answer["error"] in {"invalid_request", "unsupported_response_type", "invalid_target", "invalid_scope"}
    assert answer["iss"] == server.url
    assert "code" not in answer


async def test_an_error_is_not_redirected_to_a_web_site(server: Deployment, user: User) -> None:
    client = await server.register(redirect_uris=["https://anywhere.example/back"])
    auth_request = AuthRequest.to(
        server, client["client_id"], redirect_uri="https://anywhere.example/back", code_challenge=None
    )
    response = await user.open(auth_request.url)

    assert response.status_code == 400
    assert "refresh" not in response.text
    assert 'href="https://anywhere.example/back?error=invalid_request&amp;' in response.text


OTHER_URIS = [
    "https://evil.example/back",
    "http://127.0.0.1:5123/back/",
    "http://127.0.0.1:5123/back?more=1",
    "http://127.0.0.1:5123/BACK",
    "http://127.0.0.2:5123/back",
    "http://localhost:5123/back",
    "http://127.0.0.1:5123@evil.example/back",
    "http://127.0.0.1:5123/back#fragment",
    "https://127.0.0.1:5123/back",
    "http://127.0.0.1:99999/back",
]


@pytest.mark.parametrize("address", OTHER_URIS)
async def test_nothing_is_sent_to_a_redirect_uri_that_is_not_the_clients(
    server: Deployment, user: User, address: str
) -> None:
    client = await server.register()
    response = await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=address).url)

    assert response.status_code == 400
    assert "location" not in response.headers
    assert "evil.example" not in response.text
    assert "not its own" in response.text


async def test_a_client_with_several_redirect_uris_must_send_one(server: Deployment, user: User) -> None:
    client = await server.register(redirect_uris=[REDIRECT, "https://client.example/back"])
    response = await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=None).url)

    assert response.status_code == 400


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "code_challenge"])
async def test_a_parameter_given_twice_is_refused_on_a_page(server: Deployment, user: User, name: str) -> None:
    client = await server.register()
    response = await user.open(f"{AuthRequest.to(server, client['client_id']).url}&{name}=again")

    assert response.status_code == 400
    assert f"{name} is given twice" in response.text


async def test_an_unknown_client_is_refused_on_a_page(server: Deployment, user: User) -> None:
    client_id = (await server.register())["client_id"]
    other_kind = (await server.register(token_endpoint_auth_method="client_secret_post"))["client_secret"]
    changed = client_id[:-5] + ("A" if client_id[-5] != "A" else "B") + client_id[-4:]
    for bad in ("", "nobody", changed, client_id + "=", other_kind, client_id[:40]):
        response = await user.open(AuthRequest.to(server, bad).url)

        assert response.status_code == 400
        assert "location" not in response.headers


REGISTRATIONS: list[Any] = [
    {},
    [],
    "text",
    {"redirect_uris": []},
    {"redirect_uris": "https://client.example/back"},
    {"redirect_uris": [7]},
    {"redirect_uris": ["http://client.example/back"]},
    {"redirect_uris": ["https://client.example/back#x"]},
    {"redirect_uris": ["https://kallyai.com@evil.example/back"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["javascript:/alert(1)"]},
    {"redirect_uris": ["data:/text/html,x"]},
    *(
        {"redirect_uris": [f"{scheme}://x/back"]}
        for scheme in (
            "ms-msdt",
            "shell",
            "search",
            "smb",
            "callto",
            "search-ms",
            "x-apple.settings",
        )
    ),
    {"redirect_uris": ["/back"]},
    {"redirect_uris": ["https:///back"]},
    {"redirect_uris": ["https://client.example/ba ck"]},
    {"redirect_uris": ['https://client.example/"onload="x']},
    {"redirect_uris": ["https://client.example/" + "a" * 600]},
    {"redirect_uris": ["https://client.example/back"] * 11},
    {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]},
]


@pytest.mark.parametrize("metadata", REGISTRATIONS, ids=lambda given: str(given)[:60])
async def test_an_invalid_registration_is_refused(server: Deployment, metadata: Any) -> None:
    response = await server.http.post(f"{server.url}/oauth/register", json=metadata)

    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}


async def test_a_redirect_uri_of_the_server_itself_is_refused(server: Deployment, user: User) -> None:
    port = server.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "localhost."):
        own = {"redirect_uris": [f"http://{host}:{port}/oauth/callback"]}
        response = await server.http.post(f"{server.url}/oauth/register", json=own)

        assert response.status_code == 400, host
        assert "can't be used" in response.json()["error_description"]
    other = await server.register(redirect_uris=["http://127.0.0.1:9/oauth/callback"])
    page = await user.open(
        AuthRequest.to(server, other["client_id"], redirect_uri=f"http://127.0.0.1:{port}/oauth/callback").url
    )
    assert page.status_code == 400


async def test_a_redirect_uri_of_a_public_server_itself_is_refused(sandbox: RunningSandbox) -> None:
    async with deploy(sandbox, public_url="https://phone.example.com") as server:
        for host in ("phone.example.com", "phone.example.com:443", "PHONE.example.com", "phone.example.com."):
            own = {"redirect_uris": [f"https://{host}/oauth/callback"]}
            response = await server.http.post(f"{server.url}/oauth/register", json=own)

            assert response.status_code == 400, host
            assert "this server's own" in response.json()["error_description"]


async def test_a_registration_that_is_too_long_is_not_read(server: Deployment) -> None:
    response = await server.http.post(f"{server.url}/oauth/register", content=b"[" * 40_000)

    assert response.status_code == 400
    assert "longer than" in response.json()["error_description"]
