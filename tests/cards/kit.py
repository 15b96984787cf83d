"""A card in a real host page in Chromium, whose tools are those of a real server."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from mcp.types import CallToolResult
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from kallyai_mcp.transports.uvicorn_server import serve_app
from tests.agent import Agent, Answer
from tests.cards.npm import SOURCE
from tests.page_checks import hard_to_use
from tests.playwright_names import (
    Browser,
    ConsoleMessage,
    Frame,
    FrameLocator,
    Locator,
    Page,
    Request,
)

TIMEOUT_MS = 8_000
"""How long to wait for a page, in ms."""

WIDTH, HEIGHT = 720, 900
"""The size of a tab in px, unless a test gives another width."""

MEDIA: dict[str, Any] = {"color_scheme": "null", "forced_colors": "null", "reduced_motion": "null"}
"""What of the browser's media a test may set; these values set nothing."""

NEW_YORK = {"theme": "light", "locale": "en-US", "timeZone": "America/New_York"}
"""The host context, unless a test gives another."""

# Chromium warns about the two permissions that the proxy needs ("Sandbox proxy", 2) before it knows
# the origin.
_EXPECTED_WARNING = (
    "An iframe which has both allow-scripts and allow-same-origin for its sandbox "
    "attribute can escape"
)

# SEP-1865, "Host Behavior": the policy for a resource that declares no domains.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; "
    "media-src 'self' data:; connect-src 'none'; frame-src 'none'; object-src 'none'; base-uri "
    "'self'"
)


@dataclass(frozen=True)
class HostPages:
    """The URLs of the host page and of its sandbox proxy."""

    host: str
    sandbox: str


@contextmanager
def serve_host_pages(bundle: Path) -> Iterator[HostPages]:
    """Serve the host page and, on another origin, the sandbox proxy, in a thread: other tests have
    an idle loop.
    """

    def file(path: Path, **headers: str) -> Route:
        return Route(f"/{path.name}", lambda _: FileResponse(path, headers=headers))

    policy = {"Content-Security-Policy": POLICY}
    pages = [
        file(SOURCE / "host.html"),
        file(bundle / "host.bundle.js"),
        file(SOURCE / "sandbox.html", **policy),
    ]
    with start_blocking_portal() as portal:
        servers = [
            portal.wrap_async_context_manager(serve_app(Starlette(routes=pages), "127.0.0.1", 0))
            for _ in "12"
        ]
        with servers[0] as host, servers[1] as sandbox:
            yield HostPages(f"{host}/host.html", f"{sandbox}/sandbox.html")


@dataclass
class Chat:
    """A card in a host page, and the agent whose tools it calls.

    `asked`: the tools that it called, with their arguments. `errors`: those of the console,
    violations of the policy, and requests to the network. `idle` is set when every tool has
    answered.
    """

    page: Page
    agent: Agent
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    idle: anyio.Event | None = None
    open_requests: int = 0

    @property
    def card(self) -> FrameLocator:
        return self.page.frame_locator("iframe").frame_locator("iframe")

    @property
    def frame(self) -> Frame:
        """The card's own frame."""
        return self.page.frames[2]

    def button(self, name: str) -> Locator:
        return self.card.get_by_role("button", name=name, exact=True)

    def tools(self, name: str) -> list[dict[str, Any]]:
        """The arguments of each call of a tool."""
        return [arguments for tool, arguments in self.asked if tool == name]

    async def seen(self, kind: str) -> list[Any]:
        """What the card sent to the host: downloads, links, messages, contexts, or heights."""
        seen: list[Any] = await self.page.evaluate("kind => window.seen[kind]", kind)
        return seen

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((name, dict(arguments)))
        if self.idle is None or self.idle.is_set():
            self.idle = anyio.Event()
        self.open_requests += 1
        try:
            return as_json((await self.agent.use(name, arguments)).result)
        finally:
            self.open_requests -= 1
            if self.open_requests == 0:
                self.idle.set()

    async def set_host_context(self, **params: Any) -> None:
        """Change the host context."""
        await self.page.evaluate("params => window.bridge.setHostContext(params)", params)

    async def give(self, answer: Answer, arguments: Mapping[str, Any] | None = None) -> None:
        """Send the tool's arguments and its result to the card."""
        await self.start(arguments)
        await self.page.evaluate(
            "result => window.bridge.sendToolResult(result)", as_json(answer.result)
        )

    async def start(self, arguments: Mapping[str, Any] | None) -> None:
        """Send the tool's arguments to the card; the result comes later."""
        await self.page.evaluate(
            "args => window.bridge.sendToolInput({arguments: args})", dict(arguments or {})
        )

    async def pass_time(self, seconds: float) -> None:
        """Advance the browser's clock."""
        await self.page.clock.run_for(round(seconds * 1000))

    async def comes_to(self, status: str) -> None:
        """Advance the browser's clock until the card shows `status`; one request may come before
        the call has ended.
        """
        with anyio.fail_after(60):
            while (await self.card.locator("#status").text_content()) != status:
                await self.pass_time(5)
                # Else the card would count the wait as minutes, and give up.
                if self.idle is not None:
                    await self.idle.wait()

    async def until(self, condition: str) -> None:
        """Wait until `condition` is true in the card; Playwright's own way needs `eval`, which the
        policy forbids.
        """
        look = f"const look = () => {condition} ? done() : requestAnimationFrame(look); look();"
        with anyio.fail_after(TIMEOUT_MS / 1000):
            await self.frame.evaluate(f"new Promise((done) => {{ {look} }})")

    async def hard_to_use(self) -> list[str]:
        """See `page_checks.hard_to_use`; in both themes."""
        found: list[str] = []
        for theme in ("dark", "light"):
            await self.set_host_context(theme=theme)
            await self.until(f"document.documentElement.style.colorScheme === '{theme}'")
            found += [f"{theme}: {problem}" for problem in await hard_to_use(self.frame)]
        return found


