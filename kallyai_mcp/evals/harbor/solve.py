"""The right run of a task, by its steps: what Harbor's oracle does."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.types import TextContent

from kallyai_mcp.evals.steps import filled
from kallyai_mcp.evals.task_files import Step


async def solve(steps: Sequence[Step], folder: Path) -> str:
    """Use the tools of the steps with the phone in `folder`; returns what the user is told."""
    arguments = ["-m", "kallyai_mcp.evals.harbor", "phone", str(folder)]
    results: list[str] = []
    async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
        for step in steps:
            if step.tool is not None:
                result = await client.call_tool(step.tool, filled(step.args, results))
                texts = [block.text for block in result.content if isinstance(block, TextContent)]
                results.append("\n".join(texts))
    return steps[-1].words
