"""A chat with a card in it: a real host page in Chromium, whose tools are those of a real server."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from mcp.types import CallToolResult
from playwright.async_api import Browser, ConsoleMessage, Frame, FrameLocator, Locator, Page, Request

from kallyai_mcp.auth.loopback_listener import Reply, listening
from kallyai_mcp.auth.loopback_listener import Request as Asked
from tests.agent import Agent, Answer
from tests.cards.npm import SOURCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    # All frames in one process: Playwright's language and zone reach a frame in a process of its own too late at times.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes",
]
PATIENCE = 8_000
"""How long a page is waited for, in ms."""

NEW_YORK = {"theme": "light", "locale": "en-US", "timeZone": "America/New_York"}
"""What the host says of its user, unless a test says otherwise."""

# Chromium warns of the two permissions that the proxy must have ("Sandbox proxy", 2), before it knows its origin.
_WARNED = "An iframe which has both allow-scripts and allow-same-origin for its sandbox attribute can escape"

# SEP-1865, "Host Behavior": the policy for a resource that declares no domains.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; connect-src 'none'; frame-src 'none'; object-src 'none'; base-uri 'self'"
)


@dataclass(frozen=True)
class Stage:
    """Where the host page and its sandbox are served, and what axe-core is."""

    host: str
    sandbox: str
    axe: str


@asynccontextmanager
async def staged(bundle: Path) -> AsyncIterator[Stage]:
    """Serve the host page, and the sandbox proxy on an origin of its own."""

    def answer(asked: Asked) -> Reply:
        html = {"Content-Type": "text/html; charset=utf-8"}
        match asked.path:
            case "/host.html":
                return Reply(200, (SOURCE / "host.html").read_bytes(), html)
            case "/host.bundle.js":
                script = (bundle / "host.bundle.js").read_bytes()
                return Reply(200, script, {"Content-Type": "text/javascript; charset=utf-8"})
            case "/sandbox.html":
                body = (SOURCE / "sandbox.html").read_bytes()
                return Reply(200, body, html | {"Content-Security-Policy": POLICY})
            case _:
                return Reply(404, b"")

    axe = (bundle / "axe.min.js").read_text(encoding="utf-8")
    async with listening(answer) as host, listening(answer) as sandbox:
        yield Stage(f"http://127.0.0.1:{host}/host.html", f"http://127.0.0.1:{sandbox}/sandbox.html", axe)


@dataclass
class Chat:
    """A card, the page that it is in, and what it asked for.

    Attributes:
        page: The host page.
        agent: Whose tools the card calls.
        stage: What the page is made of.
        asked: The tools that the card called, with their arguments.
        wrong: What should not have happened: errors on the console, violations of the policy, requests to the network.
    """

    page: Page
    agent: Agent
    stage: Stage
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def card(self) -> FrameLocator:
        return self.page.frame_locator("iframe").frame_locator("iframe")

    @property
    def frame(self) -> Frame:
        """The card's own frame, to look into."""
        return self.page.frames[2]

    def button(self, name: str) -> Locator:
        return self.card.get_by_role("button", name=name, exact=True)

    def tools(self, name: str) -> list[dict[str, Any]]:
        """The arguments of each call of that tool."""
        return [arguments for tool, arguments in self.asked if tool == name]

    async def seen(self, kind: str) -> list[Any]:
        """What the host was asked: downloads, links, messages, contexts, heights."""
        seen: list[Any] = await self.page.evaluate("kind => window.seen[kind]", kind)
        return seen

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((name, dict(arguments)))
        return to_result((await self.agent.use(name, arguments)).result)

    async def tell(self, **params: Any) -> None:
        """The host's word that its context has changed."""
        await self.page.evaluate("params => window.bridge.setHostContext(params)", params)

    async def give(self, answer: Answer, arguments: Mapping[str, Any] | None = None) -> None:
        """What the tool was given, and what it answered."""
        await self.start(arguments)
        await self.page.evaluate("result => window.bridge.sendToolResult(result)", to_result(answer.result))

    async def start(self, arguments: Mapping[str, Any] | None) -> None:
        """What the tool was given; its answer is not there yet."""
        await self.page.evaluate("args => window.bridge.sendToolInput({arguments: args})", dict(arguments or {}))

    async def pass_time(self, seconds: float) -> None:
        """Let that much time go by in the browser, at once."""
        await self.page.clock.run_for(round(seconds * 1000))

    async def comes_to(self, status: str) -> None:
        """Let time go by in the browser until the card shows `status`: it may look just before the call has ended."""
        with anyio.fail_after(20):
            while (await self.card.locator("#status").text_content()) != status:
                await self.pass_time(5)

    async def until(self, condition: str) -> None:
        """Wait until that is true in the card. Playwright's own way needs `eval`, which the policy forbids."""
        look = f"const look = () => {condition} ? done() : requestAnimationFrame(look); look();"
        with anyio.fail_after(PATIENCE / 1000):
            await self.frame.evaluate(f"new Promise((done) => {{ {look} }})")

    async def violations(self) -> list[str]:
        """What axe-core finds wrong with the card, by every rule it has."""
        await self.frame.evaluate(f"{self.stage.axe}; 0")
        found: list[str] = await self.frame.evaluate(
            "axe.run().then(r => r.violations.map(v => `${v.id}: ${v.nodes.map(n => n.html + n.failureSummary)}`))"
        )
        return found