def as_json(result: CallToolResult) -> dict[str, Any]:
    """`result` as it is sent."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


class Tabs:
    """Browser tabs with the host page.

    One tab is used by most tests, since opening one takes longer than a test.
    """

    def __init__(self, browser: Browser, host_pages: HostPages) -> None:
        self._browser = browser
        self._stage = host_pages
        self._shared_page: Page | None = None
        self._chats: dict[Page, Chat] = {}

    @asynccontextmanager
    async def chat(
        self,
        agent: Agent,
        html: str,
        *,
        now: datetime,
        context: Mapping[str, Any] = NEW_YORK,
        capabilities: Mapping[str, Any] | None = None,
        refuses: tuple[str, ...] = (),
        written: bool = False,
        width: int = WIDTH,
        **browsing: Any,
    ) -> AsyncIterator[Chat]:
        """Open the card `html` in the host page; at the end, fail if there were errors in the
        browser.

        `now` is the browser's time. `capabilities` are the host's, by default all that the card
        uses; it `refuses` some nevertheless: tools, downloads, links, messages, contexts.
        `written`: into a frame of the sandbox's origin, in place of an opaque one. `browsing`: the
        color_scheme and other options of a Playwright context.
        """
        media = {name: browsing.pop(name) for name in MEDIA if name in browsing}
        is_shared = not browsing
        page = (
            self._shared_page
            if is_shared and self._shared_page is not None
            else await self._open(**browsing)
        )
        self._shared_page = page if is_shared else self._shared_page
        await page.emulate_media(**(MEDIA | media))
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        shown = self._chats[page] = Chat(page, agent)
        await page.clock.set_system_time(now)
        given: dict[str, Any] = {
            "html": html,
            "sandbox": self._stage.sandbox,
            "context": dict(context),
        }
        given |= {"refuses": refuses} | (
            {} if capabilities is None else {"capabilities": dict(capabilities)}
        )
        given |= {"frame": "allow-scripts allow-same-origin"} if written else {}
        try:
            with anyio.fail_after(TIMEOUT_MS / 1000):
                await page.evaluate("given => window.show(given)", given)
            yield shown
            assert not shown.errors, shown.errors
        finally:
            await (page.evaluate("window.clear()") if is_shared else page.context.close())

    async def _open(self, **browsing: Any) -> Page:
        tab = await self._browser.new_context(
            **({"locale": "en-US", "timezone_id": "Europe/London"} | browsing)
        )
        tab.set_default_timeout(TIMEOUT_MS)
        page = await tab.new_page()
        await page.clock.install()

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(
                _EXPECTED_WARNING
            ):
                self._chats[page].errors.append(f"console: {message.text}")

        def on_request(request: Request) -> None:
            if request.url.startswith("http") and request.url != self._stage.sandbox:
                self._chats[page].errors.append(f"request: {request.url}")

        async def call_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
            return await self._chats[page].call_tool(name, arguments)

        async def read_resource(uri: str) -> dict[str, Any]:
            read = await self._chats[page].agent.client.read_resource(uri)
            return read.model_dump(mode="json", by_alias=True, exclude_none=True)

        page.on("console", on_console)
        page.on("pageerror", lambda error: self._chats[page].errors.append(f"error: {error}"))
        await page.expose_function("callTool", call_tool)
        await page.expose_function("readResource", read_resource)
        await page.goto(self._stage.host)
        page.on("request", on_request)
        return page
