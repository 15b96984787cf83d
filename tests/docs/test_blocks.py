"""Every block in the pages is a command, code that a test runs, or output that a test here produces."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kallyai_mcp.sandbox.app import SandboxApp
from kallyai_mcp.settings import Settings
from tests.agent import BISTRO, open_agent
from tests.cli.machine import move_home, run_ok
from tests.docs.pages import PAGES, ROOT, text_of
from tests.sandbox.manual_clock import ManualClock

RUN_BY = {
    "python": {"docs/frameworks.md", "docs/testing-agents.md"},  # tests/frameworks, tests/testing
    "toml": {"docs/testing-agents.md"},  # tests/sandbox/test_scenarios.py
    "js": {"docs/frameworks.md"},  # tests/frameworks
    "nginx": {"docs/hosting.md"},  # tests/transports/test_behind_nginx.py
    "sh": {"docs/hosting.md"},  # tests/docs/test_container.py
    "ini": {"docs/hosting.md"},  # the same
    "json": {"README.md", "docs/install.md"},  # below
    "text": {"README.md", "docs/architecture.md"},  # below
}
"""The pages with blocks of each language; tests/docs/test_pages.py checks the commands."""

COMMANDS = ("kallyai-mcp", "pip", "uv", "npm", "npx", "python", "/plugin", "../kallyai/bin/pip", "../uv/bin/")


def fenced(page: str, language: str | None = None) -> list[str]:
    """The blocks between fences, all or those of one language, without the fences."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [text for found, text in blocks if language in (None, found)]


def shows(block: str, output: str) -> bool:
    """Whether `block` is `output`; "…" at the end of a word stands for the rest, so that "3f0c…" is any id."""
    pattern = re.escape(re.sub(r"[\w-]*…", "…", block.strip())).replace("…", r"\S*")
    return re.fullmatch(pattern, output.strip()) is not None


def unchecked() -> Iterator[str]:
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        text = page.read_text(encoding="utf-8")
        for language in re.findall(r"^ *```(\w*)\n.*?^ *```$", text, re.MULTILINE | re.DOTALL):
            if name not in RUN_BY.get(language, ()):
                yield f"{name}: a block of {language or 'no language'}"
        without = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^    (.+)$", without, re.MULTILINE):
            if not line.strip().startswith(COMMANDS):
                yield f"{name}: {line}"


def test_no_block_is_left_without_a_test() -> None:
    assert list(unchecked()) == []


ONLY_POSIX = re.compile(r"(?m)'|\$\(|\\$|^\s*\w+=\S+ +\w")
"""What cmd and PowerShell take differently: single quotes, `$(…)`, a line that goes on, a variable before a command."""


def commands(page: Path) -> list[str]:
    """The commands in a page, those in its sentences too."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    within = re.findall(r"`((?:kallyai-mcp|uv|pip|python) .+?)`", text)
    return re.findall(r"^    (.+)$", text, re.MULTILINE) + within


def test_commands_mean_the_same_in_every_shell() -> None:
    assert [(page.name, line) for page in PAGES for line in commands(page) if ONLY_POSIX.search(line)] == []


def test_printed_commands_mean_the_same_in_every_shell() -> None:
    wrong = re.compile(r"install '|openssl|`(?:export|set) [A-Z_]+=|\b[A-Z_]+=\S+ (?:kallyai-mcp|uv|python)\b")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "kallyai_mcp").rglob("*.py")}

    assert {path.name: found for path, text in sources.items() if (found := wrong.findall(text))} == {}


async def test_the_readme_shows_what_an_agent_reads_after_a_booking(
    settings: Settings, clock: ManualClock, app: SandboxApp
) -> None:
    (block,) = fenced("README.md", "text")
    local = {name: value for name, value in BISTRO.items() if name != "timezone"}
    async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
        answer = await agent.use("make_call", local, user_name="Ada")

    assert shows(block, answer.text), answer.text


@pytest.mark.parametrize("page", sorted(RUN_BY["json"]))
def test_the_entry_for_any_client_is_the_one_that_install_prints(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_home(monkeypatch, tmp_path / "home")
    (block,) = fenced(page, "json")
    printed, shown = (
        json.loads(text)["mcpServers"]["kallyai"] for text in (run_ok("install", "cursor", "--print"), block)
    )

    assert Path(printed.pop("command")).stem == shown.pop("command")
    assert printed == shown


def test_the_architecture_names_folders_that_exist() -> None:
    (block,) = fenced("docs/architecture.md", "text")
    names = re.findall(r"^  ((?:[\w./]+(?:, )?)+)", block, re.MULTILINE)

    listed = {name.strip("/ ") for line in names for name in line.split(", ")}
    assert {name for name in listed if not (ROOT / "kallyai_mcp" / name).exists()} == set()
