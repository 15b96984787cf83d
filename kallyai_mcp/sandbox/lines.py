"""What happens on the lines of one sandbox, by the test numbers, by a scenario file, and by
tests.
"""

import sqlite3
from collections.abc import Iterable

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.sandbox.simulator.scenario import Line, LineScript, Scenario
from kallyai_mcp.sandbox.store import Store


class Lines:
    """The lines by number: test numbers, `lines` in place of some of them, and all others.

    Any thread may use it.
    """

    def __init__(self, store: Store, lines: Iterable[Line], default: LineScript) -> None:
        self._store = store
        self._default = default
        self._initial: dict[str, LineScript] = {
            line.number: line for line in (*TEST_NUMBERS, *lines)
        }

    @property
    def can_be_played(self) -> bool:
        """Whether somebody may play the callee on one of the lines."""
        with self._store.transaction() as db:
            rows = db.execute("SELECT script FROM lines WHERE script IS NOT NULL").fetchall()
        set_by_tests = [LineScript.model_validate_json(row["script"]) for row in rows]
        scripts = [self._default, *self._initial.values(), *set_by_tests]
        return any(script.can_be_played for script in scripts)

    def of(self, number: str) -> LineScript:
        """Return what happens on the line with this number (E.164)."""
        with self._store.transaction() as db:
            return self._of(db, number)

    def _of(self, db: sqlite3.Connection, number: str) -> LineScript:
        row = db.execute(
            "SELECT script FROM lines WHERE number = ? AND script IS NOT NULL", (number,)
        ).fetchone()
        if row is None:
            return self._initial.get(number, self._default)
        return LineScript.model_validate_json(row["script"])

    def set(self, number: str, script: LineScript | None) -> None:
        """Set what happens on a line, None: as the sandbox started.

        The next call to it is its first.
        """
        text = None if script is None else script.model_dump_json(exclude_unset=True)
        with self._store.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO lines (number, script) VALUES (?, ?)", (number, text)
            )

    def take(self, db: sqlite3.Connection, number: str) -> Scenario:
        """Return what happens in a new call to a line, and count the call."""
        row = db.execute(
            "INSERT INTO lines (number, calls) VALUES (?, 1)"
            " ON CONFLICT (number) DO UPDATE SET calls = calls + 1 RETURNING calls",
            (number,),
        ).fetchone()
        return self._of(db, number).in_call(row["calls"] - 1)
