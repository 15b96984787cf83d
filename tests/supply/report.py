"""What a part of the check found out, and how that is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "not asked"]

EXIT_CODES: dict[Outcome, int] = {"passed": 0, "failed": 1, "not asked": 69}
"""69 is EX_UNAVAILABLE of sysexits.h: nothing is known to be wrong, but somebody who had to be asked did not answer."""


@dataclass(frozen=True)
class Finding:
    """What a part found.

    Attributes:
        outcome: "not asked" where something the part needs does not answer here: that is no pass.
        summary: One line, for the table.
        details: What a person needs to act on it, in lines.
    """

    outcome: Outcome
    summary: str
    details: Sequence[str] = ()


def exit_code(findings: Sequence[Finding]) -> int:
    """That of the worst: a fault outdoes what could not be asked, which outdoes a pass."""
    return next((EXIT_CODES[worst] for worst in ("failed", "not asked") if worst in {f.outcome for f in findings}), 0)
