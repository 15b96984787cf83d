"""The server of a run: ours, or another program with the time of the task."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kallyai_mcp.evals.server_command import faked_time, server_command
from kallyai_mcp.evals.task_clock import TaskTime
from tests.clocks.shifted_clock import LIBRARY

ENV = {"KALLYAI_API_URL": "http://127.0.0.1:1", "KALLYAI_ACCESS_TOKEN": "a-token"}


def test_our_server_gets_the_tasks_time_file(tmp_path: Path) -> None:
    command = server_command("ours", ENV, tmp_path, TaskTime(tmp_path / "clock"))

    assert command.is_ours
    assert command.program == sys.executable
    assert command.arguments[-1] == str(tmp_path / "clock")
    assert "make_call" in command.instructions


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing: apt-get install libfaketime")
def test_another_server_gets_time_address_and_sign_in(tmp_path: Path) -> None:
    words = "other --url {url} --token {token}"
    command = server_command(words, ENV, tmp_path, TaskTime(tmp_path / "clock"))
    stored = tmp_path / ".kallyai_token.json"

    assert [command.program, *command.arguments] == (
        ["other", "--url", "http://127.0.0.1:1", "--token", "a-token"]
    )
    assert not command.is_ours
    assert (command.env["HOME"], command.env["TZ"]) == (str(tmp_path), "America/New_York")
    assert "FAKETIME" in command.env
    assert stored.stat().st_mode & 0o777 == 0o600


def test_another_server_needs_a_library_for_time() -> None:
    with pytest.raises(ValueError, match="install libfaketime"):
        faked_time(None)


def test_a_tasks_time_goes_on_from_its_beginning(tmp_path: Path) -> None:
    time = TaskTime(tmp_path / "clock")
    moment = datetime(2026, 1, 26, 15, tzinfo=UTC)
    time.begin_at(moment)
    time.advance(600)

    assert 600 <= (time.now() - moment).total_seconds() < 660
