"""What messages of progress say about a call or a list."""

from datetime import timedelta

import pytest

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.text.progress import progress_message
from tests.calls.ledgers import ACCOUNT, NOW, another, asked, ended_as, outcome

LATER = NOW + timedelta(seconds=90)
SENT = asked(state=CallState.SENT, sent_at=NOW)
FIRST, SECOND, THIRD = (
    another(number, f"+1415555120{number}", state=CallState.SENT, sent_at=NOW)
    for number in (1, 2, 3)
)
BUSY = ended_as(FIRST, outcome("busy"))
NOBODY = ended_as(SECOND, outcome("no_answer", "c-2"))


def around(*records: CallRecord) -> CallList:
    """A list with three candidates, and these records so far."""
    return CallList(
        ACCOUNT,
        tuple(one.submission for one in (FIRST, SECOND, THIRD)),
        "all",
        accept_other_time=False,
        timezones=("America/New_York",) * 3,
        asked_at=NOW,
        records=records,
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (asked(state=CallState.RESERVED, asked_at=LATER), "Placing the call"),
        (asked(state=CallState.RESERVED), "Trying to reach KallyAI"),
        (SENT, "Calling, 1 min 30 s"),
        (asked(state=CallState.SENT, sent_at=LATER + timedelta(seconds=5)), "Calling, 0 s"),
        (
            asked(state=CallState.SENT, sent_at=NOW, response_lost_at=NOW),
            "Checking whether it was placed",
        ),
        (
            asked(state=CallState.SENT, sent_at=NOW, response_lost_at=NOW, call_id="c-1"),
            "Calling, 1 min 30 s",
        ),
        (asked(state=CallState.SCHEDULED), "Waiting until the call is due"),
        (ended_as(SENT, outcome()), ""),
        (around(), "0 of 3 called"),
        (around(FIRST), "0 of 3 called. +1 415-555-1201: Calling, 1 min 30 s"),
        (
            around(BUSY, SECOND),
            "1 of 3 called: +1 415-555-1201, not reached, busy. "
            "+1 415-555-1202: Calling, 1 min 30 s",
        ),
        (around(BUSY, NOBODY), "2 of 3 called: +1 415-555-1202, not reached, no answer"),
    ],
)
def test_progress_says_what_is_known(found: CallRecord | CallList, says: str) -> None:
    assert progress_message(found, LATER) == says
