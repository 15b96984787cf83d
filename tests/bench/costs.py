"""The size of what a model reads, in characters: the tool list and each kind of answer. A token has about four.

    uv run python -m tests.bench.costs

The calls come from the sandbox with a manual clock, so the figures are the same on every machine.
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import anyio

from kallyai_mcp.sandbox.app import create_app
from tests.agent import BISTRO, open_agent, settings_in
from tests.bench.many_calls import large_plan
from tests.bench.table import row
from tests.sandbox.manual_clock import ManualClock

NOW = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
LISTED = 50

GOALS = {"the list of all tools": 7_000, "list_calls, 50 calls": 6_000}
"""The most characters."""


async def _read() -> dict[str, str]:
    """The texts that a model reads, by description."""
    clock = ManualClock(NOW)
    with large_plan("acct-personal"), tempfile.TemporaryDirectory() as home:
        app = create_app(clock=clock)
        async with open_agent(settings_in(Path(home)), mode="auto", clock=clock, app=app) as agent:
            tools: dict[str, str] = {}
            for tool in (await agent.client.list_tools()).tools:
                definition = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
                tools[tool.name] = json.dumps(definition, ensure_ascii=False)
            placed = await agent.use("make_call", BISTRO)
            for number in range(LISTED):
                await agent.use("make_call", BISTRO, respondent_phone=f"+1415555{number:04}")
            listed = await agent.use("list_calls", limit=LISTED)
    return {
        "the list of all tools": "".join(tools.values()),
        "make_call in that list": tools["make_call"],
        "make_call, success": placed.text,
        f"list_calls, {len(listed.data['calls'])} calls": listed.text,
    }


def main() -> None:
    """Print the rows."""
    for what, text in anyio.run(_read).items():
        row(what, "characters", [len(text)], at_most=GOALS.get(what))


if __name__ == "__main__":
    main()
