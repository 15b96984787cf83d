"""Tests of the expected failures and of the verdicts."""

from kallyai_mcp.tools.catalog import tools
from tests.conformance.expected import EXPECTED, KALLYAI_SCENARIOS, SPECS, TASKS
from tests.conformance.inspector import TOOLS
from tests.conformance.suite import EXTENSION, verdict


def test_the_scenario_of_an_expected_failure_is_run_and_every_tool_is_called() -> None:
    for server, scenario, spec in EXPECTED:
        assert scenario in (TASKS if server == "tasks" else KALLYAI_SCENARIOS)
        assert spec in ((EXTENSION,) if server == "tasks" else SPECS)
    assert set(TOOLS) == {tool.name for tool in tools()}


def test_an_unexpected_failure_and_an_unexpected_pass_are_wrong() -> None:
    for status, check, text in (
        ("FAILURE", "ping", "0 passed, 1 failed as expected"),
        ("FAILURE", "another", "FAILED another: the suite's message; OUTDATED: ping was expected to fail"),
        ("SUCCESS", "ping", "OUTDATED: ping was expected to fail"),
    ):
        result = {"id": check, "status": status, "errorMessage": "the suite's message"}
        assert verdict([result], ["ping"]) == (text, text.startswith("0 passed"))
