"""The authorization and registration endpoints: which requests are refused, and where the error goes."""

from typing import Any

import pytest

from tests.auth.oauth_server.deployment import REDIRECT, AuthRequest, Deployment, User, answer_in, deploy
from tests.transports.http_server import RunningSandbox

INVALID: dict[str, tuple[str, dict[str, str | None]]] = {
    "no PKCE": ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
    "plain PKCE": ("invalid_request", {"code_challenge_method": "plain"}),
    "another response type": ("unsupported_response_type", {"response_type": "token"}),
    "another resource": ("invalid_target", {"resource": "https://elsewhere.example/mcp"}),
    "an unknown scope only": ("invalid_scope", {"scope": "everything"}),
    "a state that is too long for a cookie": ("invalid_request", {"state": "s" * 3_000}),
}


@pytest.mark.parametrize("wrong", INVALID)
async def test_an_error_is_redirected_to_a_program_on_the_users_machine(
    server: Deployment, user: User, wrong: str
) -> None:
    error, changes = INVALID[wrong]
    client = await server.register()
    response = await user.open(AuthRequest.to(server, client["client_id"], **changes).url)
    answer = answer_in(response.headers["location"])

    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{REDIRECT}?")
    assert (answer["error"], answer["iss"]) == (error, server.url)
    assert "code" not in answer


WEB = "https://anywhere.example/back"


@pytest.mark.parametrize("redirect_uri", [WEB, f"{WEB}?next=ISSUER/oauth/consent%3Frequest%3Dx"])
async def test_an_error_is_not_redirected_to_a_web_site(server: Deployment, user: User, redirect_uri: str) -> None:
    redirect_uri = redirect_uri.replace("ISSUER", server.issuer)
    client = await server.register(redirect_uris=[redirect_uri])
    for wrong in ({"code_challenge": None}, {"scope": "everything"}, {"resource": "https://elsewhere.example"}):
        response = await user.open(
            AuthRequest.to(server, client["client_id"], **{"redirect_uri": redirect_uri, **wrong}).url
        )

        assert response.status_code == 400
        assert "refresh" not in response.text
        assert f'href="{WEB}?' in response.text


OTHER_URIS = [
    "https://evil.example/back",
    "http://127.0.0.1:5123/back/",
    "http://127.0.0.1:5123/back?more=1",
    "http://127.0.0.1:5123/BACK",
    "http://127.0.0.1:5123/x/../back",
    "http://127.0.0.2:5123/back",
    "http://localhost:5123/back",
    "http://127.0.0.1:5123@evil.example/back",
    "http://x@127.0.0.1:5123/back",
    "http://127.0.0.1:5123/back#fragment",
    "https://127.0.0.1:5123/back",
    "http://127.0.0.1:99999/back",
    "https://client.example/back/",
    "https://client.example:443/back",
    "https://client.example/%62ack",
    "https://client.example/back?",
    "https://CLIENT.example/back",
    "",
]


@pytest.mark.parametrize("address", OTHER_URIS)
async def test_nothing_is_sent_to_a_redirect_uri_that_is_not_the_clients(
    server: Deployment, user: User, address: str
) -> None:
    client = await server.register(redirect_uris=[REDIRECT, "https://client.example/back"])
    response = await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=address).url)

    assert response.status_code == 400
    assert "location" not in response.headers
    assert "evil.example" not in response.text
    assert "not its own" in response.text


async def test_a_client_with_several_redirect_uris_must_send_one(server: Deployment, user: User) -> None:
    client = await server.register(redirect_uris=[REDIRECT, "https://client.example/back"])
    response = await user.open(AuthRequest.to(server, client["client_id"], redirect_uri=None).url)

    assert response.status_code == 400


@pytest.mark.parametrize("name", ["redirect_uri", "resource", "client_id"])
async def test_of_a_parameter_given_twice_the_one_that_is_checked_is_used(
    server: Deployment, user: User, name: str
) -> None:
    client = await server.register()
    url = AuthRequest.to(server, client["client_id"]).url
    last = await user.open(f"{url}&{name}=https://evil.example/mcp")
    first = await user.open(url.replace("?", f"?{name}=https://evil.example/mcp&"))

    assert last.status_code in (303, 400)
    assert not last.headers.get("location", "").startswith("https://evil.example")
    assert first.status_code == 200
    assert "evil.example" not in first.text


async def test_a_request_without_a_body_is_not_redirected(server: Deployment, user: User) -> None:
    client = await server.register()
    response = await user.http.head(AuthRequest.to(server, client["client_id"]).url)

    assert response.status_code == 400
    assert "location" not in response.headers


async def test_an_unknown_client_is_refused_on_a_page(server: Deployment, user: User) -> None:
    client_id = (await server.register())["client_id"]
    changed = client_id[:-5] + ("A" if client_id[-5] != "A" else "B") + client_id[-4:]
    for bad in ("", "nobody", changed, client_id + "=", client_id[:40]):
        response = await user.open(AuthRequest.to(server, bad).url)

        assert response.status_code == 400
        assert "location" not in response.headers


REGISTRATIONS: list[Any] = [
    {},
    [],
    {"redirect_uris": []},
    {"redirect_uris": [7]},
    {"redirect_uris": ["http://client.example/back"]},
    {"redirect_uris": ["https://client.example/back#x"]},
    {"redirect_uris": ["https://kallyai.com@evil.example/back"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["javascript:/alert(1)"]},
    {"redirect_uris": ["JaVaScRiPt:/alert(1)"]},
    {"redirect_uris": ["data:/text/html,x"]},
    *({"redirect_uris": [f"{scheme}://x/back"]} for scheme in ("ms-msdt", "shell", "smb", "tel", "x-apple.settings")),
    {"redirect_uris": ["/back"]},
    {"redirect_uris": ["https://client.example/" + "a" * 600]},
    {"redirect_uris": ["https://client.example/back"] * 11},
    {"redirect_uris": [f"https://client.example/{number}{'a' * 400}" for number in range(6)]},
    {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]},
]


@pytest.mark.parametrize("metadata", REGISTRATIONS, ids=lambda given: str(given)[:60])
async def test_an_invalid_registration_is_refused(server: Deployment, metadata: Any) -> None:
    response = await server.http.post(f"{server.url}/oauth/register", json=metadata)

    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}


async def test_a_redirect_uri_of_the_server_itself_is_refused(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    port = server.url.rpartition(":")[2]
    hosts = ("127.0.0.1", "localhost", "LOCALHOST", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "localhost.", "0x7f.1")
    own = [(server, f"http://{host}:{port}/oauth/callback") for host in hosts]
    async with deploy(sandbox, public_url="https://phone.example.com") as public:
        names = ("phone.example.com", "phone.example.com:443", "PHONE.example.com", "phone.example.com.")
        for where, uri in [*own, *((public, f"https://{name}/oauth/callback") for name in names)]:
            response = await where.http.post(f"{where.url}/oauth/register", json={"redirect_uris": [uri]})

            assert response.status_code == 400, uri
            assert "can't be used" in response.json()["error_description"]
    other = await server.register(redirect_uris=["http://127.0.0.1:9/oauth/callback"])
    uri = f"http://127.0.0.1:{port}/oauth/callback"

    assert (await user.open(AuthRequest.to(server, other["client_id"], redirect_uri=uri).url)).status_code == 400


async def test_a_body_that_is_too_long_is_not_read(server: Deployment) -> None:
    for name in ("register", "token", "revoke", "consent", "sign-out"):
        response = await server.http.post(f"{server.url}/oauth/{name}", content=b"[" * 40_000)

        assert response.status_code == 413
