"""The authorization and registration endpoints: which requests are refused, and where the error goes."""

import re
from html import unescape
from typing import Any

from tests.auth.oauth_server.deployment import REDIRECT, Deployment, User, answer_in, deploy
from tests.transports.http_server import RunningSandbox

WEB = "https://client.example/back"
INVALID: list[tuple[str, dict[str, str | None]]] = [
    ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
    ("invalid_request", {"code_challenge_method": "plain"}),
    ("invalid_target", {"resource": "https://elsewhere.example/mcp"}),
    ("invalid_scope", {"scope": "everything"}),
    ("invalid_request", {"state": "s" * 3_000}),  # too long for a cookie
]


async def test_after_an_error_the_user_must_click_before_the_redirect_uri_opens(server: Deployment, user: User) -> None:
    client = (await server.register(redirect_uris=[REDIRECT, WEB]))["client_id"]
    for error, changes in INVALID:
        for uri in (REDIRECT, WEB):
            page = await user.open(server.authorize_url(client, redirect_uri=uri, **changes))
            (link,) = re.findall(rf'href="({uri}\?[^"]+)"', page.text)
            answer = answer_in(unescape(link))

            assert (page.status_code, "location" in page.headers, "refresh" in page.text) == (400, False, False)
            assert (answer["error"], answer["iss"], "code" in answer) == (error, server.url, False)


async def test_nothing_is_sent_to_a_redirect_uri_that_is_not_the_clients(server: Deployment, user: User) -> None:
    client = (await server.register(redirect_uris=[REDIRECT, WEB]))["client_id"]
    for address in (
        "https://evil.example/back",
        "http://127.0.0.1:5123/back/",
        "http://127.0.0.1:5123/BACK",
        "http://127.0.0.1:5123/x/../back",
        "http://localhost:5123/back",
        "http://127.0.0.1:5123@evil.example/back",
        "http://x@127.0.0.1:5123/back",
        "http://127.0.0.1:5123/back#fragment",
        "https://127.0.0.1:5123/back",
        "http://127.0.0.1:99999/back",
        f"http://127.0.0.1:{server.url.rpartition(':')[2]}/back",  # the server's own port
        f"{WEB}/",
        "https://client.example:443/back",
        "https://client.example/%62ack",
        "https://CLIENT.example/back",
        "https://client.example\\@evil.example/back",
        "",
        None,
    ):
        response = await user.open(server.authorize_url(client, redirect_uri=address))

        assert response.status_code == 400, address
        assert "location" not in response.headers
        assert "evil.example" not in response.text
        assert "not its own" in response.text


async def test_of_a_parameter_given_twice_the_one_that_is_checked_is_used(server: Deployment, user: User) -> None:
    url = server.authorize_url(await server.new_client())
    for name in ("redirect_uri", "resource", "client_id"):
        evil = f"{name}=https://evil.example/mcp"
        last, first = await user.open(f"{url}&{evil}"), await user.open(url.replace("?", f"?{evil}&"))

        assert (last.status_code, first.status_code) == (400, 200)
        assert "evil.example" not in first.text


async def test_neither_another_method_nor_an_unknown_client_is_redirected(server: Deployment, user: User) -> None:
    client_id = await server.new_client()
    changed = client_id[:-5] + ("A" if client_id[-5] != "A" else "B") + client_id[-4:]
    for unknown in ("", "nobody", changed, f"{client_id}=", client_id[:40]):
        response = await user.open(server.authorize_url(unknown))

        assert (response.status_code, "location" in response.headers) == (400, False)
    assert "location" not in (await user.http.head(server.authorize_url(client_id))).headers


REGISTRATIONS: list[Any] = [
    {},
    [],
    {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    {"redirect_uris": []},
    {"redirect_uris": [f"{WEB}/{number}{'a' * 400}" for number in range(6)]},
    *(
        {"redirect_uris": [uri]}
        for uri in (
            *(7, "/back", "http://client.example/back", f"{WEB}#x", "https://kallyai.com@evil.example/back"),
            *("javascript:alert(1)", "JaVaScRiPt:/alert(1)", "data:/text/html,x", "ms-msdt://x", "shell://x/back"),
            *("smb://x/back", "tel://x/back", "x-apple.settings://x/back"),
        )
    ),
]


async def test_an_invalid_registration_is_refused(sandbox: RunningSandbox, server: Deployment) -> None:
    for metadata in [*REGISTRATIONS, {"redirect_uris": [f"{server.url}/oauth/callback"]}]:
        response = await server.http.post(f"{server.url}/oauth/register", json=metadata)

        assert response.status_code == 400, metadata
        assert response.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}
    async with deploy(sandbox, PUBLIC_URL="https://phone.example.com") as public:
        for name in ("phone.example.com", "phone.example.com:443", "PHONE.example.com"):
            own = {"redirect_uris": [f"https://{name}/oauth/callback"]}
            assert (await public.http.post(f"{public.url}/oauth/register", json=own)).status_code == 400, name


async def test_a_body_that_is_too_long_is_not_read_and_one_that_is_no_form_is_refused(server: Deployment) -> None:
    for name in ("register", "token", "revoke", "consent", "sign-out"):
        url = f"{server.url}/oauth/{name}"
        too_long = await server.http.post(url, content=b"[" * 70_000)
        files = await server.http.post(url, files={"code": b"x", "token": b"x", "client_id": b"x"})
        broken = await server.http.post(url, content=b"--x", headers={"Content-Type": "multipart/form-data"})

        assert too_long.status_code == 413
        assert 400 <= files.status_code < 500
        assert 400 <= broken.status_code < 500
