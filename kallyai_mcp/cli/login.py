"""`kallyai-mcp login` and `logout`."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import click

from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.auth.loopback import LoopbackSignIn
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.tokens import Tokens
from kallyai_mcp.cli.browser import open_in_browser
from kallyai_mcp.cli.connection import SIGN_IN_SECONDS, Connection
from kallyai_mcp.cli.output import CommandError, explain, run, sandbox_option
from kallyai_mcp.settings import Settings


@click.command()
@click.option("--no-browser", is_flag=True, help="Print the link, and accept the pasted address.")
@sandbox_option
@click.pass_obj
def login(settings: Settings, *, no_browser: bool) -> None:
    """Sign in to KallyAI through the browser."""
    if settings.sandbox:
        explain("The embedded sandbox is always signed in, and calls nobody.")
        return

    async def work() -> Tokens:
        async with Connection(settings) as connection:
            return await _sign_in(connection, browser=not no_browser)

    with _terminal_as_it_was():
        tokens = run(work)
    explain(f"Signed in as {tokens.who}." if tokens.who else "Signed in.")


def _session(connection: Connection) -> Session:
    if connection.session is None:
        name = "KALLYAI_SANDBOX" if connection.settings.sandbox else "KALLYAI_ACCESS_TOKEN"
        raise CommandError(f"{name} is set, and goes before any sign-in. Remove it first.")
    return connection.session


async def _sign_in(connection: Connection, *, browser: bool) -> Tokens:
    """Run the reference's "CLI Authentication", from the link to the stored tokens."""
    session = _session(connection)
    await session.check()
    async with LoopbackSignIn(
        connection.api().cli_auth_url, SIGN_IN_SECONDS, place="terminal"
    ) as flow:
        is_opened = browser and await anyio.to_thread.run_sync(
            open_in_browser, flow.link, abandon_on_cancel=True
        )
        if is_opened:
            explain(
                "Your browser opens KallyAI's sign-in page. If it does not, open this "
                f"link:\n{flow.link}"
            )
        else:
            explain(
                f"Open this link in any browser and sign in; it works for 5 minutes:\n{flow.link}\n"
            )
            explain(
                "If that browser runs on another machine, it ends on an address that it can't "
                "open.\n"
                f"Copy that whole address (it begins with {flow.redirect_uri}) and paste it here:"
            )
            loop = anyio.lowlevel.current_token()
            threading.Thread(target=_accept_pasted_address, args=(flow, loop), daemon=True).start()
        try:
            grant = await flow.grant()
        except NotSignedInError as error:
            raise CommandError(f"{error} `kallyai-mcp login` starts again.") from None
    return await session.sign_in(grant)


def _accept_pasted_address(flow: LoopbackSignIn, token: anyio.lowlevel.EventLoopToken) -> None:
    """Read addresses until one is right; in a daemon thread, which doesn't keep the process
    alive.
    """
    read = _line_of_terminal if sys.stdin.isatty() else _line_of_pipe
    wrong = (
        f"That is not the right address: it has to start with {flow.redirect_uri}/? and be of this "
        "sign-in. "
        "Copy the whole address bar."
    )
    # The input or the event loop has ended.
    with suppress(EOFError, KeyboardInterrupt, RuntimeError):
        while line := read():
            if not line.strip():
                continue
            if anyio.from_thread.run_sync(flow.accept, line, token=token):
                return
            explain(wrong)


def _line_of_pipe() -> str:
    # Not the buffered stream: at exit, a daemon thread that waits in it would still hold its lock.
    line: bytes = sys.stdin.buffer.raw.readline()  # type: ignore[union-attr]  # a pipe has it
    return line.decode(errors="replace")


def _line_of_terminal() -> str:
    with suppress(ImportError):  # Windows has no such limit
        import readline  # noqa: F401 - without it, a terminal cuts a line at 1,024 to 4,096 characters
    return f"{input()}\n"


@contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """At the end of this context, the terminal's settings are what they were; a thread may still
    wait for a line.
    """
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield
        return
    import termios

    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)


@click.command()
@click.pass_obj
def logout(settings: Settings) -> None:
    """Delete the sign-in on this machine."""

    async def work() -> bool:
        async with Connection(settings) as connection:
            session = _session(connection)
            was_signed_in = await session.current() is not None
            await session.sign_out()
            return was_signed_in

    explain("Signed out." if run(work) else "Nobody was signed in.")
