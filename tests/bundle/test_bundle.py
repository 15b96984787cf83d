"""What directories of servers and plug-ins ask for; `tests.bundle.check` tries the files.

`tests.update` makes them, so that they agree with the program.
"""

import json
import re
import tomllib
from typing import Any

from kallyai_mcp.server.skills import FOLDER
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.catalog import tools
from tests.docs.pages import text_of
from tests.programs import ROOT

Json = dict[str, Any]


def read(name: str) -> Json:
    parsed: Json = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return parsed


def read_list(name: str) -> list[Json]:
    parsed: list[Json] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return parsed


MANIFEST = read("manifest.json")
SERVER = read("kallyai_mcp/registry/server.json")
PLUGIN = read(".claude-plugin/plugin.json")
MARKETPLACE = read(".claude-plugin/marketplace.json")
PROJECT: Json = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_server_takes_the_bundles_defaults() -> None:
    given = {
        f"KALLYAI_{name.upper()}": str(option["default"])
        for name, option in MANIFEST["user_config"].items()
    }

    assert Settings.from_env(given) == Settings()


def test_the_server_takes_the_registrys_defaults_and_examples() -> None:
    variables = SERVER["packages"][0]["environmentVariables"]
    defaults = {one["name"]: one["default"] for one in variables if "default" in one}
    examples = {one["name"]: one["placeholder"] for one in variables if "placeholder" in one}

    assert Settings.from_env(defaults) == Settings()
    assert Settings.from_env(examples).deny_numbers == ("+1900",)


def test_the_plug_in_starts_its_own_server() -> None:
    """Nothing may need a package index before the package is published there."""
    command = ["run", "--directory", "${CLAUDE_PLUGIN_ROOT}", "--no-dev", "kallyai-mcp"]

    assert PLUGIN["mcpServers"] == {"kallyai": {"command": "uv", "args": command}}
    assert command[-1] in PROJECT["scripts"]
    assert MARKETPLACE["plugins"][0]["source"] == "./"
    assert ROOT / PLUGIN["skills"] == FOLDER
    assert [path.name for path in FOLDER.iterdir()] == ["phone-call"]


def test_claudes_directory_gets_its_web_addresses() -> None:
    policy, *_ = MANIFEST["privacy_policies"]

    assert policy in text_of("README.md").partition("\n## Privacy\n")[2]
    for url in (*MANIFEST["privacy_policies"], MANIFEST["author"]["url"]):
        assert url.startswith("https://")


def test_claudes_directory_gets_annotations_of_each_tool() -> None:
    for tool in tools():
        assert tool.annotations is not None, tool.name
        assert tool.annotations.title, tool.name
        assert tool.annotations.read_only_hint is not None, tool.name
        assert tool.annotations.destructive_hint is not None, tool.name


def test_other_hosts_plug_ins_are_claude_codes() -> None:
    cursor, portable = read(".cursor-plugin/plugin.json"), read("plugin.json")

    for name in ("name", "version", "description", "author", "license", "keywords"):
        assert cursor[name] == portable[name] == PLUGIN[name]
    assert cursor["skills"] == PLUGIN["skills"]


def test_dockers_catalog_takes_the_entry() -> None:
    entry = text_of("kallyai_mcp/registry/docker/server.yaml")
    title = re.findall(r"^  title: (.+)$", entry, re.MULTILINE)[0]
    described = read_list("kallyai_mcp/registry/docker/tools.json")

    assert title == title.title().replace("Kallyai", "KallyAI")
    assert not re.search("MCP|Server", title)
    assert set(re.findall(r'value: "\{\{([^.]+)\.', entry)) == {"kallyai-mcp"}
    assert [tool["name"] for tool in described] == [tool.name for tool in tools()]
    assert not [each for tool in described for each in tool["arguments"] if not each["desc"]]


def test_a_release_is_published_only_by_hand() -> None:
    workflow = text_of(".github/workflows/release.yml")
    jobs = re.split(r"^  (?=\w+:$)", workflow.partition("\njobs:\n")[2], flags=re.MULTILINE)
    by_hand = "if: github.event_name == 'workflow_dispatch' && inputs.publish"
    publishing = [job for job in jobs if job.startswith("publish_")]

    assert len(publishing) == 3
    assert all(by_hand in job for job in publishing)
    assert not re.search(r"docker push|gh release|pypi-publish", "".join(set(jobs) - {*publishing}))
    assert not re.search(r"^  release:", workflow, re.MULTILINE)
