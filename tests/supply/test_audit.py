"""Tests of the evaluation of pip-audit's answers: a version that could not be checked does not pass."""

from typing import Any

from tests.supply.audit import evaluate
from tests.supply.finding import Finding, exit_code

SAFE: dict[str, Any] = {"name": "click", "version": "8.5.1", "vulns": []}
UNKNOWN = {"name": "h11", "skip_reason": "Dependency not found on PyPI and could not be audited: h11 (0.16.0)"}
VULNERABLE = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "PYSEC-2025-1", "fix_versions": ["0.16.0"], "aliases": ["CVE-2025-43859"], "description": "…"}],
}


def evaluate_packages(*packages: dict[str, Any]) -> Finding:
    return evaluate("osv", [{"dependencies": [package], "fixes": []} for package in packages])


def test_safe_versions_pass() -> None:
    finding = evaluate_packages(SAFE)

    assert (finding.outcome, finding.summary) == (
        "passed",
        "none of 1 pinned versions is known to be vulnerable, says osv",
    )


def test_a_vulnerable_version_fails_even_next_to_an_unknown_one() -> None:
    finding = evaluate_packages(SAFE, VULNERABLE, UNKNOWN)

    assert finding.outcome == "failed"
    assert finding.details == ["h11 0.14.0: PYSEC-2025-1 CVE-2025-43859; fixed in 0.16.0"]


def test_a_version_that_the_service_does_not_know_does_not_pass() -> None:
    finding = evaluate_packages(SAFE, UNKNOWN)

    assert (finding.outcome, finding.summary) == ("not checked", "osv knows 1 of 2 pinned versions")


def test_a_service_that_knows_no_version_does_not_pass() -> None:
    assert evaluate_packages().outcome == "not checked"


def test_the_exit_code_is_that_of_the_worst_outcome() -> None:
    passed, failed, unchecked = Finding("passed", ""), Finding("failed", ""), Finding("not checked", "")

    assert [exit_code(found) for found in ([passed], [passed, unchecked], [unchecked, failed, passed])] == [0, 69, 1]
