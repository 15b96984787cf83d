"""Lists that go on with their first consent, on both drivers of the ledger."""

from typing import Any

import pytest

from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.policy import Consent, RiskFlag
from kallyai_mcp.clock import Stopwatch
from tests.calls.lists import BUSY, NUMBERS, SUCCESS, THREE, ended, read_again, wanted
from tests.calls.world import TABLE, World

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
    found = await ended(here, begun)
    assert found.stop_reason is StopReason.NEEDS_DECISION
    return found


async def goes_on(here: World, found: CallList) -> CallList:
    going_on, _ = await here.run(here.calls.place_list(found, FIRST, Stopwatch(here.clock)))
    return await ended(here, going_on)


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
