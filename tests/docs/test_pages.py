"""The pages agree with the code and with each other: tables, commands, blocks of code, links,
words.
"""

import base64
import importlib.util
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

import click
import pytest

from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.cli.main import cli
from kallyai_mcp.settings import Auth, declarations
from kallyai_mcp.testing import KallyAISandbox
from tests.cli.machine import invoke, move_home, run_ok, sign_in
from tests.docs import pages
from tests.docs.pages import (
    PAGES,
    ROOT,
    all_commands,
    commands,
    fenced,
    first_column,
    run_by,
    text_of,
    without_fences,
)
from tests.limits import README_WORDS
from tests.transports.workers import COMMAND, IN_CONTAINER

README = text_of("README.md")

FORBIDDEN = re.compile(
    r"\b(ring|rings|rung|whom|mend|errand|desk|door|strangers?|patience|crew|carrier|of which|who "
    r"may come in)\b",
    re.IGNORECASE,
)
"""Words that the pages do not use."""


def test_each_command_is_in_the_docs_table() -> None:
    rows = re.findall(
        r"^\| (`[a-z-]+`.*?) \|",
        text_of("docs/terminal.md").split("| commands |", 1)[1],
        re.MULTILINE,
    )
    listed = [name for row in rows for name in re.findall(r"`([a-z-]+)`", row)]

    assert sorted(listed) == sorted(cli.list_commands(click.Context(cli))), (
        "add the command to the table in docs/terminal.md"
    )


def test_each_value_of_auth_is_explained() -> None:
    assert first_column("docs/hosting.md", "`--auth`") == list(get_args(Auth)), (
        "add it to the table of docs/hosting.md, in the order of `Auth` in kallyai_mcp/settings.py"
    )


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(r"`[^`]*`", "", without_fences(page.read_text(encoding="utf-8")))
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            path, _, anchor = target.partition("#")
            if target.startswith(("http://", "https://")):
                continue
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page} links to {target}"
            titles = (
                re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                if anchor
                else ()
            )
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert not anchor or anchor in anchors, f"{page} links to {target}"


def test_each_page_has_one_title_and_plain_words() -> None:
    for page in PAGES:
        text = re.sub(r"`[^`]*`", "", without_fences(page.read_text(encoding="utf-8")))

        words = FORBIDDEN.findall(text)
        assert not words, f"{page}: write other words for {words}; FORBIDDEN is in this module"
        assert text.startswith("# ") or page.name == "pull_request_template.md", page
        assert len(re.findall(r"^# ", text, re.MULTILINE)) <= 1, page


def test_modules_are_run_with_their_packages() -> None:
    """A clone has no packages on the path of `python`; `uv run` has them."""
    for page in sorted((ROOT / ".github").glob("*.md")):
        bare = [
            line
            for line in commands(page)
            if "python -m " in line and not line.startswith("uv run ")
        ]
        assert not bare, f"{page}: write `uv run` before {bare}"


def test_each_command_is_run() -> None:
    listed, ci = all_commands(), text_of(pages.IN_CI)
    for line in listed:
        assert run_by(line) is not None, (
            f"`{line}` stands on a page, and nothing runs it: say what does in RUN_BY of "
            "tests/docs/pages.py"
        )
        for module in re.findall(r"python -m (tests\.[a-z]+)", line):
            is_run = run_by(line) != pages.IN_CI or f'"{module}' in ci
            assert is_run, f"`{line}` stands on a page: add {module} to .ci/run"
        for path in re.findall(r"\btests/\S+", line):
            assert (ROOT / path).exists(), line
    for module in re.findall(
        r"python -m (tests(?:\.[a-z_]+)*)", "\n".join([*listed, text_of("justfile")])
    ):
        assert importlib.util.find_spec(module) is not None, module


