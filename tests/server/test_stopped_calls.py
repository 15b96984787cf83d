"""KALLYAI_STOP_CALLS: whoever runs the server sees in its log that no call is placed."""

from pathlib import Path

import pytest

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.sandbox.app import SandboxApp
from tests.agent import connection_to, settings_in

LINE = "No call is placed: KALLYAI_STOP_CALLS is set"


@pytest.mark.parametrize(("setting", "logged"), [("1", [LINE]), ("0", [])])
async def test_a_server_logs_that_calls_are_stopped(
    tmp_path: Path,
    app: SandboxApp,
    caplog: pytest.LogCaptureFixture,
    setting: str,
    logged: list[str],
) -> None:
    async with open_app_context(connection_to(app, settings_in(tmp_path, STOP_CALLS=setting))):
        pass

    assert [line for line in caplog.messages if "STOP_CALLS" in line] == logged
