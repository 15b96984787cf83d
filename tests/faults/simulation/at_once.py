"""The oracle of lists that ask all candidates, several at a time."""

from collections.abc import Iterator
from itertools import combinations

from kallyai_mcp.settings import Settings
from tests.faults.simulation.judging import Rule, Violation, calls_by_account
from tests.faults.simulation.run import Evidence
from tests.faults.simulation.service import PhoneCall


def find_too_many(evidence: Evidence) -> Iterator[Violation]:
    """No more calls of an account are in progress at a time than the setting allows.

    A call whose answer was lost may go on when its outcome counts as unknown.
    """
    allowed = Settings().at_once + len(evidence.plan.troubles)
    for calls in calls_by_account(evidence):
        for call in calls:
            together = [one for one in calls if one.started <= call.started < one.ends]
            if len(together) > allowed:
                yield Violation(
                    Rule.TWICE,
                    f"{call.call_id} was placed during {len(together) - 1} others, "
                    f"and {allowed} may be in progress at a time",
                )


def find_called_again(evidence: Evidence) -> Iterator[tuple[PhoneCall, PhoneCall]]:
    """The pairs of calls to one candidate, in the order in which they were placed."""
    for calls in calls_by_account(evidence):
        for before, call in combinations(calls, 2):
            if before.submission["respondent_phone"] == call.submission["respondent_phone"]:
                yield before, call
