"""The examples of docs/testing-agents.md run, and a failed assertion says what happened."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kallyai_mcp.testing import KallyAISandbox
from tests.docs.test_blocks import fenced
from tests.processes import environment
from tests.testing.test_plugin import NUMBER, TABLE, agent_with

PAGE = "docs/testing-agents.md"


def test_the_example_for_pytest_passes(tmp_path: Path) -> None:
    (example,) = fenced(PAGE, "python")
    (tmp_path / "test_example.py").write_text(example, encoding="utf-8")
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(tmp_path) | {"PYTEST_ADDOPTS": ""},  # those of this run are for its own options
        timeout=60,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


async def test_a_failed_assertion_says_what_happened(kallyai_sandbox: KallyAISandbox) -> None:
    kallyai_sandbox.line(NUMBER).is_busy()
    asked = {key: value for key, value in TABLE.items() if key not in ("user_name", "timezone")}
    async with agent_with(kallyai_sandbox.env) as agent:
        for _ in range(2):
            await agent.use("make_call", asked, redial=True)
    with pytest.raises(AssertionError) as failed:
        kallyai_sandbox.assert_called_once(NUMBER)

    said = "It ended with busy: The line was busy. Nobody was reached."
    call = f"the agent called {NUMBER} (Italian Bistro) to “Book a table”, for 4. {said}"
    assert re.sub(r"After [\d.]+ s ", "", str(failed.value)).splitlines() == [
        f"Exactly one call to {NUMBER} was expected, but 2 calls were placed to it.",
        "What happened:",
        f"  1. {call}",
        f"  2. {call}",
    ]
