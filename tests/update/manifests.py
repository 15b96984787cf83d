"""The files by which desktop apps, the registry, and Claude Code find this server.

Their facts come from the package, `pyproject.toml`, and the server. By hand is what only they say:
the texts of the bundle's page, the command of each, and the first sentence of a prompt.
"""

import json
import re
import tomllib
from typing import Any

from kallyai_mcp import __version__
from kallyai_mcp.setting_values import variable
from kallyai_mcp.tools.catalog import CallTool, tools
from kallyai_mcp.tools.prompts import prompts
from tests.docs.pages import text_of
from tests.update.setting_lists import environment_variables, form_options

Json = dict[str, Any]

BUNDLE, REGISTRY = "manifest.json", "kallyai_mcp/registry/server.json"
PLUGIN, MARKETPLACE = ".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"

_KNOWN = "What I know besides, where it is filled in: "
_HOW = (
    "Ask me, all at once, for what is missing; tell me who you will call, at which number, and "
    "what for; wait for my yes; then call make_call once."
)


def manifests() -> dict[str, str]:
    """The text of each file, by its path from the root."""
    bundle, registry, plugin, marketplace = map(_read, (BUNDLE, REGISTRY, PLUGIN, MARKETPLACE))
    project: Json = tomllib.loads(text_of("pyproject.toml"))["project"]
    holder = re.search(r"^Copyright \(c\) \d{4} (.+)$", text_of("LICENSE"), re.MULTILINE)
    author = {"name": holder[1] if holder is not None else ""}
    (package,), (listed,) = registry["packages"], marketplace["plugins"]

    address = {"url": project["urls"]["KallyAI"]}  # Claude's directory asks for one
    bundle |= {"name": project["name"], "license": project["license"], "author": author | address}
    bundle["compatibility"]["runtimes"]["python"] = project["requires-python"]
    bundle["tools"] = [{"name": tool.name, "description": summary(tool)} for tool in tools()]
    bundle["prompts"] = _prompts({prompt["name"]: prompt["text"] for prompt in bundle["prompts"]})
    bundle["user_config"] = form_options(bundle["user_config"])
    bundle["server"]["mcp_config"]["env"] = {
        variable(name): f"${{user_config.{name}}}" for name in bundle["user_config"]
    }
    package["environmentVariables"] = environment_variables()
    package["identifier"] = marketplace["name"] = project["name"]
    plugin |= {"license": project["license"], "author": author}
    marketplace["owner"] = author
    listed["name"] = plugin["name"]
    for one in (bundle, registry, package, plugin):
        one["version"] = __version__
    for one in (registry, plugin, listed):
        one["description"] = bundle["description"]
    made = {BUNDLE: bundle, REGISTRY: registry, PLUGIN: plugin, MARKETPLACE: marketplace}
    return {
        name: json.dumps(one, ensure_ascii=False, indent=2) + "\n" for name, one in made.items()
    }


def summary(tool: CallTool) -> str:
    """The first line of what a model reads of a tool."""
    return (tool.description or "").splitlines()[0]


def _read(name: str) -> Json:
    parsed: Json = json.loads(text_of(name))
    return parsed


def _prompts(texts: dict[str, str]) -> list[Json]:
    """The prompts of the server; the first sentence of each stands in the bundle alone."""
    made = []
    for prompt in prompts():
        if prompt.name not in texts:
            raise ValueError(
                f'{BUNDLE}: add {{"name": "{prompt.name}", "text": FIRST SENTENCE}} to `prompts`; '
                "the rest of it is derived"
            )
        names = [argument.name for argument in prompt.arguments or []]
        goal = texts[prompt.name].partition(f" {_KNOWN}")[0]
        known = [f"{name}: ${{arguments.{name}}}" for name in names if f".{name}}}" not in goal]
        made.append(
            {
                "name": prompt.name,
                "description": prompt.description,
                "arguments": names,
                "text": f"{goal} {_KNOWN}{'; '.join(known)}. {_HOW}",
            }
        )
    return made
