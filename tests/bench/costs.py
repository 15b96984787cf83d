"""The size of what a model reads, in characters and tokens: the tool list and each kind of answer.

    uv run python -m tests.bench.costs

The calls come from the sandbox with a manual clock, so the characters are the same on every machine. The tokens
(`tokens.py`) differ by a few in a thousand from run to run, because ids are random.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import anyio
from mcp.types import Tool

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.state import Sandbox
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.bench.large_plan import large_plan
from tests.bench.table import Row, Target, command
from tests.bench.tokens import ENCODING, counted
from tests.sandbox.manual_clock import ManualClock

NOW = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
LISTED = (1, 10, 50, 200)
ENTRIES = 100
"""The number of entries of the transcript."""

TARGETS = {
    "the list of all tools": Target("at most", 7_000, "figure"),
    "make_call in that list": Target("at most", 3_000, "figure"),
    "list_calls, 50 calls": Target("at most", 6_000, "figure"),
}
"""The targets, in characters."""

MANY_QUESTIONS = "+12025550111"
"""The sandbox's number that asks fifty questions."""


def _as_model_input(tool: Tool) -> str:
    """A tool as a model gets it."""
    definition = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return json.dumps(definition, ensure_ascii=False)


def _shorten_transcript(sandbox: Sandbox, call_id: str) -> None:
    """Cut a transcript to `ENTRIES` entries; no transcript of the sandbox has exactly that number."""
    with sandbox.store.transaction() as db:
        (stored,) = db.execute("SELECT transcript FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        entries = json.loads(stored)[:ENTRIES]
        db.execute("UPDATE calls SET transcript = ? WHERE call_id = ?", (json.dumps(entries), call_id))


async def _read(agent: Agent, clock: ManualClock, sandbox: Sandbox, longest: int) -> dict[str, str]:
    texts: dict[str, str] = {}
    tools = [_as_model_input(tool) for tool in (await agent.client.list_tools()).tools]
    texts["the list of all tools"] = "".join(tools)
    (texts["make_call in that list"],) = (tool for tool in tools if '"name": "make_call"' in tool)
    placed = await agent.use("make_call", BISTRO)
    texts["make_call, success"] = placed.text
    wrong = await agent.use("make_call", BISTRO, respondent_phone="415-555-1234", party_size=51)
    assert wrong.is_error
    texts["make_call, two invalid arguments"] = wrong.text
    event = await agent.use("get_calendar_event", call_id=placed.data["call_id"])
    texts["get_calendar_event, without its file"] = event.text
    for tool in ("check_quota", "get_billing_link", "sign_in"):
        texts[tool] = (await agent.use(tool)).text
    long = await agent.use("make_call", BISTRO, respondent_phone=MANY_QUESTIONS)
    _shorten_transcript(sandbox, long.data["call_id"])
    transcript = await agent.use("get_transcript", call_id=long.data["call_id"])
    assert len(transcript.data["entries"]) == ENTRIES
    texts[f"get_transcript, {ENTRIES} entries"] = transcript.text
    lists = [count for count in LISTED if count <= longest]
    for number in range(max(lists)):
        await agent.use("make_call", BISTRO, respondent_phone=f"+1415555{number:04}")
    for count in lists:
        listed = await agent.use("list_calls", limit=count)
        assert len(listed.data["calls"]) == count
        texts[f"list_calls, {count} call{'' if count == 1 else 's'}"] = listed.text
    clock.hold()
    in_progress = await agent.use("make_call", BISTRO, respondent_phone="+14155559999", wait_seconds=0)
    assert in_progress.data["status"] == "in_progress"
    texts["make_call, in progress"] = in_progress.text
    clock.advance(hours=1)
    return texts


async def read_all(longest: int = max(LISTED)) -> dict[str, str]:
    """The texts that a model reads, by description; no list of calls is longer than `longest`."""
    clock = ManualClock(NOW)
    with large_plan("acct-personal"), tempfile.TemporaryDirectory() as home:
        app = create_app(clock=clock)
        async with open_agent(settings_in(Path(home)), mode="auto", clock=clock, app=app) as agent:
            return await _read(agent, clock, app.state.sandbox, longest)


def rows(longest: int) -> list[Row]:
    """The characters of each text, and its tokens if they can be counted on this machine."""
    texts = anyio.run(read_all, longest)
    characters = [Row(what, len(text), "characters", target=TARGETS.get(what)) for what, text in texts.items()]
    try:
        counts = counted(list(texts.values()))
    except RuntimeError as error:
        return [*characters, Row("the same in tokens", None, "tokens", reason=str(error))]
    tokens = [Row(what, count, f"tokens ({ENCODING})") for what, count in zip(texts, counts, strict=True)]
    return [row for pair in zip(characters, tokens, strict=True) for row in pair]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--longest", type=int, default=max(LISTED), help="the longest list of calls (default: 200)")
    command("costs", parser, lambda options: rows(options.longest))


if __name__ == "__main__":
    main()
