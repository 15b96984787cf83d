"""`kallyai-mcp demo`: calls on the sandbox, from sign-in to transcript, through a real MCP client."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import click

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.console import say, wrapped
from kallyai_mcp.cli.demo_calls import Demo, DemoError, place_calls, say_below
from kallyai_mcp.cli.login import sign_in
from kallyai_mcp.cli.sandbox import need_sandbox
from kallyai_mcp.settings import Settings


def run_demo(speed: float, *, verbose: bool = False) -> int:
    """Run the demo and print each step.

    Args:
        speed: The speed of the calls; 1 is that of real calls. With 20, a call takes about three seconds.
        verbose: Also print each use of a tool.

    Returns:
        The exit code: 0 only if each answer was the expected one.
    """
    need_sandbox()
    demo = Demo(None, verbose)
    say(wrapped(demo.text("beginning")))
    from kallyai_mcp.sandbox.browser_client import BrowserClientError

    failures: list[str] = []
    try:
        anyio.run(_run, demo, speed)
    except* (DemoError, KallyAIError, click.ClickException, BrowserClientError, OSError) as group:
        failures = [str(error) for error in _errors_in(group)]
    for failure in failures:
        say(f"\n{demo.text('failed', reason=failure)}", err=True, fg="red")
    if not failures:
        say(f"\n{demo.text('all_well')}", bold=True)
        say(demo.text("install"))
        say(demo.text("verbose"))
    return 1 if failures else 0


def _errors_in(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _errors_in(member)
    else:
        yield error


async def _run(demo: Demo, speed: float) -> None:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        demo.show("sandbox")
        from kallyai_mcp.sandbox.app import create_app
        from kallyai_mcp.sandbox.serve import running

        app = create_app(speed=speed)
        stack.callback(app.state.sandbox.close)
        url = await stack.enter_async_context(running(app))
        demo.tell("speed", url=url, speed=f"{speed:g}")

        environment = {
            "KALLYAI_API_URL": url,
            "KALLYAI_HOME": str(home),
            "KALLYAI_TOKEN_STORE": "file",
            # With the default, the user would be asked before a call at night. The demo must do the same at every hour.
            "KALLYAI_CONFIRM": "never",
        }
        demo.show("sign_in")
        await _sign_in(Settings.from_env(environment), demo)

        demo.show("server")
        from mcp import Client
        from mcp.client.stdio import StdioServerParameters

        without_settings = {name: value for name, value in os.environ.items() if not name.startswith("KALLYAI_")}
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "kallyai_mcp"], env=without_settings | environment
        )
        demo.client = await stack.enter_async_context(Client(server))
        tools = (await demo.client.list_tools()).tools
        demo.tell("tools", count=len(tools), names=", ".join(tool.name for tool in tools))
        await place_calls(demo)


async def _sign_in(settings: Settings, demo: Demo) -> None:
    async with Connection(settings) as connection, anyio.create_task_group() as tasks:

        async def open_link(link: str) -> bool:
            tasks.start_soon(_follow_link, link, demo)
            return True

        tokens = await sign_in(connection, open_link, say_below if demo.verbose else lambda _: None)
    demo.tell("signed_in", who=tokens.who)


async def _follow_link(link: str, demo: Demo) -> None:
    from kallyai_mcp.sandbox import browser_client

    page = await anyio.to_thread.run_sync(browser_client.sign_in, link)
    if demo.verbose:
        demo.tell("last_page", page=page)
