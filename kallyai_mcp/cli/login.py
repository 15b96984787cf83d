"""`kallyai-mcp login` and `logout`."""

import sys
import threading
import webbrowser
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import click
from anyio.streams.memory import MemoryObjectSendStream

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.errors import WrongAddressError
from kallyai_mcp.auth.loopback import LoopbackSignIn
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.settings import Settings

_Result = TypeVar("_Result")


def log_in(settings: Settings, *, browser: bool) -> None:
    """Sign in through the browser, or by a link and a pasted address.

    Raises:
        click.ClickException: It did not work; the message says why and what to do.
    """
    if settings.access_token is not None:
        raise click.ClickException("KALLYAI_ACCESS_TOKEN is set, and goes before any sign-in. Remove it first.")
    tokens = run(settings, lambda connection: sign_in(connection, _open if browser else None, _say))
    _say(f"Signed in{f' as {tokens.who}' if tokens.who else ''}.")


async def sign_in(
    connection: Connection, open_link: Callable[[str], Awaitable[bool]] | None, say: Callable[[str], None]
) -> Tokens:
    """The CLI flow of the reference, from link to stored tokens.

    Args:
        connection: The KallyAI to sign in to.
        open_link: Opens the link in a browser and returns whether it could; None to have it pasted by hand.
        say: Tells the person something.

    Raises:
        NotSignedInError: Nobody came back in time, or the person declined.
    """
    assert connection.session is not None  # noqa: S101 - `log_in` refuses where tokens are given by the settings
    outcome: TokenGrant | NotSignedInError
    async with LoopbackSignIn(connection.sign_in_url) as flow, anyio.create_task_group() as tasks:
        if open_link is not None and await open_link(flow.link):
            say(f"Your browser opens KallyAI's sign-in page. If it does not, open this link:\n{flow.link}")
        else:
            say(f"Open this link in any browser and sign in; it works for 5 minutes:\n{flow.link}\n")
            say("If that browser runs on another machine, it ends on an address that it can't open.")
            say(f"Copy that whole address (it begins with {flow.redirect_uri}) and paste it here:")
            tasks.start_soon(_take_pasted, flow, say)
        try:
            outcome = await flow.grant()
        except NotSignedInError as error:
            outcome = error  # raised below, outside of the task group that would wrap it
        tasks.cancel_scope.cancel()
    if isinstance(outcome, NotSignedInError):
        raise outcome
    return await connection.session.adopt(outcome)


async def _take_pasted(flow: LoopbackSignIn, say: Callable[[str], None]) -> None:
    send, receive = anyio.create_memory_object_stream[str](8)
    _read_lines(send)
    async with receive:
        async for line in receive:
            if not line.strip():
                continue
            try:
                flow.accept(line.strip())
            except WrongAddressError as error:
                say(str(error))
            else:
                return


def _read_lines(send: MemoryObjectSendStream[str]) -> None:
    """Feed `send` with the lines of stdin from a thread that doesn't keep the process alive."""
    token = anyio.lowlevel.current_token()

    def read() -> None:
        # The unbuffered stream: a daemon thread that blocks in the buffered one would hold its lock at exit.
        raw = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        try:
            while line := raw.readline():
                anyio.from_thread.run(send.send, line.decode(errors="replace"), token=token)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
            return  # the sign-in is over; nobody waits for lines any more

    threading.Thread(target=read, daemon=True, name="stdin").start()


def log_out(settings: Settings) -> None:
    """Forget the sign-in on this machine.

    Raises:
        click.ClickException: It may still be there.
    """
    if settings.access_token is not None:
        raise click.ClickException("The sign-in is the setting KALLYAI_ACCESS_TOKEN; remove it to sign out.")

    async def forget(connection: Connection) -> None:
        assert connection.session is not None  # noqa: S101 - refused above
        was = await connection.session.current()
        await connection.session.sign_out()
        _say("Signed out." if was else "Nobody was signed in.")

    run(settings, forget)


def run(settings: Settings, work: Callable[[Connection], Awaitable[_Result]]) -> _Result:
    """Do `work` with a connection that is closed afterwards.

    Raises:
        click.ClickException: It failed; the message says why.
    """

    async def with_connection() -> _Result:
        connection = Connection(settings)
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return anyio.run(with_connection)
    except KallyAIError as error:
        raise click.ClickException(str(error)) from None


async def _open(link: str) -> bool:
    return await anyio.to_thread.run_sync(webbrowser.open, link, abandon_on_cancel=True)


def _say(text: str) -> None:
    click.echo(text)
