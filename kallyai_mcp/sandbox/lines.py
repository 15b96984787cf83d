"""What happens on the lines of one sandbox, by the test numbers, by a scenario file, and by tests."""

import threading
from collections.abc import Iterable

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.sandbox.simulator.scenario import Line, LineScript, Scenario


class Lines:
    """The lines by number, in the memory of the process that serves the sandbox. Any thread may call the methods.

    Args:
        lines: The lines of scenario files; each takes the place of the test number with its number.
        default: What happens on all other lines; by default, the callee agrees.
    """

    def __init__(self, lines: Iterable[Line] = (), default: LineScript | None = None) -> None:
        self._lock = threading.RLock()
        self._default = default or LineScript()
        self._initial: dict[str, LineScript] = {line.number: line for line in (*TEST_NUMBERS, *lines)}
        self._set: dict[str, LineScript] = {}
        self._calls: dict[str, int] = {}

    @property
    def can_be_played(self) -> bool:
        """Whether somebody may play the callee on one of the lines."""
        with self._lock:
            scripts = [self._default, *self._initial.values(), *self._set.values()]
            return any(each.does == "is_played" for script in scripts for each in (script, *script.then))

    def of(self, number: str) -> LineScript:
        """Return what happens on the line with this number (E.164)."""
        with self._lock:
            return self._set.get(number) or self._initial.get(number, self._default)

    def set(self, number: str, script: LineScript | None) -> None:
        """Set what happens on a line, None: as the sandbox started. The next call to it is its first."""
        with self._lock:
            self._calls.pop(number, None)
            if script is None:
                self._set.pop(number, None)
            else:
                self._set[number] = script

    def take(self, number: str) -> Scenario:
        """Return what happens in a new call to a line, and count the call."""
        with self._lock:
            index = self._calls.get(number, 0)
            self._calls[number] = index + 1
            return self.of(number).in_call(index)
