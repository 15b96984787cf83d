"""`manifest.json`: its tools and prompts are the server's, and its options are settings."""

import re
import struct
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kallyai_mcp import __version__
from kallyai_mcp.settings import Settings, SettingsError
from tests.agent import Agent
from tests.bundle.mcpb import launch, mcpb
from tests.programs import ROOT

Json = dict[str, Any]

CHANGED: Json = {
    "confirm": "always",
    "sandbox": True,
    "calls_per_day": "20",
    "calls_per_hour": "5",
    "calls_per_number": "2",
    "allow_numbers": "+1415, +34",
    "deny_numbers": "+1900",
    "stop_calls": True,
    "wait_seconds": 30,
    "keep_days": 7,
    "token_store": "file",
    "log_level": "debug",
}
"""A user's configuration in which every option differs from its default."""


def settings(user_config: Json) -> Settings:
    return Settings.from_env(launch(ROOT, user_config).env)


@pytest.mark.usefixtures("npm")
def test_mcpb_finds_it_valid() -> None:
    assert "Manifest schema validation passes!" in mcpb("validate", ROOT / "manifest.json")


def test_name_version_license_and_python_are_the_packages(manifest: Json) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert manifest["name"] == project["name"]
    assert manifest["version"] == __version__
    assert manifest["license"] == project["license"]
    assert manifest["compatibility"]["runtimes"]["python"] == project["requires-python"]


async def test_the_tools_are_the_servers(manifest: Json, agent: Agent) -> None:
    served = (await agent.client.list_tools()).tools

    assert manifest["tools"] == [
        {"name": tool.name, "description": (tool.description or "").splitlines()[0]} for tool in served
    ]


async def test_the_prompts_are_the_servers(manifest: Json, agent: Agent) -> None:
    served = (await agent.client.list_prompts()).prompts

    assert [{key: prompt[key] for key in ("name", "description", "arguments")} for prompt in manifest["prompts"]] == [
        {
            "name": prompt.name,
            "description": prompt.description,
            "arguments": [argument.name for argument in prompt.arguments or []],
        }
        for prompt in served
    ]


def test_each_argument_of_a_prompt_is_in_its_text_once(manifest: Json) -> None:
    for prompt in manifest["prompts"]:
        used = re.findall(r"\$\{arguments\.(\w+)\}", prompt["text"])
        assert sorted(used) == sorted(prompt["arguments"]), prompt["name"]


def test_each_option_is_a_setting_and_none_is_required(manifest: Json) -> None:
    options = manifest["user_config"]

    assert set(options) <= {field.name for field in fields(Settings)}
    assert manifest["server"]["mcp_config"]["env"] == {
        f"KALLYAI_{name.upper()}": f"${{user_config.{name}}}" for name in options
    }
    assert not any(option["required"] for option in options.values())


@pytest.mark.usefixtures("npm")
def test_options_that_are_not_set_leave_the_defaults(manifest: Json) -> None:
    assert settings({}) == Settings()
    assert settings(dict.fromkeys(manifest["user_config"], "")) == Settings(), "emptied fields"


@pytest.mark.usefixtures("npm")
def test_options_that_are_set_change_the_settings(manifest: Json) -> None:
    assert set(CHANGED) == set(manifest["user_config"])

    assert settings(CHANGED) == Settings(
        confirm="always",
        sandbox=True,
        calls_per_day=20,
        calls_per_hour=5,
        calls_per_number=2,
        allow_numbers=("+1415", "+34"),
        deny_numbers=("+1900",),
        stop_calls=True,
        wait_seconds=30,
        keep_days=7,
        token_store="file",
        log_level="DEBUG",
    )


@pytest.mark.parametrize("option", ["wait_seconds", "keep_days"])
def test_the_bounds_of_a_number_are_those_of_the_setting(manifest: Json, option: str) -> None:
    variable, least, most = (
        f"KALLYAI_{option.upper()}",
        *(manifest["user_config"][option][end] for end in ("min", "max")),
    )

    for bound in (least, most):
        assert getattr(Settings.from_env({variable: str(bound)}), option) == bound
    for beyond in (least - 1, most + 1):
        with pytest.raises(SettingsError, match=variable):
            Settings.from_env({variable: str(beyond)})


def test_the_icon_is_a_square_of_512_pixels(manifest: Json) -> None:
    png = Path(ROOT / manifest["icon"]).read_bytes()

    assert struct.unpack(">II", png[16:24]) == (512, 512)
    assert len(png) < 100_000
