"""What is shown while a call goes on: a spinner on a terminal, else a line every ten seconds."""

import os
import sys
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.cli.output import say
from kallyai_mcp.cli.screen import terminal_of
from kallyai_mcp.tools.facets.live import NOT_LIVE, Live
from kallyai_mcp.tools.facets.progress import Phase, progress_of
from kallyai_mcp.tools.text.plain import one_line


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows how far a call is, while the context is open."""

    seconds: float
    """How often it is to be told."""

    def tell(self, text: str) -> None:
        """Show this in place of, or below, what was told before."""
        ...


def progress_on_stderr() -> Progress:
    """A spinner if stderr is a terminal, else lines."""
    can_move = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return _Spinner() if can_move else _Lines()


_SAY = {
    Phase.OVER: "The call to {callee} has ended",
    Phase.DUE_LATER: "The call to {callee} is due later",
    Phase.REACHING: "Trying to reach KallyAI for the call to {callee}",
    Phase.CHECKING: "Checking whether KallyAI has placed the call to {callee}",
    Phase.PLACING: "Calling {callee}",
    Phase.CALLING: "Calling {callee}",
    Phase.RINGING: "Ringing at {callee}",
    Phase.TALKING: "Talking to {callee}",
}


def progress_text(record: CallRecord, now: datetime, live: Live = NOT_LIVE) -> str:
    """What is known of a call that goes on, and for how long: "Calling Italian Bistro, 0:42"."""
    asked = record.submission
    callee = one_line(asked.business_name or for_people(asked.respondent_phone), 40)
    progress = progress_of(record, now, live)
    minutes, seconds = divmod(int(progress.seconds), 60)
    return f"{_SAY[progress.phase].format(callee=callee)}, {minutes}:{seconds:02}"


class _Lines:
    seconds = 10.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, text: str) -> None:
        say(text, err=True)


class _Spinner:
    seconds = 1.0

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        terminal = terminal_of(err=True)
        console = Console(
            stderr=True, highlight=False, color_system="auto" if terminal.has_colors else None
        )
        spinner = "dots" if terminal.has_unicode else "line"
        self._status: Status = Status("", console=console, spinner=spinner)

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def tell(self, text: str) -> None:
        from rich.text import Text

        self._status.update(Text(text))
