"""The whole sign-in, with the SDK's OAuth client and a real browser (headless Chromium)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from kallyai_mcp.auth.loopback_listener import Reply, Request, listening
from kallyai_mcp.sandbox.accounts import ACCOUNTS
from tests.agent import Agent
from tests.auth.oauth_server.deployment import Deployment, answer_in
from tests.page_checks import hard_to_use
from tests.playwright_names import Browser, BrowserContext, Page, expect
from tests.transports.http_server import CALL, LIMIT, RunningSandbox, post_initialize


class TokenMemory:
    """The token storage of the SDK's client."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def sign_in_and_allow(context: BrowserContext, url: str) -> str:
    """What a user does in the browser after the client has opened `url`: sign in and allow; returns what was asked."""
    page: Page = await context.new_page()
    page.set_default_timeout(LIMIT * 1000)
    await page.goto(url)
    asked = await page.inner_text("main")
    await page.get_by_role("button", name="Allow").click()
    await page.get_by_role("button", name="Continue with Google").click()
    await page.get_by_role("button", name=ACCOUNTS["acct-personal"].email).click()
    await page.get_by_role("button", name="Allow").click()
    await expect(page.get_by_text("The client has it")).to_be_visible(timeout=LIMIT * 1000)
    await page.close()
    return asked


@asynccontextmanager
async def connected(server: Deployment, open_url: Any, memory: TokenMemory) -> AsyncIterator[Agent]:
    """An agent with the SDK's client, which knows only the server's URL, and listens on a loopback port."""
    sent, received = anyio.create_memory_object_stream[Mapping[str, str]](4)

    def arrived(request: Request) -> Reply:
        if request.path == "/callback":  # a browser asks for an icon, too
            sent.send_nowait(answer_in(f"?{request.query}"))
        return Reply(200, b"<!doctype html><title>Client</title><p>The client has it", {"Content-Type": "text/html"})

    async with sent, received, listening(arrived) as port, anyio.create_task_group() as tasks:
        redirect = f"http://127.0.0.1:{port}/callback"

        async def redirect_handler(url: str) -> None:
            tasks.start_soon(open_url, url)

        async def callback_handler() -> AuthorizationCodeResult:
            with anyio.fail_after(2 * LIMIT):
                answer = await received.receive()
            return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

        oauth = OAuthClientProvider(
            f"{server.url}/mcp",
            OAuthClientMetadata(client_name="SDK client", redirect_uris=[AnyUrl(redirect)]),
            memory,
            redirect_handler,
            callback_handler,
        )
        async with (
            httpx2.AsyncClient(auth=oauth, timeout=2 * LIMIT) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            yield Agent(client)


async def test_a_user_gets_from_the_first_401_to_a_placed_call_and_a_missing_scope_and_disconnects_the_app(
    sandbox: RunningSandbox, server: Deployment, chromium: Browser
) -> None:
    memory, opened, asked = TokenMemory(), list[str](), list[str]()
    before = len(await sandbox.calls())
    async with await chromium.new_context() as context:

        async def consents(url: str) -> None:
            # The first time, the client gets fewer scopes than it requested. It goes on before the page is closed.
            opened.append(url if opened else url.replace("billing%3Amanage", ""))
            asked.append(await sign_in_and_allow(context, opened[-1]))

        with anyio.fail_after(4 * LIMIT):
            async with connected(server, consents, memory) as agent:
                placed = await agent.use("make_call", CALL, wait_seconds=0)
                calls = await sandbox.wait_for_calls(before + 1)
                sandbox.end_calls()
                done = await agent.use("get_call", call_id=placed.data["tracking_id"], wait_seconds=LIMIT)
                link = await agent.use("check_quota", billing_link=True)
                page = await context.new_page()
                await page.set_extra_http_headers({"Accept-Language": "es-MX,es;q=0.9"})
                await page.goto(server.url)
                await page.get_by_role("link", name="Ver o desconectar aplicaciones").click()
                await expect(page.get_by_role("listitem").first).to_contain_text("SDK client desde el ")
                await page.get_by_role("button", name="Desconectar todas").click()
                await expect(page.get_by_role("heading", name="Desconectadas")).to_be_visible()
                assert await hard_to_use(page) == []
                assert memory.tokens is not None
                after = await post_initialize(server.url, {"Authorization": f"Bearer {memory.tokens.access_token}"})

    assert "“SDK client”" in asked[0]
    assert "a program on this computer" in asked[0]
    assert ["Open your billing page" in page for page in asked] == [False, True]
    assert calls[-1]["account_id"] == "acct-personal"
    assert done.data["status"] == "success"
    assert not link.is_error
    assert after.status_code == 401


async def test_in_a_browser_no_other_site_can_frame_or_submit_the_consent_page(
    server: Deployment, chromium: Browser
) -> None:
    url = server.authorize_url(await server.new_client())

    def hostile(_: Request) -> Reply:
        page = (
            f'<iframe src="{url.replace("&", "&amp;")}"></iframe>'
            f'<form method="post" action="{server.url}/oauth/consent"><input name="flow" value="{"x" * 22}">'
            '<button name="decision" value="allow">Win a prize</button></form>'
        )
        return Reply(200, page.encode(), {"Content-Type": "text/html"})

    async with listening(hostile) as port, await chromium.new_context() as context:
        page = await context.new_page()
        await page.goto(f"http://localhost:{port}/")
        framed = [await frame.content() for frame in page.frames[1:]]
        async with page.expect_response(lambda response: response.url.endswith("/oauth/consent")) as waiting:
            await page.get_by_role("button", name="Win a prize").click()
        response = await waiting.value

    assert framed
    assert not any('name="flow"' in content for content in framed)
    assert response.status == 403
