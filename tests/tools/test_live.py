"""What KallyAI reports of a call while it goes on."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.cli.progress import progress_text
from kallyai_mcp.tools.facets.live import NOT_LIVE, Line, Live, live_of
from kallyai_mcp.tools.structure.calls import without_live_words
from kallyai_mcp.tools.structure.models import CallAnswer, LiveAnswer
from kallyai_mcp.tools.text.progress import progress_message
from tests.agent import BISTRO, Agent
from tests.calls.ledgers import NOW, asked
from tests.conftest import one_generation
from tests.sandbox.manual_clock import ManualClock

mode = pytest.fixture(one_generation)

HELLO = {"speaker": "HUMAN", "content": "Hello?", "timestamp": "00:00:09"}
LIVE = BISTRO | {"respondent_phone": "+12025550116"}


def call(status: str, **fields: Any) -> Call:
    return Call.model_validate({"call_id": "c-1", "status": status, **fields})


@pytest.mark.parametrize(
    ("reported", "line"),
    [
        (None, None),
        (call("in_progress"), None),
        (call("queued"), None),
        (call("in_progress", transcript=[]), None),
        (call("in_progress", transcript="soon"), None),
        (call("ringing"), Line.RINGING),
        (call("Dialing"), Line.RINGING),
        (call("in_progress", transcript=[HELLO]), Line.TALKING),
        (call("ringing", transcript={"entries": [HELLO]}), Line.TALKING),
        (call("success", transcript=[HELLO]), None),
    ],
)
def test_nothing_is_said_that_is_not_reported(reported: Call | None, line: Line | None) -> None:
    assert live_of(reported).line is line


def test_the_last_two_sentences_are_kept() -> None:
    spoken = [{"role": "assistant", "text": f"\u202e{number}\n" * 300} for number in range(5)]
    said = live_of(call("in_progress", transcript=[HELLO, *spoken])).said

    assert [entry.speaker for entry in said] == ["AI", "AI"]
    assert all("\n" not in entry.content and len(entry.content) < 400 for entry in said)
    assert "3" in said[0].content


def test_what_was_said_is_not_stored() -> None:
    assert "transcript" not in call("in_progress", transcript=[HELLO]).model_dump_json()


@pytest.mark.parametrize(
    ("line", "model", "person"),
    [
        (None, "Calling, 42 s", "Calling +1 415-555-1234, 0:42"),
        (Line.RINGING, "Ringing, 42 s", "Ringing at +1 415-555-1234, 0:42"),
        (Line.TALKING, "Talking, 42 s", "Talking to +1 415-555-1234, 0:42"),
    ],
)
def test_progress_speaks_of_ringing_and_talking(line: Line | None, model: str, person: str) -> None:
    record = asked(state=CallState.SENT, sent_at=NOW, call_id="c-1")
    later = NOW + timedelta(seconds=42)

    assert progress_message(record, later, {record.tracking_id: Live(line)}) == model
    assert progress_text(record, later, Live(line)) == person


async def _on_the_line(agent: Agent, id_: str, line: str) -> dict[str, Any]:
    """What is reported of a call, once it is this."""
    with anyio.fail_after(60):
        while True:
            answer = await agent.use("get_call", call_id=id_)
            live: dict[str, Any] = answer.data.get("live", {})
            if live.get("line") == line:
                return live


async def test_get_call_has_what_is_reported(agent: Agent, clock: ManualClock) -> None:
    clock.hold()
    made = await agent.use("make_call", LIVE, wait_seconds=0)
    rings = await _on_the_line(agent, made.data["tracking_id"], "ringing")
    clock.advance(seconds=20)
    talks = await _on_the_line(agent, made.data["tracking_id"], "talking")

    assert rings == {"line": "ringing", "said": []}
    assert [entry["speaker"] for entry in talks["said"]] == ["HUMAN", "AI"]
    clock.advance(minutes=5)
    ended = await agent.use("get_call", call_id=made.data["tracking_id"], wait_seconds=60)
    assert (ended.data["outcome"], ended.data.get("live")) == ("booked", None)


def test_a_client_without_the_scope_gets_no_words() -> None:
    said = live_of(call("in_progress", transcript=[HELLO])).said
    one = CallAnswer(live=LiveAnswer(line=Line.TALKING, said=list(said)))
    answer = CallAnswer(calls=[one])
    without_live_words(answer)

    assert one.live == LiveAnswer(line=Line.TALKING)
    assert live_of(None) == NOT_LIVE
