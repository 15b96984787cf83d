"""The pages agree with the code and with each other: tables, commands, links, words."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click

from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.cli.main import cli
from kallyai_mcp.sandbox.simulator.numbers import DOCUMENTED
from kallyai_mcp.settings import Auth, Settings
from kallyai_mcp.tools.catalog import tools
from tests.docs.pages import DOCS, PAGES, ROOT, first_column, shown_commands, text_of, without_code

FORBIDDEN = re.compile(
    r"\b(ring|rings|rung|whom|mend|errand|desk|door|strangers?|patience|crew|carrier|of which|who may come in)\b",
    re.IGNORECASE,
)
"""Words that the pages do not use."""


def test_tools_commands_settings_numbers_clients_and_pages_are_listed() -> None:
    names = cli.list_commands(click.Context(cli))
    rows = re.findall(r"^\| (`[a-z]+`.*?) \|", text_of("docs/terminal.md").split("| commands |", 1)[1], re.MULTILINE)
    commands = [name for row in rows for name in re.findall(r"`([a-z]+)`", row)]
    attributes = {name.removesuffix("_override") for name in Settings.__dataclass_fields__}
    settings = re.findall(r"^\| `KALLYAI_(\w+)` \|", text_of("docs/settings.md"), re.MULTILINE)
    numbers = {f"| `{entry.number}` | {entry.description.en} |" for entry in DOCUMENTED}
    shown = re.findall(r"^\| `\+.*$", text_of("docs/testing-agents.md"), re.MULTILINE)
    clients = text_of("docs/install.md").split("The names are ", 1)[1].split(". ", 1)[0]
    pages = set(re.findall(r"\]\(([a-z-]+\.md)\)", text_of("docs/llms.txt")))

    assert first_column("docs/tools.md", "tool") == [tool.name for tool in tools()]
    assert sorted(commands) == sorted(names)
    assert sorted(name.lower() for name in settings) == sorted(attributes)
    assert set(shown) <= numbers
    assert len(shown) > 5
    assert re.findall(r"`([a-z-]+)`", clients) == list(CLIENTS)
    assert first_column("docs/hosting.md", "`--auth`") == list(get_args(Auth))
    assert pages == {page.name for page in DOCS.glob("*.md")}
    assert len(PAGES) - len(list((ROOT / ".github").glob("*.md"))) <= 12


def links() -> Iterator[tuple[Path, str]]:
    """The links in the pages that lead to a file of the repository."""
    for page in PAGES:
        text = without_code(page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            if not target.startswith(("http://", "https://")):
                yield page, target


def test_links_lead_somewhere() -> None:
    for page, target in links():
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{page} links to {target}"


def test_commands_have_the_options_that_are_shown() -> None:
    for line in {line for page in PAGES for line in shown_commands(page.read_text(encoding="utf-8"))}:
        words = shlex.split(line)[1:]
        if not words or words[0].startswith("-"):
            continue
        _, command, _ = cli.resolve_command(click.Context(cli), words)
        assert command is not None, line
        command.make_context(words[0], words[1:])


def test_each_page_begins_with_its_only_title_and_has_no_word_that_the_vocabulary_rules_out() -> None:
    for page in PAGES:
        text = without_code(page.read_text(encoding="utf-8"))

        assert FORBIDDEN.findall(text) == [], page
        assert text.startswith("# ") or page.name == "pull_request_template.md", page
        assert len(re.findall(r"^# ", text, re.MULTILINE)) <= 1, page
