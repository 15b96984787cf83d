"""What an agent reads: the characters and tokens of the tool list and of each kind of answer.

    uv run python -m tests.bench.costs

The calls come from the sandbox, with a clock that stands still, so that the characters are the same on every machine;
the tokens (`tokens.py`) differ by a few in a thousand from run to run, since ids are made by chance.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
from mcp.types import Tool

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.state import Sandbox
from tests.agent import BISTRO, Agent, agent_on, settings_in
from tests.bench.table import Row, Target, command
from tests.bench.tokens import ENCODING, counted
from tests.sandbox.manual_clock import ManualClock

NOW = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
LISTED = (1, 10, 50, 200)
ENTRIES = 100
"""Of the transcript that is read."""

TARGETS = {
    "the list of all tools": Target("at most", 6_400, "figure"),
    "make_call in that list": Target("at most", 2_800, "figure"),
    "list_calls, 50 calls": Target("at most", 6_000, "figure"),
}
"""In characters."""

TALKATIVE = "+12025550111"
"""The sandbox's number that asks fifty questions."""


def _seen(tool: Tool) -> str:
    """What a model sees of a tool."""
    seen = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return json.dumps(seen, ensure_ascii=False)


def _cut_short(sandbox: Sandbox, call_id: str) -> None:
    """Leave the first `ENTRIES` entries of a transcript: no conversation of the sandbox's has just as many."""
    with sandbox.store.transaction() as db:
        (stored,) = db.execute("SELECT transcript FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        entries = json.loads(stored)[:ENTRIES]
        db.execute("UPDATE calls SET transcript = ? WHERE call_id = ?", (json.dumps(entries), call_id))


async def _read(agent: Agent, clock: ManualClock, sandbox: Sandbox) -> dict[str, str]:
    texts: dict[str, str] = {}
    tools = [_seen(tool) for tool in (await agent.client.list_tools()).tools]
    texts["the list of all tools"] = "".join(tools)
    (texts["make_call in that list"],) = (tool for tool in tools if '"name": "make_call"' in tool)
    placed = await agent.use("make_call", BISTRO)
    texts["make_call, it worked"] = placed.text
    wrong = await agent.use("make_call", BISTRO, respondent_phone="415-555-1234", party_size=51)
    assert wrong.is_error
    texts["make_call, two arguments wrong"] = wrong.text
    event = await agent.use("get_calendar_event", call_id=placed.data["call_id"])
    texts["get_calendar_event, without its file"] = event.text
    for tool in ("check_quota", "get_billing_link", "sign_in"):
        texts[tool] = (await agent.use(tool)).text
    long = await agent.use("make_call", BISTRO, respondent_phone=TALKATIVE)
    _cut_short(sandbox, long.data["call_id"])
    transcript = await agent.use("get_transcript", call_id=long.data["call_id"])
    assert len(transcript.data["entries"]) == ENTRIES
    texts[f"get_transcript, {ENTRIES} entries"] = transcript.text
    for number in range(max(LISTED)):
        await agent.use("make_call", BISTRO, respondent_phone=f"+1415555{number:04}")
    for count in LISTED:
        listed = await agent.use("list_calls", limit=count)
        assert len(listed.data["calls"]) == count
        texts[f"list_calls, {count} call{'' if count == 1 else 's'}"] = listed.text
    clock.hold()
    under_way = await agent.use("make_call", BISTRO, respondent_phone="+14155559999", wait_seconds=0)
    assert under_way.data["status"] == "in_progress"
    texts["make_call, still under way"] = under_way.text
    clock.advance(hours=1)
    return texts


async def read() -> dict[str, str]:
    """What an agent reads, by what it is."""
    clock = ManualClock(NOW)
    account = ACCOUNTS["acct-personal"]
    ACCOUNTS["acct-personal"] = replace(account, minutes_allocated=10**6, calls_allocated=10**6)
    try:
        with tempfile.TemporaryDirectory() as home:
            app = create_app(clock=clock)
            async with agent_on(settings_in(Path(home)), mode="auto", clock=clock, app=app) as agent:
                return await _read(agent, clock, app.state.sandbox)
    finally:
        ACCOUNTS["acct-personal"] = account


def rows() -> list[Row]:
    """The characters of each, with its tokens below where they can be counted."""
    texts = anyio.run(read)
    characters = [Row(what, len(text), "characters", target=TARGETS.get(what)) for what, text in texts.items()]
    try:
        counts = counted(list(texts.values()))
    except RuntimeError as error:
        return [*characters, Row("the same in tokens", None, "tokens", lacking=str(error))]
    tokens = [Row(what, count, f"tokens ({ENCODING})") for what, count in zip(texts, counts, strict=True)]
    return [row for pair in zip(characters, tokens, strict=True) for row in pair]


def main() -> None:
    """Print the table."""
    command("costs", argparse.ArgumentParser(), lambda _: rows())


if __name__ == "__main__":
    main()
