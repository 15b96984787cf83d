"""Whether the yes to a list covers that it goes on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import LONGEST, CallList
from kallyai_mcp.calls.list_consent import Coverage, Remaining, coverage
from kallyai_mcp.calls.opt_outs import OptOut, OptOutReason
from kallyai_mcp.calls.policy import Consent, RiskFlag
from tests.calls.ledgers import ACCOUNT, system_now
from tests.calls.lists import THREE

AGREED = system_now()
SOON = AGREED + timedelta(minutes=20)
OPT_OUT = OptOut("+1", "2026-01-26", OptOutReason.ASKED, "c-1", "Stop.")
NIGHT = (RiskFlag.LOCAL_HOUR,)
YES = Consent("test", "form", reasons={"+1": NIGHT, "+2": (RiskFlag.URGENT,)})


def list_with(consent: Consent) -> CallList:
    return CallList(ACCOUNT, tuple(THREE), "booked", False, ("UTC",) * 3, AGREED, consent=consent)


AT_NIGHT = Remaining("+1", reasons=NIGHT)

CASES: dict[str, tuple[Consent, list[Remaining], timedelta, str, Coverage]] = {
    "the same reason": (YES, [AT_NIGHT], timedelta(0), "auto", Coverage.COVERED),
    "fewer reasons": (
        YES,
        [AT_NIGHT, Remaining("+2")],
        timedelta(0),
        "auto",
        Coverage.COVERED,
    ),
    "called before the yes": (
        YES,
        [replace(AT_NIGHT, last_call=AGREED - timedelta(minutes=1))],
        timedelta(0),
        "auto",
        Coverage.COVERED,
    ),
    "no reason any more": (YES, [Remaining("+1")], timedelta(0), "auto", Coverage.NOT_NEEDED),
    "asked each time": (YES, [AT_NIGHT], timedelta(0), "always", Coverage.ASKED_EACH_TIME),
    "never asked": (YES, [AT_NIGHT], timedelta(0), "never", Coverage.ASKED_EACH_TIME),
    "nobody was asked": (
        replace(YES, how="not_needed"),
        [AT_NIGHT],
        timedelta(0),
        "auto",
        Coverage.NO_YES,
    ),
    "after two hours": (YES, [AT_NIGHT], LONGEST, "auto", Coverage.TOO_LATE),
    "called since": (
        YES,
        [replace(AT_NIGHT, last_call=AGREED + timedelta(minutes=1))],
        timedelta(0),
        "auto",
        Coverage.CALLED_SINCE,
    ),
    "a new reason": (
        YES,
        [Remaining("+1", reasons=(*NIGHT, RiskFlag.FEW_MINUTES))],
        timedelta(0),
        "auto",
        Coverage.NEW_REASON,
    ),
    "the reason of another number": (
        YES,
        [Remaining("+2", reasons=NIGHT)],
        timedelta(0),
        "auto",
        Coverage.NEW_REASON,
    ),
    "a number that was not told": (
        YES,
        [Remaining("+3", reasons=NIGHT)],
        timedelta(0),
        "auto",
        Coverage.NEW_REASON,
    ),
    "opted out since": (
        YES,
        [replace(AT_NIGHT, opt_out=OPT_OUT)],
        timedelta(0),
        "auto",
        Coverage.NEW_REASON,
    ),
    "an opt-out that was told": (
        replace(YES, opt_outs=(OPT_OUT.id,)),
        [replace(AT_NIGHT, opt_out=OPT_OUT)],
        timedelta(0),
        "auto",
        Coverage.COVERED,
    ),
}


@pytest.mark.parametrize(
    ("consent", "remaining", "later", "asks", "found"), CASES.values(), ids=CASES
)
def test_a_yes_covers_what_was_told(
    consent: Consent, remaining: list[Remaining], later: timedelta, asks: str, found: Coverage
) -> None:
    assert coverage(list_with(consent), remaining, SOON + later, asks=asks) is found
