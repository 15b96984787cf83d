"""The files for the MCP registry and for Claude Code: `server.json` and `.claude-plugin/`."""

import json
import re
import tomllib
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from kallyai_mcp import __version__
from kallyai_mcp.server.extensions.skills import FOLDER
from kallyai_mcp.settings import Settings
from tests.programs import ROOT

Json = dict[str, Any]

SERVER: Json = json.loads((ROOT / "kallyai_mcp" / "registry" / "server.json").read_text(encoding="utf-8"))
PACKAGE: Json = SERVER["packages"][0]
VARIABLES: list[Json] = PACKAGE["environmentVariables"]
PLUGIN: Json = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
MARKETPLACE: Json = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
PROJECT: Json = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# For serving over HTTP, or for an extra that `uvx kallyai-mcp` does not install.
NOT_FOR_UVX = {
    "sandbox",
    "auth",
    "client_id",
    "client_secret",
    "secret_keys",
    "mcp_token",
    "allowed_hosts",
    "allowed_origins",
    "trusted_proxies",
    "public_url",
    "rate_limit",
    "database_url",
}


def test_the_registry_accepts_it() -> None:
    """By its schema of 2025-12-11 and its rules for PyPI; `tests.bundle.check` runs a linter that knows both."""
    assert SERVER["$schema"] == "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    assert set(SERVER) == {"$schema", "name", "title", "description", "version", "packages"}
    assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+/[a-zA-Z0-9._-]+", SERVER["name"])
    assert len(SERVER["description"]) <= 100
    assert len(SERVER["title"]) <= 100
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", PROJECT["name"])
    assert (PACKAGE["runtimeHint"], PACKAGE["transport"]) == ("uvx", {"type": "stdio"})


def test_the_version_is_the_packages_everywhere() -> None:
    assert SERVER["version"] == PACKAGE["version"] == PLUGIN["version"] == __version__


def test_each_setting_is_listed_or_not_for_uvx() -> None:
    listed = [variable["name"].removeprefix("KALLYAI_").lower() for variable in VARIABLES]
    settings = {field.name.removesuffix("_override") for field in fields(Settings)}

    assert len(listed) == len(set(listed))
    assert set(listed) | NOT_FOR_UVX == settings
    assert not set(listed) & NOT_FOR_UVX


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: str(variable["name"]))
def test_a_variable_has_the_type_and_the_default_of_its_setting(variable: Json) -> None:
    attribute = variable["name"].removeprefix("KALLYAI_").lower()
    hint = get_type_hints(Settings).get(attribute)

    assert set(variable) <= {"name", "description", "default", "choices", "format", "isSecret", "placeholder"}
    assert variable.get("isSecret", False) == ("token" in attribute and attribute != "token_store")
    assert variable.get("choices", []) == _choices(hint)
    if "default" in variable:
        as_set = Settings.from_env({variable["name"]: variable["default"]})
        assert as_set == (Settings(confirm="auto") if attribute == "confirm" else Settings())
    for choice in variable.get("choices", []):
        Settings.from_env({variable["name"]: choice})
    if "placeholder" in variable:
        Settings.from_env({variable["name"]: variable["placeholder"]})


def _choices(hint: Any) -> list[str]:
    """The values that a setting may have, from its type: a Literal, or an optional one."""
    return [choice for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal for choice in get_args(kind)]


def test_the_plug_in_starts_the_server_from_its_own_folder() -> None:
    """Nothing may need a package index before the package is published there."""
    command = ["run", "--directory", "${CLAUDE_PLUGIN_ROOT}", "--no-dev", "kallyai-mcp"]

    assert PLUGIN["mcpServers"] == {"kallyai": {"command": "uv", "args": command}}
    assert command[-1] in PROJECT["scripts"]


def test_the_plug_in_ships_the_skills_that_the_server_serves() -> None:
    assert ROOT / PLUGIN["skills"] == FOLDER
    assert [path.name for path in FOLDER.iterdir()] == ["phone-call"]


def test_the_repository_is_a_marketplace_of_its_plug_in() -> None:
    assert [(plugin["name"], plugin["source"]) for plugin in MARKETPLACE["plugins"]] == [(PLUGIN["name"], "./")]
    assert MARKETPLACE["plugins"][0]["description"] == PLUGIN["description"]
    assert MARKETPLACE["owner"] == PLUGIN["author"] == {"name": _authors()}


def _authors() -> str:
    license_text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    holder = re.search(r"^Copyright \(c\) \d{4} (.+)$", license_text, re.MULTILINE)
    assert holder is not None
    return holder[1]
