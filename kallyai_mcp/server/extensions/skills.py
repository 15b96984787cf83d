"""The Skills extension (SEP-2640): a skill about good phone calls, which a host loads when it needs it.

The files are in `kallyai_mcp/skills/`, with a folder for each skill. The plug-in for Claude Code has the same files.
"""

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import FunctionResource
from mcp.types import INVALID_PARAMS, PaginatedRequestParams, RequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.server.cache_hints import TTL_MS

FOLDER = Path(__file__).parents[2] / "skills"
"""The folder of the skills. Each skill has only a `SKILL.md`."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions with the extension. For a client of an earlier version, the files are ordinary resources."""


class SkillParams(RequestParams, defer_build=True):  # building it takes time, and few clients use it
    """The parameters of skills/get."""

    uri: str


_CACHED = {"ttlMs": TTL_MS, "cacheScope": "public"}

_Context = ServerRequestContext[Any, Any]


class Skills(Extension):
    """The skills in `FOLDER`. `directoryRead` is not declared, because the entry of a skill lists all its files."""

    identifier = "io.modelcontextprotocol/skills"

    def resources(self) -> Sequence[ResourceBinding]:
        """Each `SKILL.md`, with the name and the description of its front matter."""
        return [
            ResourceBinding(
                FunctionResource(
                    uri=skill["uri"],
                    name=skill["frontmatter"]["name"],
                    title="How to make a phone call for a user",
                    description=skill["frontmatter"]["description"],
                    mime_type="text/markdown",
                    fn=partial(_text, path),
                )
            )
            for path, skill in _skills().items()
        ]

    def methods(self) -> Sequence[MethodBinding]:
        """skills/list and skills/get. They raise `MCPError` -32602 for an unknown page or URI."""
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, _VERSIONS),
            MethodBinding("skills/get", SkillParams, self._get, _VERSIONS),
        ]

    async def _list(self, _: _Context, params: PaginatedRequestParams) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "There is no such page: all skills are on the first one.")
        return {"skills": list(_skills().values()), **_CACHED}

    async def _get(self, _: _Context, params: SkillParams) -> dict[str, Any]:
        for skill in _skills().values():
            if skill["uri"] == params.uri:
                return {"skill": skill, **_CACHED}
        known = ", ".join(skill["uri"] for skill in _skills().values())
        raise MCPError(INVALID_PARAMS, f"There is no such skill; there is {known}.")


def _text(path: Path) -> str:
    """The text of a file. Its line ends are kept, because the digest is of the bytes."""
    return path.read_bytes().decode()


@cache
def _skills() -> dict[Path, dict[str, Any]]:
    """The entries of the skills, by the path of their `SKILL.md`."""
    return {path: _skill(path) for path in sorted(FOLDER.glob("*/SKILL.md"))}


def _skill(path: Path) -> dict[str, Any]:
    """The entry of a skill: the URI of its `SKILL.md`, the front matter of that file, and all its files."""
    content = path.read_bytes()
    uri = f"skill://{path.parent.name}/{path.name}"
    file = {"uri": uri, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    # The front matter is YAML of plain texts on one line. A test compares this with the result of a YAML parser.
    lines = content.decode().split("---", 2)[1].strip().splitlines()
    return {"uri": uri, "frontmatter": dict(line.split(": ", 1) for line in lines), "resources": [file]}
