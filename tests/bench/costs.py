"""The size of what a client and a model read, in characters and tokens: the tool list and answers.

    uv run python -m tests.bench.costs

The calls come from the sandbox with a manual clock, so the characters are the same on every
machine. The tokens are those of `o200k_base`, the encoding of GPT-4o and GPT-5, counted by npm's
`gpt-tokenizer`.
"""

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import anyio

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.state import Sandbox
from tests import npm
from tests.agent import BISTRO, Agent, open_agent, settings_in
from tests.bench.many_calls import large_plan
from tests.bench.table import not_measured, row
from tests.programs import run_well
from tests.sandbox.manual_clock import ManualClock

NOW = datetime(2026, 1, 25, 20, 0, tzinfo=UTC)
LISTED = 50
ENTRIES = 100

_MANY_QUESTIONS = "+12025550111"
"""The sandbox's number that asks fifty questions."""

_ASKED = {
    "until": "all",
    "task_category": "general",
    "task_description": "Ask for a room for a party",
    "questions": ["Is there parking?", "Do you take credit cards?"],
    "wait_seconds": 600,
}
_NAMES = ("Harbor Kitchen", "Italian Bistro", "Garden Room", "Old Mill")
_CANDIDATES = [
    {"respondent_phone": f"+1415555{number:04}", "business_name": f"{_NAMES[number % 4]} {number}"}
    for number in range(100, 122)
]
"""A list of 22 places that are asked."""


def _shorten_transcript(sandbox: Sandbox, call_id: str) -> None:
    """Cut a transcript to `ENTRIES` entries; no transcript of the sandbox has exactly that
    number.
    """
    with sandbox.store.transaction() as db:
        (stored,) = db.execute(
            "SELECT transcript FROM placed_calls WHERE call_id = ?", (call_id,)
        ).fetchone()
        entries = json.loads(stored)[:ENTRIES]
        db.execute(
            "UPDATE placed_calls SET transcript = ? WHERE call_id = ?",
            (json.dumps(entries), call_id),
        )


async def _read(agent: Agent, sandbox: Sandbox) -> dict[str, str]:
    """The texts that a model reads, by description."""
    listed_tools = await agent.client.list_tools()
    tools: dict[str, str] = {}
    for tool in listed_tools.tools:
        definition = {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input_schema,
        }
        tools[tool.name] = json.dumps(definition, ensure_ascii=False, separators=(",", ":"))
    texts = {
        "tools/list on the wire": listed_tools.model_dump_json(by_alias=True, exclude_none=True),
        "name, description, and inputSchema of all tools": "".join(tools.values()),
        "the same of make_call": tools["make_call"],
    }
    texts["make_call, success"] = (await agent.use("make_call", BISTRO)).text
    long = await agent.use("make_call", BISTRO, respondent_phone=_MANY_QUESTIONS)
    _shorten_transcript(sandbox, long.data["call_id"])
    transcript = await agent.use("get_transcript", call_id=long.data["call_id"])
    texts[f"get_transcript, {ENTRIES} entries"] = transcript.text
    asked = await agent.use("call_around", _ASKED, candidates=_CANDIDATES)
    assert asked.data["status"] == "done"
    texts[f"call_around, {len(_CANDIDATES)} candidates, two questions"] = asked.text
    for number in range(LISTED):
        await agent.use("make_call", BISTRO, respondent_phone=f"+1415555{number:04}")
    listed = await agent.use("list_calls", limit=LISTED)
    assert len(listed.data["calls"]) == LISTED
    return texts | {f"list_calls, {LISTED} calls": listed.text}


async def _read_all() -> dict[str, str]:
    clock = ManualClock(NOW)
    with large_plan("acct-personal"), tempfile.TemporaryDirectory() as home:
        app = create_app(clock=clock)
        async with open_agent(settings_in(Path(home)), mode="auto", clock=clock, app=app) as agent:
            return await _read(agent, app.state.sandbox)


def _count(texts: list[str]) -> list[int]:
    """The number of tokens of each text, in the same order."""
    source = Path(__file__).parent / "tokenizer"
    folder = npm.installed(
        "tokenizer", [source / name for name in ("package.json", "package-lock.json", "count.js")]
    )
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        counts: list[int] = json.loads(
            run_well(["node", "count.js", "o200k_base", file], folder=folder).stdout
        )
    return counts


def main() -> None:
    """Print the rows."""
    texts = anyio.run(_read_all)
    for what, text in texts.items():
        row(what, "characters", [len(text)])
    if shutil.which("npm") is None:
        not_measured(
            "the same in tokens", "there is no npm on this machine (Debian: apt-get install npm)"
        )
        return
    for what, count in zip(texts, _count(list(texts.values())), strict=True):
        row(what, "tokens", [count])


if __name__ == "__main__":
    main()
