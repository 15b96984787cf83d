"""The whole sign-in with the SDK's OAuth client, and with a real browser (headless Chromium)."""

import anyio
import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.agent import Agent
from tests.auth.oauth_server.deployment import REDIRECT, Deployment, User, answer_in
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, expect
from tests.transports.http_server import CALL, LIMIT, RunningSandbox


class TokenMemory:
    """The token storage of the SDK's client."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def test_a_client_signs_in_after_401_and_calls(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    opened: list[str] = []
    before = len(await sandbox.calls())

    async def open_browser(url: str) -> None:
        # The first time, the client gets fewer scopes than it requested.
        opened.append(url if opened else url.replace("billing%3Amanage", ""))

    async def come_back() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(answer_in(await user.allow(opened[-1])))

    metadata = OAuthClientMetadata(client_name="SDK client", redirect_uris=[AnyUrl(REDIRECT)])
    oauth = OAuthClientProvider(
        f"{server.url}/mcp", metadata, TokenMemory(), open_browser, come_back
    )
    with anyio.fail_after(2 * LIMIT):
        async with (
            httpx2.AsyncClient(auth=oauth, timeout=LIMIT) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            agent = Agent(client)
            await agent.use(
                "make_call", CALL | {"task_description": "Ask when they open"}, wait_seconds=0
            )
            calls = await sandbox.wait_for_calls(before + 1)
            sandbox.end_calls()
            link = await agent.use("check_quota", billing_link=True)

    assert calls[-1]["account_id"] == "acct-personal"
    assert not link.is_error
    assert len(opened) == 2


async def test_a_user_connects_and_disconnects_in_a_browser(
    server: Deployment, chromium: Browser
) -> None:
    answers: list[dict[str, str]] = []

    async def arrived(request: Request) -> Response:
        answers.append(answer_in(str(request.url)))
        return HTMLResponse("<!doctype html><title>Client</title><p>The client has it")

    client, app = await server.new_client(), Starlette(routes=[Route("/back", arrived)])
    async with serve_app(app, "127.0.0.1", 0) as url, await chromium.new_context() as context:
        redirect_uri = f"{url}/back"
        page = await context.new_page()
        page.set_default_timeout(LIMIT * 1000)
        await page.goto(server.authorize_url(client, redirect_uri=redirect_uri))
        await expect(page.get_by_role("main")).to_contain_text("a program on this computer")
        await page.get_by_role("button", name="Allow").click()
        await page.get_by_role("button", name="Continue with Google").click()
        await page.get_by_role("button", name=ACCOUNTS["acct-personal"].email).click()
        await page.get_by_role("button", name="Allow").click()
        await expect(page.get_by_text("The client has it")).to_be_visible(timeout=LIMIT * 1000)
        tokens = (await server.redeem(client, answers[0]["code"], redirect_uri=redirect_uri)).json()
        before = await server.use(tokens["access_token"])
        await page.goto(server.url)
        await expect(page.get_by_role("listitem").first).to_contain_text("Test Client")
        await page.get_by_role("button", name="Disconnect all").click()
        await expect(page.get_by_text("No app was connected")).to_be_visible()
        after = await server.use(tokens["access_token"])

    assert [before.status_code, after.status_code] == [200, 401]


async def test_the_home_page_copies_the_servers_address(
    server: Deployment, chromium: Browser
) -> None:
    # A browser gives a page the clipboard at https, or on this machine.
    async with await chromium.new_context(
        permissions=["clipboard-read", "clipboard-write"]
    ) as context:
        page = await context.new_page()
        page.set_default_timeout(LIMIT * 1000)
        await page.goto(server.url)
        buttons = page.get_by_role("button", name="Copy")
        await expect(buttons).to_have_count(3)
        assert await hard_to_use(page) == []
        await buttons.first.click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()

        assert await page.evaluate("navigator.clipboard.readText()") == f"{server.issuer}/mcp"
        await expect(buttons).to_have_count(3)
