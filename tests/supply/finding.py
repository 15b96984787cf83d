"""The result of a part, and the exit code of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "not checked"]

EXIT_CODES: dict[Outcome, int] = {"passed": 0, "failed": 1, "not checked": 69}
"""69 is EX_UNAVAILABLE of sysexits.h: no fault was found, but a service that is needed did not answer."""


@dataclass(frozen=True)
class Finding:
    """The result of a part.

    Attributes:
        outcome: "not checked" if something that the part needs is not available here.
        summary: One line, for the table.
        details: More lines, with what is needed to correct a fault.
    """

    outcome: Outcome
    summary: str
    details: Sequence[str] = ()


def exit_code(findings: Sequence[Finding]) -> int:
    """The exit code of the worst outcome: failed, then not checked, then passed."""
    return next((EXIT_CODES[worst] for worst in ("failed", "not checked") if worst in {f.outcome for f in findings}), 0)
