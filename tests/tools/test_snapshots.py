"""What a client is told of each tool, and what the tool answers: a change of it is a change of one file, for review.

`uv run pytest --snapshot-update tests/tools/test_snapshots.py` writes the files.
"""

from pathlib import Path

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from kallyai_mcp.tools.catalog import tools
from tests.tools.situations import texts

DESCRIBED = {"name", "title", "description", "parameters", "annotations"}


async def test_tool(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    told = await texts(tmp_path)

    for tool in tools():
        described = tool.model_dump(mode="json", include=DESCRIBED) | {"output_schema": tool.output_schema}
        seen = {"tool": described, "texts": told[tool.name]}
        assert seen == snapshot(name=tool.name, extension_class=JSONSnapshotExtension)
