"""Writes the log to a stream whose reader may be slow."""

import logging
import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from typing import TextIO

_log = logging.getLogger(__name__)

_MOST_WAITING = 5_000
"""The most lines that wait to be written: a burst of failed requests, and a few MB of memory."""

_FLUSH_SECONDS = 0.5
"""How long the end of the process waits for the log.

A client kills its server after two seconds.
"""


class StreamWriter(logging.Handler):
    """Writes the log in a thread of its own, so that the program never waits for its reader.

    Lines wait in a queue. A line that finds it full is dropped, and so is one that can't be
    written. When no line waits any more, one line tells how many were dropped.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__()
        self._write = write
        # Not a `Queue`: if a finalizer logs while its thread is in `put`, it would wait for itself.
        self._waiting: SimpleQueue[str | Event] = SimpleQueue()
        self._thread: Thread | None = None
        self._found_no_room = 0  # only `emit` changes it, under the handler's lock
        self._not_written = 0  # only the thread changes this one and the next one
        self._reported = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Have a line written later, or drop it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as in all handlers: a line never fails the code that logs it
            self.handleError(record)
            return
        if self._waiting.qsize() >= _MOST_WAITING:
            self._found_no_room += 1
            return
        self._waiting.put(line)
        if self._thread is None:
            self._thread = Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until all lines are written, `_FLUSH_SECONDS` at most.

        `logging` calls it at the end of the process.
        """
        self.wait_until_written()

    def wait_until_written(self) -> bool:
        """Do what `flush` does; returns False if lines still wait."""
        if self._thread is None:
            return True
        written = Event()
        self._waiting.put(written)
        return written.wait(_FLUSH_SECONDS)

    def _write_all(self) -> None:
        while True:
            waiting = self._waiting.get()
            if isinstance(waiting, str) and not self._try_to_write(waiting):
                self._not_written += 1
            if self._waiting.empty():
                self._report_what_was_dropped()
            if isinstance(waiting, Event):
                waiting.set()

    def _try_to_write(self, line: str) -> bool:
        try:
            self._write(f"{line}\n")
        except (OSError, ValueError):  # the stream is closed or full
            return False
        return True

    def _report_what_was_dropped(self) -> None:
        dropped = self._found_no_room + self._not_written
        if dropped == self._reported:
            return
        # With commas, no number of lines looks like a phone number.
        number = f"{dropped - self._reported:,}"
        message = "Lines of the log that were dropped, because stderr was not read in time: %s"
        record = _log.makeRecord(_log.name, logging.WARNING, "", 0, message, (number,), None)
        if self._try_to_write(self.format(record)):
            self._reported = dropped


def writer_of(stream: TextIO) -> Callable[[str], object]:
    """What writes text to a stream: to its descriptor, if it has one.

    A write to the stream itself holds its lock, for which the end of the process would wait.
    """
    try:
        descriptor = stream.fileno()
    except OSError:
        return stream.write

    def write(text: str) -> None:
        data = text.encode(stream.encoding, "replace")
        while data:
            data = data[os.write(descriptor, data) :]

    return write
