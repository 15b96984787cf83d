"""`kallyai-mcp demo --play`: calls in which the user is the restaurant, on a page."""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.browser import open_in_browser
from kallyai_mcp.cli.call_commands import waited_visibly
from kallyai_mcp.cli.call_screens import call_screen
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.conversation_screen import conversation_screen
from kallyai_mcp.cli.demo_booking import demo_booking, without_steps
from kallyai_mcp.cli.output import explain, need_sandbox, run, say
from kallyai_mcp.cli.questions import answer_to, is_yes
from kallyai_mcp.cli.screen import show_screen
from kallyai_mcp.cli.service import Service
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.submissions import callee_zone
from kallyai_mcp.tools.telling import call_result, transcript


@dataclass(frozen=True)
class _PlayedSandbox:
    """A sandbox on which a person plays the callee.

    Attributes:
        is_watched: Set as soon as the page asks for calls.
    """

    url: str
    access_token: str
    is_watched: threading.Event


def play() -> None:
    """Place calls that the user picks up, one after another, until they want no more."""
    need_sandbox()
    explain("Phone calls by an agent. You are the restaurant; nobody is called.\n")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, _sandbox() as sandbox:
        _open_page(f"{sandbox.url}/_sandbox/play")
        while not sandbox.is_watched.wait(1):
            pass  # on Windows, Ctrl-C ends no longer wait
        settings = Settings(home=Path(home), api_url=sandbox.url, access_token=sandbox.access_token)
        while True:
            explain("\nYou ask for a table for four on Friday at seven. It rings.\n", bold=True)
            run(partial(_place, settings))
            if not _wants_another():
                return


@contextmanager
def _sandbox() -> Iterator[_PlayedSandbox]:
    """A sandbox over HTTP in a thread of its own: the page goes on while a question waits here."""
    from kallyai_mcp.sandbox.app import create_app
    from kallyai_mcp.sandbox.serve import running

    app = create_app(plays=True)
    is_watched = threading.Event()
    app.state.sandbox.watched = is_watched.set
    token = app.state.sandbox.issue_tokens()["access_token"]
    try:
        with start_blocking_portal() as portal:
            server = portal.wrap_async_context_manager(running(app))
            url = server.__enter__()
            try:
                yield _PlayedSandbox(url, token, is_watched)
            finally:
                # Without the error of the block: the server would raise it in a group.
                server.__exit__(None, None, None)
    finally:
        app.state.sandbox.close()


def _open_page(page: str) -> None:
    if open_in_browser(page):
        explain(f"Your browser opens the phone. If it does not, open this link:\n{page}")
    else:
        explain(f"Open the phone in a browser on this machine:\n{page}")


async def _place(settings: Settings) -> None:
    """Place the call, wait for its end, and show what became of it and what was said."""
    async with open_app_context(Connection(settings)) as app_context:
        asked = demo_booking(app_context.now())
        zone = callee_zone(None, asked.respondent_phone, app_context)
        arrived = Stopwatch(app_context.calls.clock)
        placed = await app_context.calls.place(CallRequest(asked, zone, arrived, redial=True))
        ended = await waited_visibly(app_context, placed)
        result = await call_result(app_context, ended, placed_now=True)
        reader = app_context.reader()
        service = Service.of(settings)
        show_screen(without_steps(call_screen(result.views[0], reader, service)))
        call_id = result.structure.call_id
        if call_id is None:
            return
        say()
        spoken = await transcript(app_context, call_id)
        show_screen(conversation_screen(spoken.call, spoken.transcript, reader, service))


def _wants_another() -> bool:
    if not sys.stdin.isatty():
        return False
    return is_yes(answer_to("Another call? [y/N]:", unanswered="No other call was placed."))
