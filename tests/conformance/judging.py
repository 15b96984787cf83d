"""Which outcomes are as expected: a failure that is not, and an expected one that doesn't happen, are both wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.conformance.suite import Outcome, Server


@dataclass(frozen=True)
class Expected:
    """Checks of a scenario that fail, and why that is as it should be.

    Attributes:
        server: Against which of our servers.
        scenario: The scenario's name.
        checks: The ids of the checks.
        specs: At which versions of the specification.
        reason: For whoever reads the list.
    """

    server: Server
    scenario: str
    checks: tuple[str, ...]
    specs: tuple[str, ...]
    reason: str

    def covers(self, outcome: Outcome) -> bool:
        """Whether it is about this outcome."""
        return (self.server, self.scenario) == (outcome.server, outcome.scenario) and outcome.spec in self.specs


@dataclass(frozen=True)
class Verdict:
    """An outcome in words, and whether it is as expected."""

    outcome: Outcome
    words: str
    is_right: bool


def judged(outcomes: Iterable[Outcome], expected: Sequence[Expected]) -> list[Verdict]:
    """A verdict on each outcome, in their order."""
    return [_verdict(outcome, [entry for entry in expected if entry.covers(outcome)]) for outcome in outcomes]


def stale(outcomes: Sequence[Outcome], expected: Iterable[Expected]) -> list[str]:
    """What of the list no longer fails anywhere, or was not even tried; a sentence each."""
    failed = {
        (outcome.server, outcome.scenario, outcome.spec, name)
        for outcome in outcomes
        for name, check in outcome.checks.items()
        if check.status == "FAILURE"
    }
    return [
        f"{entry.scenario}: {name} was expected to fail at {spec} ({entry.server}), and didn't"
        for entry in expected
        for spec in entry.specs
        for name in entry.checks
        if (entry.server, entry.scenario, spec, name) not in failed
    ]


def _verdict(outcome: Outcome, entries: Sequence[Expected]) -> Verdict:
    known = {name for entry in entries for name in entry.checks}
    failed = [name for name, check in outcome.checks.items() if check.status == "FAILURE"]
    if new := [name for name in failed if name not in known]:
        words = "; ".join(f"{name}: {outcome.checks[name].message}" for name in new)
        return Verdict(outcome, f"FAILED {words}", is_right=False)
    if passed := [
        name for name in known if name in outcome.checks and outcome.checks[name].status in ("SUCCESS", "WARNING")
    ]:
        return Verdict(outcome, f"NO LONGER FAILS {', '.join(sorted(passed))}", is_right=False)
    if not outcome.applies:
        return Verdict(outcome, "does not apply", is_right=True)
    warned = [name for name, check in outcome.checks.items() if check.status == "WARNING"]
    words = f"fails as expected: {', '.join(failed)}" if failed else "passed"
    if warned:
        words += f"; warned of {', '.join(warned)}"
    return Verdict(outcome, words, is_right=True)
