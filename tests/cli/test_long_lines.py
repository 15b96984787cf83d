"""Lines that are longer than the line buffer of a terminal."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from kallyai_mcp.cli.long_lines import assembled, long_lines


def keys(text: str) -> "Iterator[str]":
    yield from text
    while True:
        yield ""


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("address\n", "address"),
        ("address\r", "address"),
        ("adx\x7fdress\n", "address"),
        ("\b\bok\n", "ok"),
        ("no end", "no end"),
        ("half\x04", "half"),
        ("", ""),
        ("\n", " "),
    ],
)
def test_a_line_is_assembled_from_keys(typed: str, line: str) -> None:
    pressed = keys(typed)

    assert assembled(lambda: next(pressed)) == line


def test_ctrl_c_that_a_console_passes_on_interrupts() -> None:
    pressed = keys("http\x03")

    with pytest.raises(KeyboardInterrupt):
        assembled(lambda: next(pressed))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals in Python")
def test_a_line_of_ten_thousand_characters_can_be_pasted_and_the_terminal_is_as_before() -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    address = "http://127.0.0.1:1/?code=" + "a" * 10_000

    def paste() -> None:
        rest = (address + "\n").encode()
        while rest:
            rest = rest[os.write(ours, rest) :]

    def show() -> None:
        try:
            while os.read(ours, 4096):
                pass  # what the terminal echoes, which a real one displays
        except OSError:
            return

    with os.fdopen(theirs, "rb", buffering=0) as terminal:
        before = termios.tcgetattr(terminal)
        with long_lines(terminal) as read_line:
            for work in (paste, show):
                threading.Thread(target=work, daemon=True).start()
            line = read_line()
        after = termios.tcgetattr(terminal)

    assert line == address
    assert after == before
