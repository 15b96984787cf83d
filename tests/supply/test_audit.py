"""What pip-audit answers is told as it is: what could not be asked does not pass."""

from typing import Any

from tests.supply.audit import judged
from tests.supply.report import Finding, exit_code

SOUND: dict[str, Any] = {"name": "click", "version": "8.5.1", "vulns": []}
UNKNOWN = {"name": "h11", "skip_reason": "Dependency not found on PyPI and could not be audited: h11 (0.16.0)"}
VULNERABLE = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "PYSEC-2025-1", "fix_versions": ["0.16.0"], "aliases": ["CVE-2025-43859"], "description": "…"}],
}


def judge(*packages: dict[str, Any]) -> Finding:
    return judged("osv", [{"dependencies": [package], "fixes": []} for package in packages])


def test_sound_versions_pass() -> None:
    finding = judge(SOUND)

    assert (finding.outcome, finding.summary) == (
        "passed",
        "none of 1 pinned versions is known to be vulnerable, says osv",
    )


def test_a_vulnerable_version_is_a_fault_even_beside_an_unknown_one() -> None:
    finding = judge(SOUND, VULNERABLE, UNKNOWN)

    assert finding.outcome == "failed"
    assert finding.details == ["h11 0.14.0: PYSEC-2025-1 CVE-2025-43859; fixed in 0.16.0"]


def test_a_version_that_the_service_does_not_know_does_not_pass() -> None:
    finding = judge(SOUND, UNKNOWN)

    assert (finding.outcome, finding.summary) == ("not asked", "osv knows 1 of 2 pinned versions")


def test_a_service_that_knows_nothing_passes_nothing() -> None:
    assert judge().outcome == "not asked"


def test_the_exit_code_is_that_of_the_worst() -> None:
    passed, failed, silent = Finding("passed", ""), Finding("failed", ""), Finding("not asked", "")

    assert [exit_code(found) for found in ([passed], [passed, silent], [silent, failed, passed])] == [0, 69, 1]
