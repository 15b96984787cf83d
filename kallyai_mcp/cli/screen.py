"""What a command shows a person: a headline with a mark and one color, facts, and next steps.

A `Screen` is a value, which other modules make. `rendered` lays it out for a width; it alone
imports `rich`, so that a server and the help start without it.
"""

import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kallyai_mcp.cli.output import say
from kallyai_mcp.cli.wrapping import glued, unglued

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_WIDEST = 100
"""Columns of a text on a wide terminal; a longer line is hard to read."""

NARROW = 60
"""On a terminal with fewer columns, a label has a line of its own, and so has a cell of a table."""

_UNLIMITED = 100_000
"""The width where no terminal is: a program that reads lines wants each fact on one."""

_INDENT = "  "
_LEAST = 10
"""The fewest columns that a text is wrapped to."""

_KALLYAI = "cyan"
_CALLEE = "magenta"
"""The colors of the two sides of a conversation."""


class Tone(Enum):
    """How a headline looks: its mark, the mark for a terminal without Unicode, and its color."""

    GOOD = ("✓", "+", "green")
    TALKED = ("✓", "+", "cyan")
    PLANNED = ("◷", "o", "cyan")
    ASKED = ("?", "?", "cyan")
    RUNNING = ("●", "*", "cyan")
    UNSURE = ("!", "!", "yellow")
    MISSED = ("✗", "x", "yellow")
    BAD = ("✗", "x", "red")


@dataclass(frozen=True)
class Fact:
    """A line with a label: a fact, or a command that can be copied. `at` is when it was said.

    Without a label, it goes on with what the line above says.
    """

    label: str
    text: str
    at: str = ""


@dataclass(frozen=True)
class Turn:
    """What one side of a conversation said, and when: the time since the call began, as "0:34"."""

    speaker: str
    words: str
    at: str
    is_kallyai: bool


@dataclass(frozen=True)
class Screen:
    """What a command shows about one thing.

    Attributes:
        tone: The mark and the color of the headline.
        headline: What happened, in one or two words.
        details: What belongs to the headline: a day, a time, a number of people.
        facts: What is known, each with a label.
        notes: Sentences about what is not certain, or what the user should know.
        turns: A conversation.
        steps: Commands for what may come next.
        is_simulated: Whether a sandbox has placed the call, so that nobody was called.
    """

    tone: Tone
    headline: str
    details: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    turns: Sequence[Turn] = ()
    steps: Sequence[Fact] = ()
    is_simulated: bool = False


@dataclass(frozen=True)
class Terminal:
    """What a screen is laid out for: columns, and whether colors and Unicode are shown."""

    columns: int
    has_colors: bool = False
    has_unicode: bool = True


def show_screen(screen: Screen, *, err: bool = False) -> None:
    """Print a screen on stdout, or with `err` on stderr."""
    say(rendered(screen, terminal_of(err=err)), err=err)


def terminal_of(*, err: bool) -> Terminal:
    """What stdout, or with `err` stderr, is laid out for: without a terminal, for no width."""
    stream = sys.stderr if err else sys.stdout
    columns = _UNLIMITED
    has_colors = False
    if stream.isatty():
        columns = min(shutil.get_terminal_size().columns, _WIDEST)
        has_colors = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(columns, has_colors, _has_unicode(stream.encoding))


def _has_unicode(encoding: str | None) -> bool:
    signs = "".join(tone.value[0] for tone in Tone)
    try:
        signs.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def rendered(screen: Screen, terminal: Terminal) -> str:
    """A screen as lines of text, with the codes of colors where the terminal has them."""
    console = console_for(terminal)
    with console.capture() as written:
        for line in _lines(screen, terminal, console):
            console.print(line, soft_wrap=True)
    text = unglued(written.get())
    return "\n".join(line.rstrip() for line in text.splitlines())


