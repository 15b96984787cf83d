"""A status that says that nobody was reached, and what KallyAI shows besides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.agent import BISTRO, open_agent
from tests.sandbox.manual_clock import ManualClock
from tests.tools.answering import asking, calendar_file

HEARD = [
    {"speaker": "AI", "content": "Hello"},
    {"speaker": "HUMAN", "content": "Yes, you have the table at seven."},
]
ONLY_AI = [{"role": "assistant", "text": "Hello? Is anybody there?"}]
EVENT = calendar_file(["SUMMARY:Table for 4", "DTSTART:20260129T000000Z"])
ASK_FIRST = "No calendar event shows whether anything was agreed; ask the user before another call."


CONTRADICTED: tuple[tuple[dict[str, Any], Any, str | int, str], ...] = (
    ({"status": "failed"}, HEARD, 404, "failed"),
    (
        {"status": "failed", "duration_seconds": None, "highlights": "The line dropped"},
        [],
        404,
        "failed",
    ),
    ({"status": "terminated", "duration_seconds": 9}, [], 404, "failed"),
    ({"status": "failed", "duration_seconds": 9}, [], 503, "failed"),
    ({"status": "cancelled"}, HEARD, 404, "canceled"),
    ({"status": "no_answer"}, HEARD, 404, "unknown"),
    ({"status": "voicemail"}, HEARD, EVENT, "unknown"),
)


async def test_a_call_with_possible_talk_is_not_repeated(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with (
        asking(tmp_path, clock, {}) as (kallyai, agent),
        open_agent(
            replace(kallyai.settings, home=tmp_path / "other"), mode="auto", clock=clock
        ) as other,
    ):
        for count, (call, entries, calendar, outcome) in enumerate(CONTRADICTED):
            asked = BISTRO | {"respondent_phone": f"+1415555{1200 + count}"}
            kallyai.calls, kallyai.calendars = {"+": call}, {"+": calendar}
            kallyai.transcript = {"entries": entries}
            made = await agent.use("make_call", asked)
            clock.advance(minutes=50)
            again = await agent.use("make_call", asked)
            unrecorded = await other.use("get_call", call_id=made.data["call_id"])

            assert again.data["placed_now"] is False
            for told in (made, again, unrecorded):
                assert f"{outcome.capitalize()}: " in told.text
                assert ASK_FIRST in told.text
                assert (told.data["outcome"], told.data["retryable"]) == (outcome, False)


async def test_a_call_without_talk_may_be_repeated(tmp_path: Path, clock: ManualClock) -> None:
    calls: tuple[tuple[dict[str, Any], Any], ...] = (
        ({"status": "failed"}, ONLY_AI),
        ({"status": "failed", "duration_seconds": 12}, []),
        ({"status": "no_answer"}, []),
        ({"status": "voicemail"}, HEARD),
    )
    async with asking(tmp_path, clock, {}) as (kallyai, agent):
        for count, (call, entries) in enumerate(calls):
            asked = BISTRO | {"respondent_phone": f"+1415555{1200 + count}"}
            kallyai.calls, kallyai.transcript = {"+": call}, {"entries": entries}
            made = await agent.use("make_call", asked)
            clock.advance(minutes=2)
            again = await agent.use("make_call", asked)

            assert made.data["retryable"] is True
            assert again.data["placed_now"] is True


@pytest.mark.parametrize(("status", "later"), [("failed", "failed"), ("busy", "unknown")])
async def test_a_transcript_after_the_outcome_is_read(
    tmp_path: Path, clock: ManualClock, status: str, later: str
) -> None:
    async with asking(tmp_path, clock, {"+": {"status": status, "duration_seconds": 9}}) as (
        kallyai,
        agent,
    ):
        made = await agent.use("make_call", BISTRO)
        kallyai.transcript = {"entries": HEARD}
        found = await agent.use("get_call", call_id=made.data["call_id"])
        clock.advance(minutes=10)
        again = await agent.use("make_call", BISTRO)
        kallyai.transcript = {"entries": []}
        kept = await agent.use("get_call", call_id=made.data["call_id"])

    assert (made.data["retryable"], again.data["placed_now"]) == (True, False)
    for told in (found, again, kept):
        assert (told.data["outcome"], told.data["retryable"]) == (later, False)
        assert ASK_FIRST in told.text


async def test_make_call_refuses_after_an_unclear_call(
    tmp_path: Path,
    clock: ManualClock,
) -> None:
    async with asking(tmp_path, clock, {"+": {"status": "no_answer"}}) as (kallyai, agent):
        await agent.use("make_call", BISTRO)
        clock.advance(minutes=2)
        kallyai.transcript = 503
        unclear = await agent.use("make_call", BISTRO)
        kallyai.transcript = {"entries": HEARD}
        answered = await agent.use("make_call", BISTRO)

    told = {"code": "earlier_call_unclear", "status": "refused", "placed": "no", "retryable": True}
    assert told.items() <= unclear.data.items()
    assert unclear.text == (
        "Not called: KallyAI does not say now whether the call before, which seemed to reach "
        "nobody, "
        "reached somebody after all. Ask for the call again in a minute."
    )
    assert (answered.data["outcome"], answered.data["placed_now"]) == ("unknown", False)
    assert len(kallyai.placed) == 1
