"""One consent covers a list and its continuation, if nothing is new."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kallyai_mcp.calls.call_lists import LONGEST, CallList, StopReason
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.list_consent import Coverage, Remaining, coverage
from kallyai_mcp.calls.opt_outs import OptOut, OptOutReason
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import ACCOUNT, system_now
from tests.calls.lists import BUSY, NUMBERS, SUCCESS, THREE, read_again, wanted
from tests.calls.lists import ended as ended_list
from tests.calls.world import TABLE, World

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


URGENT = [one.model_copy(update={"is_urgent": True}) for one in THREE]
FIRST = Consent("test", "first_consent")


async def agreed_to(here: World, *told: RiskFlag) -> CallList:
    """A list of urgent calls whose first candidate was answered without a booking, and what the
    user was told of each number.
    """
    here.answering([SUCCESS[0], BUSY[1], SUCCESS[2]])
    yes = Consent(
        "a client 1.0",
        "form",
        (RiskFlag.URGENT,),
        last_calls=(None,) * 3,
        reasons=dict.fromkeys(NUMBERS, told),
    )
    requested = await wanted(here, URGENT)
    begun, _ = await here.run(here.calls.place_list(requested, yes, Stopwatch(here.clock)))
    found = await ended_list(here, begun)
    assert found.stop_reason is StopReason.NEEDS_DECISION
    return found


async def goes_on(here: World, found: CallList) -> CallList:
    going_on, _ = await here.run(here.calls.place_list(found, FIRST, Stopwatch(here.clock)))
    return await ended_list(here, going_on)


async def test_a_list_goes_on_with_its_first_consent(here: World) -> None:
    found = await agreed_to(here, *RiskFlag)
    last = await goes_on(here, found)

    assert len(last.records) == 3
    assert last.asked_at == found.asked_at
    assert last.consent.reasons == found.consent.reasons


async def test_the_audit_trail_names_the_first_consent(here: World) -> None:
    found = await agreed_to(here, *RiskFlag)
    await goes_on(here, found)
    first_call = found.records[0].tracking_id
    audit = await here.run(here.calls.audit_trail(10))
    of_list = [one for one in audit if one["how"]]

    assert [one["how"] for one in reversed(of_list)] == [
        "form",
        f"form for {first_call}",
        f"form for {first_call}",
    ]
    assert {one["asked_by"] for one in of_list} == {"a client 1.0"}


async def test_a_new_reason_is_asked_about(here: World) -> None:
    found = await agreed_to(here)
    with pytest.raises(ConsentOutdatedError, match="was not told"):
        await goes_on(here, found)

    assert (await read_again(here, found)).stop_reason is StopReason.NEEDS_DECISION


async def test_a_number_called_since_is_asked_about(here: World) -> None:
    found = await agreed_to(here, *RiskFlag)
    other: dict[str, Any] = {"respondent_phone": NUMBERS[2], "party_size": 9}
    await here.call(TABLE.model_copy(update=other))
    with pytest.raises(ConsentOutdatedError, match="called since"):
        await goes_on(here, found)
