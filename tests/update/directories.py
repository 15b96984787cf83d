"""The files by which Cursor, ChatGPT, Codex, other hosts of Agent Plugins, and Docker find this
server.

All of them follow from the plug-in of Claude Code, the bundle, and the registry's entry.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kallyai_mcp.tools.catalog import CallTool, tools
from tests.update.manifests import BUNDLE, PLUGIN, REGISTRY, summary

Json = dict[str, Any]

CURSOR = ".cursor-plugin/plugin.json"
AGENT_PLUGIN, AGENT_PLUGIN_SERVERS = "plugin.json", "mcp.json"
DOCKER = "kallyai_mcp/registry/docker"

SCHEMAS = "https://agent-plugins.org/schemas/1.0.0"

STDIO = ["kallyai-mcp", "serve"]
"""The command with which the image speaks stdio; its own serves HTTP."""

_FOR_DOCKER = (
    "KALLYAI_CONFIRM",
    "KALLYAI_CALLS_PER_HOUR",
    "KALLYAI_CALLS_PER_DAY",
    "KALLYAI_CALLS_PER_NUMBER",
    "KALLYAI_ALLOW_NUMBERS",
    "KALLYAI_DENY_NUMBERS",
)
"""The settings of which Docker Desktop shows a field."""


def directories(files: Mapping[str, str]) -> dict[str, str]:
    """The text of each file, by its path from the root; `files` has those that they follow from."""
    bundle, plugin, registry = (json.loads(files[name]) for name in (BUNDLE, PLUGIN, REGISTRY))
    made: dict[str, Any] = {
        CURSOR: _cursor(bundle, plugin),
        AGENT_PLUGIN: _agent_plugin(plugin),
        AGENT_PLUGIN_SERVERS: _agent_plugin_servers(),
        f"{DOCKER}/tools.json": [_tool(tool) for tool in tools()],
    }
    texts = {
        name: json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        for name, content in made.items()
    }
    return texts | {f"{DOCKER}/server.yaml": _docker(bundle, registry)}


def _cursor(bundle: Json, plugin: Json) -> Json:
    """Cursor expands only this variable to the folder of the plug-in."""
    shared = {name: plugin[name] for name in ("name", "version", "description", "author")}
    command = ["run", "--directory", "${CURSOR_PLUGIN_ROOT}", "--no-dev", "kallyai-mcp"]
    return {
        **shared,
        "displayName": bundle["display_name"],
        "license": plugin["license"],
        "logo": bundle["icon"],
        "keywords": plugin["keywords"],
        "category": "productivity",
        "skills": plugin["skills"],
        "mcpServers": {"kallyai": {"command": "uv", "args": command}},
    }


def _agent_plugin(plugin: Json) -> Json:
    shared = ("name", "version", "description", "author", "license", "keywords")
    return {"$schema": f"{SCHEMAS}/plugin.schema.json", **{name: plugin[name] for name in shared}}


def _agent_plugin_servers() -> Json:
    """Not every host expands variables in arguments; each begins in the folder of the plug-in."""
    server = {
        "type": "stdio",
        "command": "uv",
        "args": ["run", "--no-dev", "kallyai-mcp"],
        "cwd": "./",
    }
    return {"$schema": f"{SCHEMAS}/mcp.schema.json", "mcpServers": {"kallyai": server}}


def _tool(tool: CallTool) -> Json:
    arguments = tool.parameters["properties"]
    return {
        "name": tool.name,
        "description": summary(tool),
        "arguments": [
            {"name": each, "type": _type(schema), "desc": schema.get("description", each)}
            for each, schema in arguments.items()
        ],
    }


def _type(schema: Json) -> str:
    """The type of an argument, which may also be null."""
    kinds = [one["type"] for one in schema.get("anyOf", [schema]) if "type" in one]
    names = [name for name in kinds if name != "null"]
    return str(names[0]) if names else "string"


def _docker(bundle: Json, registry: Json) -> str:
    """The entry of Docker's catalog. A release adds `source`: the address and the commit."""
    variables = {one["name"]: one for one in registry["packages"][0]["environmentVariables"]}
    fields = [name.removeprefix("KALLYAI_").lower() for name in _FOR_DOCKER]
    lines = [
        "name: kallyai-mcp",
        "image: mcp/kallyai-mcp",
        "type: server",
        "meta:",
        "  category: productivity",
        "  tags:",
        *(f"    - {word}" for word in bundle["keywords"]),
        "about:",
        f"  title: {bundle['display_name'].title().replace('Kallyai', 'KallyAI')}",
        f"  description: {bundle['description']}",
        "run:",
        "  command:",
        *(f"    - {word}" for word in STDIO),
        "  volumes:",
        "    - kallyai-mcp:/data",
        "  allowHosts:",
        "    - api.kallyai.com:443",
        "config:",
        "  description: A sign-in at KallyAI, and limits; an empty field sets none.",
        "  secrets:",
        "    - name: kallyai-mcp.access_token",
        "      env: KALLYAI_ACCESS_TOKEN",
        "      example: <KALLYAI_ACCESS_TOKEN>",
        "      required: false",
        "  env:",
        *_yaml_env(fields),
        "  parameters:",
        "    type: object",
        "    properties:",
        *_yaml_parameters(fields, [variables[name]["description"] for name in _FOR_DOCKER]),
    ]
    return "\n".join(lines) + "\n"


def _yaml_env(fields: Sequence[str]) -> list[str]:
    lines = []
    for name in fields:
        lines += [
            f"    - name: KALLYAI_{name.upper()}",
            f'      value: "{{{{kallyai-mcp.{name}}}}}"',
        ]
    return lines


def _yaml_parameters(fields: Sequence[str], descriptions: Sequence[str]) -> list[str]:
    lines = []
    for name, description in zip(fields, descriptions, strict=True):
        text = json.dumps(description, ensure_ascii=False)
        lines += [f"      {name}:", "        type: string", f"        description: {text}"]
    return lines
