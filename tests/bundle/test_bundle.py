"""`manifest.json`, `server.json`, and `.claude-plugin/` agree with the program;
`tests.bundle.check` tries them.
"""

import json
import tomllib
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from kallyai_mcp.server.skills import FOLDER
from kallyai_mcp.settings import Settings, SettingsError
from tests.programs import ROOT

Json = dict[str, Any]


def read(name: str) -> Json:
    parsed: Json = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return parsed


MANIFEST = read("manifest.json")
OPTIONS: dict[str, Json] = MANIFEST["user_config"]
SERVER = read("kallyai_mcp/registry/server.json")
PACKAGE: Json = SERVER["packages"][0]
PLUGIN = read(".claude-plugin/plugin.json")
MARKETPLACE = read(".claude-plugin/marketplace.json")
PROJECT: Json = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# For serving over HTTP, or for an extra that `uvx kallyai-mcp` does not install.
NOT_FOR_UVX = {
    *(
        "sandbox",
        "auth",
        "client_id",
        "client_secret",
        "secret_keys",
        "mcp_token",
        "allowed_hosts",
        "allowed_origins",
    ),
    *("trusted_proxies", "public_url", "rate_limit", "database_url"),
}


def test_each_option_of_the_manifest_is_a_setting_with_its_bounds_and_none_is_required() -> None:
    assert set(OPTIONS) <= {field.name for field in fields(Settings)}
    assert MANIFEST["server"]["mcp_config"]["env"] == {
        f"KALLYAI_{name.upper()}": f"${{user_config.{name}}}" for name in OPTIONS
    }
    assert not any(option["required"] for option in OPTIONS.values())
    for name in ("wait_seconds", "keep_days"):
        variable, least, most = (
            f"KALLYAI_{name.upper()}",
            OPTIONS[name]["min"],
            OPTIONS[name]["max"],
        )
        for bound in (least, most):
            assert getattr(Settings.from_env({variable: str(bound)}), name) == bound
        for beyond in (least - 1, most + 1):
            with pytest.raises(SettingsError, match=variable):
                Settings.from_env({variable: str(beyond)})


def test_each_setting_is_listed_in_the_registry_with_its_default_and_choices_or_not_for_uvx() -> (
    None
):
    variables = {
        each["name"].removeprefix("KALLYAI_").lower(): each
        for each in PACKAGE["environmentVariables"]
    }

    assert set(variables) ^ NOT_FOR_UVX == {field.name for field in fields(Settings)}
    for name, variable in variables.items():
        hint = get_type_hints(Settings).get(name)
        choices = [
            each
            for kind in (hint, *get_args(hint))
            if get_origin(kind) is Literal
            for each in get_args(kind)
        ]

        assert variable.get("choices", []) == choices, name
        assert variable.get("isSecret", False) == (name == "access_token"), name
        for key in ("default", "placeholder"):
            settings = (
                Settings.from_env({variable["name"]: variable[key]})
                if key in variable
                else Settings()
            )
            assert key == "placeholder" or settings in (Settings(), Settings(confirm="auto")), name


def test_the_plug_in_starts_the_server_from_its_own_folder_and_ships_its_skill() -> None:
    """Nothing may need a package index before the package is published there."""
    command = ["run", "--directory", "${CLAUDE_PLUGIN_ROOT}", "--no-dev", "kallyai-mcp"]

    assert PLUGIN["mcpServers"] == {"kallyai": {"command": "uv", "args": command}}
    assert command[-1] in PROJECT["scripts"]
    assert MARKETPLACE["plugins"][0]["source"] == "./"
    assert ROOT / PLUGIN["skills"] == FOLDER
    assert [path.name for path in FOLDER.iterdir()] == ["phone-call"]
