"""Compares outcomes with the expected failures: an unexpected failure and an unexpected pass are both wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.conformance.suite import Outcome, Server


@dataclass(frozen=True)
class Expected:
    """Checks of a scenario, by id, that are expected to fail at these versions, with the reason as a sentence."""

    server: Server
    scenario: str
    checks: tuple[str, ...]
    specs: tuple[str, ...]
    reason: str

    def covers(self, outcome: Outcome) -> bool:
        """Whether it is for this outcome."""
        return (self.server, self.scenario) == (outcome.server, outcome.scenario) and outcome.spec in self.specs


@dataclass(frozen=True)
class Verdict:
    """An outcome as text, and whether it is as expected."""

    outcome: Outcome
    text: str
    is_right: bool


def evaluate(outcomes: Iterable[Outcome], expected: Sequence[Expected]) -> list[Verdict]:
    """A verdict for each outcome, in the same order."""
    return [_verdict(outcome, [entry for entry in expected if entry.covers(outcome)]) for outcome in outcomes]


def outdated(outcomes: Sequence[Outcome], expected: Iterable[Expected]) -> list[str]:
    """A sentence for each expected failure that did not happen."""
    failed = {
        (outcome.server, outcome.scenario, outcome.spec, name)
        for outcome in outcomes
        for name, check in outcome.checks.items()
        if check.status == "FAILURE"
    }
    return [
        f"{entry.scenario}: {name} was expected to fail at {spec} ({entry.server}), but did not"
        for entry in expected
        for spec in entry.specs
        for name in entry.checks
        if (entry.server, entry.scenario, spec, name) not in failed
    ]


def _verdict(outcome: Outcome, entries: Sequence[Expected]) -> Verdict:
    known = {name for entry in entries for name in entry.checks}
    failed = [name for name, check in outcome.checks.items() if check.status == "FAILURE"]
    if new := [name for name in failed if name not in known]:
        text = "; ".join(f"{name}: {outcome.checks[name].message}" for name in new)
        return Verdict(outcome, f"FAILED {text}", is_right=False)
    if not outcome.applies:
        return Verdict(outcome, "does not apply", is_right=True)
    warned = [name for name, check in outcome.checks.items() if check.status == "WARNING"]
    text = f"fails as expected: {', '.join(failed)}" if failed else "passed"
    if warned:
        text += f"; warned of {', '.join(warned)}"
    return Verdict(outcome, text, is_right=True)
