"""Reads lines of any length from a terminal.

By default, a terminal collects a line before a program gets it: at most 1,024 characters on macOS, 4,096 on Linux, and
about 254 in old consoles of Windows. The address at the end of a sign-in is often longer.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

_ENDS = ("\r", "\n")
_ERASE = ("\x7f", "\b")
_END_OF_INPUT = ("\x04", "\x1a")
_INTERRUPT = "\x03"


@contextmanager
def long_lines(stream: IO[bytes]) -> Iterator[Callable[[], str]]:
    """In this context, lines of any length can be read from `stream`.

    Yields:
        A function that waits for a line and returns it, maybe with its line end; "" only at the end of the input.
    """
    # The unbuffered stream: at exit, a daemon thread that waits in the buffered stream would still hold its lock.
    raw = getattr(stream, "raw", stream)
    if not stream.isatty():
        yield lambda: raw.readline().decode(errors="replace")
    elif sys.platform == "win32":
        import msvcrt

        yield lambda: assembled(msvcrt.getwche)
    else:
        import termios

        descriptor = stream.fileno()
        before = termios.tcgetattr(descriptor)
        changed = termios.tcgetattr(descriptor)
        changed[3] &= ~termios.ICANON
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        termios.tcsetattr(descriptor, termios.TCSANOW, changed)
        try:
            yield lambda: assembled(lambda: os.read(descriptor, 1).decode(errors="replace"))
        finally:
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def assembled(key: Callable[[], str]) -> str:
    """A line that is made of single keys, without its end; " " for an empty line, and "" at the end of the input.

    Args:
        key: Waits for a key and returns its character; "" at the end of the input.

    Raises:
        KeyboardInterrupt: The key was Ctrl-C. Only a console of Windows sends it as a character.
    """
    line: list[str] = []
    while (character := key()) and character not in _END_OF_INPUT:
        if character == _INTERRUPT:
            raise KeyboardInterrupt
        if character in _ENDS:
            return "".join(line) or " "
        if character in _ERASE:
            del line[-1:]
        else:
            line.append(character)
    return "".join(line)
