"""The authorization and registration endpoints: which requests are refused, and where the error
goes.
"""

from typing import Any

import pytest

from tests.auth.oauth_server.deployment import REDIRECT, Deployment, User, deploy
from tests.transports.http_server import RunningSandbox

WEB = "https://client.example/back"
INVALID: list[tuple[str, dict[str, str | None]]] = [
    ("invalid_request", {"code_challenge": None, "code_challenge_method": None}),
    ("invalid_request", {"code_challenge_method": "plain"}),
    ("invalid_target", {"resource": "https://elsewhere.example/mcp"}),
    ("invalid_scope", {"scope": "everything"}),
    ("invalid_request", {"state": "s" * 3_000}),  # too long for a cookie
]


async def test_no_redirect_uri_opens_after_an_error(server: Deployment, user: User) -> None:
    client = (await server.register(redirect_uris=[REDIRECT, WEB]))["client_id"]
    for error, changes in INVALID:
        for uri in (REDIRECT, WEB):
            page = await user.open(server.authorize_url(client, redirect_uri=uri, **changes))

            assert (page.status_code, "location" in page.headers, uri in page.text) == (
                400,
                False,
                False,
            )
            assert f"{error}: " in page.text


async def test_a_refused_person_reads_words_not_codes(server: Deployment, user: User) -> None:
    client = (await server.register(redirect_uris=[REDIRECT]))["client_id"]
    url = server.authorize_url(client, redirect_uri=REDIRECT, scope="everything")
    user.http.headers["Accept-Language"] = "es"
    told, _, folded = (await user.open(url)).text.partition("<details>")

    assert "Pidió un permiso que no existe." in told
    assert "invalid_scope" not in told
    assert "invalid_scope: " in folded


NOT_ITS_OWN = (
    "https://evil.example/back",
    "http://127.0.0.1:5123/back/",
    "http://localhost:5123/back",
    "http://127.0.0.1:5123@evil.example/back",
    "http://x@127.0.0.1:5123/back",
    "http://127.0.0.1:5123/back#fragment",
    "https://127.0.0.1:5123/back",
    "http://127.0.0.1:99999/back",
    "https://client.example:443/back",
    "https://client.example/%62ack",
    "https://CLIENT.example/back",
    "https://client.example\\@evil.example/back",
    "",
    None,
)


async def test_nothing_is_sent_to_another_redirect_uri(server: Deployment, user: User) -> None:
    client = (await server.register(redirect_uris=[REDIRECT, WEB]))["client_id"]
    changed = client[:-5] + ("A" if client[-5] != "A" else "B") + client[-4:]
    its_own_port = f"http://127.0.0.1:{server.url.rpartition(':')[2]}/back"
    url = server.authorize_url(client)
    requests = [
        server.authorize_url(client, redirect_uri=uri) for uri in (*NOT_ITS_OWN, its_own_port)
    ]
    requests += [
        server.authorize_url(unknown)
        for unknown in ("", "nobody", changed, f"{client}=", client[:40])
    ]
    # Of a parameter given twice, the last one is used.
    for name in ("redirect_uri", "resource", "client_id"):
        evil = f"{name}=https://evil.example/mcp"
        requests.append(f"{url}&{evil}")
        first = await user.open(url.replace("?", f"?{evil}&"))
        assert (first.status_code, "evil.example" in first.text) == (200, False)
    for request in requests:
        response = await user.open(request)

        assert (response.status_code, "location" in response.headers) == (400, False), request
        assert "evil.example" not in response.text, request
    assert "location" not in (await user.http.head(url)).headers


REGISTRATIONS: list[Any] = [
    {"redirect_uris": []},
    {"redirect_uris": [f"{WEB}/{number}{'a' * 400}" for number in range(6)]},
    *(
        {"redirect_uris": [uri]}
        for uri in (
            *(
                7,
                "/back",
                "http://client.example/back",
                f"{WEB}#x",
                "https://kallyai.com@evil.example/back",
            ),
            *(
                "javascript:alert(1)",
                "JaVaScRiPt:/alert(1)",
                "data:/text/html,x",
                "ms-msdt://x",
                "shell://x/back",
            ),
            *("smb://x/back", "tel://x/back", "x-apple.settings://x/back"),
        )
    ),
]


async def test_an_invalid_registration_is_refused(
    sandbox: RunningSandbox, server: Deployment
) -> None:
    for metadata in [*REGISTRATIONS, {"redirect_uris": [f"{server.url}/oauth/callback"]}]:
        response = await server.http.post(f"{server.url}/oauth/register", json=metadata)

        assert response.status_code == 400, metadata
        assert response.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}
    async with deploy(sandbox, PUBLIC_URL="https://phone.example.com") as public:
        for name in ("phone.example.com", "phone.example.com:443", "PHONE.example.com"):
            own = {"redirect_uris": [f"https://{name}/oauth/callback"]}
            assert (
                await public.http.post(f"{public.url}/oauth/register", json=own)
            ).status_code == 400, name


OWN_NAMES = (
    "localhost",
    "LOCALHOST",
    "[::1]",
    "127.0.0.2",
    "[::ffff:127.0.0.1]",
    "127.0.0.1.",
    "localhost.",
)


@pytest.mark.parametrize("name", OWN_NAMES)
async def test_the_servers_local_address_is_no_redirect_uri(
    server: Deployment, user: User, name: str
) -> None:
    own = f"http://{name}:{server.url.rpartition(':')[2]}/back"
    refused = await server.http.post(f"{server.url}/oauth/register", json={"redirect_uris": [own]})
    programs = [f"http://{known}/back" for known in OWN_NAMES[:5]]
    client = (await server.register(redirect_uris=programs))["client_id"]
    page = await user.open(server.authorize_url(client, redirect_uri=own))

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    assert page.status_code == 400


@pytest.mark.parametrize(
    "name",
    ["phone.example.com.", "PHONE.example.com.:443", "phone%2Eexample.com", "x@phone.example.com"],
)
async def test_the_public_host_is_no_redirect_uri(sandbox: RunningSandbox, name: str) -> None:
    metadata = {"redirect_uris": [f"https://{name}/oauth/callback"]}
    async with deploy(sandbox, PUBLIC_URL="https://phone.example.com") as server:
        refused = await server.http.post(f"{server.url}/oauth/register", json=metadata)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")


async def test_a_long_or_malformed_form_is_refused(
    server: Deployment,
) -> None:
    for name in ("register", "token", "revoke", "consent", "sign-out"):
        url = f"{server.url}/oauth/{name}"
        too_long = await server.http.post(url, content=b"[" * 70_000)
        files = await server.http.post(url, files={"code": b"x", "token": b"x", "client_id": b"x"})
        broken = await server.http.post(
            url, content=b"--x", headers={"Content-Type": "multipart/form-data"}
        )

        assert too_long.status_code == 413
        assert 400 <= files.status_code < 500
        assert 400 <= broken.status_code < 500