def test_the_commands_in_the_docs_work(
    kallyai_sandbox: KallyAISandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = move_home(monkeypatch, tmp_path / "home")
    sandbox: dict[str, str | None] = {
        "KALLYAI_API_URL": kallyai_sandbox.url,
        "KALLYAI_HOME": str(home),
        "KALLYAI_CONFIRM": "never",
    }
    soon = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    monkeypatch.chdir(tmp_path)
    run_ok("install", "cursor")
    lines = [line for line in all_commands() if run_by(line) == pages.IN_PROCESS]
    for line in sorted(lines, key=lambda line: (not line.startswith("kallyai-mcp call "), line)):
        words = re.sub(
            r"\d{4}-\d\d-\d\d", soon, line.removesuffix("--sandbox").replace("CLIENT", "cursor")
        )
        name, *options = shlex.split(words)[1:]
        if name == "transcript":
            options = [kallyai_sandbox.calls[-1].call_id[:6]]
        account = sign_in(home, kallyai_sandbox).account
        options = [account if option == "ACCOUNT" else option for option in options]
        if name == "call" or "forget" in options:
            options.append("--yes")
        done = invoke(name, *options, variables=sandbox)
        assert done.exit_code == 0, f"{line}: {done.output}"


def test_image_recipe_and_unit_run_one_command() -> None:
    in_shells = [
        page.name
        for page in PAGES
        if re.search(r"(?m)^ *```(sh|bash|console)$", page.read_text("utf-8"))
    ]

    # `tests.bundle.check` runs the first one, tests/docs/test_operating.py the other one.
    assert in_shells == ["hosting.md", "operating.md"]
    assert fenced("docs/hosting.md", "sh")[0].splitlines()[-1] == COMMAND
    assert f"\nExecStart=/opt/kallyai-mcp/bin/{COMMAND}\n" in text_of("docs/hosting.md")
    assert f"\nCMD {json.dumps(shlex.split(IN_CONTAINER))}\n" in text_of("Dockerfile")
    assert "\nUSER 10001\n" in text_of("Dockerfile")


def test_compose_passes_limits_and_log_settings() -> None:
    passed = re.findall(
        r"^      (KALLYAI_\w+): \$\{\1:-\w*\}$", text_of("compose.yaml"), re.MULTILINE
    )
    wanted = [one.variable for one in declarations() if one.about.group == "Limits"]

    assert [
        name for name in (*wanted, "KALLYAI_LOG_LEVEL", "KALLYAI_LOG_FORMAT") if name not in passed
    ] == []


ONLY_POSIX = re.compile(r"(?m)'|\$\(|\\$|^\s*\w+=\S+ +\w")
"""What cmd and PowerShell take differently: single quotes, `$(…)`, a line that goes on, a variable
before a command.
"""


def test_commands_mean_the_same_in_every_shell() -> None:
    assert [
        line for line in all_commands() if ONLY_POSIX.search(line) and "_COMPLETE=" not in line
    ] == []


TWO = ["pip install uv && uv run kallyai-mcp demo", "pip install uv && uv run pytest"]
"""The commands that the README begins with."""


def test_the_readme_begins_with_two_commands() -> None:
    title, summary, picture, clone, commands, *_ = README.split("\n\n")

    assert title == "# kallyai-mcp"
    assert summary.endswith("brings back what was agreed.")
    assert picture.startswith("<picture>")
    assert clone.startswith("`git clone`")
    assert [line.strip() for line in commands.splitlines()] == TWO
    README_WORDS.check(len(README.split()), "README.md")


def test_the_workflow_runs_the_readmes_commands() -> None:
    workflow = text_of(".github/workflows/ci.yml")
    commands = [command for line in TWO for command in line.split(" && ")]

    for command in (*commands, ".ci/run", "docker compose up --detach"):
        assert f"- run: {command}\n" in workflow


def test_the_workflow_pins_what_it_uses() -> None:
    for used in re.findall(r"uses: (.+)", text_of(".github/workflows/ci.yml")):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_the_readme_names_the_clients() -> None:
    section = README.split("## Install\n", 1)[1].split("\n## ", 1)[0]

    assert [each.title for each in CLIENTS.values() if each.title not in section] == [
        "VS Code Insiders"
    ]


def entry_on(page: str) -> dict[str, Any]:
    """The entry of a client's file that a page shows."""
    (shown,) = fenced(page, "json")
    entry: dict[str, Any] = json.loads(shown)["mcpServers"]["kallyai"]
    return entry


def test_both_pages_show_what_install_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_home(monkeypatch, tmp_path / "home")
    printed = json.loads(run_ok("install", "cursor", "--print"))["mcpServers"]["kallyai"]
    entry = entry_on("README.md")

    assert [json.loads(block) for block in fenced("docs/install.md", "json")] == [
        {"mcpServers": {"kallyai": entry}}
    ]
    assert Path(printed.pop("command")).stem == entry["command"]
    assert printed == {"args": entry["args"]}


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("Cursor", "https://cursor.com/en/install-mcp?"),
        ("VS Code", "https://insiders.vscode.dev/redirect/mcp/install?"),
    ],
)
def test_the_readmes_links_install_the_entry(client: str, address: str) -> None:
    links = dict(re.findall(r"\[Add to ([\w ]+)\]\([^)]+\)\]\((https://[^)]+)\)", README))
    query = dict(parse_qsl(urlsplit(links[client]).query, strict_parsing=True))
    config = query["config"]
    if client == "Cursor":
        config = base64.b64decode(config, validate=True).decode()

    assert links[client].startswith(address)
    assert query["name"] == "kallyai"
    assert json.loads(config) == entry_on("README.md")
