"""`manifest.json`, `server.json`, and `.claude-plugin/` agree with the program;
`tests.bundle.check` tries them.
"""

import json
import tomllib
from typing import Any

from kallyai_mcp.server.skills import FOLDER
from kallyai_mcp.settings import Settings
from tests.programs import ROOT

Json = dict[str, Any]


def read(name: str) -> Json:
    parsed: Json = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return parsed


MANIFEST = read("manifest.json")
SERVER = read("kallyai_mcp/registry/server.json")
PLUGIN = read(".claude-plugin/plugin.json")
MARKETPLACE = read(".claude-plugin/marketplace.json")
PROJECT: Json = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_server_takes_each_default_of_the_bundles_form() -> None:
    given = {
        f"KALLYAI_{name.upper()}": str(option["default"])
        for name, option in MANIFEST["user_config"].items()
    }

    assert Settings.from_env(given) == Settings()


def test_the_server_takes_each_default_and_example_of_the_registry() -> None:
    variables = SERVER["packages"][0]["environmentVariables"]
    defaults = {one["name"]: one["default"] for one in variables if "default" in one}
    examples = {one["name"]: one["placeholder"] for one in variables if "placeholder" in one}

    assert Settings.from_env(defaults) == Settings()
    assert Settings.from_env(examples).deny_numbers == ("+1900",)


def test_the_plug_in_starts_the_server_from_its_own_folder_and_ships_its_skill() -> None:
    """Nothing may need a package index before the package is published there."""
    command = ["run", "--directory", "${CLAUDE_PLUGIN_ROOT}", "--no-dev", "kallyai-mcp"]

    assert PLUGIN["mcpServers"] == {"kallyai": {"command": "uv", "args": command}}
    assert command[-1] in PROJECT["scripts"]
    assert MARKETPLACE["plugins"][0]["source"] == "./"
    assert ROOT / PLUGIN["skills"] == FOLDER
    assert [path.name for path in FOLDER.iterdir()] == ["phone-call"]
