"""`kallyai-mcp demo`: three calls on a sandbox in this process."""

import os
import shlex
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import click

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.records import CallRequest
from kallyai_mcp.cli.account_screen import account_screen
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.call_screens import call_screen
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.conversation_screen import conversation_screen
from kallyai_mcp.cli.demo_booking import demo_booking, without_steps
from kallyai_mcp.cli.error_screens import refusal_screen
from kallyai_mcp.cli.output import explain, run, say, speed_option
from kallyai_mcp.cli.screen import show_screen
from kallyai_mcp.cli.service import Service
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.submissions import callee_zone
from kallyai_mcp.tools.telling import call_result, transcript

_BUSY = "+12025550103"
_DO_NOT_CALL = "+12025550121"
"""Test numbers of the sandbox."""


@click.command()
@speed_option(60)
@click.option("--play", is_flag=True, help="You are the restaurant: pick up on a page, and talk.")
def demo(*, speed: float, play: bool) -> None:
    """Show three calls on the sandbox: what became of them, what was said, and what is left.

    Nobody is called. With --play, your browser opens a page on which a call comes in; you answer
    it, at the speed of a real call.
    """
    if play:
        from kallyai_mcp.cli import played_demo

        played_demo.play()
    else:
        _show_three_calls(speed)
    _say_what_is_next()


def _show_three_calls(speed: float) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        connection = Connection(Settings(home=Path(home), sandbox=True), speed=speed)
        explain("Phone calls by an agent. It all happens here; nobody is called.\n")
        run(partial(_run, connection))


def _say_what_is_next() -> None:
    explain("\nNext, with a sandbox or with your KallyAI account:", bold=True)
    command = "kallyai-mcp" if shutil.which("kallyai-mcp") else shlex.quote(sys.argv[0])
    # `uv run` has started this; the program may not be on the user's PATH.
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        command = "uv run kallyai-mcp"
    say(f"  {command} install CLIENT --sandbox\n  {command} install CLIENT")


async def _run(connection: Connection) -> None:
    async with open_app_context(connection) as app_context:
        table = demo_booking(app_context.now())
        service = Service.of(app_context.settings)
        call_id = await _place(
            app_context, "1. You ask for a table for four on Friday at seven.", table
        )
        assert call_id is not None  # noqa: S101 - a booked call has one
        say()
        spoken = await transcript(app_context, call_id)
        reader = app_context.reader()
        show_screen(conversation_screen(spoken.call, spoken.transcript, reader, service))
        busy = table.model_copy(update={"respondent_phone": _BUSY, "business_name": "Busy Bistro"})
        await _place(
            app_context, "2. You ask for the same at a restaurant whose line is busy.", busy
        )
        ask = Submission(
            task_category="general",
            task_description="Ask when they open",
            respondent_phone=_DO_NOT_CALL,
        )
        await _place(
            app_context, "3. You ask for a call to a number that is on the do-not-call list.", ask
        )
        say()
        statistics = await app_context.api().get_statistics()
        who = await app_context.sign_in.signed_in()
        show_screen(account_screen(who or "", statistics, app_context.now(), service))


async def _place(app_context: AppContext, title: str, submission: Submission) -> str | None:
    """Place a call and show what became of it; returns its id, None if it was refused."""
    explain(f"\n{title}", bold=True)
    service = Service.of(app_context.settings)
    try:
        zone = callee_zone(None, submission.respondent_phone, app_context)
        placed = await app_context.calls.place(
            CallRequest(submission, zone, Stopwatch(app_context.calls.clock))
        )
        ended = await app_context.calls.wait(placed, 60)
        result = await call_result(app_context, ended, placed_now=True)
    except KallyAIError as error:
        show_screen(refusal_screen(error, service))
        return None
    screen = call_screen(result.views[0], app_context.reader(), service)
    show_screen(without_steps(screen))
    return result.structure.call_id