def console_for(terminal: Terminal) -> "Console":
    """What `rich` lays out texts with; it takes nothing from the environment."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=terminal.columns,
        force_terminal=terminal.has_colors,
        color_system="standard" if terminal.has_colors else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )


def _lines(screen: Screen, terminal: Terminal, console: "Console") -> "Iterator[Text | str]":
    yield from _headline(screen, terminal, console)
    widest = max((len(one.label) for one in (*screen.facts, *screen.steps)), default=0)
    for fact in screen.facts:
        yield from _fact(fact, widest, terminal, console)
    for note in screen.notes:
        yield from _wrapped(note, len(_INDENT), terminal, console)
    if screen.turns:
        yield ""
        yield from _conversation(screen.turns, terminal, console)
    if screen.steps:
        yield ""
        for step in screen.steps:
            yield from _step(step, widest, terminal)


def _headline(screen: Screen, terminal: Terminal, console: "Console") -> "Iterator[Text]":
    """The mark, what happened, and its details; a detail that fits one line is never split."""
    from rich.cells import cell_len

    line = _first_words(screen, terminal)
    separator = "   "
    for detail in screen.details:
        if line.cell_len + len(separator) + cell_len(detail) <= terminal.columns:
            line.append(f"{separator}{detail}")
        else:
            yield line
            *full, line = _wrapped(detail, len(_INDENT), terminal, console)
            yield from full
        separator = " · " if terminal.has_unicode else ", "
    yield line


def _first_words(screen: Screen, terminal: Terminal) -> "Text":
    from rich.text import Text

    sign, plain_sign, color = screen.tone.value
    shown = sign if terminal.has_unicode else plain_sign
    line = Text.assemble((f"{shown} {screen.headline}", f"bold {color}"))
    if screen.is_simulated:
        line.append("  ").append_text(_sandbox_mark())
    return line


def _sandbox_mark() -> "Text":
    from rich.text import Text

    return Text(" SANDBOX ", style="reverse")


def sandbox_line(terminal: Terminal) -> str:
    """A line above what is no screen: a table of simulated calls."""
    console = console_for(terminal)
    with console.capture() as written:
        console.print(_sandbox_mark().append("  Nobody was called.", style="not reverse"))
    return written.get().rstrip()


def _fact(fact: Fact, widest: int, terminal: Terminal, console: "Console") -> "Iterator[Text]":
    text = f"{fact.text}   {fact.at}" if fact.at else fact.text
    yield from _beside(_padded(fact.label, widest), text, terminal, console)


def _step(step: Fact, widest: int, terminal: Terminal) -> "Iterator[Text]":
    """A command, on one line whatever the width, so that it can be copied as it is.

    One that is too long to stand beside its label stands below it.
    """
    from rich.cells import cell_len

    label = _label(_padded(step.label, widest))
    fits = label.cell_len + cell_len(step.text) <= terminal.columns
    if fits and terminal.columns >= NARROW:
        yield label.append_text(_plain(step.text))
        return
    yield label
    yield _plain(f"{_INDENT * 2}{step.text}")


def _conversation(
    turns: Sequence[Turn], terminal: Terminal, console: "Console"
) -> "Iterator[Text]":
    clock = max(len(turn.at) for turn in turns)
    speaker = max(len(turn.speaker) for turn in turns)
    for turn in turns:
        label = f"{turn.at:>{clock}}  {_padded(turn.speaker, speaker)}"
        color = _KALLYAI if turn.is_kallyai else _CALLEE
        yield from _beside(label, turn.words, terminal, console, style=color)


def _beside(
    label: str, text: str, terminal: Terminal, console: "Console", *, style: str = "dim"
) -> "Iterator[Text]":
    """A label and a text, which goes on below itself; on a narrow terminal, below the label."""
    shown = _label(label, style)
    if terminal.columns < NARROW:
        if label.strip():
            yield shown
        yield from _wrapped(text, len(_INDENT * 2), terminal, console)
        return
    for line in _wrapped(text, shown.cell_len, terminal, console):
        if shown.plain:
            line = shown + line[shown.cell_len :]
            shown = _plain("")
        yield line


def _wrapped(text: str, indent: int, terminal: Terminal, console: "Console") -> "Iterator[Text]":
    """A text at the width of the terminal, after as many blanks as `indent` says."""
    width = max(terminal.columns - indent, _LEAST)
    for line in _plain(text).wrap(console, width):
        line.rstrip()
        line.pad_left(indent)
        yield line


def _padded(label: str, columns: int) -> str:
    from rich.cells import cell_len

    return f"{label}{' ' * (columns - cell_len(label))}  "


def _label(text: str, style: str = "dim") -> "Text":
    from rich.text import Text

    return Text.assemble((f"{_INDENT}{text}", style))


def _plain(text: str) -> "Text":
    """A text in which a number with its unit is one word, so that no end of a line splits it."""
    from rich.text import Text

    return Text(glued(text))