def to_result(result: CallToolResult) -> dict[str, Any]:
    """`result` as it is on the wire."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


class Tabs:
    """Tabs of a browser with the host page in them. One is used again and again: opening one takes most of a test."""

    def __init__(self, browser: Browser, stage: Stage) -> None:
        self._browser = browser
        self._stage = stage
        self._usual: Page | None = None
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
        **browsing: Any,
    ) -> AsyncIterator[Chat]:
        """Open the card `html` in a host; at the end nothing may have gone wrong in the browser.

        Args:
            agent: Whose tools the host calls for the card.
            html: The card.
            now: What the browser's clock shows at first.
            context: The host's context.
            capabilities: The host's capabilities; all that the card knows, unless given.
            refuses: What the host refuses though it says that it has it: tools, downloads, links, messages, contexts.
            written: The card is written into a frame of the sandbox's own origin, instead of an opaque one.
            browsing: About the window: width in px, color_scheme, and whatever else a context of Playwright's takes.
        """
        usual = not browsing
        page = self._usual if usual and self._usual is not None else await self._open(**browsing)
        self._usual = page if usual else self._usual
        shown = self._chats[page] = Chat(page, agent, self._stage)
        await page.clock.set_system_time(now)
        given: dict[str, Any] = {"html": html, "sandbox": self._stage.sandbox, "context": dict(context)}
        given |= {"refuses": refuses} | ({} if capabilities is None else {"capabilities": dict(capabilities)})
        given |= {"frame": "allow-scripts allow-same-origin"} if written else {}
        try:
            with anyio.fail_after(PATIENCE / 1000):
                await page.evaluate("given => window.show(given)", given)
            yield shown
            assert not shown.wrong, shown.wrong
        finally:
            await (page.evaluate("window.clear()") if usual else page.context.close())

    async def _open(self, *, width: int = 720, **browsing: Any) -> Page:
        options = {"locale": "en-US", "timezone_id": "Europe/London", "viewport": {"width": width, "height": 900}}
        tab = await self._browser.new_context(**(options | browsing))
        tab.set_default_timeout(PATIENCE)
        page = await tab.new_page()
        await page.clock.install()

        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(_WARNED):
                self._chats[page].wrong.append(f"console: {message.text}")

        def requested(request: Request) -> None:
            if request.url.startswith("http") and request.url != self._stage.sandbox:
                self._chats[page].wrong.append(f"request: {request.url}")

        async def call_tool(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
            return await self._chats[page].call_tool(name, arguments)

        page.on("console", heard)
        page.on("pageerror", lambda error: self._chats[page].wrong.append(f"error: {error}"))
        await page.expose_function("callTool", call_tool)
        await page.goto(self._stage.host)
        page.on("request", requested)
        if width < 400:
            await page.evaluate("document.body.className = 'narrow'")
        return page
