"""The README is short, begins with the two commands that the project is known by, and lists what there is."""

import base64
import json
import re
from urllib.parse import parse_qsl, urlsplit

from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.tools.catalog import tools
from tests.docs.pages import first_column, text_of

README = text_of("README.md")


def test_it_begins_with_one_sentence_and_the_two_commands() -> None:
    paragraphs = README.split("\n\n")

    assert paragraphs[0] == "# kallyai-mcp"
    assert paragraphs[1].endswith("brings back what was agreed.")
    assert paragraphs[2].splitlines() == [
        "    pip install uv && uv run kallyai-mcp demo",
        "    pip install uv && uv run pytest",
    ]


def test_it_has_at_most_1500_words() -> None:
    assert len(README.split()) <= 1500


def test_its_sections_are_in_the_order_in_which_a_newcomer_asks() -> None:
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == [
        "What you say, and what comes back",
        "Install",
        "What you need",
        "Tools",
        "Safety",
        "When it doesn't work",
        "Documentation",
    ]


def test_it_lists_the_tools() -> None:
    assert first_column("README.md", "tool") == [tool.name for tool in tools()]


def test_it_lists_the_clients() -> None:
    section = README.split("| `kallyai-mcp install …` |", 1)[1].split("\n\n", 1)[0]

    assert re.findall(r"\| `([a-z-]+)` \|", section) == list(CLIENTS)


def test_the_links_of_cursor_and_vs_code_add_the_entry_that_is_shown() -> None:
    links = {name: urlsplit(url) for name, url in re.findall(r"\[Add to (Cursor|VS Code)\]\((https://[^)]+)\)", README)}
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


def test_safety_is_five_bullets_each_with_a_page() -> None:
    section = README.split("## Safety", 1)[1].split("\n## ", 1)[0]
    bullets = section.split("\n- ")[1:]

    assert len(bullets) == 5
    assert all("](docs/" in bullet for bullet in bullets)
