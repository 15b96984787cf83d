"""The command `kallyai-mcp serve --transport http --auth oauth`."""

from pathlib import Path

import httpx2
import pytest

from tests.auth.oauth_server.deployment import (
    KEY,
    OAUTH,
    Deployment,
    User,
    answer_in,
    deploy,
    flow_in,
    next_url,
    sign_in,
)
from tests.cli.machine import run_in_process
from tests.processes import free_port, started
from tests.transports.http_server import LIMIT, RunningSandbox


@pytest.mark.programs
async def test_serve_with_oauth_signs_in_for_both_endpoints(
    sandbox: RunningSandbox, user: User, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ("serve", "--transport", "http", "--auth", "oauth", "--port", str(port))
    with started(tmp_path, *command, **OAUTH, API_URL=sandbox.url, PUBLIC_URL=url) as process:
        assert process.stderr is not None
        assert f"serves {url}/mcp" in process.stderr.readline()
        async with httpx2.AsyncClient(timeout=LIMIT) as http:
            server = Deployment(url, url, http)
            refused = await http.get(f"{url}/sse")
            tokens = await sign_in(server, user)
            quota = await server.use(tokens["access_token"])
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            async with http.stream("GET", f"{url}/sse", headers=bearer) as over_sse:
                pass

    assert (
        f'resource_metadata="{url}/.well-known/oauth-protected-resource/sse"'
        in refused.headers["www-authenticate"]
    )
    assert [refused.status_code, over_sse.status_code] == [401, 200]
    assert "of 210 minutes" in quota.text


async def test_behind_tls_cookies_are_bound_to_the_host(
    sandbox: RunningSandbox, user: User
) -> None:
    async with deploy(sandbox, PUBLIC_URL="https://localhost:8443") as server:
        consent = await user.open(server.authorize_url(await server.new_client()))
        headers = {
            "Cookie": consent.headers["set-cookie"].partition(";")[0],
            "Origin": server.issuer,
        }
        form = {"flow": flow_in(consent), "decision": "allow"}
        allowed = await server.http.post(f"{server.url}/oauth/consent", data=form, headers=headers)
        at_kallyai = await user.open(next_url(allowed))

    cookie = consent.headers["set-cookie"]
    assert cookie.startswith("__Host-kallyai-")
    assert all(
        attribute in cookie for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax")
    )
    assert "domain" not in cookie.lower()
    assert answer_in(next_url(allowed))["redirect_uri"] == "https://localhost:8443/oauth/callback"
    assert (at_kallyai.status_code, "Continue with Google" in at_kallyai.text) == (200, True)


def test_oauth_does_not_start_without_its_settings(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, str], str]] = [
        ({"CLIENT_SECRET": "", "SECRET_KEYS": ""}, "KALLYAI_CLIENT_SECRET, KALLYAI_SECRET_KEYS"),
        ({"SECRET_KEYS": "abcd"}, "at least 32 bytes"),
        ({"PUBLIC_URL": "http://phone.example.com"}, "must be https"),
        ({"PUBLIC_URL": "https://phone.example.com/path"}, "without a path"),
    ]
    for changes, words in cases:
        settings = {**OAUTH, "PUBLIC_URL": "https://phone.example.com"} | changes
        ended = run_in_process(
            tmp_path, "serve", "--transport", "http", "--auth", "oauth", "--port", "0", **settings
        )

        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        assert words in ended.stderr
        assert KEY not in ended.stderr
