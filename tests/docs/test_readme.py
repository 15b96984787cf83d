"""The README is short, begins with the two commands that the project is known by, and lists what there is."""

import base64
import json
import re
from urllib.parse import parse_qsl, urlsplit

from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.tools.catalog import tools
from tests.docs.pages import first_column, text_of

README = text_of("README.md")


def test_it_is_short_and_begins_with_one_sentence_the_clone_and_the_two_commands() -> None:
    paragraphs = README.split("\n\n")

    assert len(README.split()) <= 1200
    assert paragraphs[0] == "# kallyai-mcp"
    assert paragraphs[1].endswith("brings back what was agreed.")
    assert paragraphs[2].startswith("`git clone`")
    assert paragraphs[3].splitlines() == [
        "    pip install uv && uv run kallyai-mcp demo",
        "    pip install uv && uv run pytest",
    ]


def test_it_lists_the_tools_and_the_clients() -> None:
    assert first_column("README.md", "tool") == [tool.name for tool in tools()]
    section = README.split("## Install\n", 1)[1].split("\n## ", 1)[0]
    assert [each.title for each in CLIENTS.values() if each.title not in section] == ["VS Code Insiders"]


def test_the_links_of_cursor_and_vs_code_add_the_entry_that_is_shown() -> None:
    links = {
        name: urlsplit(url) for name, url in re.findall(r"\[Add to ([\w ]+)\]\([^)]+\)\]\((https://[^)]+)\)", README)
    }
    queries = {name: dict(parse_qsl(link.query, strict_parsing=True)) for name, link in links.items()}
    shown = json.loads(README.split("```json\n", 1)[1].split("```", 1)[0])["mcpServers"]

    assert {name: f"{link.netloc}{link.path}" for name, link in links.items()} == {
        "Cursor": "cursor.com/en/install-mcp",
        "VS Code": "insiders.vscode.dev/redirect/mcp/install",
    }
    assert {query["name"] for query in queries.values()} == set(shown) == {"kallyai"}
    assert json.loads(base64.b64decode(queries["Cursor"]["config"], validate=True)) == shown["kallyai"]
    assert json.loads(queries["VS Code"]["config"]) == shown["kallyai"]
    assert shown["kallyai"] == CLIENTS["cursor"].entry("kallyai", "kallyai-mcp", [])
