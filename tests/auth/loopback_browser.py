"""A loopback sign-in, and an HTTP client in place of the browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx2

from kallyai_mcp.auth.loopback import LoopbackSignIn
from kallyai_mcp.auth.pages import Origin

TOKENS = {"access_token": "secret-access", "refresh_token": "secret-refresh", "expires_in": "1800"}
XSS = "\"'><script>alert(1)</script>"


def auth_url(redirect_uri: str, state: str) -> str:
    return "https://api.example/v1/auth/cli?" + urlencode({"redirect_uri": redirect_uri, "state": state})


def state_of(flow: LoopbackSignIn) -> str:
    return parse_qs(urlsplit(flow.link).query)["state"][0]


def answer(flow: LoopbackSignIn, **fields: str) -> str:
    return f"{flow.redirect_uri}/?" + urlencode({"state": state_of(flow), **fields})


@asynccontextmanager
async def loopback_sign_in(
    seconds: float = 60, linger: float = 0, place: Origin = "chat"
) -> AsyncIterator[tuple[LoopbackSignIn, httpx2.AsyncClient]]:
    with anyio.fail_after(20):
        async with (
            httpx2.AsyncClient(trust_env=False) as browser,
            LoopbackSignIn(auth_url, seconds, linger=linger, place=place) as flow,
        ):
            yield flow, browser
