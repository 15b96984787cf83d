"""`kallyai-mcp login` and `logout`."""

import _thread
import os
import sys
import threading
import webbrowser
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import click
from anyio.streams.memory import MemoryObjectSendStream

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.auth.loopback import LoopbackSignIn, WrongAddressError
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.background import background_task
from kallyai_mcp.cli.connection import Connection, run_with_connection
from kallyai_mcp.cli.console import say
from kallyai_mcp.cli.long_lines import long_lines
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings

_OWN_SETTINGS = ("KALLYAI_", "OTEL_", "PG")
"""The prefixes of the environment variables that this program, its database library, and OpenTelemetry read."""


def log_in(settings: Settings, *, browser: bool) -> None:
    """Sign in through the browser.

    Args:
        settings: The settings of this process.
        browser: Open the browser. Otherwise, print the link, and also accept the pasted redirect address.

    Raises:
        click.ClickException: Signing in failed; the message says why and what to do.
    """
    words = Words()
    if settings.access_token is not None:
        raise click.ClickException(words.say("token_first"))
    open_link = _open_browser if browser else None
    tokens = run_with_connection(Connection(settings), lambda connection: sign_in(connection, open_link, say))
    say(words.say("now_signed_in", who=words.say("as", name=tokens.who) if tokens.who else ""))


async def sign_in(
    connection: Connection, open_link: Callable[[str], Awaitable[bool]] | None, say: Callable[[str], None]
) -> Tokens:
    """Run the reference's "CLI Authentication", from the link to the stored tokens.

    Args:
        connection: The KallyAI to sign in to.
        open_link: Opens the link in a browser, and returns whether that worked; None if the user opens it.
        say: Prints lines for the user.

    Returns:
        The tokens, which are stored.

    Raises:
        click.ClickException: The user canceled the sign-in, or did not finish it in time.
    """
    session = connection.credentials.session
    assert session is not None  # noqa: S101 - `log_in` refuses when the settings have a token
    words = Words()
    await session.check()
    async with LoopbackSignIn(connection.sign_in_url, place="terminal") as flow, AsyncExitStack() as stack:
        if open_link is not None and await open_link(flow.link):
            say(words.say("browser_opens", link=flow.link))
        else:
            say(words.say("open_link", link=flow.link))
            say(words.say("other_machine", address=flow.redirect_uri))
            await stack.enter_async_context(background_task(_accept_pasted_address, flow, say, words))
        try:
            grant = await flow.grant()
        except NotSignedInError as error:
            key = "sign_in_canceled" if error.reason == "access_denied" else error.code
            raise click.ClickException(words.say(key, reason=error.reason)) from None
    return await session.sign_in(grant)


async def _accept_pasted_address(flow: LoopbackSignIn, say: Callable[[str], None], words: Words) -> None:
    send, receive = anyio.create_memory_object_stream[str](8)
    with long_lines(sys.stdin.buffer) as read_line:
        _read_lines(read_line, send)
        async with receive:
            async for line in receive:
                if not line.strip():
                    continue
                try:
                    flow.accept(line.strip())
                except WrongAddressError:
                    say(words.say("wrong_address", address=flow.redirect_uri))
                else:
                    return


def _read_lines(read_line: Callable[[], str], send: MemoryObjectSendStream[str]) -> None:
    """Read lines in a daemon thread, which doesn't keep the process alive, and send them to `send`."""
    token = anyio.lowlevel.current_token()

    def read() -> None:
        try:
            while line := read_line():
                anyio.from_thread.run(send.send, line, token=token)
        except KeyboardInterrupt:
            _thread.interrupt_main()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
            return  # the sign-in has ended

    threading.Thread(target=read, daemon=True, name="stdin").start()


def log_out(settings: Settings) -> None:
    """Delete the sign-in on this machine.

    Raises:
        click.ClickException: The sign-in could not be deleted.
    """
    if settings.access_token is not None:
        raise click.ClickException(Words().say("token_is_sign_in"))

    async def sign_out(connection: Connection) -> None:
        session = connection.credentials.session
        assert session is not None  # noqa: S101 - refused above
        was_signed_in = await session.current() is not None
        await session.sign_out()
        say(Words().say("signed_out" if was_signed_in else "was_nobody"))

    run_with_connection(Connection(settings), sign_out)


async def _open_browser(link: str) -> bool:
    """Open the default browser. It does not inherit the settings of this program, because some are secrets."""
    for name in [name for name in os.environ if name.startswith(_OWN_SETTINGS)]:
        del os.environ[name]  # this program has read them already
    return await anyio.to_thread.run_sync(webbrowser.open, link, abandon_on_cancel=True)
