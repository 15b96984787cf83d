"""How a call has ended: what is said of it, and the line of the log."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.decisions import decide
from kallyai_mcp.calls.endings import Ending, endings_in
from kallyai_mcp.calls.events import Cancel, Event, Found, Late, Leave, Over, Refuse
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.calls.schedule import AT_ONCE, Schedule
from tests.calls.dict_view import DictView
from tests.calls.ledgers import NOW, ago, asked, ended_as, outcome
from tests.calls.world import LOST, PLACED, REFUSED, Reply, World, reply

ERROR = KallyAIError("It was not sent.", code="not_sent", correlation_id="api-1")
PAST = Schedule(ago(minutes=31), ago(minutes=1))
TWICE = Schedule(attempts=2)


def in_state(state: CallState, schedule: Schedule = AT_ONCE) -> CallRecord:
    """A record that was asked for half a minute ago, and whose request left 10 s later."""
    sent_at = ago(seconds=20) if state is CallState.SENT else None
    return asked(state=state, asked_at=ago(seconds=30), sent_at=sent_at, schedule=schedule)


SENT = in_state(CallState.SENT)
RESERVED = in_state(CallState.RESERVED)
SCHEDULED = in_state(CallState.SCHEDULED, PAST)
UNKNOWN = replace(in_state(CallState.UNKNOWN), error=ERROR)
SENT_TWICE = in_state(CallState.SENT, TWICE)

CASES: dict[str, tuple[CallRecord, Event[Any], Ending | None]] = {
    "with an outcome": (
        SENT,
        Over(ended_as(SENT, outcome())),
        Ending("t-1", CallState.ENDED, "success", 20, "c-1"),
    ),
    "unknown": (
        SENT,
        Over(replace(SENT, state=CallState.UNKNOWN, error=ERROR)),
        Ending("t-1", CallState.UNKNOWN, "unknown", 20, None, "not_sent", "api-1"),
    ),
    "refused": (
        RESERVED,
        Refuse(RESERVED, ERROR),
        Ending("t-1", CallState.REFUSED, "refused", 30, None, "not_sent", "api-1"),
    ),
    "canceled": (
        SCHEDULED,
        Cancel("t-1"),
        Ending("t-1", CallState.CANCELED, "canceled", 30),
    ),
    "late": (
        SCHEDULED,
        Late(["t-1"]),
        Ending("t-1", CallState.EXPIRED, "expired", 30, None, "expired"),
    ),
    "as an attempt that is followed by another one": (
        SENT_TWICE,
        Over(ended_as(SENT_TWICE, outcome("busy"))),
        Ending("t-1", CallState.ENDED, "busy", 20, "c-1"),
    ),
    "not, when its request leaves": (RESERVED, Leave(RESERVED), None),
    "not, when it was over": (UNKNOWN, Found(UNKNOWN, outcome(), proven=True), None),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_tells_whether_a_call_has_ended(case: str) -> None:
    record, event, expected = CASES[case]
    view = DictView.of(NOW, record, living={record.worker})

    changes = decide(view, event)

    found = list(endings_in(view.records, changes, NOW))
    assert found == ([] if expected is None else [expected])


LINES: dict[str, tuple[Reply, int, str, str | None]] = {
    "a success": (PLACED, logging.INFO, "success", "c-1"),
    "busy": (reply("busy"), logging.INFO, "busy", "c-1"),
    "a refusal": (REFUSED, logging.INFO, "refused", None),
    "an unknown outcome": (LOST, logging.WARNING, "unknown", None),
}


@pytest.mark.parametrize("case", LINES)
async def test_each_ended_call_is_one_line(
    here: World, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    given, level, said, call_id = LINES[case]
    here.answering([given])
    with caplog.at_level(logging.INFO):
        record = await here.call()
    [line] = [one for one in caplog.records if one.name == "kallyai_mcp.calls.endings"]

    assert (line.levelno, vars(line)["outcome"]) == (level, said)
    assert vars(line)["tracking_id"] == record.tracking_id
    assert vars(line)["call_id"] == call_id
    assert line.getMessage().startswith(f"call ended after {int(vars(line)['seconds'])} s: {said}")
    assert "4155551234" not in str(vars(line))
