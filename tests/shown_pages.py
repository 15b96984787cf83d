"""All pages that a person sees in a browser, for checks and pictures, with the longest names that
apps and users have.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kallyai_mcp.auth.oauth_server.scopes import SCOPES
from kallyai_mcp.auth.pages import loopback_page
from kallyai_mcp.sandbox.app import SandboxApp
from tests.auth.oauth_server.shown_pages import shown_pages
from tests.playwright_names import Page, Route
from tests.sandbox.auth.requests import LOOPBACK, request_token_in
from tests.sandbox.sandbox_app import client_of

SANDBOX = "http://sandbox.test"
LONG_APP = "Scheduling-and-Reservations Assistant for Restaurants (Beta)"
"""60 characters, the most that an app's name may have."""
LONG_USER = "maria-fernanda.rodriguez-villanueva@restaurants.example.com"


async def hosted_pages(language: str) -> dict[str, str]:
    """The HTML of the pages of the sign-in, on this machine and on a hosted server."""
    ended = {
        f"ended-{kind}": loopback_page(kind, language, who=LONG_USER).decode()
        for kind in ("done", "failed", "over", "wrong")
    }
    shown = await shown_pages(language, " ".join(SCOPES), name=LONG_APP)
    return ended | {f"hosted-{name}": html for name, html in shown.items()}


@asynccontextmanager
async def sandbox_pages(
    page: Page, app: SandboxApp, language: str
) -> AsyncIterator[Mapping[str, str]]:
    """The addresses of the sandbox's pages, which the tab `page` can open until the end."""
    async with client_of(app) as client:
        client.headers.update({"Accept": "text/html", "Accept-Language": language})

        async def answer(route: Route) -> None:
            response = await client.get(route.request.url)
            await route.fulfill(
                status=response.status_code, headers=dict(response.headers), body=response.content
            )

        await page.route(f"{SANDBOX}/**", answer)
        first = await client.get("/v1/auth/cli", params={"redirect_uri": "http://localhost:9999"})
        query = {
            "response_type": "code",
            "client_id": "sandbox-client",
            "redirect_uri": LOOPBACK,
            "state": "s",
        }
        web = request_token_in(await client.get("/v1/auth/authorize", params=query))
        consent = await client.post(
            "/v1/auth/sign-in", data={"request": web, "account": "acct-personal"}
        )
        token = app.state.sandbox.issue_tokens()["access_token"]
        portal = await client.get(
            "/v1/stripe/billing-portal", headers={"Authorization": f"Bearer {token}"}
        )
        paths = {
            "home": "/",
            "billing": portal.json()["url"].removeprefix(SANDBOX),
            "play": "/_sandbox/play",
            "sign-in": "/v1/auth/cli?redirect_uri=http://localhost:9999",
            "choose": f"/v1/auth/sign-in?request={request_token_in(first)}&provider=apple",
            "consent": f"/v1/auth/{consent.headers['location']}",
            "stopped": "/v1/auth/cli?redirect_uri=http://evil.example",
            "expired": "/v1/auth/sign-in?request=old&provider=apple",
            "not-found": "/nothing",
        }
        yield {f"sandbox-{name}": SANDBOX + path for name, path in paths.items()}
        await page.goto("about:blank")
        await page.unroute(f"{SANDBOX}/**", answer)
