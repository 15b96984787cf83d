"""Questions to a person at a terminal."""

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from kallyai_mcp.cli.output import CommandError, explain, say
from kallyai_mcp.cli.screen import NARROW, Screen, Tone, show_screen, terminal_of
from kallyai_mcp.cli.wrapping import in_lines


class StoppedError(CommandError):
    """The user pressed Ctrl-C at a question."""

    exit_code = 130


_INDENT = "     "
"""As wide as the number of a choice."""


@dataclass(frozen=True)
class Choice:
    """One of several answers, and what a person wants to know of it before they choose it."""

    title: str
    details: str


def answer_to(question: str, *, unanswered: str) -> str:
    """What the user types after a question, without blanks around it.

    Raises `StoppedError` after Ctrl-C and `CommandError` at the end of the input, both with the
    text `unanswered`.
    """
    # On the main thread, with Python's own handler of Ctrl-C: asyncio's would wait for the reply.
    # And not by `input`, which prints the question so late that a Ctrl-C right after it would have
    # no effect.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        click.echo(f"\n{question} ", err=True, nl=False)
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        say(err=True)
        raise StoppedError(unanswered) from None
    finally:
        signal.signal(signal.SIGINT, before)
    if not line:
        say(err=True)
        raise CommandError(unanswered)
    return line.strip()


def is_yes(answer: str) -> bool:
    """Whether an answer is "yes"."""
    return answer.lower() in ("y", "yes")


def chosen(
    title: str,
    choices: Sequence[Choice],
    position: Callable[[str], int | None],
    *,
    unanswered: str,
) -> int:
    """The index of the choice that the user types, by its number or as `position` knows it; the
    first one for an empty line. Raises as `answer_to`.
    """
    show_screen(Screen(Tone.ASKED, title))
    for line in _lines_of(choices, terminal_of(err=False).columns):
        say(line)
    while True:
        answer = answer_to("Which one? [1]:", unanswered=unanswered) or "1"
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return int(answer) - 1
        found = position(answer)
        if found is not None:
            return found
        explain(f"Type a number from 1 to {len(choices)}, or the name.")


def _lines_of(choices: Sequence[Choice], columns: int) -> list[str]:
    """A line for each choice; on a narrow terminal, a second one for its details."""
    widest = max(len(choice.title) for choice in choices)
    lines = []
    for number, choice in enumerate(choices, 1):
        shown = f"{number:>3}  {choice.title}"
        if columns < NARROW:
            details = in_lines(choice.details, columns - len(_INDENT)).splitlines()
            lines += [shown, *(f"{_INDENT}{line}" for line in details)]
        else:
            lines.append(f"{number:>3}  {choice.title:<{widest}}   {choice.details}")
    return lines
