"""A real server with its ledger in PostgreSQL is killed during a call, and the next one is asked
for the same call.

`tests/transports/test_workers.py` kills one that has its ledger in SQLite. The simulation
(`tests.faults.simulation`) has everything else.
"""

from pathlib import Path

import pytest

from tests.transports.http_server import CALL, SECRET_KEYS, running_sandbox
from tests.transports.stdio_peer import initialization, line, piped
from tests.transports.test_unread_outcomes import MAKE_CALL, SERVE, answer_to, ended, settings_of

pytestmark = pytest.mark.programs


async def test_a_killed_servers_call_is_told_later(tmp_path: Path, database_url: str) -> None:
    errors = tmp_path / "stderr"
    async with running_sandbox(tmp_path) as sandbox:
        given = settings_of(sandbox) | {"DATABASE_URL": database_url, "SECRET_KEYS": SECRET_KEYS}
        with errors.open("wb") as stderr, piped(tmp_path, SERVE, stderr=stderr, **given) as killed:
            killed.send(initialization() + MAKE_CALL)
            await sandbox.wait_for_calls()
            killed.process.kill()
            await ended(killed)
        with (
            errors.open("ab") as stderr,
            piped(tmp_path, SERVE, stderr=stderr, **given) as following,
        ):
            same = line(3, "tools/call", name="make_call", arguments=CALL | {"wait_seconds": 0})
            later = line(4, "tools/call", name="make_call", arguments=CALL | {"wait_seconds": 30})
            following.send(initialization() + same)
            joined = await answer_to(following, 3)
            sandbox.end_calls()
            following.send(later)
            told = await answer_to(following, 4)
        (placed,) = await sandbox.calls()

    assert (joined["status"], joined["placed_now"]) == ("in_progress", False)
    assert (told["call_id"], told["status"]) == (placed["call_id"], "success")
    output = errors.read_text(encoding="utf-8")
    assert "Traceback" not in output
    assert not any(part in output for part in given["ACCESS_TOKEN"].split(".") if len(part) > 12)
