"""What an agent reads: the characters of the tool list and of each kind of answer.

    uv run python -m tests.bench.costs

A model's tokens are its tokenizer's; four characters a token is a usual rule for English. The calls come from the
sandbox, with a clock that stands still, so that the figures are the same on every machine.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import anyio
from mcp.types import CallToolResult

from kallyai_mcp.sandbox.accounts import ACCOUNTS
from kallyai_mcp.sandbox.app import create_app
from tests.sandbox.kit import ManualClock
from tests.telephone import BISTRO, Agent, Answer, settings_in, telephone

NOW = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
LISTED = (1, 10, 50, 200)
TALKATIVE = "+12025550111"
"""The sandbox's number that asks fifty questions."""


def _characters(answer: Answer) -> int:
    """What a model reads of an answer: its text."""
    assert isinstance(answer.result, CallToolResult)
    return len(answer.text)


async def _place(agent: Agent, count: int) -> None:
    for number in range(count):
        await agent.use("make_call", BISTRO, respondent_phone=f"+1415555{number:04}")


async def measure() -> dict[str, int]:
    """Characters of each thing that an agent reads, by its name."""
    found: dict[str, int] = {}
    clock = ManualClock(NOW)
    account = ACCOUNTS["acct-personal"]
    ACCOUNTS["acct-personal"] = type(account)(**{**vars(account), "minutes_allocated": 10**6, "calls_allocated": 10**6})
    try:
        with tempfile.TemporaryDirectory() as home:
            app = create_app(clock=clock)
            async with telephone(settings_in(Path(home)), mode="auto", clock=clock, app=app) as agent:
                tools = (await agent.client.list_tools()).tools
                seen = [{"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools]
                found["the list of tools"] = sum(len(json.dumps(tool, ensure_ascii=False)) for tool in seen)
                found["make_call, it worked"] = _characters(await agent.use("make_call", BISTRO))
                found["check_quota"] = _characters(await agent.use("check_quota"))
                call = await agent.use("make_call", BISTRO, respondent_phone=TALKATIVE)
                transcript = await agent.use("get_transcript", call_id=call.data["call_id"])
                lines = len(transcript.data["entries"])
                found[f"get_transcript, {lines} entries"] = _characters(transcript)
                await _place(agent, max(LISTED))
                for count in LISTED:
                    found[f"list_calls, {count}"] = _characters(await agent.use("list_calls", limit=count))
    finally:
        ACCOUNTS["acct-personal"] = account
    return found


def main() -> None:
    """Print the table."""
    for name, characters in anyio.run(measure).items():
        print(f"{name:32} {characters:7,} characters")


if __name__ == "__main__":
    main()
